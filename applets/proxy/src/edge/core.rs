//! The threads of an edge and what passes between them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use box_kit::Failure;
use rustls::ServerConfig;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use super::agents;
use super::registry::{AgentSession, Registry, Tunnel};
use super::visitors;
use crate::mux::Lane;
use crate::ui::Events;

/// An edge as it is asked for.
#[derive(Clone)]
pub struct EdgeConfig {
    /// Names are below this domain.
    pub domain: String,
    /// The port in `https://` addresses, if visitors reach TLS.
    pub https_port: Option<u16>,
    /// The port in `http://` addresses.
    pub http_port: Option<u16>,
    /// TLS for visitors.
    pub visitor_tls: Arc<ServerConfig>,
    /// TLS for agents.
    pub agent_tls: Arc<ServerConfig>,
    /// Ports for `tcp` tunnels.
    pub tcp_ports: std::ops::RangeInclusive<u16>,
    /// The address they are opened on.
    pub tcp_address: std::net::IpAddr,
    /// Where events go.
    pub events: Events,
    /// Whether each request is an event.
    pub log_requests: bool,
}

/// What one core listens on.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Plain HTTP.
    pub http: Vec<TcpListener>,
    /// TLS.
    pub https: Vec<TcpListener>,
    /// Agents.
    pub agents: Vec<TcpListener>,
}

/// Work that one core gives to another.
pub enum Handoff {
    /// A visitor and what was read of it.
    Visitor {
        /// The socket.
        socket: TcpStream,
        /// Read, not consumed.
        read: Vec<u8>,
        /// Its address.
        client: SocketAddr,
        /// What it speaks.
        kind: VisitorKind,
    },
    /// An agent that dialled in.
    Agent(TcpStream),
    /// The agent of this process.
    LocalAgent(UnixStream),
    /// This session is over.
    EndSession(Arc<AgentSession>),
    /// No new work; end when what goes on has ended.
    Drain,
}

/// What a visitor's connection carries.
#[derive(Clone)]
pub enum VisitorKind {
    /// HTTP/1.
    Http,
    /// TLS, its ClientHello unread.
    Tls,
    /// Bytes for a `tcp` tunnel.
    Tcp(Arc<Tunnel>),
}

/// What all cores share.
pub struct Shared {
    /// The configuration.
    pub config: EdgeConfig,
    /// Names.
    pub registry: Registry,
    /// A way to each core.
    pub inboxes: Vec<mpsc::UnboundedSender<Handoff>>,
    /// Agents are spread over the cores in turn.
    pub next_core: AtomicUsize,
}

/// One thread of an edge.
pub struct Core {
    /// Its number.
    pub number: usize,
    /// What all share.
    pub shared: Arc<Shared>,
    /// The lanes that live here.
    pub lanes: RefCell<HashMap<u64, Rc<Lane>>>,
    /// The number of the next lane.
    pub next_lane: Cell<u64>,
    /// Connections of visitors that are open.
    pub visitors: Cell<usize>,
    /// Tells loops that accept to stop.
    pub draining: watch::Receiver<bool>,
}

/// A running edge.
pub struct Edge {
    /// What the cores share.
    pub shared: Arc<Shared>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Edge {
    /// A connection to it from this process.
    ///
    /// # Errors
    /// The kernel's.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let sent = self.shared.inboxes.first().map(|inbox| inbox.send(Handoff::LocalAgent(theirs)));
        match sent {
            Some(Ok(())) => Ok(ours),
            _ => Err(std::io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Stops accepting and waits until all connections have ended, at most `patience`.
    pub fn drain(self, patience: Duration) {
        for inbox in &self.shared.inboxes {
            let _ = inbox.send(Handoff::Drain);
        }
        let end = std::time::Instant::now() + patience;
        for thread in self.threads {
            while !thread.is_finished() && std::time::Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Starts an edge: a thread for each set of listeners.
///
/// # Errors
/// A thread or its runtime cannot be started.
pub fn start(
    config: EdgeConfig,
    registry: Registry,
    listeners: Vec<Listeners>,
) -> Result<Edge, Failure> {
    let (inboxes, receivers): (Vec<_>, Vec<_>) =
        listeners.iter().map(|_| mpsc::unbounded_channel()).unzip();
    let shared = Arc::new(Shared { config, registry, inboxes, next_core: AtomicUsize::new(0) });
    let mut threads = Vec::new();
    for (number, (listeners, inbox)) in listeners.into_iter().zip(receivers).enumerate() {
        let shared = shared.clone();
        let (ready, is_ready) = std_mpsc::channel();
        let body = move || run(number, shared, listeners, inbox, ready);
        let thread = std::thread::Builder::new().name(format!("edge-{number}")).spawn(body)?;
        is_ready.recv().unwrap_or_else(|_| Err(Failure::new("an edge thread did not start")))?;
        threads.push(thread);
    }
    Ok(Edge { shared, threads })
}

fn run(
    number: usize,
    shared: Arc<Shared>,
    listeners: Listeners,
    inbox: mpsc::UnboundedReceiver<Handoff>,
    ready: std_mpsc::Sender<Result<(), Failure>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    let (drain, draining) = watch::channel(false);
    let core = Rc::new(Core {
        number,
        shared,
        lanes: RefCell::default(),
        next_lane: Cell::new(1),
        visitors: Cell::new(0),
        draining,
    });
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let started = listen(&core, listeners);
        let failed = started.is_err();
        let _ = ready.send(started);
        if !failed {
            serve_inbox(core, inbox, drain).await;
        }
    });
}

/// Registers the listeners with this thread's runtime and starts to accept.
fn listen(core: &Rc<Core>, listeners: Listeners) -> Result<(), Failure> {
    for listener in listeners.http {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let core = core.clone();
        tokio::task::spawn_local(visitors::accept(core, listener, VisitorKind::Http));
    }
    for listener in listeners.https {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let core = core.clone();
        tokio::task::spawn_local(visitors::accept(core, listener, VisitorKind::Tls));
    }
    for listener in listeners.agents {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::task::spawn_local(agents::accept(core.clone(), listener));
    }
    Ok(())
}

async fn serve_inbox(
    core: Rc<Core>,
    mut inbox: mpsc::UnboundedReceiver<Handoff>,
    drain: watch::Sender<bool>,
) {
    let mut sweep = tokio::time::interval(Duration::from_secs(1));
    let mut is_draining = false;
    loop {
        tokio::select! {
            work = inbox.recv() => match work {
                None => return,
                Some(Handoff::Drain) => {
                    is_draining = true;
                    let _ = drain.send(true);
                }
                Some(work) => take(&core, work),
            },
            _ = sweep.tick() => if core.number == 0 { sweep_registry(&core); },
            () = tokio::time::sleep(Duration::from_millis(5)),
                if is_draining && core.visitors.get() == 0 => break,
        }
    }
    for lane in core.lanes.borrow().values() {
        lane.go_away();
        lane.close();
    }
    let gone = async {
        while !core.lanes.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), gone).await;
}

fn sweep_registry(core: &Rc<Core>) {
    for session in core.shared.registry.sweep() {
        for inbox in &core.shared.inboxes {
            let _ = inbox.send(Handoff::EndSession(session.clone()));
        }
    }
}

fn take(core: &Rc<Core>, work: Handoff) {
    match work {
        Handoff::Visitor { socket, read, client, kind } => {
            if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
                let core = core.clone();
                tokio::task::spawn_local(visitors::visit(core, socket, read, client, kind));
            }
        }
        Handoff::Agent(socket) => {
            if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
                tokio::task::spawn_local(agents::serve(core.clone(), crate::io::Raw::Tcp(socket)));
            }
        }
        Handoff::LocalAgent(socket) => {
            if let Ok(socket) = tokio::net::UnixStream::from_std(socket) {
                tokio::task::spawn_local(agents::serve(core.clone(), crate::io::Raw::Unix(socket)));
            }
        }
        Handoff::EndSession(session) => agents::end(core, &session),
        Handoff::Drain => {}
    }
}

/// Accepts until `draining`; out of descriptors it pauses instead of spinning.
pub async fn accept_loop<F>(
    listener: tokio::net::TcpListener,
    mut draining: watch::Receiver<bool>,
    mut accepted: impl FnMut(tokio::net::TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    let mut said = false;
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match connection {
            Ok((socket, address)) => {
                let _ = socket.set_nodelay(true);
                tokio::task::spawn_local(accepted(socket, address));
            }
            Err(error) => {
                // EMFILE and ENFILE last; ECONNABORTED and its like are one visitor's affair.
                if matches!(error.raw_os_error(), Some(23 | 24)) {
                    if !said {
                        eprintln!("box: proxy: accept: {}", box_kit::exit::kernel_words(&error));
                        said = true;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}
