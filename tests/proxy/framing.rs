//! HTTP framing over raw sockets, with an origin that can misbehave: what is refused, what is
//! passed on, what comes of a bad answer. The cases are data, so that they run against `box proxy`
//! and, to know that each expectation can be met, against nginx and HAProxy.

mod cases;

use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use box_harness::{free_port, oracle, scratch};

use crate::support::*;
use cases::{BAD_ANSWERS, Expect, GOOD_ANSWERS, PASSED, REFUSED};

/// The heads that an origin has seen.
type Seen = Arc<Mutex<Vec<Request>>>;

/// An origin that remembers each request and answers `ok`, or what the script says for `/script`.
fn scripted() -> (u16, Seen, Arc<Mutex<&'static str>>) {
    let seen = Seen::default();
    let script = Arc::new(Mutex::new(""));
    let (remembered, says) = (seen.clone(), script.clone());
    let port = origin(move |stream| {
        let mut writer = stream.try_clone().expect("a handle");
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let scripted = request.target().starts_with("/script");
            remembered.lock().expect("unpoisoned").push(request);
            if !scripted {
                if writer.write_all(&ok(b"ok")).is_err() {
                    return;
                }
                continue;
            }
            let text = *says.lock().expect("unpoisoned");
            let _ = writer.write_all(text.as_bytes());
            return;
        }
    });
    (port, seen, script)
}

/// A proxy in front of a scripted origin.
struct Bench {
    name: &'static str,
    port: u16,
    /// How long an answer is waited for.
    patience: Duration,
    seen: Seen,
    script: Arc<Mutex<&'static str>>,
}

impl Bench {
    /// Why a request that must be refused was not.
    fn refuses(&self, request: &str) -> Result<(), String> {
        self.seen.lock().expect("unpoisoned").clear();
        let answer = exchange_within(self.port, request.as_bytes(), self.patience);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let seen = self.seen.lock().expect("unpoisoned");
        let error = text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5");
        let once = text.matches("HTTP/1.1 ").count() <= 1;
        match (seen.len(), error || text.is_empty(), once) {
            (0, true, true) => Ok(()),
            (count, ..) => Err(format!("{count} at the origin, answered {text:?}")),
        }
    }

    /// Why a request did not arrive as it should.
    fn passes(&self, request: &str, expect: &[Expect]) -> Result<(), String> {
        self.seen.lock().expect("unpoisoned").clear();
        let answer = exchange_within(self.port, request.as_bytes(), self.patience);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let seen = self.seen.lock().expect("unpoisoned");
        let Some(first) = seen.first() else { return Err(format!("not passed on: {text:?}")) };
        let head = first.head.to_ascii_lowercase();
        let body = String::from_utf8_lossy(&first.body).into_owned();
        for expected in expect {
            let holds = match expected {
                Expect::Line(line) => head.starts_with(&line.to_ascii_lowercase()),
                Expect::Has(part) => head.contains(&part.to_ascii_lowercase()),
                Expect::Lacks(part) => !head.contains(&part.to_ascii_lowercase()),
                Expect::Body(expected) => body == *expected,
                Expect::Requests(count) => seen.len() == *count,
                Expect::Answers(count) => text.matches("HTTP/1.1 200").count() == *count,
            };
            if !holds {
                let count = seen.len();
                return Err(format!(
                    "{expected:?} of {count}: {head:?} {body:?} answered {text:?}"
                ));
            }
        }
        Ok(())
    }

    /// What the client gets when the origin answers `script`.
    fn answers(&self, method: &str, script: &'static str) -> String {
        *self.script.lock().expect("unpoisoned") = script;
        let request =
            format!("{method} /script HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        String::from_utf8_lossy(&exchange_within(self.port, request.as_bytes(), self.patience))
            .into_owned()
    }

    /// All cases: the names of those that fail, with why.
    fn run(&self) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        let mut note = |name: &str, result: Result<(), String>| {
            if let Err(why) = result {
                failed.push((name.to_owned(), why));
            }
        };
        for (name, request) in REFUSED {
            note(name, self.refuses(request));
        }
        for (name, request, expect) in PASSED {
            note(name, self.passes(request, expect));
        }
        for (name, method, script) in BAD_ANSWERS {
            let text = self.answers(method, script);
            let told = text.contains("HTTP/1.1 502 ") || text.contains("HTTP/1.1 504 ");
            let cut = is_visibly_cut(&text);
            note(name, if told || cut { Ok(()) } else { Err(format!("answered {text:?}")) });
        }
        for (name, method, script, parts, lacking) in GOOD_ANSWERS {
            let text = self.answers(method, script);
            let lower = text.to_ascii_lowercase();
            let missing = parts.iter().find(|part| !lower.contains(&part.to_ascii_lowercase()));
            let extra = lacking.iter().find(|part| lower.contains(&part.to_ascii_lowercase()));
            let fine = missing.is_none() && extra.is_none();
            let why = format!("missing {missing:?}, extra {extra:?} in {text:?}");
            note(name, if fine { Ok(()) } else { Err(why) });
        }
        failed
    }
}

/// A client can tell that this answer is not whole.
fn is_visibly_cut(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return true };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return !body.ends_with("0\r\n\r\n");
    }
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next().and_then(|digits| digits.parse::<usize>().ok()));
    length.is_some_and(|length| length > body.len())
}

fn bench(name: &'static str, patience: Duration, start: impl FnOnce(u16) -> u16) -> Bench {
    let (origin, seen, script) = scripted();
    Bench { name, port: start(origin), patience, seen, script }
}

#[test]
fn every_case_holds() {
    let home = scratch();
    let mut running = None;
    let bench = bench("box", PATIENCE, |origin| {
        let to = format!("127.0.0.1:{origin}");
        let mut proxy = Running::start(
            home.path(),
            &["run", "--listen", "127.0.0.1:0", "--to", &to, "--threads", "1"],
        );
        let port = proxy.listening("http");
        running = Some(proxy);
        port
    });
    let count = REFUSED.len() + PASSED.len() + BAD_ANSWERS.len() + GOOD_ANSWERS.len();
    assert!(count >= 150, "{count} cases");
    let failed = bench.run();
    assert!(failed.is_empty(), "{}: {failed:#?}", bench.name);
}

/// Each expectation is met by one of the two incumbents at least, but for those that the stricter
/// reading of RFC 9112 asks for and that both repair instead.
#[test]
fn the_cases_can_be_met() {
    let (Some(nginx), Some(haproxy)) = (oracle("nginx"), oracle("haproxy")) else { return };
    let folder = scratch();
    let peer = Duration::from_secs(1);
    let peers = [
        bench("nginx", peer, |origin| start_nginx(&nginx, folder.path(), origin)),
        bench("haproxy", peer, |origin| start_haproxy(&haproxy, folder.path(), origin)),
    ];
    let failed: Vec<Vec<(String, String)>> = std::thread::scope(|scope| {
        let runs: Vec<_> = peers.iter().map(|peer| scope.spawn(|| peer.run())).collect();
        runs.into_iter().map(|run| run.join().expect("it runs")).collect()
    });
    let both: Vec<&str> = failed[0]
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| failed[1].iter().any(|(other, _)| other == name))
        .collect();
    let unexplained: Vec<&&str> =
        both.iter().filter(|name| !cases::STRICTER.contains(name)).collect();
    assert!(unexplained.is_empty(), "neither nginx nor HAProxy: {unexplained:#?}");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

thread_local! {
    static PEERS: std::cell::RefCell<Vec<Killed>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn spawn(mut command: Command, port: u16) -> u16 {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    PEERS.with_borrow_mut(|peers| peers.push(Killed(child)));
    box_harness::wait_until("the peer to listen", 10, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    port
}

fn start_nginx(program: &std::path::Path, folder: &std::path::Path, origin: u16) -> u16 {
    let port = free_port();
    let dir = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/err;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;\n\
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
         large_client_header_buffers 8 64k; client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{origin};\n\
         proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host;\n\
         proxy_buffering off; proxy_request_buffering off;\n\
         proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(program);
    command.arg("-c").arg(file);
    spawn(command, port)
}

fn start_haproxy(program: &std::path::Path, folder: &std::path::Path, origin: u16) -> u16 {
    let port = free_port();
    let config = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         timeout http-request 1s\n timeout http-keep-alive 1s\n\
         frontend f\n bind 127.0.0.1:{port}\n option forwardfor\n default_backend b\n\
         backend b\n server s 127.0.0.1:{origin}\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(file);
    spawn(command, port)
}

#[test]
fn limits_are_kept_and_what_is_below_them_passes() {
    let (origin, seen, script) = scripted();
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    let bench = Bench { name: "box", port, patience: PATIENCE, seen, script };
    let get = |target: &str, fields: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n")
    };
    let long_field = |size| format!("X-A: {}\r\n", "b".repeat(size));
    assert_eq!(bench.refuses(&get(&format!("/{}", "a".repeat(40_000)), "")), Ok(()));
    assert_eq!(bench.refuses(&get("/", &long_field(70_000))), Ok(()));
    assert_eq!(bench.refuses(&get("/", &"X-A: b\r\n".repeat(300))), Ok(()));
    assert_eq!(bench.passes(&get("/", &long_field(40_000)), &[Expect::Requests(1)]), Ok(()));
    let many = get("/", &"X-A: b\r\n".repeat(150));
    assert_eq!(bench.passes(&many, &[Expect::Requests(1)]), Ok(()));
}

fn run_proxy(home: &std::path::Path, origin: u16) -> (Running, u16) {
    let to = format!("127.0.0.1:{origin}");
    let mut proxy = Running::start(home, &["run", "--listen", "127.0.0.1:0", "--to", &to]);
    let port = proxy.listening("http");
    (proxy, port)
}

#[test]
fn an_early_answer_is_read_whole_while_the_upload_still_runs() {
    let origin = origin(|mut stream| {
        let mut bytes = [0; 1024];
        let _ = stream.read(&mut bytes);
        let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    });
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    let mut client = dial(port);
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4000000\r\n\r\n";
    client.write_all(head.as_bytes()).expect("sent");
    let mut writer = client.try_clone().expect("a handle");
    let feeder = std::thread::spawn(move || drop(writer.write_all(&vec![b'x'; 4_000_000])));
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    drop(client);
    feeder.join().expect("ended");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 413 ") && text.ends_with("big"), "{text}");
}

#[test]
fn a_100_is_relayed_before_the_body_is_sent() {
    let origin = origin(|stream| {
        let mut writer = stream.try_clone().expect("a handle");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while std::io::BufRead::read_line(&mut reader, &mut line).is_ok_and(|n| n > 2) {}
        let _ = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        let mut body = [0; 5];
        let _ = reader.read_exact(&mut body);
        let _ = writer.write_all(&ok(&body));
    });
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    let mut client = dial(port);
    let head =
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).expect("sent");
    let mut bytes = [0; 1024];
    let count = client.read(&mut bytes).expect("an interim answer");
    assert!(bytes[..count].starts_with(b"HTTP/1.1 100 "), "{:?}", &bytes[..count]);
    client.write_all(b"hello").expect("sent");
    let count = client.read(&mut bytes).expect("an answer");
    assert!(bytes[..count].ends_with(b"hello"), "{}", String::from_utf8_lossy(&bytes[..count]));
}

#[test]
fn bytes_behind_an_upgrade_wait_for_the_101() {
    let (told, heads) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    let origin = origin(move |mut stream| {
        let mut bytes = [0; 4096];
        let mut seen = Vec::new();
        while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
            let count = stream.read(&mut bytes).unwrap_or(0);
            if count == 0 {
                return;
            }
            seen.extend_from_slice(&bytes[..count]);
        }
        let _ = told.lock().expect("unpoisoned").send(seen);
        // Refused: the answer is an ordinary one.
        let _ = stream.write_all(&ok(b"no"));
        let _ = stream.read(&mut bytes);
    });
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    let smuggled = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                    GET /hidden HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let _ = exchange(port, smuggled.as_bytes());
    let head = heads.recv_timeout(PATIENCE).expect("a request");
    let text = String::from_utf8_lossy(&head).into_owned();
    assert!(text.contains("Upgrade: websocket") && !text.contains("/hidden"), "{text}");
}

#[test]
fn an_upstream_that_sends_too_much_is_not_used_again() {
    let origin = http_origin(|request| {
        let mut answer = ok(request.target().as_bytes());
        answer.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        answer
    });
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    for round in 0..20 {
        let request = format!("GET /{round} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8_lossy(&exchange(port, request.as_bytes())).into_owned();
        assert!(text.ends_with(&format!("/{round}")), "{text}");
    }
}

#[test]
fn a_post_is_never_sent_twice_and_a_get_survives_a_closed_idle_connection() {
    let seen = Seen::default();
    let remembered = seen.clone();
    // One request a connection, though it claims to keep it.
    let origin = origin(move |stream| {
        let mut writer = stream.try_clone().expect("a handle");
        let mut reader = BufReader::new(stream);
        if let Some(request) = read_request(&mut reader) {
            let posted = request.head.starts_with("POST");
            remembered.lock().expect("unpoisoned").push(request);
            if !posted {
                let _ = writer.write_all(&ok(b"ok"));
            }
        }
    });
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    for _ in 0..20 {
        let text = exchange(port, b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        assert!(text.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&text));
    }
    seen.lock().expect("unpoisoned").clear();
    let post =
        b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
    let text = exchange(port, post);
    assert!(text.starts_with(b"HTTP/1.1 502 "), "{}", String::from_utf8_lossy(&text));
    assert!(seen.lock().expect("unpoisoned").len() <= 1);
}

#[test]
fn a_gibibyte_goes_down_in_little_memory() {
    let size = 256usize << 20;
    let origin = origin(move |mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let chunk = vec![7u8; 1 << 20];
        for _ in 0..size >> 20 {
            if stream.write_all(&chunk).is_err() {
                return;
            }
        }
    });
    let home = scratch();
    let (proxy, port) = run_proxy(home.path(), origin);
    let mut client = dial(port);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").expect("sent");
    let mut total = 0;
    let mut bytes = vec![0; 1 << 20];
    loop {
        match client.read(&mut bytes).expect("data") {
            0 => break,
            count => total += count,
        }
    }
    assert!(total > size && total < size + 4096, "{total}");
    assert!(proxy.rss_kib() < 32 << 10, "{} KiB", proxy.rss_kib());
}

#[test]
fn a_signal_drains_what_is_open_and_closes_what_is_idle() {
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let (came, has_come) = std::sync::mpsc::channel();
    let came = Mutex::new(came);
    let origin = origin(move |stream| {
        let mut writer = stream.try_clone().expect("a handle");
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            if request.target() == "/slow" {
                let _ = came.lock().expect("unpoisoned").send(());
                let _ = may_go.lock().expect("unpoisoned").recv_timeout(PATIENCE);
            }
            let _ = writer.write_all(&ok(b"whole"));
        }
    });
    let home = scratch();
    let (mut proxy, port) = run_proxy(home.path(), origin);
    let mut idle = dial(port);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("sent");
    let mut bytes = [0; 4096];
    assert!(idle.read(&mut bytes).expect("an answer") > 0);
    let mut slow = dial(port);
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("sent");
    has_come.recv_timeout(PATIENCE).expect("the slow request arrives");
    proxy.signal(box_harness::Signal::SIGTERM);
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("closed cleanly");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err() || rest.len() < 64);
    go.send(()).expect("the origin waits");
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).expect("an answer");
    assert!(answer.ends_with(b"whole"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(proxy.ended(), Some(0));
}

#[test]
fn large_bodies_by_length_are_the_same_up_and_down() {
    use sha2::Digest;
    let origin = http_origin(|request| ok(&request.body));
    let home = scratch();
    let (_proxy, port) = run_proxy(home.path(), origin);
    let mut state = 1u64;
    let body: Vec<u8> = (0..4 << 20)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 8).to_le_bytes()
        })
        .collect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(port, &[head.as_bytes(), &body].concat());
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(answer.len() - at, body.len());
    assert!(sha2::Sha256::digest(&answer[at..]) == sha2::Sha256::digest(&body));
}
