//! HTTP/2 with raw frames, in the manner of h2spec: what RFC 9113 and RFC 7541 ask of a server, what
//! becomes of a request on its way to HTTP/1.1, what floods cost; then real clients.

mod cases;
mod raw;

use std::io::Write;
use std::process::Command;

use box_harness::{oracle, scratch};

use crate::support::*;
use cases::{CASES, DOWNGRADED, Expect, MALFORMED};
use raw::*;

/// A proxy in front of an origin that answers with the head that it got.
fn echo(home: &std::path::Path) -> (Running, u16) {
    let port = http_origin(|request| {
        if request.target() == "/body" {
            return ok(&request.body);
        }
        ok(request.head.as_bytes())
    });
    let to = format!("127.0.0.1:{port}");
    let mut proxy = Running::start(home, &["run", "--listen", "127.0.0.1:0", "--to", &to]);
    let port = proxy.listening("http");
    (proxy, port)
}

/// Whether what came back is what a case expects.
fn meets(frames: &[Frame], closed: bool, expect: &Expect) -> bool {
    let went_away =
        |code: u32| frames.iter().any(|frame| frame.kind == GOAWAY && frame.code() == Some(code));
    let was_reset = |stream: u32, code: u32| {
        frames.iter().any(|f| f.kind == RST_STREAM && f.stream == stream && f.code() == Some(code))
    };
    match expect {
        Expect::GoAway(code) => went_away(*code) && closed,
        Expect::Reset(stream, code) => was_reset(*stream, *code) && !went_away(*code),
        Expect::Answer(stream) => frames
            .iter()
            .any(|f| f.kind == HEADERS && f.stream == *stream && f.payload.first() == Some(&0x88)),
        Expect::Frame(kind, flags, payload) => {
            frames.iter().any(|f| f.kind == *kind && f.flags == *flags && f.payload == *payload)
        }
        Expect::NoFrame(kind, flags) => {
            !frames.iter().any(|f| f.kind == *kind && f.flags == *flags)
        }
    }
}

#[test]
fn the_rules_of_the_protocol() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    let mut failed = Vec::new();
    for (name, build, expect) in CASES {
        let mut client = Client::greeted(port);
        client.send(&build());
        // The answer to this PING says that all before it has been handled.
        client.send(&frame(PING, 0, 0, b"the end!"));
        let (frames, closed) = client.read_until_ping_or_end(b"the end!", expect.stream());
        if !meets(&frames, closed, expect) {
            failed.push((name, format!("{expect:?}: {frames:?}, closed: {closed}")));
        }
    }
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), CASES.len());
}

#[test]
fn a_wrong_preface_and_a_missing_greeting_end_the_connection() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    for (bytes, expected) in [
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(), None),
        ([PREFACE, &frame(PING, 0, 0, b"12345678")].concat(), Some(1)),
        ([PREFACE, &frame(HEADERS, 5, 1, &get("/"))].concat(), Some(1)),
    ] {
        let mut client = Client { stream: dial(port), held: Vec::new() };
        client.send(&bytes);
        let (frames, closed) = client.read_until_ping_or_end(b"", None);
        let code = frames.iter().find(|frame| frame.kind == GOAWAY).and_then(Frame::code);
        assert!(closed);
        assert_eq!(code, expected, "{frames:?}");
    }
}

/// Nothing that a field list holds may become a second line or message, and a length that is not
/// that of the DATA is refused: the origin sees none of it.
#[test]
fn what_cannot_be_a_request_of_http1_is_reset() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    let mut failed = Vec::new();
    for (name, fields, body) in MALFORMED {
        let mut client = Client::greeted(port);
        let flags = if body.is_empty() { 5 } else { 4 };
        client.send(&frame(HEADERS, flags, 1, &block(fields)));
        if !body.is_empty() {
            client.send(&frame(DATA, 1, 1, body.as_bytes()));
        }
        client.send(&frame(PING, 0, 0, b"the end!"));
        let (frames, closed) = client.read_until_ping_or_end(b"the end!", None);
        if !meets(&frames, closed, &Expect::Reset(1, 1)) {
            failed.push((name, format!("{frames:?}")));
        }
    }
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), MALFORMED.len());
}

#[test]
fn what_a_request_becomes_in_http1() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    let mut failed = Vec::new();
    for (name, fields, body, parts, lacking) in DOWNGRADED {
        let mut client = Client::greeted(port);
        let flags = if body.is_none() { 5 } else { 4 };
        client.send(&frame(HEADERS, flags, 1, &block(fields)));
        if let Some(body) = body {
            client.send(&frame(DATA, 1, 1, body.as_bytes()));
        }
        let text = client.body(1).to_ascii_lowercase();
        let missing = parts.iter().find(|part| !text.contains(&part.to_ascii_lowercase()));
        let extra = lacking.iter().find(|part| text.contains(&part.to_ascii_lowercase()));
        if missing.is_some() || extra.is_some() {
            failed.push((name, format!("missing {missing:?}, extra {extra:?} in {text:?}")));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn windows_are_kept() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    let mut client = Client { stream: dial(port), held: Vec::new() };
    client.send(&[PREFACE, &settings(&[(4, 10)])].concat());
    client.send(&frame(HEADERS, 5, 1, &get("/window")));
    client.send(&frame(PING, 0, 0, b"the end!"));
    let sent = |frames: &[Frame]| -> usize {
        frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum()
    };
    let mut frames = Vec::new();
    while sent(&frames) < 10 {
        frames.push(client.read().expect("a frame"));
    }
    assert_eq!(sent(&frames), 10, "no more than the window: {frames:?}");
    client.send(&frame(WINDOW_UPDATE, 0, 1, &5u32.to_be_bytes()));
    while sent(&frames) < 15 {
        frames.push(client.read().expect("a frame"));
    }
    // Smaller by 12: what is left is negative, and 20 more make it 8 (RFC 9113 section 6.9.2).
    client.send(&settings(&[(4, 0)]));
    client.send(&frame(WINDOW_UPDATE, 0, 1, &20u32.to_be_bytes()));
    client.send(&frame(PING, 0, 0, b"the end!"));
    while !frames
        .last()
        .is_some_and(|f: &Frame| f.kind == PING && f.payload == b"the end!" && sent(&frames) > 15)
    {
        match client.read() {
            Some(frame) => frames.push(frame),
            None => break,
        }
        if sent(&frames) >= 25 {
            break;
        }
    }
    assert_eq!(sent(&frames), 25);
}

/// CPU seconds that a process has used.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

/// Sends `unit` again and again until the connection is closed, or for as long as it takes.
fn flood(port: u16, unit: impl Fn(u32) -> Vec<u8>) -> Vec<Frame> {
    let mut client = Client::greeted(port);
    let mut writer = client.stream.try_clone().expect("a handle");
    let feeder = std::thread::spawn({
        let batches: Vec<Vec<u8>> =
            (0..2000).map(|n| (0..50).flat_map(|k| unit(n * 50 + k)).collect()).collect();
        move || {
            for batch in batches {
                if writer.write_all(&batch).is_err() {
                    return;
                }
            }
        }
    });
    let (frames, closed) = client.read_until_ping_or_end(b"", None);
    assert!(closed, "the connection is closed");
    drop(client);
    feeder.join().expect("the feeder does not panic");
    frames
}

/// A name, and the bytes of the nth repetition.
type Flood = (&'static str, Box<dyn Fn(u32) -> Vec<u8>>);

#[test]
fn floods_end_the_connection_and_cost_little() {
    let home = scratch();
    let (proxy, port) = echo(home.path());
    let floods: [Flood; 6] = [
        (
            "rapid reset",
            Box::new(|n| {
                let id = 2 * n + 1;
                [frame(HEADERS, 5, id, &get("/")), frame(RST_STREAM, 0, id, &8u32.to_be_bytes())]
                    .concat()
            }),
        ),
        ("PING", Box::new(|_| frame(PING, 0, 0, b"pingping"))),
        ("SETTINGS", Box::new(|_| settings(&[]))),
        ("PRIORITY", Box::new(|n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1]))),
        (
            "CONTINUATION",
            Box::new(|n| {
                let (kind, flags) = if n == 0 { (HEADERS, 1) } else { (CONTINUATION, 0) };
                frame(kind, flags, 1, &[])
            }),
        ),
        (
            "empty DATA",
            Box::new(
                |n| {
                    if n == 0 { frame(HEADERS, 4, 1, &get("/")) } else { frame(DATA, 0, 1, &[]) }
                },
            ),
        ),
    ];
    for (name, unit) in floods {
        let before = cpu_seconds(proxy.pid());
        let frames = flood(port, unit);
        let code = frames.iter().find(|frame| frame.kind == GOAWAY).and_then(Frame::code);
        // A reset may overtake GOAWAY where the flood goes on behind it.
        assert!(matches!(code, Some(11) | None), "{name}: {code:?}");
        let used = cpu_seconds(proxy.pid()) - before;
        assert!(used < 1.0, "{name} costs {used} s");
    }
    let mut client = Client::greeted(port);
    client.send(&frame(HEADERS, 5, 1, &get("/")));
    assert!(client.body(1).starts_with("GET / "), "others are served as before");
}

#[test]
fn a_thousand_streams_at_once() {
    let home = scratch();
    let waiting = std::sync::Arc::new((std::sync::Mutex::new(0), std::sync::Condvar::new()));
    // Answers when a thousand requests are there.
    let port = http_origin(move |_| {
        let (count, all) = &*waiting;
        let mut count = count.lock().expect("unpoisoned");
        *count += 1;
        all.notify_all();
        while *count < 1000 {
            count = all.wait_timeout(count, PATIENCE).expect("unpoisoned").0;
        }
        ok(b"all")
    });
    let to = format!("127.0.0.1:{port}");
    let mut proxy = Running::start(home.path(), &["run", "--listen", "127.0.0.1:0", "--to", &to]);
    let port = proxy.listening("http");
    let mut client = Client::greeted(port);
    let all: Vec<u8> = (0..1000).flat_map(|n| frame(HEADERS, 5, 2 * n + 1, &get("/"))).collect();
    client.send(&all);
    let mut ended = 0;
    while ended < 1000 {
        let frame = client.read().expect("a frame");
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        ended += usize::from(frame.kind == DATA && frame.flags & 1 == 1);
    }
}

#[test]
fn curl_and_nghttp_speak_it() {
    let home = scratch();
    let (_proxy, port) = echo(home.path());
    let big = home.path().join("big");
    std::fs::write(&big, vec![b'x'; 3_000_000]).expect("written");
    if oracle("curl").is_some() {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30", "--http2-prior-knowledge", "-w", "%{http_version}"])
            .arg("--data-binary")
            .arg(format!("@{}", big.display()))
            .arg(format!("http://127.0.0.1:{port}/body"))
            .output()
            .expect("curl runs");
        assert!(output.stdout.len() == 3_000_001 && output.stdout.ends_with(b"x2"));
    }
    if oracle("nghttp").is_some() {
        let output = Command::new("nghttp")
            .args(["-v", &format!("http://127.0.0.1:{port}/seen")])
            .output()
            .expect("nghttp runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("GET /seen HTTP/1.1"), "{text}");
    }
}

/// Visitor, edge, agent and service: HTTP/2 chosen by ALPN at the edge, spoken to the service.
#[test]
fn a_tunnel_speaks_it_on_both_ends() {
    if oracle("curl").is_none() {
        return;
    }
    let (home, behind) = (scratch(), scratch());
    let (_service, service) = echo(behind.path());
    let target = service.to_string();
    let args =
        ["http", &target, "--upstream-protocol", "http2", "--https-port", "0", "--http-port", "0"];
    let mut proxy = Running::start(home.path(), &[&args[..], &["--inspector-port", "0"]].concat());
    let (host, https) = proxy.url();
    let output = curl(home.path(), &host, https, "/both", &["-i", "--http2"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("HTTP/2 200"), "{text}");
    assert!(text.contains("GET /both HTTP/1.1"), "{text}");
    let parallel: Vec<_> = (0..8)
        .map(|n| {
            let (home, host) = (home.path().to_owned(), host.clone());
            let body = "y".repeat(200_000 + n);
            std::thread::spawn(move || {
                let file = home.join(format!("body-{n}"));
                std::fs::write(&file, &body).expect("written");
                let data = format!("@{}", file.display());
                let output =
                    curl(&home, &host, https, "/body", &["--http2", "--data-binary", &data]);
                assert!(
                    output.stdout == body.as_bytes(),
                    "{} of {}",
                    output.stdout.len(),
                    body.len()
                );
            })
        })
        .collect();
    parallel.into_iter().for_each(|thread| thread.join().expect("whole"));
}

const GRPC: &str = r#"
import sys, threading, grpc
from concurrent import futures
def unary(request, context):
    context.set_trailing_metadata((('mine', 'trailer'),))
    if request == b'fail':
        context.abort(grpc.StatusCode.NOT_FOUND, 'no such thing')
    return request[::-1]
def bidi(requests, context):
    for request in requests:
        yield request + b'!'
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == '/test.Echo/Unary':
            return grpc.unary_unary_rpc_method_handler(unary)
        return grpc.stream_stream_rpc_method_handler(bidi)
if sys.argv[1] == 'server':
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handler()])
    print(server.add_insecure_port('127.0.0.1:0'), flush=True)
    server.start(); server.wait_for_termination()
channel = grpc.insecure_channel(sys.argv[2])
call = channel.unary_unary('/test.Echo/Unary')
answer, state = call.with_call(b'x' * 100000 + b'abc', timeout=20)
assert answer == b'cba' + b'x' * 100000, answer[:10]
assert ('mine', 'trailer') in [tuple(pair) for pair in state.trailing_metadata()], state.trailing_metadata()
try:
    call(b'fail', timeout=20); assert False
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND and error.details() == 'no such thing', error
# Each message is answered before the next one is sent.
answered = threading.Semaphore(1)
def requests():
    for n in range(5):
        assert answered.acquire(timeout=20)
        yield b'%d' % n
seen = []
for answer in channel.stream_stream('/test.Echo/Bidi')(requests(), timeout=20):
    seen.append(answer); answered.release()
assert seen == [b'%d!' % n for n in range(5)], seen
print('ok')
"#;

#[test]
fn grpc_passes_with_trailers_and_both_streams_at_once() {
    // Debian's own: the first of PATH may be another without its packages.
    let Some(_) = oracle("python3") else { return };
    let python = "/usr/bin/python3";
    let has_grpc = Command::new(python).args(["-c", "import grpc"]).output().expect("python runs");
    if !has_grpc.status.success() {
        return box_harness::skip("python3-grpcio");
    }
    let home = scratch();
    let file = home.path().join("grpc_test.py");
    std::fs::write(&file, GRPC).expect("written");
    let mut server = Command::new(python)
        .arg(&file)
        .arg("server")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut line = String::new();
    let reader = server.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).expect("a port");
    let to = format!("127.0.0.1:{}", line.trim());
    let args = ["run", "--listen", "127.0.0.1:0", "--to", &to, "--upstream-protocol", "http2"];
    let mut proxy = Running::start(home.path(), &args);
    let through = format!("127.0.0.1:{}", proxy.listening("http"));
    let output = Command::new(python).arg(&file).args(["client", &through]).output();
    let _ = server.kill();
    let _ = server.wait();
    let output = output.expect("python runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{errors}");
}
