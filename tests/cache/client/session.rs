//! Lines from a pipe, sessions at a terminal, redirections of a cluster.

use std::process::Command;

use box_harness::{Ran, oracle, scratch};

use super::peer::{Redis, fake};
use super::{Links, run, same};
use crate::bx;

const LINES: &str = r#"set a "b c"
get a
3 echo hi
0 ping
foo "
:set x
:set hints
:foo
set q 'it\'s' ex "10"
lpush l 1 "\x41\n" three
lrange l 0 -1
multi
set b 1
get b
exec
multi
nope
exec
select 5
get a
multi
select 3
discard
dbsize
select 99
dbsize
auth a b c
hello 3
hgetall nohash
config get maxmemory
reset
client no-such
del l
debug sleep 0
quit
get a
"#;

#[test]
fn lines_from_a_pipe_are_answered_as_by_redis_cli() {
    let (Some(program), Some(redis)) = (oracle("redis-cli"), Redis::start(&[])) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    let lines = LINES.replace("hello 3\n", "hello 3 setname x\n");
    // Identifiers of connections differ.
    let lines = lines.replace("hello 3 setname x\n", "");
    for form in ["--no-raw", "--raw", "--csv", "--json"] {
        same(&program, &links, &["-p", &port, form], lines.as_bytes());
    }
    same(&program, &links, &["-p", "1"], b"ping\nping\n");
    same(&program, &links, &["-p", &port, "--no-raw"], b"debug sleep 0.6\nping");
}

#[test]
fn a_lost_connection_is_made_again_with_its_database() {
    let (Some(program), Some(redis)) = (oracle("redis-cli"), Redis::start(&[])) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    let lines = "select 4\nset where here\nclient kill type normal skipme no\nget where\n";
    same(&program, &links, &["-p", &port, "--no-raw"], lines.as_bytes());
}

#[test]
fn redirections_are_followed_only_in_cluster_mode() {
    let Some(program) = oracle("redis-cli") else { return };
    let links = Links::new();
    let home = fake(|request| match request.contains("ASKING") {
        true => b"+OK\r\n".to_vec(),
        false => b"$5\r\nfound\r\n".to_vec(),
    });
    let asked = fake(move |request| match request.contains("ask") {
        true => format!("-ASK 12 127.0.0.1:{home}\r\n").into_bytes(),
        false => format!("-MOVED 866 127.0.0.1:{home}\r\n").into_bytes(),
    });
    let port = asked.to_string();
    for form in ["--no-raw", "--raw"] {
        same(&program, &links, &["-p", &port, "-c", form, "get", "moved"], b"");
        same(&program, &links, &["-p", &port, "-c", form, "get", "ask"], b"");
        same(&program, &links, &["-p", &port, form, "get", "moved"], b"");
    }
    same(&program, &links, &["-p", &port, "-c", "--no-raw"], b"get moved\nget a\n");
}

/// Types `lines` into a client at a terminal, which `script` of util-linux provides.
fn at_a_terminal(args: &str, lines: &str, history: &std::path::Path) -> Option<String> {
    let program = oracle("script")?;
    let mut command = Command::new(program);
    let client = format!("{} cache-cli {args}", bx().path().display());
    command.args(["-qec", &client, "/dev/null"]);
    command.env("REDISCLI_HISTFILE", history).env("REDISCLI_RCFILE", "/dev/null");
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    Some(Ran::feed(command, lines).out())
}

#[test]
fn a_session_at_a_terminal_has_prompts_hints_and_a_history() {
    let Some(redis) = Redis::start(&[]) else { return };
    let folder = scratch();
    let history = folder.path().join("history");
    std::fs::write(&history, "get old\n").unwrap();
    let lines = "set k \"v w\"\rget k\rmulti\rget k\rexec\rselect 3\rauth x\rquit\r";
    let Some(seen) = at_a_terminal(&format!("-p {}", redis.port), lines, &history) else { return };
    for part in ["\"v w\"", "QUEUED", "(TX)> ", "[3]> ", "OK"] {
        assert!(seen.contains(part), "no {part:?} in {seen}");
    }
    let kept = std::fs::read_to_string(&history).unwrap();
    let expected = "get old\nset k \"v w\"\nget k\nmulti\nget k\nexec\nselect 3\nquit\n";
    assert_eq!(kept, expected, "the password is kept out");
    let Some(seen) = at_a_terminal("-p 1", "quit\r", &history) else { return };
    assert!(seen.contains("not connected> "), "{seen}");
}

#[test]
fn help_comes_from_the_server() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    let args = ["cache-cli", "-p", port.as_str()];
    bx().run([&args[..], &["help", "getdel"]].concat()).succeeds().stdout(
        "\r\n  GETDEL key\r\n  summary: Get the value of a key and delete the key\r\n  \
         since: 6.2.0\r\n  group: string\r\n\r\n",
    );
    bx().run([&args[..], &["help", "@scripting"]].concat()).succeeds().stdout_has("EVALSHA");
    bx().feed(args, "help\nhelp nosuch\n").succeeds().stdout_has("help @<group>");
}

#[test]
fn subscriptions_are_printed_until_the_server_goes() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    let links = Links::new();
    let mut command = Command::new(links.path("redis-cli"));
    command.args(["-p", &port, "--no-raw", "subscribe", "news"]);
    let reader = std::thread::spawn(move || Ran::feed(command, ""));
    box_harness::wait_until("the subscription", 20, || {
        redis.ask("PUBSUB NUMSUB news").ends_with(":1\r\n")
    });
    redis.ask("PUBLISH news hello");
    redis.ask("SHUTDOWN NOSAVE");
    reader
        .join()
        .unwrap()
        .fails(1)
        .stdout(
            "Reading messages... (press Ctrl-C to quit)\n1) \"subscribe\"\n2) \"news\"\n\
             3) (integer) 1\n1) \"message\"\n2) \"news\"\n3) \"hello\"\n",
        )
        .stderr("Error: Server closed the connection\n");
    run(&links.path("redis-cli"), &["-p", &port, "ping"], b"").fails(1);
}

#[test]
fn a_reply_of_many_elements_is_read_in_linear_time() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    redis.ask("EVAL \"for i=1,200000 do redis.call('rpush','l',i) end\" 0");
    let ran = bx().run(["cache-cli", "-p", &port, "lrange", "l", "0", "-1"]).succeeds();
    assert_eq!(ran.out().lines().count(), 200_000);
}
