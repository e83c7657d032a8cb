//! Which tunnel stands behind a name, and which lanes lead to it. Shared by all cores.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use super::store::{Claim, Store};
use crate::protocol::{Bind, Refusal, TunnelKind};

/// Names of a session without lanes are kept this long for the agent that had them.
const HOLD: Duration = Duration::from_secs(60);
/// Tunnels of one session.
const MAX_TUNNELS: usize = 64;

/// A lane, by the core it lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRef {
    /// The core.
    pub core: usize,
    /// Its number there.
    pub key: u64,
}

/// An agent, over all its lanes.
#[derive(Debug)]
pub struct AgentSession {
    /// Secret name, for further lanes.
    pub ticket: String,
    /// The user of its token.
    pub user: String,
    /// The digest of its token.
    pub digest: String,
    /// Where the agent was started.
    pub instance: String,
    /// Its token was revoked, or another session took its place.
    pub over: AtomicBool,
    lanes: Mutex<Vec<LaneRef>>,
    lost_at: Mutex<Option<Instant>>,
}

impl AgentSession {
    /// Its lanes on `core`.
    pub fn lanes_on(&self, core: usize) -> Vec<u64> {
        let lanes = self.lanes.lock().map(|lanes| lanes.clone()).unwrap_or_default();
        lanes.iter().filter(|lane| lane.core == core).map(|lane| lane.key).collect()
    }

    /// Any core with one of its lanes, `home` first.
    pub fn core_near(&self, home: usize) -> Option<usize> {
        let lanes = self.lanes.lock().ok()?;
        let here = lanes.iter().find(|lane| lane.core == home);
        here.or(lanes.first()).map(|lane| lane.core)
    }

    /// Whether any lane stands.
    pub fn is_online(&self) -> bool {
        self.lanes.lock().is_ok_and(|lanes| !lanes.is_empty())
    }

    /// A lane stands.
    pub fn add_lane(&self, lane: LaneRef) {
        if let (Ok(mut lanes), Ok(mut lost)) = (self.lanes.lock(), self.lost_at.lock()) {
            lanes.push(lane);
            *lost = None;
        }
    }

    /// A lane is gone.
    pub fn remove_lane(&self, lane: LaneRef) {
        if let (Ok(mut lanes), Ok(mut lost)) = (self.lanes.lock(), self.lost_at.lock()) {
            lanes.retain(|other| *other != lane);
            if lanes.is_empty() {
                *lost = Some(Instant::now());
            }
        }
    }

    fn is_expired(&self) -> bool {
        self.over.load(Ordering::Relaxed)
            || self.lost_at.lock().is_ok_and(|lost| lost.is_some_and(|at| at.elapsed() > HOLD))
    }
}

/// A name with an agent behind it.
#[derive(Debug)]
pub struct Tunnel {
    /// The agent's number for it.
    pub number: u32,
    /// Its kind.
    pub kind: TunnelKind,
    /// Host name, or `:port`.
    pub host: String,
    /// The agent.
    pub session: Arc<AgentSession>,
    /// Connections or requests so far.
    pub count: AtomicU64,
}

#[derive(Debug, Default)]
struct Tables {
    hosts: HashMap<String, Arc<Tunnel>>,
    sessions: HashMap<String, Arc<AgentSession>>,
}

/// Names and sessions.
#[derive(Debug, Default)]
pub struct Registry {
    tables: RwLock<Tables>,
    store: Option<Store>,
    /// The one token of an embedded edge.
    own_token: Option<String>,
}

impl Registry {
    /// Of a server.
    pub fn of_store(store: Store) -> Registry {
        Registry { store: Some(store), ..Registry::default() }
    }

    /// Of an embedded edge, for one agent.
    pub fn of_token(token: String) -> Registry {
        Registry { own_token: Some(token), ..Registry::default() }
    }

    /// The tunnel behind a host name.
    pub fn find(&self, host: &str) -> Option<Arc<Tunnel>> {
        let tables = self.tables.read().ok()?;
        tables.hosts.get(host).filter(|tunnel| !tunnel.session.is_expired()).cloned()
    }

    /// All tunnels.
    pub fn tunnels(&self) -> Vec<Arc<Tunnel>> {
        self.tables.read().map(|t| t.hosts.values().cloned().collect()).unwrap_or_default()
    }

    /// A session for a token, new or joined.
    ///
    /// # Errors
    /// The token is not known.
    pub fn enter(
        &self,
        token: &str,
        instance: &str,
        ticket: Option<&str>,
    ) -> Result<Arc<AgentSession>, Refusal> {
        let unknown =
            || Refusal { code: 101, text: "authentication failed: unknown token".to_owned() };
        let (user, digest) = match (&self.store, &self.own_token) {
            (Some(store), _) => {
                store.user_of(token).map(|entry| (entry.user, entry.digest)).ok_or_else(unknown)?
            }
            (None, Some(own)) if own == token => ("you".to_owned(), String::new()),
            _ => return Err(unknown()),
        };
        let failed = |text: &str| Refusal { code: 100, text: text.to_owned() };
        let mut tables = self.tables.write().map_err(|_| failed("the registry is broken"))?;
        if let Some(session) = ticket.and_then(|ticket| tables.sessions.get(ticket))
            && session.digest == digest
            && !session.is_expired()
        {
            return Ok(session.clone());
        }
        let mut bytes = [0; 16];
        box_sys::random::fill(&mut bytes).map_err(|error| failed(&error.to_string()))?;
        let ticket: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let session = Arc::new(AgentSession {
            ticket: ticket.clone(),
            user,
            digest,
            instance: instance.to_owned(),
            over: AtomicBool::new(false),
            lanes: Mutex::new(Vec::new()),
            lost_at: Mutex::new(Some(Instant::now())),
        });
        tables.sessions.insert(ticket, session.clone());
        Ok(session)
    }

    /// Gives a name to a session.
    ///
    /// # Errors
    /// It is malformed, reserved, somebody else's, or in use.
    pub fn bind(
        &self,
        session: &Arc<AgentSession>,
        bind: &Bind,
        host: &str,
    ) -> Result<Arc<Tunnel>, Refusal> {
        let refuse = |code, text: String| Err(Refusal { code, text });
        if bind.kind != TunnelKind::Tcp && !is_host(host) {
            return refuse(112, format!("name \"{}\" is not a host name", bind.name));
        }
        let claimed = if bind.domain.is_some() { host } else { &bind.name };
        if let (Some(store), true) = (&self.store, bind.kind != TunnelKind::Tcp) {
            match store.claim(claimed, &session.user) {
                Ok(()) => {}
                Err(Claim::Taken) => {
                    return refuse(110, format!("name \"{claimed}\" belongs to another token"));
                }
                Err(Claim::Reserved) => {
                    return refuse(113, format!("name \"{claimed}\" is reserved"));
                }
                Err(Claim::Failed(failure)) => return refuse(100, failure.to_string()),
            }
        }
        let Ok(mut tables) = self.tables.write() else {
            return refuse(100, "the registry is broken".to_owned());
        };
        if let Some(old) = tables.hosts.get(host)
            && !Arc::ptr_eq(&old.session, session)
            && !old.session.is_expired()
        {
            let same_user = old.session.user == session.user;
            let same_place = same_user && old.session.instance == session.instance;
            if !same_place && (old.session.is_online() || !same_user) {
                return refuse(111, format!("name \"{claimed}\" is in use by another agent"));
            }
        }
        let held = tables.hosts.values().filter(|t| Arc::ptr_eq(&t.session, session)).count();
        if held >= MAX_TUNNELS {
            return refuse(120, format!("more than {MAX_TUNNELS} tunnels"));
        }
        let tunnel = Arc::new(Tunnel {
            number: bind.tunnel,
            kind: bind.kind,
            host: host.to_owned(),
            session: session.clone(),
            count: AtomicU64::new(0),
        });
        tables.hosts.insert(host.to_owned(), tunnel.clone());
        Ok(tunnel)
    }

    /// Forgets sessions that are gone for good; returns those whose token was revoked just now.
    pub fn sweep(&self) -> Vec<Arc<AgentSession>> {
        let Ok(mut tables) = self.tables.write() else { return Vec::new() };
        let mut revoked = Vec::new();
        if let Some(tokens) = self.store.as_ref().and_then(|store| store.tokens().ok()) {
            for session in tables.sessions.values() {
                let known = tokens.iter().any(|token| token.digest == session.digest);
                if !known && !session.over.swap(true, Ordering::Relaxed) {
                    revoked.push(session.clone());
                }
            }
        }
        tables.sessions.retain(|_, session| !session.is_expired() || session.is_online());
        tables.hosts.retain(|_, tunnel| !tunnel.session.is_expired());
        revoked
    }
}

/// Labels of letters, digits and inner hyphens (RFC 1123 section 2.1).
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(label)
}
