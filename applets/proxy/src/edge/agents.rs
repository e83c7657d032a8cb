//! Agents: the greeting, the tunnels they ask for, and the life of their lanes.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::core::{Core, Handoff, VisitorKind, accept_loop};
use super::registry::{AgentSession, LaneRef};
use super::visitors;
use crate::io::{Raw, ReadAhead, Stream};
use crate::mux::frame::Kind;
use crate::mux::{Arrival, Lane, Side};
use crate::protocol::{self, Bind, Control, Hello, Refusal, TunnelKind, Welcome};
use crate::ui::Event;

/// TLS and greeting must be over after this time.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts agents and spreads them over the cores.
pub async fn accept(core: Rc<Core>, listener: TcpListener) {
    accept_loop(listener, core.draining.clone(), |socket, _| {
        let core = core.clone();
        async move {
            let inboxes = &core.shared.inboxes;
            let target = core.shared.next_core.fetch_add(1, Ordering::Relaxed) % inboxes.len();
            if target == core.number {
                serve(core, Raw::Tcp(socket)).await;
            } else if let Ok(socket) = socket.into_std() {
                let _ = inboxes[target].send(Handoff::Agent(socket));
            }
        }
    })
    .await;
}

/// Greets an agent and serves its lane to the end.
pub async fn serve(core: Rc<Core>, raw: Raw) {
    let greeting = tokio::time::timeout(GREETING_TIMEOUT, greet(&core, raw)).await;
    let Ok(Some((io, read, session))) = greeting else { return };
    let (lane, mut arrivals, driver) = Lane::start(io, Side::Edge, read);
    let key = core.next_lane.replace(core.next_lane.get() + 1);
    let reference = LaneRef { core: core.number, key };
    core.lanes.borrow_mut().insert(key, lane.clone());
    session.add_lane(reference);
    let driver = tokio::task::spawn_local(driver);
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Control(message) => control(&core, &lane, &session, &message),
            Arrival::Stream(mut stream, _) => stream.reset(), // agents have no business opening any
            Arrival::GoAway => {}
        }
    }
    core.lanes.borrow_mut().remove(&key);
    session.remove_lane(reference);
    let why = driver.await.map(|error| error.to_string()).unwrap_or_default();
    if core.shared.config.log_requests && !session.is_online() {
        let user = session.user.clone();
        core.shared.config.events.send(Event::AgentGone { user, why });
    }
}

/// Ends the lanes of a session that live here.
pub fn end(core: &Core, session: &AgentSession) {
    for key in session.lanes_on(core.number) {
        let lane = core.lanes.borrow().get(&key).cloned();
        if let Some(lane) = lane {
            lane.go_away();
            lane.close();
        }
    }
}

async fn greet(core: &Core, raw: Raw) -> Option<(Stream, BytesMut, Arc<AgentSession>)> {
    let acceptor = TlsAcceptor::from(core.shared.config.agent_tls.clone());
    let tls = acceptor.accept(ReadAhead::new(raw)).await.ok()?;
    let mut io = Stream::ServerTls(Box::new(tls));
    let mut read = BytesMut::new();
    let (kind, payload) = protocol::read(&mut io, &mut read).await.ok()?;
    if kind != Kind::Hello {
        return None;
    }
    let hello: Hello = protocol::json(&payload).ok()?;
    let registry = &core.shared.registry;
    let entered = if hello.version < protocol::VERSION {
        Err(Refusal { code: 102, text: "this version of box is too old for the edge".to_owned() })
    } else {
        registry.enter(&hello.token, &hello.instance, hello.session.as_deref())
    };
    match entered {
        Ok(session) => {
            let welcome = Welcome {
                version: protocol::VERSION,
                session: session.ticket.clone(),
                user: session.user.clone(),
                domain: core.shared.config.domain.clone(),
            };
            protocol::write(&mut io, Kind::Welcome, &welcome).await.ok()?;
            Some((io, read, session))
        }
        Err(refusal) => {
            protocol::write(&mut io, Kind::Reject, &refusal).await.ok()?;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut io).await;
            None
        }
    }
}

fn control(core: &Rc<Core>, lane: &Lane, session: &Arc<AgentSession>, message: &[u8]) {
    let Ok(Control::Bind(bind)) = protocol::json(message) else { return };
    let tunnel = bind.tunnel;
    let reply = match bound(core, session, &bind) {
        Ok(urls) => {
            if core.shared.config.log_requests {
                let event = Event::Bound { user: session.user.clone(), urls: urls.clone() };
                core.shared.config.events.send(event);
            }
            Control::Bound { tunnel, urls }
        }
        Err(refusal) => Control::Refused { tunnel, refusal },
    };
    if let Ok(json) = serde_json::to_vec(&reply) {
        lane.control(&json);
    }
}

fn bound(
    core: &Rc<Core>,
    session: &Arc<AgentSession>,
    bind: &Bind,
) -> Result<Vec<String>, Refusal> {
    let config = &core.shared.config;
    if bind.kind == TunnelKind::Tcp {
        return bind_port(core, session, bind);
    }
    let host = match &bind.domain {
        Some(domain) => domain.to_ascii_lowercase(),
        None => format!("{}.{}", bind.name.to_ascii_lowercase(), config.domain),
    };
    core.shared.registry.bind(session, bind, &host)?;
    let port = |usual: u16, port: u16| {
        if port == usual { String::new() } else { format!(":{port}") }
    };
    let https = config.https_port.map(|p| format!("https://{host}{}", port(443, p)));
    let http = config.http_port.map(|p| format!("http://{host}{}", port(80, p)));
    let urls: Vec<String> = match bind.kind {
        TunnelKind::Tls => https.map(|url| url.replacen("https", "tls", 1)).into_iter().collect(),
        _ => https.into_iter().chain(http).collect(),
    };
    Ok(urls)
}

/// Opens a port of the edge. A listener of an earlier session of the same agent is reused: the
/// registry's entry says whose connections they are.
fn bind_port(
    core: &Rc<Core>,
    session: &Arc<AgentSession>,
    bind: &Bind,
) -> Result<Vec<String>, Refusal> {
    let config = &core.shared.config;
    let refuse = |text: String| Refusal { code: 114, text };
    let candidates: Vec<u16> = match bind.remote_port {
        0 => config.tcp_ports.clone().collect(),
        port if config.tcp_ports.contains(&port) => vec![port],
        port => {
            let (first, last) = (config.tcp_ports.start(), config.tcp_ports.end());
            return Err(refuse(format!("port {port} is outside of {first}-{last}")));
        }
    };
    let mut last = refuse("no port is free".to_owned());
    for port in candidates {
        let key = format!(":{port}");
        let held = core.shared.registry.find(&key).is_some();
        if held {
            if bind.remote_port == 0 {
                continue;
            }
            core.shared.registry.bind(session, bind, &key)?;
            return Ok(vec![format!("tcp://{}:{port}", config.domain)]);
        }
        match listen(SocketAddr::new(config.tcp_address, port)) {
            Ok(listener) => {
                core.shared.registry.bind(session, bind, &key)?;
                tokio::task::spawn_local(accept_tcp(core.clone(), listener, key));
                return Ok(vec![format!("tcp://{}:{port}", config.domain)]);
            }
            Err(error) => {
                let words = box_kit::exit::kernel_words(&error).to_lowercase();
                last = refuse(format!("port {port}: {words}"));
            }
        }
    }
    Err(last)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::from_std(crate::listen::bind(address, false)?)
}

/// Accepts for a `tcp` tunnel as long as somebody holds its port.
async fn accept_tcp(core: Rc<Core>, listener: TcpListener, key: String) {
    let accepting = accept_loop(listener, core.draining.clone(), |socket, client| {
        let core = core.clone();
        let tunnel = core.shared.registry.find(&key);
        async move {
            let Some(tunnel) = tunnel else { return };
            let kind = VisitorKind::Tcp(tunnel.clone());
            match tunnel.session.core_near(core.number) {
                Some(target) if target != core.number => {
                    if let Ok(socket) = socket.into_std() {
                        let work = Handoff::Visitor { socket, read: Vec::new(), client, kind };
                        let _ = core.shared.inboxes[target].send(work);
                    }
                }
                _ => visitors::visit(core, socket, Vec::new(), client, kind).await,
            }
        }
    });
    let held = async {
        while core.shared.registry.find(&key).is_some() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = accepting => {}
        () = held => {}
    }
}
