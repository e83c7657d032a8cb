//! `box proxy server`.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use box_kit::{Exit, Failure, Outcome};
use tokio::task::LocalSet;

use super::{data_folder, stop_signal, thread_count};
use crate::cli;
use crate::edge::{self, EdgeConfig, Listeners, Registry, Store};
use crate::http2;
use crate::listen::{self, address};
use crate::protocol;
use crate::tls::ca::{self, Authority};
use crate::tls::server::{self, Certificates, FileCertificate, Single};
use crate::tls::sha256_hex;
use crate::ui::{Event, Form, Output, Ui};

/// Runs an edge until a signal, then drains it.
pub fn server(args: &cli::Server) -> Outcome {
    let folder = data_folder(args.data.clone())?;
    let store = Store::open(&folder)?;
    let domain = args.domain.trim_matches('.').to_ascii_lowercase();
    let threads = thread_count(args.threads);
    let identity = Arc::new(ca::identity(&folder, &domain)?);
    let digest = identity.cert.first().map(|cert| sha256_hex(cert)).unwrap_or_default();

    let mut listeners: Vec<Listeners> = (0..threads).map(|_| Listeners::default()).collect();
    let mut told = Vec::new();
    let mut open = |texts: &[String], what, list: fn(&mut Listeners) -> &mut Vec<_>| {
        let mut first = None;
        for text in texts.iter().filter(|text| *text != "off") {
            let sockets = listen::bind_each(address(text)?, threads)?;
            let bound = sockets.first().map(|socket| socket.local_addr()).transpose()?;
            first = first.or(bound.map(|address| address.port()));
            told.extend(bound.map(|address| (what, address)));
            for (core, socket) in listeners.iter_mut().zip(sockets) {
                list(core).push(socket);
            }
        }
        Ok::<Option<u16>, Failure>(first)
    };
    let http_port = open(&args.listen_http, "http", |l| &mut l.http)?;
    let https_port = open(&args.listen_https, "https", |l| &mut l.https)?;
    open(&args.listen_agent, "agents", |l| &mut l.agents)?;

    let form = if args.log_format == "json" { Form::Json } else { Form::Logfmt };
    let ui = Ui::start(form, Output::Stdout)?;
    let config = EdgeConfig {
        visitor_tls: server::config(
            Arc::new(certificates(args, &folder, &domain)?),
            &[http2::ALPN, b"http/1.1"],
        )?,
        agent_tls: server::config(Arc::new(Single(identity)), &[protocol::ALPN])?,
        domain,
        https_port,
        http_port,
        tcp_ports: ports(&args.tcp_ports)?,
        tcp_address: tcp_address(&args.listen_agent),
        events: ui.events.clone(),
        log_requests: true,
    };
    let edge = edge::start(config, Registry::of_store(store), listeners)?;
    for (what, address) in told {
        ui.events.send(Event::Listening { what, address: address.to_string() });
    }
    ui.events.send(Event::Notice(format!("agents see the certificate {digest}")));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut stopping = stop_signal()?;
        let _ = stopping.wait_for(|stop| *stop).await;
        let patience = Duration::from_secs(args.drain);
        // Waiting here would keep the second signal from being heard.
        let drained = tokio::task::spawn_blocking(move || edge.drain(patience));
        drained.await.map_err(Failure::new)
    })?;
    ui.end();
    Ok(Exit::DONE)
}

fn certificates(
    args: &cli::Server,
    folder: &std::path::Path,
    domain: &str,
) -> Result<Certificates, Failure> {
    let default_name = Some(domain.to_owned());
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let names = vec![domain.to_owned(), format!("*.{domain}")];
        let files = vec![(names, FileCertificate::open(cert.clone(), key.clone())?)];
        return Ok(Certificates { files, authority: None, default_name });
    }
    let authority = Arc::new(Authority::open(&folder.join("ca"), domain)?);
    Ok(Certificates { files: Vec::new(), authority: Some(authority), default_name })
}

/// Ports of tunnels are opened where agents are listened for.
fn tcp_address(agents: &[String]) -> IpAddr {
    let first = agents.iter().find_map(|text| address(text).ok());
    first.map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip())
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, Failure> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| Failure::misuse("not a range of ports").about(text))
}
