//! A thread of the reverse proxy: its listeners, its connections, its orders.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use box_kit::Failure;
use box_wire::proxy_protocol::{self, Header};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use super::Model;
use super::site::{Local, RunSite};
use crate::config::Listen;
use crate::edge::accept_loop;
use crate::http1::Visitor;
use crate::http2;
use crate::io::{Buffer, Conn, Raw, ReadAhead, Stream};

/// A PROXY header and a TLS handshake must be over after this time.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// An order to a worker.
pub enum Command {
    /// From now on this holds.
    Model(Arc<Model>),
    /// Accept here too.
    Listen(SocketAddr, TcpListener),
    /// No longer here.
    Close(SocketAddr),
    /// Nowhere any more; end when what is open has ended.
    Drain,
}

/// A running thread.
pub struct Worker {
    orders: mpsc::UnboundedSender<Command>,
    thread: std::thread::JoinHandle<()>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    /// There is no thread or no runtime to be had.
    pub fn start(number: usize, model: Arc<Model>) -> Result<Worker, Failure> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let body = move || LocalSet::new().block_on(&runtime, run(model, inbox));
        let thread = std::thread::Builder::new().name(format!("proxy-{number}")).spawn(body)?;
        Ok(Worker { orders, thread })
    }

    /// Gives an order.
    pub fn order(&self, command: Command) {
        let _ = self.orders.send(command);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What the tasks of a worker share.
struct Shared {
    current: Rc<RefCell<Rc<Local>>>,
    draining: watch::Receiver<bool>,
    open: Cell<usize>,
}

async fn run(model: Arc<Model>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let (drain, draining) = watch::channel(false);
    let shared = Rc::new(Shared {
        current: Rc::new(RefCell::new(Rc::new(Local::new(model)))),
        draining,
        open: Cell::new(0),
    });
    let mut listeners: HashMap<SocketAddr, watch::Sender<bool>> = HashMap::new();
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Model(model) => drop(shared.current.replace(Rc::new(Local::new(model)))),
            Command::Listen(address, listener) => {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    let (close, closing) = watch::channel(false);
                    let shared = shared.clone();
                    tokio::task::spawn_local(accept_loop(
                        listener,
                        closing,
                        move |socket, client| visit(shared.clone(), address, socket, client),
                    ));
                    listeners.insert(address, close);
                }
            }
            Command::Close(address) => {
                if let Some(close) = listeners.remove(&address) {
                    let _ = close.send(true);
                }
            }
            Command::Drain => break,
        }
    }
    for close in listeners.values() {
        let _ = close.send(true);
    }
    let _ = drain.send(true);
    while shared.open.get() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn visit(shared: Rc<Shared>, address: SocketAddr, socket: TcpStream, client: SocketAddr) {
    shared.open.set(shared.open.get() + 1);
    let configured = {
        let local = shared.current.borrow();
        local.model.listen(address).map(|(listen, tls)| (listen.clone(), tls.cloned()))
    };
    if let Some((listen, tls)) = configured {
        serve(&shared, &listen, tls, socket, client).await;
    }
    shared.open.set(shared.open.get() - 1);
}

async fn serve(
    shared: &Shared,
    listen: &Listen,
    tls: Option<Arc<ServerConfig>>,
    socket: TcpStream,
    client: SocketAddr,
) {
    let trusted = listen.trusted.iter().any(|network| network.holds(client.ip()));
    let mut ahead = ReadAhead::new(Raw::Tcp(socket));
    let mut visitor = Visitor { client, tls: tls.is_some(), server_name: None, movable: false };
    if listen.accept_proxy {
        // Whoever is not trusted must not say whom he speaks for.
        if !trusted {
            return;
        }
        let header = tokio::time::timeout(GREETING_TIMEOUT, proxy_header(&mut ahead)).await;
        let Ok(Some(told)) = header else { return };
        visitor.client = told.unwrap_or(client);
    }
    let conn = match tls {
        None => plain(ahead),
        Some(config) => {
            let accept = TlsAcceptor::from(config).accept(ahead);
            let Ok(Ok(tls)) = tokio::time::timeout(GREETING_TIMEOUT, accept).await else { return };
            visitor.server_name = tls.get_ref().1.server_name().map(Rc::from);
            Conn::new(Stream::ServerTls(Box::new(tls)), Buffer::default())
        }
    };
    let site = Rc::new(RunSite {
        current: shared.current.clone(),
        trusted: trusted && !listen.accept_proxy,
        draining: shared.draining.clone(),
    });
    http2::serve(conn, visitor, site).await;
}

fn plain(ahead: ReadAhead) -> Conn {
    let ReadAhead { raw, buffer } = ahead;
    let stream = match raw {
        Raw::Tcp(socket) => Stream::Tcp(socket),
        Raw::Unix(socket) => Stream::Unix(socket),
    };
    Conn::new(stream, buffer)
}

/// The client that a PROXY header names; `Some(None)`: the proxy speaks for itself. `None`: there
/// is no such header.
async fn proxy_header(ahead: &mut ReadAhead) -> Option<Option<SocketAddr>> {
    loop {
        match proxy_protocol::parse(ahead.buffer.data()) {
            Header::Complete { len, ends } => {
                ahead.buffer.consume(len);
                return Some(ends.map(|ends| ends.source));
            }
            Header::Partial => {}
            _ => return None,
        }
        let count = std::future::poll_fn(|cx| ahead.poll_fill(cx)).await.ok()?;
        if count == 0 {
            return None;
        }
    }
}
