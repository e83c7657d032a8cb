//! What the tests of `box proxy` share: the running binary, origins, raw clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use box_harness::Bin;

/// How long anything may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

/// A `box proxy` that is killed at the end of the test.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
}

impl Running {
    /// Starts it with this home folder.
    pub fn start(home: &Path, args: &[&str]) -> Running {
        let mut command = bx().command(["proxy"]);
        command.args(args).env("HOME", home).env_remove("XDG_CONFIG_HOME").current_dir(home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("box starts");
        let (sender, lines) = channel();
        let readers: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        for reader in readers {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(reader).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Running { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `part`.
    #[track_caller]
    pub fn line(&mut self, part: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(part)) {
            return line.clone();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {part:?} in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Whether such a line has come already.
    pub fn has_said(&mut self, part: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(|line| line.contains(part))
    }

    /// The `url` of the line that says a tunnel was started, split into host and port.
    #[track_caller]
    pub fn url(&mut self) -> (String, u16) {
        let line = self.line("msg=\"started tunnel\"");
        let url = line.split(" url=").nth(1).and_then(|rest| rest.split(' ').next());
        let rest = url.and_then(|url| url.split_once("://")).expect("a URL").1;
        let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
        (host.to_owned(), port.parse().expect("a port"))
    }

    /// The port in the plain `http://` URL.
    #[track_caller]
    pub fn http_port(&mut self) -> u16 {
        let line = self.line("msg=\"started tunnel\"");
        let urls = line.split("urls=").nth(1).expect("urls");
        let http = urls.split("http://").nth(1).expect("an http URL");
        http.split(':').nth(1).expect("a port").trim_end_matches('"').parse().expect("a number")
    }

    /// The port of the first listener for `what`.
    #[track_caller]
    pub fn listening(&mut self, what: &str) -> u16 {
        let line = self.line(&format!("for={what}"));
        line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port")
    }

    pub fn signal(&self, signal: box_harness::Signal) {
        box_harness::signal(self.child.id(), signal);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end: {:#?}", self.seen);
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("proc");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that runs `serve` for each connection, each on a thread of its own.
pub fn origin(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    origin_on(listener, serve);
    port
}

pub fn origin_on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
}

/// A request as an origin reads it.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn field(&self, name: &str) -> Option<&str> {
        let wanted = name.to_ascii_lowercase();
        self.head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.to_ascii_lowercase() == wanted).then(|| value.trim())
        })
    }

    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// Reads one request with its body, by Content-Length or chunks. `None` at the end.
pub fn read_request(stream: &mut impl BufRead) -> Option<Request> {
    let head = read_head(stream)?;
    let request = Request { head, body: Vec::new() };
    let body = if request.field("transfer-encoding").is_some() {
        read_chunks(stream)?
    } else {
        let length = request.field("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        body
    };
    Some(Request { body, ..request })
}

fn read_head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return Some(head);
        }
        head.push_str(&line);
    }
}

fn read_chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk);
        if size == 0 {
            loop {
                let mut trailer = String::new();
                stream.read_line(&mut trailer).ok()?;
                if trailer == "\r\n" {
                    return Some(body);
                }
            }
        }
        let mut end = [0; 2];
        stream.read_exact(&mut end).ok()?;
    }
}

/// An origin that answers each request with what `answer` makes of it, keeping the connection.
pub fn http_origin(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    origin(move |stream| {
        let mut writer = stream.try_clone().expect("a second handle");
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            if writer.write_all(&answer(&request)).is_err() {
                return;
            }
        }
    })
}

/// `200` with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

/// Connects and sets time-outs.
pub fn dial(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends bytes and reads until the end.
pub fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    exchange_within(port, bytes, PATIENCE)
}

/// As [`exchange`], reading no longer than this without a byte.
pub fn exchange_within(port: u16, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = dial(port);
    stream.set_read_timeout(Some(patience)).expect("a time-out");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The certificate of the user's authority.
pub fn ca(home: &Path) -> PathBuf {
    home.join(".config/box/proxy/ca/ca.pem")
}

/// curl against a local name, checked against the authority.
pub fn curl(home: &Path, host: &str, port: u16, path: &str, more: &[&str]) -> std::process::Output {
    Command::new("curl")
        .args(["-sS", "--max-time", "60", "--cacert"])
        .arg(ca(home))
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .args(more)
        .arg(format!("https://{host}:{port}{path}"))
        .output()
        .expect("curl runs")
}
