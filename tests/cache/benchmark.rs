//! `box cache-benchmark` beside redis-benchmark: the same tests, the same shape of results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use box_harness::oracle;

use crate::bx;
use crate::client::peer::{Redis, fake};
use crate::client::{Links, run};

/// The text with every number as `#` and without blanks over the line of progress.
fn shape(text: &str) -> Vec<String> {
    let last = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = text.lines().map(last).collect();
    for line in &mut lines {
        let mut out = String::new();
        for c in line.chars() {
            let part = c.is_ascii_digit() || (c == '.' && out.ends_with('#'));
            if !part {
                out.push(c);
            } else if !out.ends_with('#') {
                out.push('#');
            }
        }
        *line = out.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    // How many steps a distribution has depends on the latencies.
    lines.dedup();
    lines
}

#[test]
fn results_have_the_shape_of_redis_benchmarks() {
    let (Some(theirs), Some(redis)) = (oracle("redis-benchmark"), Redis::start(&[])) else {
        return;
    };
    let (links, port) = (Links::new(), redis.port.to_string());
    let ours = links.path("redis-benchmark");
    for args in [
        &["-n", "200", "--csv"][..],
        &["-n", "200", "-q"],
        &["-n", "300", "-t", "set,lrange_100", "-c", "5"],
        &["-n", "300", "-t", "PING,mset", "-c", "5", "--threads", "2"],
        &["-n", "100", "-r", "10", "-q", "lpush", "foo", "__rand_int__"],
        &["-n", "5000", "--csv", "-3", "--dbnum", "2", "-P", "4", "get", "x"],
        &["-n", "20", "-c", "2", "-q", "-k", "0", "-t", "get"],
    ] {
        let args = [&["-p", &port][..], args].concat();
        let (a, b) = (run(&ours, &args, b""), run(&theirs, &args, b""));
        assert_eq!(shape(&a.out()), shape(&b.out()), "{args:?}");
        assert_eq!(a.output.status.code(), b.output.status.code(), "{args:?}");
    }
    for args in [&["-v"][..], &["--version"]] {
        let (a, b) = (run(&ours, args, b""), run(&theirs, args, b""));
        assert_eq!((a.out(), a.err()), (b.out(), b.err()), "{args:?}");
    }
    let bad = run(&ours, &["--bad"], b"").fails(1);
    assert!(bad.out().starts_with("Invalid option \"--bad\" or option argument missing\n"));
}

#[test]
fn just_as_many_requests_are_sent_as_asked() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    for (args, key) in [
        (&["-n", "1000", "-P", "7", "--threads", "2", "-c", "9"][..], "a"),
        (&["-n", "101", "-c", "200"], "b"),
        (&["-n", "50", "-k", "0", "-c", "3"], "c"),
        (&["-n", "500", "--rate", "5000", "-P", "3"], "d"),
    ] {
        let args = [&["cache-benchmark", "-p", &port, "-q"][..], args, &["incr", key]].concat();
        bx().run(&args).succeeds();
        let count = args[args.iter().position(|a| *a == "-n").unwrap() + 1];
        assert_eq!(redis.ask(&format!("GET {key}")).lines().nth(1), Some(count), "{args:?}");
    }
}

#[test]
fn random_numbers_are_spread_over_the_keyspace() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    bx().run(["cache-benchmark", "-p", &port, "-q", "-t", "set", "-r", "50", "-n", "2000"])
        .succeeds();
    assert_eq!(redis.ask("DBSIZE"), ":50\r\n");
    assert_eq!(redis.ask("EXISTS key:000000000049"), ":1\r\n");
    bx().run(["cache-benchmark", "-p", &port, "-q", "-t", "mset", "-n", "10"]).succeeds();
    assert_eq!(redis.ask("EXISTS key:__rand_int__"), ":1\r\n");
}

#[test]
fn an_error_reply_ends_the_run_unless_errors_are_counted() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    let links = Links::new();
    run(&links.path("redis-benchmark"), &["-p", &port, "-n", "10", "nope", "x"], b"")
        .fails(1)
        .stderr("Error from server: ERR unknown command 'nope', with args beginning with: 'x' \n");
    bx().run(["cache-benchmark", "-p", &port, "-n", "10", "-e", "nope"])
        .succeeds()
        .stdout_has("  error replies: 10\n");
    bx().run(["cache-benchmark", "-p", "1", "-n", "10"]).fails(1).stderr(
        "box: cache-benchmark: Could not connect to Redis at 127.0.0.1:1: Connection refused\n",
    );
    bx().run(["cache-benchmark", "--cluster"]).fails(1).stderr_has("not built in");
}

/// A server that pauses holds up the requests that fall due meanwhile: an open loop shows them all.
#[test]
fn an_open_loop_counts_from_when_requests_were_due() {
    let paused = Arc::new(AtomicBool::new(false));
    let port = fake(move |request| {
        if request.contains("CONFIG") {
            return b"*0\r\n".to_vec();
        }
        if !paused.swap(true, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(400));
        }
        b"+PONG\r\n".to_vec()
    })
    .to_string();
    let args =
        ["cache-benchmark", "-p", &port, "-c", "1", "--csv", "-t", "ping_mbulk", "-n", "300"];
    let ran = bx().run([&args[..], &["--rate", "1000"]].concat()).succeeds();
    // The request in the middle was due at 150 ms and cannot be answered before 400.
    let p50: f64 =
        ran.out().lines().last().unwrap().split("\",\"").nth(4).unwrap().parse().unwrap();
    assert!(p50 >= 200.0, "{}", ran.out());
}
