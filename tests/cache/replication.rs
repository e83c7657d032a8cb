//! Replication: to and from the incumbent, in chains, over crashes and promotions.

use box_harness::{scratch, wait_until};

use crate::support::{Client, Dice, Server};

const ARGS: &[&str] =
    &["--save", "", "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];

fn follow(replica: &Server, master: &Server) {
    assert_eq!(replica.client().ask(&format!("REPLICAOF 127.0.0.1 {}", master.port)), "+OK\r\n");
}

fn field(server: &Server, section: &str, name: &str) -> String {
    let info = server.client().ask(&format!("INFO {section}"));
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().to_owned()
}

fn wait_for_link(replica: &Server) {
    wait_until("the link to be up", 30, || {
        field(replica, "replication", "master_link_status") == "up"
    });
}

/// Waits until the replica has all that the master has. Keys may expire between two looks, so that
/// the same must be seen of both within some time.
fn same(master: &Server, replica: &Server) {
    let digest = |server: &Server| server.client().ask("DEBUG DIGEST");
    wait_until("the replica to have the master's keys", 60, || {
        field(master, "replication", "master_repl_offset")
            == field(replica, "replication", "slave_repl_offset")
            && digest(master) == digest(replica)
    });
}

/// Random changes of keys of all types, in two databases, alone and in transactions and scripts.
fn change(client: &mut Client, dice: &mut Dice, count: usize) {
    let shapes = [
        "SET K V",
        "INCR N",
        "APPEND K V",
        "RPUSH L V",
        "LPOP L",
        "SADD S V",
        "SPOP S",
        "HSET H V V",
        "HINCRBYFLOAT H f 1.5",
        "ZADD Z 3 V",
        "ZPOPMIN Z",
        "DEL K L",
        "EXPIRE K 1000",
        "XADD X * f V",
        "GETDEL K",
        "RENAME K K",
        "SELECT 1",
        "SELECT 0",
        "SETRANGE K 5 V",
        "PFADD P V",
        "BLPOP L 0.001",
        "SET K V PX 1",
    ];
    for _ in 0..count {
        let words: Vec<String> = dice
            .pick(&shapes)
            .split(' ')
            .map(|word| match word {
                "V" => format!("v{}", dice.below(1000)),
                word if word.len() == 1 && word.chars().all(char::is_uppercase) => {
                    format!("{word}{}", dice.below(20))
                }
                word => word.to_owned(),
            })
            .collect();
        match dice.below(12) {
            0 => {
                client.send(&["MULTI"]);
                client.send(&["INCR", "both"]);
                client.send(&["INCR", "both"]);
                client.send(&["EXEC"]);
                (0..4).for_each(|_| drop(client.reply()));
            }
            1 => {
                let script = "redis.call('incr', 'scripted') return redis.call('spop', KEYS[1])";
                client.call(&["EVAL", script, "1", "S1"]);
            }
            _ => drop(client.call(&words)),
        }
    }
}

#[test]
fn the_incumbent_follows_us() {
    let dir = scratch();
    let Some(theirs) = Server::theirs(dir.path(), ARGS) else { return };
    let ours = Server::ours(dir.path(), ARGS);
    let (mut client, mut dice) = (ours.client(), Dice(7, 0));
    change(&mut client, &mut dice, 2000);
    follow(&theirs, &ours);
    change(&mut client, &mut dice, 2000);
    wait_for_link(&theirs);
    change(&mut client, &mut dice, 2000);
    same(&ours, &theirs);
    assert_eq!(field(&ours, "replication", "connected_slaves"), "1");
    assert!(ours.client().ask("ROLE").contains(&theirs.port.to_string()));
    // A link that breaks is resumed.
    let id = ours.client().ask("CLIENT LIST").lines().find_map(|line| {
        let replica = line.contains("flags=S");
        line.strip_prefix("id=").filter(|_| replica)?.split(' ').next().map(str::to_owned)
    });
    let id = id.expect("a replica in the list");
    change(&mut client, &mut dice, 100);
    assert_eq!(ours.client().ask(&format!("CLIENT KILL ID {id}")), ":1\r\n");
    change(&mut client, &mut dice, 500);
    wait_until("a resumption", 30, || field(&ours, "stats", "sync_partial_ok") == "1");
    same(&ours, &theirs);
    // WAIT counts it.
    client.ask("SET waited 1");
    assert_eq!(client.ask("WAIT 1 10000"), ":1\r\n");
    assert_eq!(client.ask("WAIT 2 50"), ":1\r\n");
}

#[test]
fn we_follow_the_incumbent_and_are_followed() {
    let dir = scratch();
    let Some(theirs) = Server::theirs(dir.path(), ARGS) else { return };
    let (ours, last) = (Server::ours(dir.path(), ARGS), Server::ours(dir.path(), ARGS));
    let (mut client, mut dice) = (theirs.client(), Dice(11, 0));
    change(&mut client, &mut dice, 2000);
    client.call(&["FUNCTION", "LOAD", "#!lua name=l\nredis.register_function{function_name='f', callback=function() return 1 end, flags={'no-writes'}}"]);
    follow(&ours, &theirs);
    wait_for_link(&ours);
    follow(&last, &ours);
    change(&mut client, &mut dice, 2000);
    wait_for_link(&last);
    change(&mut client, &mut dice, 2000);
    same(&theirs, &ours);
    same(&theirs, &last);
    assert_eq!(ours.client().ask("FCALL_RO f 0"), ":1\r\n");
    assert_eq!(
        ours.client().ask("SET k v"),
        "-READONLY You can't write against a read only replica.\r\n"
    );
    assert!(ours.client().ask("ROLE").starts_with("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n"));
    // The middle is promoted; the last goes on with it.
    assert_eq!(ours.client().ask("REPLICAOF NO ONE"), "+OK\r\n");
    assert_eq!(ours.client().ask("SET promoted 1"), "+OK\r\n");
    wait_for_link(&last);
    same(&ours, &last);
    // Its old master follows it without a snapshot.
    follow(&theirs, &ours);
    wait_for_link(&theirs);
    same(&ours, &theirs);
}

fn both_ways_with(variable: &str) {
    let dir = scratch();
    let Some(peer) = Server::named_by(variable, dir.path(), ARGS) else { return };
    let (ours, back) =
        (Server::ours(dir.path(), ARGS), Server::named_by(variable, dir.path(), ARGS));
    let (mut client, mut dice) = (peer.client(), Dice(17, 0));
    change(&mut client, &mut dice, 2000);
    follow(&ours, &peer);
    wait_for_link(&ours);
    change(&mut client, &mut dice, 2000);
    same(&peer, &ours);
    let Some(back) = back else { return };
    assert_eq!(ours.client().ask("REPLICAOF NO ONE"), "+OK\r\n");
    follow(&back, &ours);
    wait_for_link(&back);
    change(&mut ours.client(), &mut dice, 2000);
    same(&ours, &back);
}

#[test]
fn redis_8_is_followed_and_follows() {
    both_ways_with("REDIS8_SERVER");
}

#[test]
fn valkey_9_is_followed_and_follows() {
    both_ways_with("VALKEY9_SERVER");
}

#[test]
fn either_side_may_crash() {
    let dir = scratch();
    let other = scratch();
    let args = [ARGS, &["--appendonly", "yes", "--appendfsync", "always"]].concat();
    let master = Server::ours(dir.path(), &args);
    let replica = Server::ours(other.path(), ARGS);
    let (mut client, mut dice) = (master.client(), Dice(3, 0));
    follow(&replica, &master);
    wait_for_link(&replica);
    change(&mut client, &mut dice, 500);
    same(&master, &replica);
    replica.kill();
    change(&mut client, &mut dice, 500);
    let replica = Server::ours(other.path(), ARGS);
    follow(&replica, &master);
    wait_for_link(&replica);
    same(&master, &replica);
    let port = master.port.to_string();
    master.kill();
    wait_until("the link to be down", 30, || {
        field(&replica, "replication", "master_link_status") == "down"
    });
    replica.client().ask("CONFIG SET replica-serve-stale-data no");
    assert!(replica.client().ask("GET K1").starts_with("-MASTERDOWN "));
    let master = Server::ours_at(dir.path(), &args, &port);
    wait_for_link(&replica);
    change(&mut master.client(), &mut dice, 500);
    same(&master, &replica);
}

#[test]
fn a_master_asks_for_replicas_before_it_takes_writes() {
    let dir = scratch();
    let (master, replica) = (Server::ours(dir.path(), ARGS), Server::ours(dir.path(), ARGS));
    master.client().ask("CONFIG SET min-replicas-to-write 1");
    assert_eq!(
        master.client().ask("SET k v"),
        "-NOREPLICAS Not enough good replicas to write.\r\n"
    );
    follow(&replica, &master);
    wait_for_link(&replica);
    wait_until("the replica to be good", 20, || master.client().ask("SET k v") == "+OK\r\n");
    // Keys of a replica expire when the master says so.
    master.client().ask("SET gone v PX 30");
    wait_until("the key to be gone", 20, || replica.client().ask("EXISTS gone") == ":0\r\n");
    assert_eq!(replica.client().ask("WAIT 0 0").split(' ').next(), Some("-ERR"));
}

#[test]
fn a_failover_swaps_the_roles() {
    let dir = scratch();
    let (first, second) = (Server::ours(dir.path(), ARGS), Server::ours(dir.path(), ARGS));
    assert_eq!(first.client().ask("FAILOVER"), "-ERR FAILOVER requires connected replicas.\r\n");
    follow(&second, &first);
    wait_for_link(&second);
    change(&mut first.client(), &mut Dice(5, 0), 500);
    wait_until("the replica to be online", 20, || {
        field(&first, "replication", "slave0").contains("state=online")
    });
    let to = format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 20000", second.port);
    assert_eq!(first.client().ask(&to), "+OK\r\n");
    wait_until("the roles to be swapped", 30, || {
        field(&first, "replication", "role") == "slave"
            && field(&second, "replication", "role") == "master"
            && field(&first, "replication", "master_link_status") == "up"
    });
    assert_eq!(second.client().ask("SET after 1"), "+OK\r\n");
    same(&second, &first);
    assert_eq!(field(&second, "stats", "sync_full"), "0");
}

#[test]
fn the_client_fetches_snapshots() {
    let dir = scratch();
    let master = Server::ours(dir.path(), ARGS);
    change(&mut master.client(), &mut Dice(9, 0), 1000);
    // What has expired is not in a snapshot.
    let mut client = master.client();
    for db in ["SELECT 0", "SELECT 1"] {
        client.ask(db);
        (0..20).for_each(|number| drop(client.ask(&format!("EXISTS K{number}"))));
    }
    let file = dir.path().join("fetched.rdb");
    let path = file.display().to_string();
    let port = master.port.to_string();
    crate::support::bx().run(["cache-cli", "-p", &port, "--rdb", &path]).succeeds();
    let copy =
        Server::ours(dir.path(), &["--dbfilename", "fetched.rdb", "--enable-debug-command", "yes"]);
    assert_eq!(copy.client().ask("DEBUG DIGEST"), master.client().ask("DEBUG DIGEST"));
}
