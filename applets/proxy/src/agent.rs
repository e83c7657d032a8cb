//! The private side: dials the edge, keeps its lanes up, and serves the streams that visitors open.
//!
//! Every lane is a loop of its own: dial, greet with the session's ticket, serve, and again with a
//! growing, random pause. The edge answers with the session it put the lane in; if that is a new
//! one (the edge was restarted), the lane that learns it asks for the tunnels anew. The agent dials
//! its configured target and nothing else: an edge cannot make it reach another address.

pub mod service;

pub use service::{AgentSite, Service, TunnelSpec};

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use box_kit::Failure;
use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;

use crate::edge::Edge;
use crate::http1::connect;
use crate::io::{Raw, ReadAhead, Stream};
use crate::mux::frame::Kind;
use crate::mux::{Arrival, Lane, Side};
use crate::protocol::{self, Bind, Control, Hello, Refusal, Welcome};
use crate::ui::{Event, Events};

/// Dialling and greeting must be over after this time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause after a lost link, at most.
const FIRST_PAUSE_MS: u64 = 100;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 10_000;

/// How the edge is reached.
pub enum Dialer {
    /// It runs in this process.
    Local(Rc<Edge>),
    /// By its name or address, and port.
    Remote(String, u16),
}

/// An agent as it is asked for.
pub struct AgentConfig {
    /// The edge.
    pub dialer: Dialer,
    /// Whom to take for the edge.
    pub tls: Arc<ClientConfig>,
    /// The right to open tunnels.
    pub token: String,
    /// The same after a restart at the same place.
    pub instance: String,
    /// What is offered.
    pub tunnels: Vec<Rc<TunnelSpec>>,
    /// Connections to the edge.
    pub lanes: usize,
    /// Where events go.
    pub events: Events,
}

struct Agent {
    config: AgentConfig,
    ticket: RefCell<Option<String>>,
    lanes: RefCell<HashMap<usize, Rc<Lane>>>,
    online_once: Cell<bool>,
    user: RefCell<String>,
    stopping: watch::Receiver<bool>,
    /// Ends the agent with a failure.
    fatal: mpsc::UnboundedSender<Failure>,
}

/// Runs until `stopping` turns true (then finishes what goes on), or until the edge refuses.
///
/// # Errors
/// The edge cannot be reached at first, or refuses the token or a tunnel.
pub async fn run(config: AgentConfig, mut stopping: watch::Receiver<bool>) -> Result<(), Failure> {
    let (fatal, mut failures) = mpsc::unbounded_channel();
    let count = config.lanes.max(1);
    let agent = Rc::new(Agent {
        config,
        ticket: RefCell::default(),
        lanes: RefCell::default(),
        online_once: Cell::new(false),
        user: RefCell::default(),
        stopping: stopping.clone(),
        fatal,
    });
    for index in 0..count {
        tokio::task::spawn_local(keep_lane(agent.clone(), index));
    }
    tokio::select! {
        failure = failures.recv() => return Err(failure.unwrap_or_else(|| Failure::new("ended"))),
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    drain(&agent).await;
    Ok(())
}

/// Takes no new streams and waits for the open ones.
async fn drain(agent: &Agent) {
    let lanes: Vec<Rc<Lane>> = agent.lanes.borrow().values().cloned().collect();
    for lane in &lanes {
        lane.go_away();
    }
    while lanes.iter().any(|lane| lane.stream_count() > 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for lane in &lanes {
        lane.close();
    }
    while !agent.lanes.borrow().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Keeps lane `index` up.
async fn keep_lane(agent: Rc<Agent>, index: usize) {
    let mut attempt = 0u32;
    loop {
        // Further lanes join a session: the first one makes it.
        while index > 0 && agent.ticket.borrow().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let started = Instant::now();
        let why = match lane(&agent, index).await {
            Ended::Lost(why) => why,
            Ended::Refused(refusal) if agent.online_once.get() && refusal.code != 101 => {
                refusal.text
            }
            Ended::Refused(refusal) => {
                let text = format!("{} (ERR_BOX_{})", refusal.text, refusal.code);
                let _ = agent.fatal.send(Failure::new(text));
                return;
            }
            Ended::Unreachable(failure) if !agent.online_once.get() => {
                let _ = agent.fatal.send(failure);
                return;
            }
            Ended::Unreachable(failure) => failure.to_string(),
        };
        if *agent.stopping.borrow() {
            return;
        }
        if started.elapsed() > Duration::from_secs(30) {
            attempt = 0;
        }
        attempt += 1;
        let delay = pause(attempt);
        if agent.lanes.borrow().is_empty() && index == 0 {
            agent.config.events.send(Event::Reconnecting { attempt, delay, why });
        }
        tokio::time::sleep(delay).await;
    }
}

/// A random pause below a bound that doubles: agents of a restarted edge do not come all at once.
fn pause(attempt: u32) -> Duration {
    let bound = (FIRST_PAUSE_MS << attempt.min(10).saturating_sub(1)).min(LONGEST_PAUSE_MS);
    let mut bytes = [0; 8];
    let _ = box_sys::random::fill(&mut bytes);
    Duration::from_millis(u64::from_ne_bytes(bytes) % bound + 1)
}

enum Ended {
    Lost(String),
    Refused(Refusal),
    Unreachable(Failure),
}

/// One life of a lane.
async fn lane(agent: &Rc<Agent>, index: usize) -> Ended {
    let (io, read, welcome) = match tokio::time::timeout(DIAL_TIMEOUT, greet(agent)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(ended)) => return ended,
        Err(_) => return Ended::Unreachable(Failure::new("no answer from the edge")),
    };
    agent.user.replace(welcome.user.clone());
    let known = agent.ticket.borrow().as_deref() == Some(&welcome.session);
    let (lane, mut arrivals, driver) = Lane::start(io, Side::Agent, read);
    let driver = tokio::task::spawn_local(driver);
    agent.lanes.borrow_mut().insert(index, lane.clone());
    let mut waiting = 0;
    if known {
        announce(agent, &lane);
    } else {
        agent.ticket.replace(Some(welcome.session));
        for tunnel in &agent.config.tunnels {
            ask(&lane, tunnel, tunnel.name.borrow().clone());
            waiting += 1;
        }
    }
    let refused = loop {
        let arrival = tokio::select! {
            arrival = arrivals.recv() => arrival,
            () = tokio::time::sleep(DIAL_TIMEOUT), if waiting > 0 => None,
        };
        match arrival {
            None => break None,
            Some(Arrival::Stream(stream, head)) => {
                let tunnels = &agent.config.tunnels;
                match tunnels.iter().find(|tunnel| tunnel.number == head.tunnel) {
                    Some(tunnel) => {
                        let served = service::serve(tunnel.clone(), stream, head);
                        tokio::task::spawn_local(served);
                    }
                    None => drop(stream),
                }
            }
            Some(Arrival::Control(message)) => match control(agent, &lane, &message) {
                Ok(true) => {
                    waiting -= 1;
                    if waiting == 0 {
                        agent.online_once.set(true);
                        announce(agent, &lane);
                    }
                }
                Ok(false) => {}
                Err(refusal) => break Some(refusal),
            },
            // The edge drains: the lane ends by itself when its streams have.
            Some(Arrival::GoAway) => {}
        }
    };
    agent.lanes.borrow_mut().remove(&index);
    lane.close();
    if let Some(refusal) = refused {
        agent.ticket.replace(None);
        return Ended::Refused(refusal);
    }
    let why = driver.await.map(|error| error.to_string()).unwrap_or_default();
    Ended::Lost(why)
}

fn announce(agent: &Rc<Agent>, lane: &Rc<Lane>) {
    let (agent, lane) = (agent.clone(), lane.clone());
    tokio::task::spawn_local(async move {
        // The first PING is under way: its answer is worth a moment.
        for _ in 0..50 {
            if !lane.rtt().is_zero() || matches!(agent.config.dialer, Dialer::Local(_)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let server = match &agent.config.dialer {
            Dialer::Local(_) => None,
            Dialer::Remote(host, _) => Some(host.clone()),
        };
        let (rtt, lanes) = (lane.rtt(), agent.lanes.borrow().len());
        let user = agent.user.borrow().clone();
        agent.config.events.send(Event::Online { server, user, rtt, lanes });
    });
}

fn ask(lane: &Lane, tunnel: &TunnelSpec, name: String) {
    let bind = Control::Bind(Bind {
        tunnel: tunnel.number,
        kind: tunnel.kind,
        name,
        domain: tunnel.domain.clone(),
        remote_port: tunnel.remote_port,
    });
    if let Ok(json) = serde_json::to_vec(&bind) {
        lane.control(&json);
    }
}

/// True when a tunnel stands.
fn control(agent: &Agent, lane: &Lane, message: &[u8]) -> Result<bool, Refusal> {
    let find = |number: u32| agent.config.tunnels.iter().find(|t| t.number == number);
    match protocol::json(message) {
        Ok(Control::Bound { tunnel, urls }) => {
            let Some(spec) = find(tunnel) else { return Ok(false) };
            spec.urls.replace(urls.clone());
            agent.config.events.send(Event::Forwarding {
                name: spec.name.borrow().clone(),
                urls,
                target: spec.shown_target.clone(),
            });
            Ok(true)
        }
        Ok(Control::Refused { tunnel, refusal }) => {
            let Some(spec) = find(tunnel) else { return Ok(false) };
            // A name that we made up and somebody else has: another one does as well.
            if spec.name_is_free && matches!(refusal.code, 110 | 111) && !spec.renamed.replace(true)
            {
                let name = format!("{}-{}", spec.name.borrow(), spec.suffix);
                spec.name.replace(name.clone());
                ask(lane, spec, name);
                return Ok(false);
            }
            Err(refusal)
        }
        _ => Ok(false),
    }
}

/// Dials, ends the TLS handshake and exchanges the first words.
async fn greet(agent: &Agent) -> Result<(Stream, BytesMut, Welcome), Ended> {
    let config = &agent.config;
    let (raw, shown, name) = match &config.dialer {
        Dialer::Local(edge) => {
            let socket = edge.connect().and_then(tokio::net::UnixStream::from_std);
            let socket = socket.map_err(|e| Ended::Unreachable(e.into()))?;
            (Raw::Unix(socket), "local edge".to_owned(), "edge.localhost".to_owned())
        }
        Dialer::Remote(host, port) => {
            let shown = format!("{host}:{port}");
            let socket = connect(host, *port).await;
            let socket = socket.map_err(|e| Ended::Unreachable(Failure::os(&shown)(e)))?;
            (Raw::Tcp(socket), shown, host.clone())
        }
    };
    let unreachable = |error: std::io::Error| {
        Ended::Unreachable(Failure::new(box_kit::exit::kernel_words(&error)).about(&shown))
    };
    let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
        .map_err(|error| Ended::Unreachable(Failure::new(error).about(&shown)))?;
    let connector = TlsConnector::from(config.tls.clone());
    let tls = connector.connect(name, ReadAhead::new(raw)).await.map_err(unreachable)?;
    let mut io = Stream::ClientTls(Box::new(tls));
    let hello = Hello {
        version: protocol::VERSION,
        token: config.token.clone(),
        instance: config.instance.clone(),
        session: agent.ticket.borrow().clone(),
    };
    protocol::write(&mut io, Kind::Hello, &hello).await.map_err(unreachable)?;
    let mut read = BytesMut::new();
    let (kind, payload) = protocol::read(&mut io, &mut read).await.map_err(unreachable)?;
    match kind {
        Kind::Welcome => {
            let welcome = protocol::json(&payload).map_err(unreachable)?;
            Ok((io, read, welcome))
        }
        Kind::Reject => Err(Ended::Refused(protocol::json(&payload).map_err(unreachable)?)),
        _ => Err(Ended::Unreachable(Failure::new("not an edge of box proxy").about(&shown))),
    }
}
