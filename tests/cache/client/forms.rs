//! Every kind of reply in every form, as redis-cli prints it.

use super::peer::fake;
use super::{Links, run, same};

/// Replies as they stand on the wire.
const REPLIES: &[&str] = &[
    "+OK\r\n",
    "+\r\n",
    "-ERR it is \"bad\"\r\n",
    ":0\r\n",
    ":-9223372036854775808\r\n",
    "$0\r\n\r\n",
    "$-1\r\n",
    "$11\r\na\"b\\c\n\t\x07\x01 \x7f\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*1\r\n*0\r\n",
    "*3\r\n:1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n*2\r\n:2\r\n$-1\r\n",
    "*11\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n*2\r\n+x\r\n-ERR y\r\n:11\r\n",
    "_\r\n",
    "#t\r\n",
    "#f\r\n",
    ",3.141\r\n",
    ",inf\r\n",
    "=8\r\ntxt:a\nb\r\n\r\n",
    "%0\r\n",
    "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n%1\r\n:7\r\n#t\r\n",
    "%1\r\n$1\r\na\r\n*2\r\n:1\r\n*2\r\n:2\r\n%1\r\n+k\r\n*0\r\n",
    "~3\r\n:1\r\n,2.5\r\n~0\r\n",
    "~1\r\n*1\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    "*2\r\n%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n=5\r\ntxt:a\r\n",
];

#[test]
fn every_reply_looks_as_redis_cli_prints_it() {
    let Some(oracle) = box_harness::oracle("redis-cli") else { return };
    let links = Links::new();
    for reply in REPLIES {
        let port = fake(move |_| reply.as_bytes().to_vec()).to_string();
        let forms = [
            &["--no-raw"][..],
            &["--raw"],
            &["--csv"],
            &["--json", "-2"],
            &["--quoted-json", "-2"],
        ];
        for form in forms {
            let args = [&["-p", &port][..], form, &["get", "x"]].concat();
            same(&oracle, &links, &args, b"");
            // A report is printed as it is.
            let args = [&["-p", &port][..], form, &["client", "list"]].concat();
            same(&oracle, &links, &args, b"");
        }
    }
}

#[test]
fn what_is_no_reply_is_told_as_redis_cli_tells_it() {
    let Some(oracle) = box_harness::oracle("redis-cli") else { return };
    let links = Links::new();
    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{1}x\r\n", ":12a\r\n"] {
        let port = fake(move |_| reply.as_bytes().to_vec()).to_string();
        same(&oracle, &links, &["-p", &port, "get", "x"], b"");
    }
}

#[test]
fn a_server_that_hangs_up_is_told() {
    let Some(oracle) = box_harness::oracle("redis-cli") else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Reads first, so that the end is no reset.
            let _ = std::io::Read::read(&mut &stream, &mut [0; 256]);
        }
    });
    same(&oracle, &Links::new(), &["-p", &port, "get", "x"], b"");
}

#[test]
fn big_numbers_and_attributes_are_read_too() {
    let links = Links::new();
    let program = links.path("redis-cli");
    let big = "(123456789012345678901234567890\r\n";
    let port = fake(|_| big.as_bytes().to_vec()).to_string();
    run(&program, &["-p", &port, "--raw", "x"], b"").stdout("123456789012345678901234567890\n");
    let port = fake(|_| b"|1\r\n+ttl\r\n:3\r\n:7\r\n".to_vec()).to_string();
    run(&program, &["-p", &port, "--no-raw", "x"], b"").stdout("(integer) 7\n");
}

#[test]
fn pushes_are_shown_only_where_they_are_wanted() {
    let invalidate = ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n";
    let port = fake(|_| invalidate.as_bytes().to_vec()).to_string();
    let links = Links::new();
    let program = links.path("redis-cli");
    run(&program, &["-p", &port, "--no-raw", "x"], b"").stdout("(integer) 1\n");
    run(&program, &["-p", &port, "--no-raw", "--show-pushes", "yes", "x"], b"")
        .stdout("-> invalidate: 'a', 'b'\n(integer) 1\n");
}
