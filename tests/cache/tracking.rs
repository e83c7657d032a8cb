//! Client-side caching, pauses and limits of clients, beside the incumbent where it is there.

use box_harness::{scratch, wait_until};

use crate::stage::same;
use crate::support::Server;

fn number(reply: &str) -> i64 {
    reply.trim().trim_start_matches(':').parse().expect("a number")
}

#[test]
fn a_resp3_client_is_told_of_changes_of_what_it_has_read() {
    same(|stage| {
        stage.quietly(0, "HELLO 3");
        stage.ask(0, "CLIENT TRACKING ON");
        stage.ask(0, "CLIENT TRACKINGINFO");
        stage.ask(0, "CLIENT GETREDIR");
        stage.ask(1, "MSET a 1 b 2 c 3");
        stage.ask(0, "MGET a b");
        stage.ask(1, "SET c 4");
        stage.ask(1, "SET a 5");
        stage.hears(0);
        stage.ask(1, "SET a 6");
        stage.ask(0, "SET b 1");
        stage.hears(0);
        stage.ask(0, "GET b");
        stage.ask(1, "FLUSHALL");
        stage.hears(0);
        stage.ask(0, "SET e 1");
        stage.ask(0, "GET e");
        stage.ask(0, "PEXPIRE e 0");
        stage.hears(0);
        stage.ask(0, "CLIENT TRACKING OFF");
        stage.ask(0, "GET e");
        stage.ask(1, "SET e 1");
    });
}

#[test]
fn a_transaction_is_told_behind_its_reply() {
    same(|stage| {
        stage.quietly(0, "HELLO 3");
        stage.ask(0, "CLIENT TRACKING ON");
        stage.ask(1, "MSET a{x} 1 b{x} 2");
        for words in ["MULTI", "GET a{x}", "GET b{x}", "INCR a{x}", "INCR b{x}", "EXEC"] {
            stage.ask(0, words);
        }
        stage.hears(0);
        stage.hears(0);
        stage.ask(0, "CLIENT TRACKING ON NOLOOP");
        stage.ask(0, "GET a{x}");
        stage.ask(0, "SET a{x} 1");
        stage.ask(0, "GET a{x}");
        stage.ask(1, "SET a{x} 1");
        stage.hears(0);
    });
}

#[test]
fn opting_in_and_out_asks_for_each_command() {
    same(|stage| {
        stage.quietly(0, "HELLO 3");
        stage.ask(0, "CLIENT CACHING YES");
        stage.ask(0, "CLIENT TRACKING ON OPTIN");
        stage.ask(0, "CLIENT CACHING NO");
        stage.ask(0, "GET k");
        stage.ask(1, "SET k 1");
        stage.ask(0, "CLIENT CACHING YES");
        stage.ask(0, "CLIENT TRACKINGINFO");
        stage.ask(0, "GET k");
        stage.ask(1, "SET k 2");
        stage.hears(0);
        stage.ask(0, "GET k");
        stage.ask(1, "SET k 3");
        stage.ask(0, "CLIENT CACHING YES");
        for words in ["MULTI", "GET k", "GET j", "EXEC"] {
            stage.ask(0, words);
        }
        stage.ask(1, "SET j 3");
        stage.hears(0);
        stage.ask(0, "CLIENT TRACKING ON OPTOUT");
        stage.ask(0, "CLIENT TRACKING OFF");
        stage.ask(0, "CLIENT TRACKING ON OPTOUT");
        stage.ask(0, "CLIENT CACHING NO");
        stage.ask(0, "GET q");
        stage.ask(0, "GET r");
        stage.ask(1, "SET q 1");
        stage.ask(1, "SET r 1");
        stage.hears(0);
    });
}

#[test]
fn broadcasts_go_by_prefix() {
    same(|stage| {
        stage.quietly(0, "HELLO 3");
        for words in [
            "CLIENT TRACKING ON PREFIX a",
            "CLIENT TRACKING ON BCAST OPTIN",
            "CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
            "CLIENT TRACKING ON OPTIN OPTOUT",
            "CLIENT TRACKING ON REDIRECT 123456",
            "CLIENT TRACKING ON nope",
            "CLIENT TRACKING nope",
            "CLIENT TRACKING ON BCAST PREFIX foo NOLOOP",
            "CLIENT TRACKING ON BCAST PREFIX foobar",
            "CLIENT TRACKING ON",
            "CLIENT TRACKINGINFO",
        ] {
            stage.ask(0, words);
        }
        stage.ask(1, "MSET foo:1{x} 1 other{x} 2");
        stage.hears(0);
        stage.ask(0, "SET foo:2 1");
        stage.ask(1, "DEL foo:2");
        stage.hears(0);
    });
}

#[test]
fn a_resp2_client_has_another_listen() {
    same(|stage| {
        let id = number(&stage.quietly(1, "CLIENT ID"));
        stage.quietly(1, "SUBSCRIBE __redis__:invalidate");
        stage.quietly(0, &format!("CLIENT TRACKING ON REDIRECT {id}"));
        stage.ask(0, "GET k");
        stage.ask(2, "SET k 1");
        stage.hears(1);
        stage.ask(2, "FLUSHDB");
        stage.hears(1);
    });
}

#[test]
fn a_listener_that_has_gone_is_reported() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let (mut reader, mut listener, mut writer) = (ours.client(), ours.client(), ours.client());
    reader.ask("HELLO 3");
    let id = number(&listener.ask("CLIENT ID"));
    assert_eq!(reader.ask(&format!("CLIENT TRACKING ON REDIRECT {id}")), "+OK\r\n");
    reader.ask("GET k");
    drop(listener);
    wait_until("the listener to be gone", 10, || {
        writer.ask(&format!("CLIENT LIST ID {id}")).starts_with("$0\r\n")
    });
    writer.ask("SET k 1");
    let message = format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n");
    assert_eq!(String::from_utf8_lossy(&reader.reply()), message);
    assert!(reader.ask("CLIENT INFO").contains("flags=tR "));
}

#[test]
fn a_pause_holds_writes_back_until_it_ends() {
    same(|stage| {
        stage.ask(2, "SET k 1");
        stage.ask(2, "CLIENT PAUSE 100000 WRITE");
        stage.ask(0, "GET k");
        stage.ask(0, "MULTI");
        stage.ask(0, "GET k");
        stage.ask(0, "EXEC");
        stage.ask(0, "SET k");
        for words in [&["INCR", "k"][..], &["PING"]] {
            stage.clients[0].send(words);
        }
        let mut other = stage.server.client();
        wait_until("the write to be held back", 10, || {
            other.ask("INFO clients").contains("blocked_clients:1")
        });
        stage.ask(2, "GET k");
        stage.ask(2, "CLIENT UNPAUSE");
        stage.hears(0);
        stage.hears(0);
        stage.ask(2, "CLIENT PAUSE 50");
        stage.ask(0, "PING");
        stage.ask(2, "CLIENT PAUSE x");
        stage.ask(2, "CLIENT PAUSE -1");
        stage.ask(2, "CLIENT PAUSE 1 nope");
    });
}

#[test]
fn a_client_that_fetches_nothing_is_let_go() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let mut client = ours.client();
    client.ask("CONFIG SET client-output-buffer-limit normal\\ 0\\ 0\\ 0");
    client.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0"]);
    client.call(&["SET", "big", &"x".repeat(200_000)]);
    let mut greedy = ours.client();
    greedy.send(&["GET", "big"]);
    assert_eq!(greedy.try_reply(), None, "a reply above the limit is never begun");
    client.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 0 100000 1"]);
    let mut slow = ours.client();
    for _ in 0..100 {
        slow.send(&["GET", "big"]);
    }
    wait_until("the slow client to be let go", 20, || {
        client.ask("INFO clients").contains("connected_clients:1\r\n")
    });
}

#[test]
fn the_fattest_clients_are_evicted_first() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let mut client = ours.client();
    let (mut fat, mut spared) = (ours.client(), ours.client());
    spared.ask("CLIENT NO-EVICT ON");
    for one in [&mut fat, &mut spared] {
        one.ask("MULTI");
        one.call(&["SET", "k", &"x".repeat(3_000_000)]);
    }
    assert_eq!(client.ask("CONFIG SET maxmemory-clients 4mb"), "+OK\r\n");
    wait_until("the fat client to be evicted", 10, || {
        client.ask("INFO stats").contains("evicted_clients:1\r\n")
    });
    assert_eq!(fat.try_reply(), None);
    assert_eq!(spared.ask("DISCARD"), "+OK\r\n");
    assert_eq!(client.ask("CONFIG SET maxmemory-clients 5%"), "+OK\r\n");
    assert!(client.ask("CONFIG GET maxmemory-clients").contains("5%"));
}
