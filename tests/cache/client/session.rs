//! Lines from a pipe, sessions at a terminal, redirections of a cluster.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use box_harness::{Ran, oracle, scratch, wait_until};

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
    // A slow command shows its time, which is not the same twice: only its form is compared.
    let shown = |program: &std::path::Path| {
        let ran = run(program, &["-p", &port, "--no-raw"], b"debug sleep 0.6\nping");
        ran.succeeds().out().replace(|letter: char| letter.is_ascii_digit(), "9")
    };
    assert_eq!(shown(&links.path("redis-cli")), shown(&program));
    assert_eq!(shown(&program), "OK\n(9.99s)\nPONG\n");
}

#[test]
fn a_lost_connection_is_made_again_with_its_database() {
    let Some(redis) = Redis::start(&[]) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    let lines = "select 4\nset where here\nclient kill type normal skipme no\nget where\n";
    run(&links.path("redis-cli"), &["-p", &port, "--no-raw"], lines.as_bytes())
        .succeeds()
        .stdout("OK\nOK\n(integer) 1\n\"here\"\n")
        .stderr("");
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

/// Types into a client at a terminal, which `script` of util-linux provides: each line once the
/// text in front of it is seen, or told by `probe`. Returns all that is seen.
fn at_a_terminal(
    args: &str,
    steps: &[(&str, &str)],
    history: &Path,
    probe: impl Fn() -> String,
) -> Option<String> {
    let program = oracle("script")?;
    let client = format!("{} cache-cli {args}", bx().path().display());
    let seen = scratch();
    let path = seen.path().join("seen");
    let mut child = Command::new(program)
        .args(["-qec", &client, "/dev/null"])
        .env("REDISCLI_HISTFILE", history)
        .env("REDISCLI_RCFILE", "/dev/null")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let text = || String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    let mut from = 0;
    for (wanted, typed) in steps {
        wait_until(wanted, 20, || {
            let seen = text().get(from..).is_some_and(|text| text.contains(wanted));
            seen || probe().contains(wanted)
        });
        from = text().len();
        keyboard.write_all(typed.as_bytes()).unwrap();
    }
    wait_until("the end of the session", 20, || child.try_wait().unwrap().is_some());
    Some(text())
}

#[test]
fn a_session_at_a_terminal_has_prompts_hints_and_a_history() {
    let Some(redis) = Redis::start(&[]) else { return };
    let folder = scratch();
    let history = folder.path().join("history");
    std::fs::write(&history, "get old\n").unwrap();
    let steps = [
        ("> ", "set k \"v w\"\r"),
        ("OK", "get k\r"),
        ("\"v w\"\r\n", "multi\r"),
        ("(TX)> ", "get k\r"),
        ("QUEUED", "exec\r"),
        ("1) \"v w\"\r\n", "select 3\r"),
        ("[3]> ", "auth x\r"),
        ("ERR AUTH", "hge\t\x15getex "),
        ("key", "\x15subscribe news\r"),
        ("(integer) 1", "\x03"),
        ("[3]> ", "blpop nolist 0\r"),
        // Once the server says so: the terminal must be out of raw mode.
        ("blocked_clients:1", "\x03"),
        ("[3]> ", "ping\rquit\r"),
    ];
    let probe = || redis.ask("INFO clients");
    let args = format!("-p {}", redis.port);
    let Some(seen) = at_a_terminal(&args, &steps, &history, probe) else { return };
    for part in ["hget", "[EX seconds|PX milliseconds", "PONG"] {
        assert!(seen.contains(part), "no {part:?} in {seen}");
    }
    let kept = std::fs::read_to_string(&history).unwrap();
    let expected = "get old\nset k \"v w\"\nget k\nmulti\nget k\nexec\nselect 3\n\
        subscribe news\nblpop nolist 0\nping\nquit\n";
    assert_eq!(kept, expected, "the password is kept out");
    at_a_terminal("-p 1", &[("not connected> ", "quit\r")], &history, String::new);
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
