//! Starts servers, ours and the incumbent's, and talks to them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use box_harness::{Bin, free_port, oracle, wait_until};

/// Our binary.
pub fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

/// A running server, killed at the end of the test.
pub struct Server {
    child: Child,
    /// Its port.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn spawn(command: Command, dir: &Path, args: &[&str]) -> Server {
        Server::spawn_at(command, dir, args, free_port())
    }

    fn spawn_at(mut command: Command, dir: &Path, args: &[&str], port: u16) -> Server {
        let log = std::fs::File::create(dir.join(format!("log-{port}"))).expect("a log");
        command.args(["--port", &port.to_string(), "--dir"]).arg(dir);
        command.args(["--enable-debug-command", "yes", "--enable-protected-configs", "yes"]);
        command.args(args);
        let errors = log.try_clone().expect("a descriptor");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let server = Server { child: child.expect("a server"), port };
        let log = dir.join(format!("log-{port}"));
        wait_until("the server to answer", 20, || {
            std::fs::read_to_string(&log)
                .is_ok_and(|text| text.contains("Ready to accept connections"))
                && TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        server
    }

    /// Ours.
    pub fn ours(dir: &Path, args: &[&str]) -> Server {
        let mut command = Command::new(bx().path());
        command.arg("cache-server");
        Server::spawn(command, dir, args)
    }

    /// Ours, on a port that another one had.
    pub fn ours_at(dir: &Path, args: &[&str], port: &str) -> Server {
        let mut command = Command::new(bx().path());
        command.arg("cache-server");
        Server::spawn_at(command, dir, args, port.parse().expect("a port"))
    }

    /// The incumbent's, if it is installed.
    pub fn theirs(dir: &Path, args: &[&str]) -> Option<Server> {
        let program = oracle("redis-server")?;
        Some(Server::spawn(Command::new(program), dir, args))
    }

    /// A later incumbent: no Debian package, so that the environment names its server.
    pub fn named_by(variable: &str, dir: &Path, args: &[&str]) -> Option<Server> {
        let Ok(program) = std::env::var(variable) else {
            eprintln!("skipped: needs {variable} to name a server");
            return None;
        };
        Some(Server::spawn(Command::new(program), dir, args))
    }

    /// A connection.
    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it with SHUTDOWN and waits for it.
    pub fn shut_down(mut self, how: &str) {
        self.client().send(&["SHUTDOWN", how]);
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

/// A connection that gives replies as their bytes.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port));
        let stream = stream.expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        stream.set_nodelay(true).expect("an option");
        Client { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends a request.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend(format!("${}\r\n", arg.as_ref().len()).into_bytes());
            bytes.extend_from_slice(arg.as_ref());
            bytes.extend_from_slice(b"\r\n");
        }
        self.raw(&bytes);
    }

    /// The next reply.
    pub fn reply(&mut self) -> Vec<u8> {
        self.try_reply().expect("a reply")
    }

    /// The next reply; `None` when the connection has been closed.
    pub fn try_reply(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = reply_end(&self.buffer) {
                return Some(self.buffer.drain(..end).collect());
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Sends a request and gives its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Vec<u8> {
        self.send(args);
        self.reply()
    }

    /// Sends a request of words and gives its reply as text.
    pub fn ask(&mut self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        String::from_utf8_lossy(&self.call(&words)).into_owned()
    }
}

/// Where the reply at the start of `bytes` ends, if it is whole.
pub fn reply_end(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    match bytes[0] {
        b'$' | b'=' => match count()? {
            len if len < 0 => Some(line),
            len => (bytes.len() >= line + len as usize + 2).then_some(line + len as usize + 2),
        },
        kind @ (b'*' | b'~' | b'%' | b'>') => {
            let count = count()?.max(0) * if kind == b'%' { 2 } else { 1 };
            (0..count).try_fold(line, |at, _| Some(at + reply_end(&bytes[at..])?))
        }
        _ => Some(line),
    }
}

/// The elements of an aggregate, each with its bytes.
pub fn elements(reply: &[u8]) -> Vec<Vec<u8>> {
    let Some(mut at) = reply.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    while let Some(end) = reply.get(at..).filter(|rest| !rest.is_empty()).and_then(reply_end) {
        all.push(reply[at..at + end].to_vec());
        at += end;
    }
    all
}

/// A generator of numbers that gives the same ones for the same seed, with a number that grows.
pub struct Dice(pub u64, pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}
