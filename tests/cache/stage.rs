//! A script that is played on our server and on the incumbent's: what its clients see must be the
//! same.

use box_harness::scratch;

use crate::support::{Client, Server};

/// What the clients of one server see.
pub struct Stage<'a> {
    /// The server.
    pub server: &'a Server,
    /// Its clients.
    pub clients: Vec<Client>,
    seen: Vec<String>,
    waiting: usize,
}

impl<'a> Stage<'a> {
    fn new(server: &'a Server, clients: usize) -> Stage<'a> {
        Stage {
            server,
            clients: (0..clients).map(|_| server.client()).collect(),
            seen: Vec::new(),
            waiting: 0,
        }
    }

    /// A client asks; its reply is noted.
    pub fn ask(&mut self, client: usize, words: &str) {
        let reply = self.clients[client].ask(words);
        self.seen.push(format!("{client}: {words} -> {reply}"));
    }

    /// A client says what is not noted.
    pub fn quietly(&mut self, client: usize, words: &str) -> String {
        self.clients[client].ask(words)
    }

    /// A client asks for something that it must wait for.
    pub fn waits(&mut self, client: usize, words: &str) {
        self.clients[client].send(&words.split(' ').collect::<Vec<_>>());
        let mut other = self.server.client();
        let blocked = |other: &mut Client| {
            let info = other.ask("INFO clients");
            let line = info.lines().find(|line| line.starts_with("blocked_clients:"));
            line.and_then(|line| line.split(':').nth(1)?.trim().parse::<usize>().ok()).unwrap_or(0)
        };
        let wanted = self.waiting + 1;
        box_harness::wait_until("the client to wait", 20, || blocked(&mut other) >= wanted);
        self.waiting = wanted;
    }

    /// The reply to what a client has waited for.
    pub fn is_served(&mut self, client: usize) {
        self.waiting -= 1;
        self.hears(client);
    }

    /// A message that comes by itself.
    pub fn hears(&mut self, client: usize) {
        let message = String::from_utf8_lossy(&self.clients[client].reply()).into_owned();
        self.seen.push(format!("{client} hears {message}"));
    }
}

/// Plays a script on both servers.
pub fn same(script: impl Fn(&mut Stage<'_>)) {
    let dir = scratch();
    let args = ["--save", ""];
    let Some(theirs) = Server::theirs(dir.path(), &args) else { return };
    let ours = Server::ours(dir.path(), &args);
    let play = |server: &Server| {
        let mut stage = Stage::new(server, 3);
        script(&mut stage);
        // Nothing else has come: the next thing that each client hears is its own PONG.
        for client in 0..3 {
            stage.ask(client, "PING the-end");
        }
        stage.seen
    };
    assert_eq!(play(&ours), play(&theirs));
}
