//! A session with a server: what a command changes on this side, and what comes back.
//!
//! The state that must agree with the server's is the database, whether a MULTI is open and the
//! protocol. It is learnt from the commands that succeed, and set up again on a new connection.

use std::io;
use std::thread;

use box_kit::{Exit, Failure};
use box_sys::interrupt;
use box_wire::resp::Reply;

use super::connection::{Address, Connection, Lost, Target};
use super::options::{Options, Protocol};
use super::render::{self, Output};
use super::{Product, Stop, replica, show};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// With a reply (or an error reply), which has been printed.
    Done,
    /// The connection is lost: the command may be sent again on a new one.
    Lost,
    /// Ctrl-C ended the wait for its reply.
    Interrupted,
}

/// The reply of a command, as far as the session looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Nil,
    Push,
    Other,
}

/// What [`Session::read_reply`] did.
enum Read {
    /// Printed a reply of this kind.
    Shown(Kind),
    /// A cluster node told us to go elsewhere.
    Redirected,
    Lost,
    /// The server went away, as it was asked to.
    ShutDown,
    /// Ctrl-C ended the wait.
    Interrupted,
}

/// A session.
pub struct Session<'o> {
    options: &'o Options,
    target: Target,
    connection: Option<Connection>,
    /// Why the last connection is gone.
    lost: Option<Lost>,
    /// A line is read after another: a lost connection is not the end.
    pub interactive: bool,
    /// The database that was asked for, to be selected on a new connection.
    wanted_db: i64,
    /// The database of the connection.
    db: i64,
    /// A MULTI is open, begun in this database.
    multi: Option<i64>,
    resp3: bool,
    shutting_down: bool,
    asking: bool,
}

impl<'o> Session<'o> {
    /// A session that is not connected.
    pub fn new(options: &'o Options) -> Session<'o> {
        Session {
            options,
            target: options.target.clone(),
            connection: None,
            lost: None,
            interactive: false,
            wanted_db: options.db,
            db: 0,
            multi: None,
            resp3: false,
            shutting_down: false,
            asking: false,
        }
    }

    /// What it was asked for.
    pub fn options(&self) -> &'o Options {
        self.options
    }

    /// The prompt: `127.0.0.1:6379[1](TX)> `.
    pub fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".into();
        }
        let mut prompt = match &self.target.address {
            Address::Unix(path) => {
                let name = if self.options.product == Product::Valkey { "valkey" } else { "redis" };
                format!("{name} {}", path.display())
            }
            address => address.to_string(),
        };
        if self.db != 0 {
            prompt += &format!("[{}]", self.db);
        }
        if self.multi.is_some() {
            prompt += "(TX)";
        }
        prompt + "> "
    }

    /// The connection, for a mode that keeps no session.
    ///
    /// # Errors
    /// There is none.
    pub fn into_connection(self) -> Result<Connection, Stop> {
        self.connection.ok_or(Stop::Exit(Exit::FAILED))
    }

    /// The connection, while there is one.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Goes to another server with the next connection.
    pub fn set_server(&mut self, host: &str, port: u16) {
        self.target.address = Address::Tcp { host: host.to_owned(), port };
    }

    /// Connects, or ends the client with the reason.
    ///
    /// # Errors
    /// There is no connection.
    pub fn connect(&mut self) -> Result<(), Stop> {
        self.drop_connection();
        let connection = Connection::open(&self.target).map_err(|error| self.unreachable(error))?;
        self.connection = Some(connection);
        self.greet()
    }

    /// Connects; a failure is printed and the session goes on without.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn try_connect(&mut self) -> Result<(), Stop> {
        match self.connect() {
            Err(Stop::Said(words)) => eprintln!("{words}"),
            Err(Stop::Failed(failure)) => eprint!("{}", failure.render("box: cache-cli")),
            other => return other,
        }
        Ok(())
    }

    fn unreachable(&self, error: io::Error) -> Stop {
        let address = match &self.target.address {
            // Messages show a host as it was given.
            Address::Tcp { host, port } => format!("{host}:{port}"),
            address => address.to_string(),
        };
        if self.options.product == Product::Own {
            return Failure::os(address)(error).advise("try: box cache-server --port PORT").into();
        }
        let (server, words) = (self.options.product.server(), box_kit::exit::kernel_words(&error));
        Stop::said(format!("Could not connect to {server} at {address}: {words}"))
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.db = 0;
        self.multi = None;
        self.resp3 = false;
    }

    /// Authenticates, selects the database and the protocol. A refusal is told; the steps behind it
    /// are left out.
    fn greet(&mut self) -> Result<(), Stop> {
        if let Some(password) = &self.options.password {
            let mut auth: Vec<&[u8]> = vec![b"AUTH"];
            auth.extend(self.options.user.as_deref());
            auth.push(password);
            if !self.accepted("AUTH", &auth)? {
                return Ok(());
            }
        }
        if !self.select()? {
            return Ok(());
        }
        match self.options.protocol {
            Protocol::Default => {}
            Protocol::Resp3 => self.resp3 = self.accepted("HELLO 3", &[b"HELLO", b"3"])?,
            Protocol::PreferResp3 => {
                self.resp3 = !matches!(self.call(&[b"HELLO", b"3"])?, Reply::Error(_));
            }
        }
        Ok(())
    }

    fn select(&mut self) -> Result<bool, Stop> {
        if self.wanted_db == self.db {
            return Ok(true);
        }
        let number = self.wanted_db.to_string();
        let selected =
            self.accepted(&format!("SELECT {number}"), &[b"SELECT", number.as_bytes()])?;
        if selected {
            self.db = self.wanted_db;
        }
        Ok(selected)
    }

    fn call(&mut self, args: &[&[u8]]) -> Result<Reply, Stop> {
        let Some(connection) = self.connection.as_mut() else { return Err(Lost::Closed.into()) };
        Ok(connection.call(args)?)
    }

    fn accepted(&mut self, what: &str, args: &[&[u8]]) -> Result<bool, Stop> {
        if let Reply::Error(text) = self.call(args)? {
            eprintln!("{what} failed: {}", String::from_utf8_lossy(&text));
            return Ok(false);
        }
        Ok(true)
    }

    /// Sends a command `repeat` times (for ever if negative) and prints its replies; connects again
    /// where the connection was lost, and goes where a cluster sends us.
    ///
    /// # Errors
    /// The client ends.
    pub fn issue(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<Sent, Stop> {
        loop {
            let mut redirected = false;
            let mut sent = self.send_command(args, repeat, &mut redirected)?;
            if sent == Sent::Lost {
                self.try_connect()?;
                sent = self.send_command(args, repeat, &mut redirected)?;
            }
            if sent == Sent::Lost
                && let Some(lost) = self.lost.take()
            {
                eprintln!("Error: {lost}");
            }
            if sent != Sent::Done {
                return Ok(sent);
            }
            if !redirected {
                return Ok(Sent::Done);
            }
            self.try_connect()?;
        }
    }

    /// After Ctrl-C: what the server still sends is for nobody, so a new connection is made.
    fn start_over(&mut self) -> Result<Sent, Stop> {
        show(b"\n")?;
        self.try_connect()?;
        Ok(Sent::Interrupted)
    }

    fn send_command(
        &mut self,
        args: &[Vec<u8>],
        repeat: i64,
        redirected: &mut bool,
    ) -> Result<Sent, Stop> {
        let command = Command::of(args, self.resp3);
        let mut left = repeat;
        while left != 0 {
            left -= i64::from(left > 0);
            if self.connection.is_none() {
                return Ok(Sent::Lost);
            }
            if let Err(lost) = self.send(args) {
                if self.interactive {
                    self.lose(lost);
                    return Ok(Sent::Lost);
                }
                return Err(lost.into());
            }
            self.shutting_down |= command.is(b"shutdown");
            let sent = match command.mode {
                Flow::Reply => self.single_reply(&command, redirected)?,
                Flow::Monitor | Flow::Messages => self.stream(&command)?,
                Flow::Replica => return self.follow(),
            };
            if sent != Sent::Done {
                return Ok(sent);
            }
            if *redirected || matches!(command.mode, Flow::Monitor) {
                return Ok(Sent::Done);
            }
            if !self.options.interval.is_zero() {
                thread::sleep(self.options.interval);
            }
        }
        Ok(Sent::Done)
    }

    fn send(&mut self, args: &[Vec<u8>]) -> Result<(), Lost> {
        let asking = std::mem::take(&mut self.asking);
        let Some(connection) = self.connection.as_mut() else { return Err(Lost::Closed) };
        if asking {
            connection.call(&["ASKING"])?;
        }
        connection.send(args)
    }

    fn lose(&mut self, lost: Lost) {
        self.drop_connection();
        self.lost = Some(lost);
    }

    /// The reply of an ordinary command. UNSUBSCRIBE in RESP3 is answered by a push per channel.
    fn single_reply(&mut self, command: &Command<'_>, redirected: &mut bool) -> Result<Sent, Stop> {
        for _ in 0..command.expected_pushes.max(1) {
            match self.read_reply(command.verbatim, command.expected_pushes > 0)? {
                Read::Shown(kind) => self.learn(command, kind)?,
                Read::Redirected => *redirected = true,
                Read::Lost => return Ok(Sent::Lost),
                Read::ShutDown => break,
                Read::Interrupted => return self.start_over(),
            }
        }
        Ok(Sent::Done)
    }

    /// Prints what MONITOR or a subscription sends, until Ctrl-C where a prompt is to return to.
    fn stream(&mut self, command: &Command<'_>) -> Result<Sent, Stop> {
        if matches!(command.mode, Flow::Messages) && self.options.output != Output::Raw {
            show(b"Reading messages... (press Ctrl-C to quit)\n")?;
        }
        let messages = matches!(command.mode, Flow::Messages);
        loop {
            match self.read_reply(command.verbatim, messages)? {
                Read::Shown(Kind::Error) => return Ok(Sent::Done),
                Read::Shown(_) => {}
                Read::Interrupted => return self.start_over(),
                Read::Lost => return Err(self.lost.take().unwrap_or(Lost::Closed).into()),
                Read::Redirected | Read::ShutDown => return Ok(Sent::Done),
            }
        }
    }

    fn follow(&mut self) -> Result<Sent, Stop> {
        show(b"Entering replica output mode...  (press Ctrl-C to quit)\n")?;
        if let Some(connection) = self.connection.take() {
            replica::follow_on(connection)?;
        }
        Ok(Sent::Lost)
    }

    /// Reads and prints one reply; pushes in front of it are shown as such, unless they are what
    /// is waited for.
    fn read_reply(&mut self, verbatim: bool, wants_pushes: bool) -> Result<Read, Stop> {
        let reply = loop {
            let Some(connection) = self.connection.as_mut() else { return Ok(Read::Lost) };
            match connection.receive() {
                Ok(reply @ Reply::Push(_)) if !wants_pushes => self.show_push(&reply)?,
                Ok(reply) => break reply,
                Err(lost) => return self.no_reply(lost),
            }
        };
        let kind = match &reply {
            Reply::Error(text) => {
                if self.options.cluster && self.redirection(text)? {
                    return Ok(Read::Redirected);
                }
                if !self.interactive && self.options.exit_code {
                    return Err(Stop::said(String::from_utf8_lossy(text)));
                }
                Kind::Error
            }
            Reply::Nil => Kind::Nil,
            Reply::Push(_) => Kind::Push,
            _ => Kind::Other,
        };
        let text = render::render(&reply, self.options.output, verbatim, &self.options.delimiters);
        show(&text)?;
        Ok(Read::Shown(kind))
    }

    fn no_reply(&mut self, lost: Lost) -> Result<Read, Stop> {
        if self.shutting_down {
            self.drop_connection();
            return Ok(Read::ShutDown);
        }
        if matches!(lost, Lost::Interrupted) {
            interrupt::happened();
            return Ok(Read::Interrupted);
        }
        if self.interactive && lost.is_hang_up() {
            self.lose(lost);
            return Ok(Read::Lost);
        }
        Err(lost.into())
    }

    fn show_push(&self, push: &Reply) -> Result<(), Stop> {
        if !self.options.pushes {
            return Ok(());
        }
        match render::invalidation(push) {
            Some(text) => show(&text),
            None => {
                let options = self.options;
                show(&render::render(push, options.output, false, &options.delimiters))
            }
        }
    }

    /// Whether `error` sends us to another node of the cluster (`MOVED SLOT HOST:PORT`, `ASK ...`).
    fn redirection(&mut self, error: &[u8]) -> Result<bool, Stop> {
        let text = String::from_utf8_lossy(error);
        let mut words = text.split(' ');
        let asking = match words.next() {
            Some("MOVED") => false,
            Some("ASK") => true,
            _ => return Ok(false),
        };
        let (Some(slot), Some(place)) = (words.next(), words.next()) else { return Ok(false) };
        let Some((host, port)) = place.rsplit_once(':') else { return Ok(false) };
        // An empty host means: the one that answered.
        let host = match (&self.target.address, host) {
            (Address::Tcp { host, .. }, "") => host.clone(),
            _ => host.to_owned(),
        };
        let port = port.parse().unwrap_or(0);
        if self.interactive && self.options.output == Output::Standard {
            show(format!("-> Redirected to slot [{slot}] located at {host}:{port}\n").as_bytes())?;
        }
        self.set_server(&host, port);
        self.asking = asking;
        Ok(true)
    }

    /// Takes over what a command that was answered has changed on the server's side.
    fn learn(&mut self, command: &Command<'_>, kind: Kind) -> Result<(), Stop> {
        let (argc, ok) = (command.args.len(), kind != Kind::Error);
        if command.is(b"select") && argc == 2 && ok {
            let text = String::from_utf8_lossy(command.argument(1)).into_owned();
            self.db = super::options::leading_integer(&text);
            self.wanted_db = self.db;
        } else if command.is(b"auth") && (argc == 2 || argc == 3) {
            self.select()?;
        } else if command.is(b"multi") && argc == 1 && ok {
            self.multi = Some(self.db);
        } else if command.is(b"exec") && argc == 1 && self.multi.is_some() {
            let before = self.multi.take();
            // A transaction that was not executed has selected nothing.
            if kind != Kind::Other {
                self.back_to(before);
            }
        } else if command.is(b"discard") && argc == 1 && ok {
            let before = self.multi.take();
            self.back_to(before);
        } else if command.is(b"reset") && argc == 1 && ok {
            (self.multi, self.resp3, self.db, self.wanted_db) = (None, false, 0, 0);
        } else if command.is(b"hello") && argc > 1 && ok {
            self.resp3 = command.argument(1) == b"3";
        }
        Ok(())
    }

    fn back_to(&mut self, db: Option<i64>) {
        if let Some(db) = db {
            (self.db, self.wanted_db) = (db, db);
        }
    }
}

/// What comes back for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Reply,
    Monitor,
    Messages,
    Replica,
}

/// A command as the session looks at it.
struct Command<'a> {
    args: &'a [Vec<u8>],
    mode: Flow,
    verbatim: bool,
    expected_pushes: usize,
}

impl<'a> Command<'a> {
    fn of(args: &'a [Vec<u8>], resp3: bool) -> Command<'a> {
        let mut command = Command { args, mode: Flow::Reply, verbatim: false, expected_pushes: 0 };
        command.mode = if command.is(b"monitor") {
            Flow::Monitor
        } else if ["subscribe", "psubscribe", "ssubscribe"].iter().any(|c| command.is(c.as_bytes()))
        {
            Flow::Messages
        } else if command.is(b"sync") || command.is(b"psync") {
            Flow::Replica
        } else {
            Flow::Reply
        };
        let unsubscribes = ["unsubscribe", "punsubscribe", "sunsubscribe"];
        if resp3 && unsubscribes.iter().any(|c| command.is(c.as_bytes())) {
            command.expected_pushes = args.len().saturating_sub(1).max(1);
        }
        command.verbatim = command.is_report();
        command
    }

    fn argument(&self, index: usize) -> &[u8] {
        self.args.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    fn is(&self, name: &[u8]) -> bool {
        self.argument(0).eq_ignore_ascii_case(name)
    }

    /// Whether its reply is a report for a person, printed without quotes.
    fn is_report(&self) -> bool {
        let (argc, second) = (self.args.len(), self.argument(1).to_ascii_lowercase());
        let two = |name: &str, words: &[&str]| {
            self.is(name.as_bytes()) && words.iter().any(|word| second == word.as_bytes())
        };
        self.is(b"info")
            || self.is(b"lolwut")
            || (argc >= 2 && two("debug", &["htstats", "htstats-key", "client-eviction"]))
            || (argc >= 2 && two("memory", &["malloc-stats", "doctor"]))
            || (argc == 2 && two("cluster", &["nodes", "info"]))
            || (argc >= 2 && two("client", &["list", "info"]))
            || (argc == 3 && two("latency", &["graph"]))
            || (argc == 2 && two("latency", &["doctor"]))
            || (argc >= 2 && two("proxy", &["info"]))
            || (argc >= 2 && two("sentinel", &["debug"]))
    }
}
