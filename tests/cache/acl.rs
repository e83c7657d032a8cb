//! Users and their rules: the same requests to us and to the incumbent.

use box_harness::scratch;

use crate::support::{Client, Server};

fn text(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

const REQUESTS: &[&str] = &[
    "ACL WHOAMI",
    "ACL USERS",
    "ACL LIST",
    "ACL GETUSER default",
    "ACL GETUSER nobody",
    "ACL CAT",
    "ACL CAT nosuch",
    "ACL GENPASS 5000",
    "ACL GENPASS x",
    "ACL SETUSER a on >pw ~x* %R~r* %W~w* +@read &ch* +config|get (+set_~s*)",
    "ACL LIST",
    "ACL GETUSER a",
    "ACL SETUSER b +nosuch",
    "ACL SETUSER b +@nosuch",
    "ACL SETUSER b -config|nosuch",
    "ACL SETUSER b +config|get|x",
    "ACL SETUSER b +select|1 -select|1",
    "ACL SETUSER b ~* ~x",
    "ACL SETUSER b &* &x",
    "ACL SETUSER b %X~a",
    "ACL SETUSER b %RW~a",
    "ACL SETUSER b foo",
    "ACL SETUSER b <x",
    "ACL SETUSER b !x",
    "ACL SETUSER b #abc",
    "ACL SETUSER b (+get",
    "ACL SETUSER b (+get_~x) clearselectors nopass on",
    "ACL GETUSER b",
    "ACL SETUSER b reset",
    "ACL GETUSER b",
    "ACL SETUSER c on nopass +@all -@dangerous ~* &*",
    "ACL LIST",
    "ACL SETUSER c +@all -@write",
    "ACL LIST",
    "ACL SETUSER c -@all +@string",
    "ACL LIST",
    "ACL DRYRUN a get x",
    "ACL DRYRUN a config set x",
    "ACL DRYRUN a config set x y",
    "ACL DRYRUN a config get x",
    "ACL DRYRUN a set x 1",
    "ACL DRYRUN a set s1 1",
    "ACL DRYRUN a strlen r1",
    "ACL DRYRUN a strlen w1",
    "ACL DRYRUN a publish ch1 x",
    "ACL DRYRUN nobody get x",
    "ACL DRYRUN a nosuch",
    "ACL DELUSER default",
    "AUTH a wrong",
    "AUTH wrong",
    "AUTH a pw",
    "ACL WHOAMI",
    "GET x",
    "STRLEN x1",
    "STRLEN r1",
    "STRLEN nope",
    "SET s1 v",
    "SET x1 v",
    "MGET x1 r1",
    "CONFIG SET maxmemory 0",
    "SUBSCRIBE other",
    "MULTI",
    "GET x",
    "EXEC",
    "AUTH default x",
    "AUTH b x",
    "AUTH c x",
    "ACL WHOAMI",
    "SET k v",
    "GET k",
    "LPUSH l v",
    "EVAL return_redis.call('get','k') 0",
    "RESET",
    "ACL WHOAMI",
    "ACL SETUSER d on nopass ~d* +@all",
    "AUTH d x",
    "EVAL return_redis.call('set','e',1) 0",
    "EVAL return_redis.call('set','d',1) 0",
    "EVAL return_redis.acl_check_cmd('set','e',1) 0",
    "EVAL return_redis.acl_check_cmd('set','d',1) 0",
    "SORT d1 BY nosort",
    "SORT d1 BY x*",
    "SORT d1 GET x*",
    "ACL DELUSER c nobody",
    "ACL USERS",
    "CONFIG SET requirepass secret",
    "ACL GETUSER default",
    "CONFIG SET requirepass",
    "ACL SAVE",
    "ACL LOAD",
    "ACL LOG x",
    "ACL LOG RESET",
    "ACL LOG",
    "ACL HELP",
    "ACL NOPE",
    "ACL",
];

fn ask(client: &mut Client, request: &str) -> Vec<u8> {
    let words: Vec<String> = request.split(' ').map(|word| word.replace('_', " ")).collect();
    let words: Vec<String> = words
        .into_iter()
        .map(|word| {
            if word.contains("acl check") {
                word.replace("acl check cmd", "acl_check_cmd")
            } else {
                word
            }
        })
        .collect();
    client.call(&words)
}

#[test]
fn users_are_as_the_incumbents() {
    let dir = scratch();
    let Some(theirs) = Server::theirs(dir.path(), &["--save", ""]) else { return };
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let (mut we, mut they) = (ours.client(), theirs.client());
    let mut wrong = Vec::new();
    for request in REQUESTS {
        let (a, b) = (ask(&mut we, request), ask(&mut they, request));
        if a != b {
            wrong.push(format!("{request}\n  we   {:?}\n  they {:?}", text(&a), text(&b)));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn categories_hold_the_incumbents_commands() {
    let dir = scratch();
    let Some(theirs) = Server::theirs(dir.path(), &["--save", ""]) else { return };
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let (mut we, mut they) = (ours.client(), theirs.client());
    let names = |client: &mut Client, category: &str| {
        let reply = text(&client.call(&["ACL", "CAT", category]));
        let names = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
        names.map(str::to_owned).collect::<std::collections::BTreeSet<String>>()
    };
    for category in ["read", "string", "scripting", "connection", "transaction", "hash", "list"] {
        let (a, b) = (names(&mut we, category), names(&mut they, category));
        let foreign: Vec<_> = a.difference(&b).filter(|name| they_know(&mut they, name)).collect();
        assert!(foreign.is_empty(), "{category}: {foreign:?}");
    }
}

fn they_know(they: &mut Client, name: &str) -> bool {
    // The null of COMMAND INFO is a bulk string, not an array.
    !text(&they.call(&["COMMAND", "INFO", name])).contains("$-1")
}

#[test]
fn users_are_read_from_files_and_written_back() {
    let dir = scratch();
    let file = dir.path().join("users.acl");
    std::fs::write(&file, "user default on nopass ~* &* +@all\nuser app on >pw ~app:* +@all\n")
        .expect("a file");
    let path = file.display().to_string();
    let ours = Server::ours(dir.path(), &["--save", "", "--aclfile", &path]);
    let mut client = ours.client();
    assert_eq!(client.ask("AUTH app pw"), "+OK\r\n");
    assert_eq!(client.ask("SET app:1 x"), "+OK\r\n");
    assert_eq!(
        client.ask("SET other x"),
        "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
    );
    assert_eq!(client.ask("ACL SETUSER more on nopass"), "+OK\r\n");
    assert_eq!(client.ask("ACL SAVE"), "+OK\r\n");
    assert!(std::fs::read_to_string(&file).expect("a file").contains("user more on nopass"));
    std::fs::write(&file, "user default on nopass ~* &* +@all\nuser x nonsense\n").expect("a file");
    let reply = client.ask("ACL LOAD");
    assert!(
        reply.starts_with("-ERR ") && reply.contains("no change to the previously active"),
        "{reply}"
    );
    assert_eq!(client.ask("ACL WHOAMI"), "$3\r\napp\r\n");
    let log = ours.client().ask("ACL LOG");
    assert!(log.contains("other") && log.contains("toplevel") && log.contains("key"), "{log}");
}

#[test]
fn a_user_that_goes_takes_its_connections_along() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--save", ""]);
    let (mut admin, mut app) = (ours.client(), ours.client());
    admin.ask("ACL SETUSER app on nopass +@all ~* &news");
    assert_eq!(app.ask("AUTH app x"), "+OK\r\n");
    assert!(app.ask("SUBSCRIBE news").contains("news"));
    admin.ask("ACL SETUSER app resetchannels");
    assert_eq!(app.try_reply(), None);
    let mut again = ours.client();
    assert_eq!(again.ask("AUTH app x"), "+OK\r\n");
    assert_eq!(admin.ask("ACL DELUSER app"), ":1\r\n");
    assert_eq!(again.try_reply(), None);
}
