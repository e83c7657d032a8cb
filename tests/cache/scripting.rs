//! Scripts and functions: the same ones to us and to the incumbent, replies compared to the byte.

use box_harness::{scratch, wait_until};

use crate::support::{Client, Server};

/// Scripts without keys, each a line.
const SCRIPTS: &str = include_str!("scripting/scripts.txt");

fn text(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

/// Asks both and compares.
struct Pair {
    ours: Client,
    theirs: Client,
    wrong: Vec<String>,
}

impl Pair {
    fn ask(&mut self, words: &[&str]) {
        let (ours, theirs) = (self.ours.call(words), self.theirs.call(words));
        if ours != theirs {
            self.wrong.push(format!(
                "{words:?}\n  we   {:?}\n  they {:?}",
                text(&ours),
                text(&theirs)
            ));
        }
    }

    fn done(self) {
        assert!(self.wrong.is_empty(), "{} differ:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

fn both(dir: &std::path::Path) -> Option<(Server, Server)> {
    let theirs = Server::theirs(dir, &["--save", ""])?;
    Some((Server::ours(dir, &["--save", ""]), theirs))
}

#[test]
fn scripts_reply_as_the_incumbents_do() {
    let dir = scratch();
    let Some((ours, theirs)) = both(dir.path()) else { return };
    let mut pair = Pair { ours: ours.client(), theirs: theirs.client(), wrong: Vec::new() };
    for version in ["2", "3"] {
        // The client's number and the version differ.
        for client in [&mut pair.ours, &mut pair.theirs] {
            client.call(&["HELLO", version]);
            client.call(&["FLUSHALL"]);
        }
        for script in SCRIPTS.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
            let script = script.replace("\\n", "\n");
            pair.ask(&["EVAL", &script, "2", "k1", "k2", "a1", "a2", "3"]);
            pair.ask(&["EVAL_RO", &script, "2", "k1", "k2", "a1", "a2", "3"]);
        }
    }
    for words in [
        &["EVAL", "return 1", "x"][..],
        &["EVAL", "return 1", "2", "a"],
        &["EVAL", "return 1", "-1"],
        &["EVAL", "return 1"],
        &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
        &["EVALSHA", "short", "0"],
        &["EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "0"],
        &["SCRIPT", "LOAD", "return 1"],
        &["SCRIPT", "LOAD", "return"],
        &["SCRIPT", "LOAD", "return }"],
        &["EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "0"],
        &["EVALSHA_RO", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"],
        &["SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x"],
        &["SCRIPT", "FLUSH", "x"],
        &["SCRIPT", "FLUSH", "ASYNC"],
        &["SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"],
        &["SCRIPT", "KILL"],
        &["SCRIPT", "DEBUG", "no"],
        &["SCRIPT", "DEBUG", "x"],
        &["SCRIPT", "NOPE"],
        &["SCRIPT"],
        &["SCRIPT", "HELP"],
        &["COMMAND", "GETKEYS", "EVAL", "x", "2", "a", "b", "c"],
        &["COMMAND", "GETKEYS", "FCALL", "x", "1", "a", "b"],
        &["COMMAND", "INFO", "EVALSHA", "EVAL_RO", "FCALL", "FCALL_RO"],
    ] {
        pair.ask(words);
    }
    pair.done();
}

const LIBRARY: &str = "#!lua name=lib\n\
    local count = 0\n\
    local function add(keys, args) count = count + 1 return {count, #keys, args[1]} end\n\
    redis.register_function('add', add)\n\
    redis.register_function{function_name='read', callback=function(k) return redis.call('get', k[1]) end, flags={'no-writes'}, description='reads'}\n\
    redis.register_function{function_name='write', callback=function(k, a) redis.setresp(3) return redis.call('set', k[1], a[1]) end}\n\
    redis.register_function{function_name='sneaky', callback=function(k, a) return redis.call('set', k[1], a[1]) end, flags={'no-writes'}}\n\
    redis.register_function('fails', function() error('boom') end)";

#[test]
fn functions_reply_as_the_incumbents_do() {
    let dir = scratch();
    let Some((ours, theirs)) = both(dir.path()) else { return };
    let mut pair = Pair { ours: ours.client(), theirs: theirs.client(), wrong: Vec::new() };
    for code in [
        "",
        "return 1",
        "#!lua name=a",
        "#!lua\nreturn 1",
        "#!lua name=\n",
        "#!lua name=a-b\n",
        "#!lua name=a name=b\n",
        "#!lua name=a x=b\n",
        "#!js name=a\n",
        "#!lua name=a\nreturn 1",
        "#!lua name=a\nx = 1",
        "#!lua name=a\nerror('x')",
        "#!lua name=a\nreturn {",
        "#!lua name=a\nredis.call('get','x')",
        "#!lua name=a\nredis.register_function()",
        "#!lua name=a\nredis.register_function('a')",
        "#!lua name=a\nredis.register_function(1, function() end)",
        "#!lua name=a\nredis.register_function('a', 1)",
        "#!lua name=a\nredis.register_function('a-b', function() end)",
        "#!lua name=a\nredis.register_function('a', function() end, 1)",
        "#!lua name=a\nredis.register_function{}",
        "#!lua name=a\nredis.register_function{1}",
        "#!lua name=a\nredis.register_function{function_name='a'}",
        "#!lua name=a\nredis.register_function{callback=function() end}",
        "#!lua name=a\nredis.register_function{function_name=1}",
        "#!lua name=a\nredis.register_function{description=1}",
        "#!lua name=a\nredis.register_function{flags=1}",
        "#!lua name=a\nredis.register_function{nope=1}",
        "#!lua name=a\nredis.register_function{function_name='a', callback=function() end, flags={'x'}}",
        "#!lua name=a\nredis.register_function{function_name='a', callback=function() end, flags={1}}",
        "#!lua name=a\nredis.register_function('a', function() end)\nredis.register_function('a', function() end)",
    ] {
        pair.ask(&["FUNCTION", "LOAD", code]);
    }
    for words in [
        &["FUNCTION", "LOAD", LIBRARY][..],
        &["FUNCTION", "LOAD", LIBRARY],
        &["FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('add', function() end)"],
        &["FUNCTION", "LOAD", "REPLACE", LIBRARY],
        &["FUNCTION", "LOAD", "X", LIBRARY],
        &["FUNCTION", "LOAD", "REPLACE"],
        &["FUNCTION", "LIST", "LIBRARYNAME", "nope*"],
        &["FUNCTION", "LIST", "LIBRARYNAME"],
        &["FUNCTION", "LIST", "X"],
        &["FUNCTION", "STATS"],
        &["FCALL", "add", "1", "k", "x"],
        &["FCALL", "add", "0"],
        &["FCALL_RO", "add", "0"],
        &["FCALL", "write", "1", "k", "v"],
        &["FCALL_RO", "write", "1", "k", "v"],
        &["FCALL", "read", "1", "k"],
        &["FCALL_RO", "read", "1", "k"],
        &["FCALL", "sneaky", "1", "k", "v"],
        &["FCALL", "fails", "0"],
        &["FCALL", "nope", "0"],
        &["FCALL", "add", "x"],
        &["FCALL", "add", "2", "a"],
        &["FCALL", "add", "-1"],
        &["FUNCTION", "KILL"],
        &["FUNCTION", "HELP"],
        &["FUNCTION", "NOPE"],
        &["FUNCTION", "RESTORE", "x"],
        &["FUNCTION", "RESTORE", "x", "y"],
        &["FUNCTION", "FLUSH", "x"],
        &["FUNCTION", "DELETE", "nope"],
        &["FUNCTION", "DELETE", "lib"],
        &["FCALL", "add", "0"],
        &["FUNCTION", "DELETE", "lib"],
        &["FUNCTION", "FLUSH"],
    ] {
        pair.ask(words);
    }
    pair.done();
}

#[test]
fn libraries_outlive_the_server_and_go_to_others() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--appendonly", "yes"]);
    let mut client = ours.client();
    client.call(&["FUNCTION", "LOAD", LIBRARY]);
    let dump = client.call(&["FUNCTION", "DUMP"]);
    let payload = &dump[memchr_line(&dump)..dump.len() - 2];
    for policy in ["APPEND", "FLUSH", "REPLACE"] {
        let reply = client.call(&[&b"FUNCTION"[..], b"RESTORE", payload, policy.as_bytes()]);
        let expected =
            if policy == "APPEND" { "-ERR Library lib already exists\r\n" } else { "+OK\r\n" };
        assert_eq!(text(&reply), expected);
    }
    if let Some(theirs) = Server::theirs(dir.path(), &["--save", ""]) {
        let reply = theirs.client().call(&[&b"FUNCTION"[..], b"RESTORE", payload]);
        assert_eq!(text(&reply), "+OK\r\n");
    }
    ours.shut_down("NOSAVE");
    let again = Server::ours(dir.path(), &["--appendonly", "yes"]);
    assert_eq!(again.client().ask("FCALL write 1 k v"), "+OK\r\n");
    assert_eq!(again.client().ask("DEBUG RELOAD"), "+OK\r\n");
    assert_eq!(again.client().ask("FCALL read 1 k"), "$1\r\nv\r\n");
    assert_eq!(
        again.client().ask("BGREWRITEAOF"),
        "+Background append only file rewriting started\r\n"
    );
    wait_until("the rewrite to end", 20, || {
        again.client().ask("INFO persistence").contains("aof_rewrite_in_progress:0")
    });
    again.shut_down("NOSAVE");
    let third = Server::ours(dir.path(), &["--appendonly", "yes"]);
    assert_eq!(third.client().ask("FCALL read 1 k"), "$1\r\nv\r\n");
}

fn memchr_line(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2)
}

#[test]
fn the_log_holds_what_scripts_did() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--appendonly", "yes"]);
    let mut client = ours.client();
    let script = "redis.call('set', KEYS[1], ARGV[1]) redis.call('incr', 'undeclared') return redis.call('spop', 's')";
    client.call(&["SADD", "s", "a", "b", "c"]);
    client.call(&["EVAL", script, "1", "k", "v"]);
    client.call(&["EVAL", "redis.call('set', 'one', 1)", "0"]);
    client.call(&["EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set', 'unlogged', 1)", "0"]);
    client.call(&["MULTI"]);
    client.call(&["EVAL", script, "1", "k", "w"]);
    client.call(&["EXEC"]);
    let members = client.ask("SMEMBERS s");
    ours.shut_down("NOSAVE");
    let log = std::fs::read_to_string(dir.path().join("appendonlydir/appendonly.aof.1.incr.aof"));
    let log = log.expect("a log");
    assert!(!log.contains("eval") && !log.contains("EVAL"), "{log}");
    assert_eq!(log.matches("MULTI").count(), 2, "{log}");
    let again = Server::ours(dir.path(), &["--appendonly", "yes"]);
    assert_eq!(
        again.client().ask("MGET k undeclared one unlogged"),
        "*4\r\n$1\r\nw\r\n$1\r\n2\r\n$1\r\n1\r\n$-1\r\n"
    );
    assert_eq!(again.client().ask("SMEMBERS s"), members);
}

#[test]
fn a_slow_script_leaves_the_server_answering() {
    for threads in ["1", "3"] {
        let dir = scratch();
        let ours = Server::ours(dir.path(), &["--lua-time-limit", "50", "--threads", threads]);
        let mut busy: Vec<Client> = (0..6).map(|_| ours.client()).collect();
        let mut runner = ours.client();
        runner.send(&["EVAL", "while true do pcall(function() while true do end end) end", "0"]);
        wait_until("BUSY", 20, || ours.client().ask("GET x").starts_with("-BUSY"));
        for client in &mut busy {
            let reply = client.ask("SET x 1");
            assert!(
                reply.starts_with(
                    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL"
                ),
                "{reply}"
            );
        }
        assert!(busy[1].ask("FUNCTION STATS").contains("duration_ms"));
        assert!(busy[0].ask("FUNCTION KILL").starts_with("-BUSY"));
        assert_eq!(busy[0].ask("SCRIPT KILL"), "+OK\r\n");
        let reply = text(&runner.reply());
        assert!(
            reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "),
            "{reply}"
        );
        for client in &mut busy {
            assert_eq!(client.ask("SET x 1"), "+OK\r\n");
        }
        // One that has written must not be killed.
        runner.send(&["EVAL", "redis.call('set', 'x', 2) while true do end", "0"]);
        wait_until("BUSY", 20, || ours.client().ask("GET x").starts_with("-BUSY"));
        assert!(busy[2].ask("SCRIPT KILL").starts_with("-UNKILLABLE "));
        assert!(busy[2].ask("SHUTDOWN").starts_with("-BUSY"));
        ours.shut_down("NOSAVE");
    }
}
