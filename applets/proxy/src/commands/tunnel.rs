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

use super::{LOCAL_DOMAIN, local_authority, stop_signal, trust};
use crate::agent::{self, AgentConfig, AgentSite, Dialer, Service, TunnelSpec};
use crate::cli;
use crate::edge::{self, Edge, EdgeConfig, Listeners, Registry};
use crate::files::{Folder, FolderUpstream};
use crate::http1::{Edits, Forward, Forwarding};
use crate::http2;
use crate::inspect::{Inspector, InspectorSite, Store};
use crate::listen;
use crate::names::{self, Name};
use crate::policy::{self, Policy, Rules, Webhook};
use crate::protocol::{self, TunnelKind};
use crate::target::{Manner, TargetSpec};
use crate::tls::client::{self, Trust};
use crate::tls::server::{self, Certificates, Single};
use crate::tls::{ca, sha256_hex};
use crate::ui::{Event, Events, Form, Output, Ui};

/// The port that servers listen on for agents.
const AGENT_PORT: u16 = 7443;

/// `box proxy http`.
pub fn http(args: &cli::Http) -> Outcome {
    let target = TargetSpec::parse(&args.target, args.upstream.manner("http"))?;
    let host = target.host.clone();
    let name = stable_name(&target.name);
    let shown = target.shown.clone();
    serve_requests(&args.site, &host, name, shown, move |edits| {
        Forward::to(Rc::new(target.target()), edits)
    })
}

/// `box proxy file`.
pub fn file(args: &cli::Files) -> Outcome {
    let folder = Folder::open(&args.folder, args.browse)?;
    let shown = args.folder.display().to_string();
    let name = stable_name(&shown);
    serve_requests(&args.site, "localhost", name, shown, move |edits| {
        Forward::through(Some(Rc::new(FolderUpstream(Rc::new(folder)))), edits)
    })
}

fn serve_requests(
    args: &cli::Site,
    host: &str,
    name: Name,
    shown_target: String,
    forward: impl FnOnce(Rc<Edits>) -> Forward,
) -> Outcome {
    let edits = edits(args, host)?;
    let rate = args.rate_limit.as_deref();
    let mut rules = Rules::parse(&args.basic_auth, &args.cidr_allow, &args.cidr_deny, rate)?;
    let signed = args.verify_webhook.as_deref().zip(args.verify_webhook_secret.as_deref());
    rules.webhook = signed.and_then(|(provider, secret)| Webhook::new(provider, secret));
    let ui = start_ui(&args.agent)?;
    let events = ui.events.clone();
    let offer = Offer {
        kind: TunnelKind::Http,
        asked: args.name.clone(),
        domain: args.domain.clone(),
        remote_port: 0,
        name: name.clone(),
        shown_target,
    };
    let inspect = args.inspect;
    let ports = Some((args.https_port, args.http_port));
    serve(&args.agent, ui, ports, &name, move || {
        let forward = forward(Rc::new(edits));
        let store = inspect.then(Rc::default);
        let policy = Policy::new(rules);
        let site = AgentSite { forward, policy, store: store.clone(), events: events.clone() };
        (offer.spec(Service::Http(Rc::new(site)), events), store)
    })
}

/// `box proxy tcp`.
pub fn tcp(args: &cli::Tcp) -> Outcome {
    let target = TargetSpec::parse(&args.target, bytes("tcp"))?;
    let name = stable_name(&target.name);
    let offer = Offer {
        kind: TunnelKind::Tcp,
        asked: None,
        domain: None,
        remote_port: args.remote_port,
        name: name.clone(),
        shown_target: target.shown.clone(),
    };
    serve_bytes(&args.agent, offer, target, &name)
}

/// `box proxy tls`.
pub fn tls(args: &cli::Tls) -> Outcome {
    let target = TargetSpec::parse(&args.target, bytes("tls"))?;
    let name = stable_name(&target.name);
    let offer = Offer {
        kind: TunnelKind::Tls,
        asked: args.name.clone(),
        domain: args.domain.clone(),
        remote_port: 0,
        name: name.clone(),
        shown_target: target.shown.clone(),
    };
    serve_bytes(&args.agent, offer, target, &name)
}

/// A service whose bytes are carried as they are.
fn bytes(scheme: &'static str) -> Manner {
    Manner { scheme, verify: true, http2: false, proxy_protocol: None }
}

fn serve_bytes(agent: &cli::Agent, offer: Offer, target: TargetSpec, name: &Name) -> Outcome {
    if agent.server.is_none() && offer.kind == TunnelKind::Tls {
        return Err(Failure::misuse("a tls tunnel needs --server"));
    }
    let ui = start_ui(agent)?;
    let events = ui.events.clone();
    serve(agent, ui, None, name, move || {
        let target = Rc::new(target.target());
        (offer.spec(Service::Bytes(target), events), None)
    })
}

/// A tunnel before its parts are made on the thread that serves it.
struct Offer {
    kind: TunnelKind,
    asked: Option<String>,
    domain: Option<String>,
    remote_port: u16,
    name: Name,
    shown_target: String,
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
            shown_target: self.shown_target,
            service,
            urls: RefCell::default(),
            events,
        }
    }
}

fn stable_name(target: &str) -> Name {
    let folder = std::env::current_dir().unwrap_or_default();
    names::stable(&names::user(), &folder.to_string_lossy(), target)
}

fn edits(args: &cli::Site, own_host: &str) -> Result<Edits, Failure> {
    let host = args.host_header.as_deref().map(|value| match value {
        "rewrite" => own_host.to_owned(),
        value => value.to_owned(),
    });
    Ok(Edits {
        // The edge has set X-Forwarded-*.
        forwarding: Forwarding::Keep,
        host,
        request_add: policy::fields(&args.request_header_add)?,
        request_remove: args.request_header_remove.clone(),
        response_add: policy::fields(&args.response_header_add)?,
        response_remove: args.response_header_remove.clone(),
    })
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
    tunnel: impl FnOnce() -> (TunnelSpec, Option<Rc<RefCell<Store>>>),
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let events = ui.events.clone();
    let served = local.block_on(&runtime, async {
        let stopping = stop_signal()?;
        let (tunnel, store) = tunnel();
        let config = match &args.server {
            None => local_config(ports, name, tunnel, &events)?,
            Some(server) => remote_config(args, server, name, tunnel, &events)?,
        };
        if let Some(store) = store {
            inspect(args.inspector_port, store, config.tunnels.clone(), &events)?;
        }
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

/// Starts the inspector on loopback, on the next port where its own is busy.
fn inspect(
    port: u16,
    store: Rc<RefCell<Store>>,
    tunnels: Vec<Rc<TunnelSpec>>,
    events: &Events,
) -> Result<(), Failure> {
    let listener = listen::bind_next(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    events.send(Event::Inspector(format!("http://{}", listener.local_addr()?)));
    let site = InspectorSite(Rc::new(Inspector { store, tunnels }));
    tokio::task::spawn_local(site.run(listener));
    Ok(())
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
    let state = if trust::is_trusted(&authority.file) {
        "local CA, trusted".to_owned()
    } else {
        format!(
            "local CA, not trusted yet: box proxy trust, or curl --cacert {}",
            authority.file.display()
        )
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
        visitor_tls: server::config(Arc::new(certificates), &[http2::ALPN, b"http/1.1"])?,
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
