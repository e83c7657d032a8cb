//! `box proxy http PORT` on a fresh home: the edge in the same process.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use box_harness::{free_port, oracle, scratch, skip, wait_until};

use crate::support::*;

fn start(home: &std::path::Path, target: &str) -> Running {
    Running::start(
        home,
        &["http", target, "--https-port", "0", "--http-port", "0", "--inspector-port", "0"],
    )
}

#[test]
fn a_fresh_home_gets_an_https_address_with_its_own_authority() {
    if oracle("curl").is_none() {
        return;
    }
    let home = scratch();
    let port = http_origin(|request| ok(format!("{}\n", request.head).as_bytes()));
    let mut proxy = start(home.path(), &port.to_string());
    let (host, https) = proxy.url();
    assert!(host.ends_with(".localhost"), "{host}");
    assert!(
        proxy.seen[0].contains(" url=https://"),
        "the first line has the address: {:?}",
        proxy.seen
    );
    let output = curl(home.path(), &host, https, "/a?b=c", &["-H", "X-Mine: 1"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("GET /a?b=c HTTP/1.1"), "{text}");
    assert!(text.contains(&format!("Host: {host}:{https}")), "{text}");
    assert!(text.to_ascii_lowercase().contains("x-mine: 1"), "{text}");
    assert!(text.contains("X-Forwarded-For: 127.0.0.1"), "{text}");
    assert!(text.contains("X-Forwarded-Proto: https"), "{text}");
    let key = home.path().join(".config/box/proxy/ca/ca.key");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(key).expect("the key"));
    assert_eq!(mode & 0o777, 0o600);
    proxy.signal(box_harness::Signal::SIGINT);
    assert_eq!(proxy.ended(), Some(0));
}

#[test]
fn the_name_is_the_same_after_a_restart_and_another_for_another_port() {
    let home = scratch();
    let (one, two) = (free_port().to_string(), free_port().to_string());
    let name = |target: &str| start(home.path(), target).url().0;
    let first = name(&one);
    assert_eq!(name(&one), first);
    // Two of 4096 names may be equal: ports are tried until one differs.
    assert!(name(&two) != first || name(&free_port().to_string()) != first);
}

#[test]
fn a_busy_port_is_said_and_the_next_one_taken() {
    let home = scratch();
    let busy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = busy.local_addr().expect("bound").port().to_string();
    let mut proxy =
        Running::start(home.path(), &["http", "3000", "--https-port", &taken, "--http-port", "0"]);
    assert_ne!(proxy.url().1.to_string(), taken);
    proxy.line(&format!("port {taken} is busy: https is on "));
}

#[test]
fn an_origin_that_is_down_is_named_and_found_again_when_it_is_up() {
    if oracle("curl").is_none() {
        return;
    }
    let home = scratch();
    let target = free_port();
    let mut proxy = start(home.path(), &target.to_string());
    let (host, https) = proxy.url();
    let page = curl(home.path(), &host, https, "/", &["-i"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.starts_with("HTTP/2 502"), "{page}");
    assert!(
        page.contains(&format!("no service on localhost:{target} (connection refused)")),
        "{page}"
    );
    assert!(page.contains("x-box-error: ERR_BOX_201"), "{page}");
    let json = curl(home.path(), &host, https, "/", &["-H", "Accept: application/json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["error_code"], "ERR_BOX_201");
    let listener = TcpListener::bind(("127.0.0.1", target)).expect("still free");
    origin_on(listener, |mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        let _ = stream.write_all(&ok(b"up"));
    });
    assert_eq!(curl(home.path(), &host, https, "/", &[]).stdout, b"up");
}

#[test]
fn an_unknown_host_lists_no_others() {
    let home = scratch();
    let mut proxy = start(home.path(), "3000");
    let (host, _) = proxy.url();
    let http = proxy.http_port();
    let answer =
        exchange(http, b"GET / HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(!answer.contains(&host), "{answer}");
}

#[test]
fn keep_alive_and_chunks_pass_through_the_lane() {
    let home = scratch();
    let port = origin(|stream| {
        let mut writer = stream.try_clone().expect("a handle");
        let mut reader = std::io::BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let size = request.body.len();
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let body = format!("{size}:{}", String::from_utf8_lossy(&request.body));
            let text = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            if writer.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut proxy = start(home.path(), &port.to_string());
    let (host, _) = proxy.url();
    let mut client = dial(proxy.http_port());
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
    );
    for _ in 0..20 {
        client.write_all(request.as_bytes()).expect("sent");
        let mut text = Vec::new();
        while !text.ends_with(b"0\r\n\r\n") {
            let mut bytes = [0; 4096];
            let count = client.read(&mut bytes).expect("an answer");
            assert!(count > 0, "kept alive: {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&bytes[..count]);
        }
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("11:hello world"), "{text}");
    }
}

#[test]
fn sixty_four_uploads_at_once_arrive_intact() {
    use sha2::Digest;
    if oracle("curl").is_none() {
        return;
    }
    let digest = |bytes: &[u8]| -> String {
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let home = scratch();
    let port = http_origin(move |request| ok(digest(&request.body).as_bytes()));
    let mut proxy = start(home.path(), &port.to_string());
    let (host, https) = proxy.url();
    let mut uploads = Vec::new();
    for seed in 0..64u64 {
        let mut state = seed + 1;
        let body: Vec<u8> = (0..1 << 20)
            .flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 8).to_le_bytes()
            })
            .collect();
        let file = home.path().join(format!("body.{seed}"));
        std::fs::write(&file, &body).expect("a file");
        // Every other one in chunks.
        let data = format!("@{}", file.display());
        let mut args = vec!["--data-binary".to_owned(), data, "-H".into(), "Expect:".into()];
        if seed % 2 == 1 {
            args = vec!["-T".into(), "-".into(), "-X".into(), "POST".into()];
        }
        let mut command = Command::new("curl");
        command
            // curl spins while a window of HTTP/2 is used up: 64 of them leave nothing to the others.
            .args(["-sS", "--http1.1", "--max-time", "120", "--cacert"])
            .arg(ca(home.path()))
            .args(["--resolve", &format!("{host}:{https}:127.0.0.1")])
            .args(args)
            .arg(format!("https://{host}:{https}/"))
            .stdin(std::fs::File::open(&file).map_or(Stdio::null(), Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        uploads.push((digest(&body), command.spawn().expect("curl starts")));
    }
    for (expected, child) in uploads {
        let output = child.wait_with_output().expect("curl ends");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{errors}");
    }
}

const ECHO: &str = r#"
import asyncio, sys, websockets
async def echo(ws):
    async for message in ws:
        await ws.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
"#;

const CLIENT: &str = r#"
import asyncio, os, ssl, sys, websockets
host, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=ca)
async def main():
    uri = f"wss://{host}:{port}/chat"
    async with websockets.connect(uri, ssl=context, host="127.0.0.1", server_hostname=host, max_size=None) as ws:
        for size in [0, 1, 125, 126, 65535, 65536, 1 << 20]:
            data = os.urandom(size)
            await ws.send(data)
            assert await ws.recv() == data, size
        await ws.send("text")
        assert await ws.recv() == "text"
        await asyncio.wait_for(await ws.ping(), 10)
    print("done")
asyncio.run(main())
"#;

#[test]
fn a_web_socket_passes_with_a_real_client_and_server() {
    let python = "/usr/bin/python3";
    let has = Command::new(python).args(["-c", "import websockets"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        return skip("needs python3-websockets");
    }
    let home = scratch();
    let mut server = Command::new(python)
        .args(["-c", ECHO])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut port = String::new();
    let mut out = std::io::BufReader::new(server.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut port).expect("a port");
    let mut proxy = start(home.path(), port.trim());
    let (host, https) = proxy.url();
    let output = Command::new(python)
        .args(["-c", CLIENT, &host, &https.to_string()])
        .arg(ca(home.path()))
        .output()
        .expect("python runs");
    let _ = server.kill();
    let _ = server.wait();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{errors}");
    proxy.line("status=101");
}

/// Uploads 4 MB and reads what comes until the connection ends.
fn upload(port: u16, host: &str) -> std::io::Result<String> {
    let mut client = dial(port);
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4000000\r\n\r\n");
    client.write_all(head.as_bytes())?;
    let mut writer = client.try_clone()?;
    let feeder = std::thread::spawn(move || drop(writer.write_all(&vec![b'x'; 4_000_000])));
    let mut answer = Vec::new();
    let ended = client.read_to_end(&mut answer);
    drop(client);
    feeder.join().expect("the feeder does not panic");
    ended.map(|_| String::from_utf8_lossy(&answer).into_owned())
}

/// The origin answers and resets before it has read; many at once, so that streams of one lane
/// overtake each other.
#[test]
fn an_early_answer_comes_through_the_lane_whole() {
    let port = origin(|mut stream| {
        let mut bytes = [0; 1024];
        let _ = stream.read(&mut bytes);
        let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    });
    let home = scratch();
    let mut proxy = start(home.path(), &port.to_string());
    let ((host, _), http) = (proxy.url(), proxy.http_port());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let text = upload(http, &host).expect("the connection ends by itself");
                assert!(text.starts_with("HTTP/1.1 413 ") && text.ends_with("big"), "{text}");
                assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
            });
        }
    });
}

#[test]
fn an_answer_that_is_cut_is_cut_for_the_visitor_too() {
    let port = origin(|mut stream| {
        let mut bytes = [0; 1024];
        let _ = stream.read(&mut bytes);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    });
    let home = scratch();
    let mut proxy = start(home.path(), &port.to_string());
    let (host, _) = proxy.url();
    let mut client = dial(proxy.http_port());
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    client.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let ended = client.read_to_end(&mut answer).map_err(|error| error.kind());
    // The part that came is passed on, then the connection breaks.
    assert_ne!(ended, Err(std::io::ErrorKind::WouldBlock));
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("5\r\nhello\r\n"), "{text}");
}

#[test]
fn json_prints_one_object_and_serves() {
    let home = scratch();
    let args = ["http", "3000", "--https-port", "0", "--http-port", "0", "--json"];
    let mut proxy = Running::start(home.path(), &args);
    let line = proxy.line("\"url\"");
    let object: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let url = object["url"].as_str().expect("a string");
    assert!(url.starts_with("https://") && url.contains(".localhost:"), "{url}");
    assert_eq!(object["target"], "http://localhost:3000");
}

#[test]
fn a_visitor_that_leaves_frees_the_origin() {
    let home = scratch();
    let (told, gone) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let port = origin(move |mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
        let _ = stream.write_all(head.as_bytes());
        let ended = stream.read(&mut bytes);
        let _ = told.lock().expect("unpoisoned").send(ended.map_or(true, |n| n == 0));
    });
    let mut proxy = start(home.path(), &port.to_string());
    let (host, _) = proxy.url();
    let mut client = dial(proxy.http_port());
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    client.write_all(request.as_bytes()).expect("sent");
    let mut seen = Vec::new();
    while !seen.windows(7).any(|w| w == b"data: 1") {
        let mut bytes = [0; 4096];
        let count = client.read(&mut bytes).expect("an event");
        seen.extend_from_slice(&bytes[..count]);
    }
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    drop(client);
    assert_eq!(gone.recv_timeout(PATIENCE), Ok(true));
    wait_until("the record", 5, || true);
}

#[test]
fn passwords_networks_and_rates_are_asked_for_and_fields_changed() {
    let home = scratch();
    let port = http_origin(|request| ok(request.head.as_bytes()));
    let target = port.to_string();
    let base = ["http", &target, "--https-port", "0", "--http-port", "0", "--inspector-port", "0"];
    let answer = |more: &[&str], field: &str, times: usize| {
        let args: Vec<&str> = base.iter().chain(more).copied().collect();
        let mut proxy = Running::start(home.path(), &args);
        let (host, _) = proxy.url();
        let http = proxy.http_port();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{field}\r\n");
        let answers = (0..times).map(|_| exchange(http, request.as_bytes()));
        String::from_utf8_lossy(&answers.reduce(|_, last| last).expect("one at least")).into_owned()
    };
    let refused = answer(&["--basic-auth", "ann:secret"], "", 1);
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(refused.contains("WWW-Authenticate: Basic realm="), "{refused}");
    // base64 of ann:secret and of ann:secres
    let right =
        answer(&["--basic-auth", "ann:secret"], "Authorization: Basic YW5uOnNlY3JldA==\r\n", 1);
    assert!(right.starts_with("HTTP/1.1 200 "), "{right}");
    let wrong =
        answer(&["--basic-auth", "ann:secret"], "Authorization: Basic YW5uOnNlY3Jlcw==\r\n", 1);
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    // By the address of the connection, whatever the visitor claims.
    let claimed = answer(&["--cidr-allow", "10.0.0.0/8"], "X-Forwarded-For: 10.0.0.1\r\n", 1);
    assert!(claimed.starts_with("HTTP/1.1 403 "), "{claimed}");
    assert!(answer(&["--cidr-allow", "127.0.0.0/8"], "", 1).starts_with("HTTP/1.1 200 "));
    assert!(answer(&["--cidr-deny", "127.0.0.1"], "", 1).starts_with("HTTP/1.1 403 "));
    let limited = answer(&["--rate-limit", "3/m"], "", 4);
    assert!(limited.starts_with("HTTP/1.1 429 ") && limited.contains("Retry-After: "), "{limited}");
    let changed = answer(
        &[
            "--host-header",
            "rewrite",
            "--request-header-add",
            "X-New: 1",
            "--request-header-remove",
            "x-old",
            "--response-header-add",
            "X-Answer: 2",
        ],
        "X-Old: 1\r\n",
        1,
    );
    assert!(changed.contains(&format!("Host: localhost:{port}\r\n")), "{changed}");
    assert!(changed.contains("X-New: 1") && changed.contains("X-Answer: 2"), "{changed}");
    assert!(!changed.contains("X-Old"), "{changed}");
}

#[test]
fn a_folder_is_served_with_ranges_tags_and_listings_and_nothing_outside_of_it() {
    let home = scratch();
    let folder = home.path().join("site");
    std::fs::create_dir_all(folder.join("sub")).expect("made");
    std::fs::write(home.path().join("secret"), "secret").expect("written");
    std::fs::write(folder.join("index.html"), "<h1>hello</h1>").expect("written");
    std::fs::write(folder.join("sub/a b.txt"), "0123456789").expect("written");
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n * 31) as u8).collect();
    std::fs::write(folder.join("big.bin"), &big).expect("written");
    std::os::unix::fs::symlink("../secret", folder.join("link")).expect("linked");
    let args = [
        "file",
        "site",
        "--browse",
        "--https-port",
        "0",
        "--http-port",
        "0",
        "--inspector-port",
        "0",
    ];
    let mut proxy = Running::start(home.path(), &args);
    let (host, _) = proxy.url();
    let http = proxy.http_port();
    let get = |method: &str, path: &str, fields: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"
        );
        exchange(http, request.as_bytes())
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let index = text(get("GET", "/", ""));
    assert!(index.starts_with("HTTP/1.1 200 ") && index.ends_with("<h1>hello</h1>"), "{index}");
    assert!(index.contains("Content-Type: text/html"), "{index}");
    let tag = index.split("ETag: ").nth(1).and_then(|t| t.split("\r\n").next()).expect("a tag");
    let same = text(get("GET", "/", &format!("If-None-Match: {tag}\r\n")));
    assert!(same.starts_with("HTTP/1.1 304 ") && same.ends_with("\r\n\r\n"), "{same}");
    let part = text(get("GET", "/sub/a%20b.txt", "Range: bytes=2-5\r\n"));
    assert!(part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\n2345"), "{part}");
    assert!(part.contains("Content-Range: bytes 2-5/10"), "{part}");
    assert!(
        text(get("GET", "/sub/a%20b.txt", "Range: bytes=10-\r\n")).starts_with("HTTP/1.1 416 ")
    );
    let head = text(get("HEAD", "/sub/a%20b.txt", ""));
    assert!(head.contains("Content-Length: 10") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(text(get("GET", "/sub", "")).contains("Location: /sub/"));
    assert!(text(get("GET", "/sub/", "")).contains("<a href=\"./a%20b.txt\">a b.txt</a>"));
    for outside in ["/../secret", "/%2e%2e/secret", "/link", "/nothing", "/sub/..%2f..%2fsecret"] {
        let answer = text(get("GET", outside, ""));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{outside}: {answer}");
    }
    assert!(text(get("POST", "/", "Content-Length: 0\r\n")).starts_with("HTTP/1.1 405 "));
    let whole = get("GET", "/big.bin", "");
    assert!(whole.ends_with(&big), "{} bytes", whole.len());
}
