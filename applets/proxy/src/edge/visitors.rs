//! Visitors: who they ask for, and the way to the agent behind that name.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use box_wire::http1::{FieldName, RequestHead, authority};
use box_wire::tls_hello::{self, Hello};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::core::{Core, Handoff, VisitorKind, accept_loop};
use super::registry::Tunnel;
use crate::http1::{Answer, Edits, Ended, Failed, Forward, Record, Route, Site, Upstream, Visitor};
use crate::http2;
use crate::io::{Buffer, Conn, Raw, ReadAhead, Stream, relay};
use crate::mux::frame::OpenHead;
use crate::protocol::TunnelKind;
use crate::ui::Event;

/// The handshake must be over after this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Visitors wait this long for an agent that is reconnecting.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Accepts visitors of one kind.
pub async fn accept(core: Rc<Core>, listener: TcpListener, kind: VisitorKind) {
    accept_loop(listener, core.draining.clone(), |socket, client| {
        visit(core.clone(), socket, Vec::new(), client, kind.clone())
    })
    .await;
}

/// Serves one visitor, of whom `read` has been read already.
pub async fn visit(
    core: Rc<Core>,
    socket: TcpStream,
    read: Vec<u8>,
    client: SocketAddr,
    kind: VisitorKind,
) {
    core.visitors.set(core.visitors.get() + 1);
    match kind {
        VisitorKind::Http => {
            let conn = Conn::new(Stream::Tcp(socket), Buffer::holding(&read));
            let visitor = Visitor { client, tls: false, server_name: None, movable: true };
            http(&core, conn, visitor).await;
        }
        VisitorKind::Tls => {
            let ahead = ReadAhead { raw: Raw::Tcp(socket), buffer: Buffer::holding(&read) };
            tls(&core, ahead, client).await;
        }
        VisitorKind::Tcp(tunnel) => {
            let conn = Conn::new(Stream::Tcp(socket), Buffer::default());
            carry(&core, &tunnel, conn, client, String::new()).await;
        }
    }
    core.visitors.set(core.visitors.get() - 1);
}

/// Serves HTTP; a plain connection moves to the core that has a lane for it.
async fn http(core: &Rc<Core>, conn: Conn, visitor: Visitor) {
    let client = visitor.client;
    let site = Rc::new(EdgeSite { core: core.clone(), edits: Rc::default() });
    let Ended::Elsewhere(conn, target) = http2::serve(conn, visitor, site).await else {
        return;
    };
    let read = conn.input.data().to_vec();
    if let Stream::Tcp(socket) = conn.stream
        && let Ok(socket) = socket.into_std()
    {
        hand_over(core, target, Handoff::Visitor { socket, read, client, kind: VisitorKind::Http });
    }
}

fn hand_over(core: &Core, target: usize, work: Handoff) {
    if let Some(inbox) = core.shared.inboxes.get(target) {
        let _ = inbox.send(work);
    }
}

/// Reads the server name, finds the right core, and ends TLS here or passes it through.
async fn tls(core: &Rc<Core>, mut ahead: ReadAhead, client: SocketAddr) {
    let hello = tokio::time::timeout(HANDSHAKE_TIMEOUT, client_hello(&mut ahead)).await;
    let Ok(Some(name)) = hello else { return };
    let tunnel = core.shared.registry.find(&name);
    if let Some(tunnel) = &tunnel
        && let Some(target) = tunnel.session.core_near(core.number)
        && target != core.number
    {
        let read = ahead.buffer.data().to_vec();
        if let Raw::Tcp(socket) = ahead.raw
            && let Ok(socket) = socket.into_std()
        {
            let kind = VisitorKind::Tls;
            hand_over(core, target, Handoff::Visitor { socket, read, client, kind });
        }
        return;
    }
    if let Some(tunnel) = tunnel.filter(|tunnel| tunnel.kind == TunnelKind::Tls) {
        let ReadAhead { raw, buffer } = ahead;
        if let Raw::Tcp(socket) = raw {
            carry(core, &tunnel, Conn::new(Stream::Tcp(socket), buffer), client, name).await;
        }
        return;
    }
    let acceptor = TlsAcceptor::from(core.shared.config.visitor_tls.clone());
    if let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(ahead)).await {
        let conn = Conn::new(Stream::ServerTls(Box::new(tls)), Buffer::default());
        let server_name = Some(Rc::from(name.as_str())).filter(|_| !name.is_empty());
        http(core, conn, Visitor { client, tls: true, server_name, movable: false }).await;
    }
}

/// The server name, empty when the client sends none; `None` when it does not speak TLS.
async fn client_hello(ahead: &mut ReadAhead) -> Option<String> {
    loop {
        match tls_hello::parse(ahead.buffer.data()) {
            Hello::Complete(hello) => {
                return Some(hello.server_name.unwrap_or_default().to_ascii_lowercase());
            }
            Hello::Foreign => return None,
            Hello::Partial => {}
        }
        let count = std::future::poll_fn(|cx| ahead.poll_fill(cx)).await.ok()?;
        if count == 0 {
            return None;
        }
    }
}

/// Carries a visitor's bytes to the agent as they are.
async fn carry(
    core: &Rc<Core>,
    tunnel: &Arc<Tunnel>,
    conn: Conn,
    client: SocketAddr,
    host: String,
) {
    match open(core, tunnel, client, host).await {
        Ok(stream) => drop(relay(conn, stream).await),
        Err(_) => conn.stream.abort(),
    }
}

/// Opens a stream on the least loaded lane of this core.
async fn open(
    core: &Rc<Core>,
    tunnel: &Arc<Tunnel>,
    client: SocketAddr,
    host: String,
) -> Result<Conn, Failed> {
    let head = OpenHead { tunnel: tunnel.number, client, host };
    let give_up = tokio::time::Instant::now() + RECONNECT_PATIENCE;
    loop {
        // The agent may have come back with another session: ask again by name.
        let tunnel = core.shared.registry.find(&tunnel.host);
        if let Some(tunnel) = &tunnel {
            let lanes = core.lanes.borrow();
            let keys = tunnel.session.lanes_on(core.number);
            let here = keys.iter().filter_map(|key| lanes.get(key)).filter(|lane| lane.is_open());
            if let Some(lane) = here.min_by_key(|lane| lane.load())
                && let Ok(stream) = lane.open(&head)
            {
                tunnel.count.fetch_add(1, Ordering::Relaxed);
                return Ok(Conn::new(Stream::Mux(stream), Buffer::default()));
            }
        }
        let here = tunnel.as_ref().and_then(|tunnel| tunnel.session.core_near(core.number));
        if here.is_some_and(|target| target != core.number) {
            return Err(Failed {
                status: 421,
                code: 211,
                reason: format!("{} is served on another connection", head.host),
                advice: "Connect again.".to_owned(),
            });
        }
        if tokio::time::Instant::now() >= give_up {
            return Err(offline(&head.host));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn offline(host: &str) -> Failed {
    Failed {
        status: 502,
        code: 210,
        reason: format!("the agent of {host} is offline"),
        advice: "Its computer is asleep, or box proxy is not running there.".to_owned(),
    }
}

/// Routes requests to tunnels by host name.
struct EdgeSite {
    core: Rc<Core>,
    edits: Rc<Edits>,
}

struct TunnelUpstream {
    core: Rc<Core>,
    tunnel: Arc<Tunnel>,
}

impl Upstream for TunnelUpstream {
    fn open<'a>(
        &'a self,
        visitor: &'a Visitor,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Conn, Failed>> + 'a>> {
        Box::pin(open(&self.core, &self.tunnel, visitor.client, host.to_owned()))
    }
}

impl Site for EdgeSite {
    fn route(&self, head: &RequestHead<'_>, visitor: &Visitor) -> Route {
        let json = head
            .fields
            .first(FieldName::Accept)
            .is_some_and(|accept| memchr::memmem::find(accept, b"json").is_some());
        let host = head.host.and_then(authority).map(|(host, _)| host.to_ascii_lowercase());
        let host = host.unwrap_or_default();
        if let Some(name) = &visitor.server_name
            && **name != *host
        {
            let reason = "the host is not the one of this TLS connection";
            return Route::Answer(Answer::error(421, 212, reason, "Connect again.", json));
        }
        let tunnel = self.core.shared.registry.find(&host);
        let Some(tunnel) = tunnel.filter(|tunnel| tunnel.kind == TunnelKind::Http) else {
            let advice = "Is the name right, and box proxy running?";
            let reason = format!("no tunnel at {host}");
            return Route::Answer(Answer::error(404, 200, &reason, advice, json));
        };
        if visitor.movable
            && let Some(target) = tunnel.session.core_near(self.core.number)
            && target != self.core.number
        {
            return Route::Elsewhere(target);
        }
        let upstream = Rc::new(TunnelUpstream { core: self.core.clone(), tunnel });
        Route::Forward(Forward::through(Some(upstream), self.edits.clone()))
    }

    fn finished(&self, record: &Record) {
        self.core.shared.config.events.send(Event::Request(record.clone()));
    }

    fn draining(&self) -> Option<tokio::sync::watch::Receiver<bool>> {
        Some(self.core.draining.clone())
    }

    fn wants_records(&self) -> bool {
        self.core.shared.config.log_requests
    }
}
