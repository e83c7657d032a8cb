//! What is shown: events go over a bounded channel to a thread that draws or writes them, so that a
//! slow terminal or a full disk never holds up a connection. What does not fit is counted.

mod lines;
mod screen;

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use box_kit::Failure;

use crate::http1::Record;

/// Events that wait for the drawing thread.
const QUEUED: usize = 4096;

/// Something a person or a log wants to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session with an edge stands.
    Online {
        /// Where: `edge.example.com`, or nothing for the embedded edge.
        server: Option<String>,
        /// Whose token it is.
        user: String,
        /// The time there and back.
        rtt: Duration,
        /// Connections to the edge.
        lanes: usize,
    },
    /// A tunnel stands.
    Forwarding {
        /// Its name.
        name: String,
        /// Where visitors reach it.
        urls: Vec<String>,
        /// Where they end up.
        target: String,
    },
    /// The link is lost.
    Reconnecting {
        /// Attempts so far.
        attempt: u32,
        /// Until the next one.
        delay: Duration,
        /// Why the last one failed.
        why: String,
    },
    /// A request is over.
    Request(Record),
    /// A connection of a `tcp` or `tls` tunnel is over.
    Connection {
        /// Who.
        client: std::net::SocketAddr,
        /// Bytes from it.
        received: u64,
        /// Bytes to it.
        sent: u64,
        /// What went wrong.
        error: Option<String>,
    },
    /// A tunnel stands at this edge.
    Bound {
        /// Whose.
        user: String,
        /// Where.
        urls: Vec<String>,
    },
    /// An agent's last lane is gone.
    AgentGone {
        /// Whose.
        user: String,
        /// Why.
        why: String,
    },
    /// A listener stands.
    Listening {
        /// For what: `http`, `https`, `agents`.
        what: &'static str,
        /// Where.
        address: String,
    },
    /// Something to know, in words.
    Notice(String),
    /// The inspector's address.
    Inspector(String),
    /// The state of the certificate.
    Certificate(String),
    /// No more events.
    End,
}

impl Event {
    /// Of interest only once it is known where the tunnel is.
    fn may_wait(&self) -> bool {
        matches!(self, Event::Notice(_) | Event::Inspector(_) | Event::Certificate(_))
    }
}

/// A way to the drawing thread. Cheap to clone; sending never waits.
#[derive(Clone, Debug)]
pub struct Events {
    sender: SyncSender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Shows an event, unless too many wait already.
    pub fn send(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that were not shown.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A screen that is redrawn in place.
    Screen,
    /// `key=value` lines.
    Logfmt,
    /// A JSON object a line.
    Json,
    /// One JSON object with the addresses, then nothing.
    UrlsOnly,
}

/// Where events are shown.
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(File),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout => io::stdout().write(bytes),
            Output::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout => io::stdout().flush(),
            Output::File(file) => file.flush(),
        }
    }
}

/// The drawing thread.
pub struct Ui {
    /// The way to it.
    pub events: Events,
    thread: std::thread::JoinHandle<()>,
}

impl Ui {
    /// Starts it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(form: Form, output: Output) -> Result<Ui, Failure> {
        let (sender, receiver) = sync_channel(QUEUED);
        let events = Events { sender, dropped: Arc::default() };
        let body = move || show(form, output, &receiver);
        let thread = std::thread::Builder::new().name("ui".to_owned()).spawn(body)?;
        Ok(Ui { events, thread })
    }

    /// Shows what waits and ends.
    pub fn end(self) {
        // Unlike other events this one may wait: the thread is taking them out.
        let _ = self.events.sender.send(Event::End);
        let _ = self.thread.join();
    }
}

fn show(form: Form, mut output: Output, receiver: &Receiver<Event>) {
    match form {
        Form::Screen => screen::run(&mut output, receiver),
        Form::UrlsOnly => urls_only(&mut output, receiver),
        Form::Logfmt | Form::Json => {
            // Whoever reads our output for the address finds it in the first line.
            let mut held = Some(Vec::new());
            while let Ok(event) = receiver.recv() {
                if let (Some(early), true) = (&mut held, event.may_wait()) {
                    early.push(event);
                    continue;
                }
                let ends = matches!(event, Event::End);
                let early = held.take().unwrap_or_default();
                for event in std::iter::once(event).filter(|_| !ends).chain(early) {
                    let line = lines::line(&event, form == Form::Json);
                    // A log that cannot be written is no reason to stop serving.
                    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
                }
                if ends {
                    return;
                }
            }
        }
    }
}

fn urls_only(output: &mut Output, receiver: &Receiver<Event>) {
    let mut inspector = None;
    while let Ok(event) = receiver.recv() {
        match event {
            Event::Inspector(address) => inspector = Some(address),
            Event::Forwarding { name, urls, target } => {
                let object = serde_json::json!({
                    "name": name, "url": urls.first(), "urls": urls, "target": target,
                    "inspector": inspector,
                });
                let _ = writeln!(output, "{object}").and_then(|()| output.flush());
            }
            Event::End => return,
            _ => {}
        }
    }
}

/// The next event, or `None` when it is time to draw.
fn next(receiver: &Receiver<Event>, patience: Duration) -> Option<Event> {
    match receiver.recv_timeout(patience) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Event::End),
    }
}
