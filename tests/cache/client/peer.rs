//! Servers to talk to: Debian's redis-server, and one that answers as a test tells it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use box_harness::{free_port, oracle, scratch, wait_until};
use tempfile::TempDir;

/// A redis-server that ends with the test.
pub struct Redis {
    pub port: u16,
    pub folder: TempDir,
    child: Child,
}

impl Redis {
    /// Starts one with further arguments; `None` where it is not installed.
    pub fn start(args: &[&str]) -> Option<Redis> {
        let program = oracle("redis-server")?;
        let (port, folder) = (free_port(), scratch());
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(args)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Redis { port, folder, child };
        wait_until("redis-server", 20, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(redis)
    }

    /// Sends one inline request and returns what comes back at once.
    pub fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{request}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.trim_end_matches("+OK\r\n").to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server that answers each request as `answer` says; one request arrives with one read,
/// as a client that waits for replies sends it. Returns its port.
pub fn fake(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), answer) = (stream, answer.clone()) else { return };
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length) = stream.read(&mut chunk) {
                    if length == 0 {
                        return;
                    }
                    let request = String::from_utf8_lossy(&chunk[..length]).into_owned();
                    if stream.write_all(&answer(&request)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
