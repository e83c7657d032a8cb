//! `box proxy http|tcp|tls`: an agent, with an edge of its own where no server is named.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use box_kit::output::Styling;
use box_kit::{Exit, Failure, Outcome, folders};
use tokio::task::LocalSet;

use super::{LOCAL_DOMAIN, local_authority, stop_signal};
use crate::agent::{self, AgentConfig, AgentSite, Dialer, Service, TunnelSpec};
use crate::cli;
use crate::edge::{self, Edge, EdgeConfig, Listeners, Registry};
use crate::http1::{Edits, Forward, Forwarding};
use crate::listen;
use crate::names::{self, Name};
use crate::protocol::{self, TunnelKind};
use crate::target::TargetSpec;
use crate::tls::client::{self, Trust};
use crate::tls::server::{self, Certificates, Single};
use crate::tls::{ca, sha256_hex};
use crate::ui::{Event, Events, Form, Output, Ui};

/// The port that servers listen on for agents.
const AGENT_PORT: u16 = 7443;

/// `box proxy http`.
pub fn http(args: &cli::Http) -> Outcome {
    let target = TargetSpec::parse(&args.target, "http", args.upstream_tls_verify)?;
    let edits = edits(args, &target)?;
    let name = stable_name(&target);
    let ui = start_ui(&args.agent)?;
    let events = ui.events.clone();
    let tunnel = Offer {
        kind: TunnelKind::Http,
        asked: args.name.clone(),
        domain: args.domain.clone(),
        remote_port: 0,
        name: name.clone(),
        target: target.clone(),
    };
    let ports = Some((args.https_port, args.http_port));
    serve(&args.agent, ui, ports, &name, move || {
        let forward = Forward {
            target: Some(Rc::new(target.target())),
            upstream: None,
            edits: Rc::new(edits),
            capture: None,
        };
        let site = AgentSite { forward, events: events.clone() };
        tunnel.spec(Service::Http(Rc::new(site)), events)
    })
}

/// `box proxy tcp`.
pub fn tcp(args: &cli::Tcp) -> Outcome {
    let target = TargetSpec::parse(&args.target, "tcp", true)?;
    let name = stable_name(&target);
    let offer = Offer {
        kind: TunnelKind::Tcp,
        asked: None,
        domain: None,
        remote_port: args.remote_port,
        name: name.clone(),
        target,
    };
    serve_bytes(&args.agent, offer, &name)
}

/// `box proxy tls`.
pub fn tls(args: &cli::Tls) -> Outcome {
    let target = TargetSpec::parse(&args.target, "tls", true)?;
    let name = stable_name(&target);
    let offer = Offer {
        kind: TunnelKind::Tls,
        asked: args.name.clone(),
        domain: args.domain.clone(),
        remote_port: 0,
        name: name.clone(),
        target,
    };
    serve_bytes(&args.agent, offer, &name)
}

fn serve_bytes(agent: &cli::Agent, offer: Offer, name: &Name) -> Outcome {
    if agent.server.is_none() && offer.kind == TunnelKind::Tls {
        return Err(Failure::misuse("a tls tunnel needs --server"));
    }
    let ui = start_ui(agent)?;
    let events = ui.events.clone();
    serve(agent, ui, None, name, move || {
        let target = Rc::new(offer.target.target());
        offer.spec(Service::Bytes(target), events)
    })
}

/// A tunnel before its parts are made on the thread that serves it.
struct Offer {
    kind: TunnelKind,
    asked: Option<String>,
    domain: Option<String>,
    remote_port: u16,
    name: Name,
    target: TargetSpec,
}

impl Offer {
    fn spec(self, service: Service, events: Events) -> TunnelSpec {
        TunnelSpec {
            number: 1,
            kind: self.kind,
            name_is_free: self.asked.is_none(),
            name: RefCell::new(self.asked.unwrap_or(self.name.words)),
            suffix: self.name.suffix,
            renamed: Cell::new(false),
            domain: self.domain,
            remote_port: self.remote_port,
            shown_target: self.target.shown,
            service,
            urls: RefCell::default(),
            events,
        }
    }
}

fn stable_name(target: &TargetSpec) -> Name {
    let folder = std::env::current_dir().unwrap_or_default();
    names::stable(&names::user(), &folder.to_string_lossy(), &target.name)
}

fn edits(args: &cli::Http, target: &TargetSpec) -> Result<Edits, Failure> {
    let host = args.host_header.as_deref().map(|value| match value {
        "rewrite" => target.host.clone(),
        value => value.to_owned(),
    });
    Ok(Edits {
        // The edge has set X-Forwarded-*.
        forwarding: Forwarding::Keep,
        host,
        request_add: fields(&args.request_header_add)?,
        request_remove: args.request_header_remove.clone(),
        response_add: fields(&args.response_header_add)?,
        response_remove: args.response_header_remove.clone(),
    })
}

/// `Name: value`, with nothing in it that would start another field.
fn fields(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |text: &String| {
        let (name, value) = text.split_once(':')?;
        let clean = !value.bytes().any(|b| b.is_ascii_control());
        (box_wire::http1::is_token(name.as_bytes()) && clean)
            .then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let each = |text: &String| {
        parse(text).ok_or_else(|| Failure::misuse("not of the form 'Name: value'").about(text))
    };
    texts.iter().map(each).collect()
}

fn start_ui(args: &cli::Agent) -> Result<Ui, Failure> {
    let json_lines = args.log_format == "json";
    let lines = if json_lines { Form::Json } else { Form::Logfmt };
    let (form, output) = match args.log.as_deref() {
        _ if args.json => (Form::UrlsOnly, Output::Stdout),
        Some("stdout") => (lines, Output::Stdout),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            (lines, Output::File(file.map_err(Failure::os(path))?))
        }
        None if Styling::of_stdout().terminal && !json_lines => (Form::Screen, Output::Stdout),
        None => (lines, Output::Stdout),
    };
    Ui::start(form, output)
}

/// Starts the edge if there is none, then the agent, and serves until a signal.
fn serve(
    args: &cli::Agent,
    ui: Ui,
    ports: Option<(u16, u16)>,
    name: &Name,
    tunnel: impl FnOnce() -> TunnelSpec,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let events = ui.events.clone();
    let served = local.block_on(&runtime, async {
        let stopping = stop_signal()?;
        let config = match &args.server {
            None => local_config(ports, name, tunnel(), &events)?,
            Some(server) => remote_config(args, server, name, tunnel(), &events)?,
        };
        let edge = match &config.dialer {
            Dialer::Local(edge) => Some(edge.clone()),
            Dialer::Remote(..) => None,
        };
        agent::run(config, stopping).await?;
        if let Some(edge) = edge.and_then(Rc::into_inner) {
            edge.drain(Duration::from_millis(200));
        }
        Ok(Exit::DONE)
    });
    ui.end();
    served
}

fn remote_config(
    args: &cli::Agent,
    server: &str,
    name: &Name,
    tunnel: TunnelSpec,
    events: &Events,
) -> Result<AgentConfig, Failure> {
    let (host, port) = box_wire::http1::authority(server.as_bytes())
        .ok_or_else(|| Failure::misuse("not HOST or HOST:PORT").about(server))?;
    let port = port.unwrap_or(AGENT_PORT);
    let token = args.token.clone().ok_or_else(|| {
        Failure::misuse("a server needs --token")
            .advise("the owner of the server makes one: box proxy token add NAME")
    })?;
    let trust = match (&args.server_fingerprint, &args.server_ca) {
        (Some(digest), _) => Trust::Pinned(digest.to_ascii_lowercase().replace(':', "")),
        (None, Some(file)) => Trust::File(file.clone()),
        (None, None) => {
            let known = folders::config("proxy")?.join("known_servers");
            Trust::KnownServers(known, format!("{host}:{port}"))
        }
    };
    Ok(AgentConfig {
        dialer: Dialer::Remote(host.to_owned(), port),
        tls: client::config(trust, &[protocol::ALPN])?,
        token,
        instance: name.instance.clone(),
        tunnels: vec![Rc::new(tunnel)],
        lanes: usize::from(args.lanes),
        events: events.clone(),
    })
}

/// An edge in this process, reached over a socket pair with the same TLS and the same lanes as one
/// on the other side of the world.
fn local_config(
    ports: Option<(u16, u16)>,
    name: &Name,
    tunnel: TunnelSpec,
    events: &Events,
) -> Result<AgentConfig, Failure> {
    let authority = local_authority()?;
    let state = if authority_is_trusted(&authority.file) {
        "local CA, trusted".to_owned()
    } else {
        format!("local CA, not trusted yet: curl --cacert {}", authority.file.display())
    };
    let identity = Arc::new(ca::ephemeral("edge.localhost")?);
    let digest = identity.cert.first().map(|cert| sha256_hex(cert)).unwrap_or_default();
    let mut secret = [0; 32];
    box_sys::random::fill(&mut secret)?;
    let token = sha256_hex(&secret);
    let certificates = Certificates {
        authority: Some(authority),
        default_name: Some(LOCAL_DOMAIN.to_owned()),
        ..Certificates::default()
    };
    let mut listeners = Listeners::default();
    let mut open = |wanted: u16, what: &str, list: fn(&mut Listeners) -> &mut Vec<_>| {
        let listener = listen::bind_next(SocketAddr::from((Ipv4Addr::LOCALHOST, wanted)))?;
        let port = listener.local_addr()?.port();
        if port != wanted && wanted != 0 {
            events.send(Event::Notice(format!("port {wanted} is busy: {what} is on {port}")));
        }
        list(&mut listeners).push(listener);
        // Browsers try ::1 first for *.localhost; without IPv6 they come to 127.0.0.1.
        let six = listen::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)), false);
        list(&mut listeners).extend(six.ok());
        Ok::<u16, Failure>(port)
    };
    let (https_port, http_port) = match ports {
        Some((https, http)) => (
            Some(open(https, "https", |l| &mut l.https)?),
            Some(open(http, "http", |l| &mut l.http)?),
        ),
        None => (None, None),
    };
    let config = EdgeConfig {
        domain: LOCAL_DOMAIN.to_owned(),
        https_port,
        http_port,
        visitor_tls: server::config(Arc::new(certificates), &[b"http/1.1"])?,
        agent_tls: server::config(Arc::new(Single(identity)), &[protocol::ALPN])?,
        tcp_ports: 10_000..=30_000,
        tcp_address: Ipv4Addr::LOCALHOST.into(),
        events: events.clone(),
        log_requests: false,
    };
    let edge: Edge = edge::start(config, Registry::of_token(token.clone()), vec![listeners])?;
    events.send(Event::Certificate(state));
    Ok(AgentConfig {
        dialer: Dialer::Local(Rc::new(edge)),
        tls: client::config(Trust::Pinned(digest), &[protocol::ALPN])?,
        token,
        instance: name.instance.clone(),
        tunnels: vec![Rc::new(tunnel)],
        lanes: 1,
        events: events.clone(),
    })
}

/// Whether `box proxy trust` has put the authority into the system's bundle.
fn authority_is_trusted(file: &std::path::Path) -> bool {
    let installed = std::path::Path::new("/usr/local/share/ca-certificates/box-proxy.crt");
    match (std::fs::read(file), std::fs::read(installed)) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => false,
    }
}
