//! `box proxy run`: a reverse proxy, one thread a core, each with its own listeners and upstream
//! connections.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome};
use box_wire::http1::RequestHead;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::server::address;
use super::{stop_signal, thread_count};
use crate::cli;
use crate::edge::accept_loop;
use crate::http1::{Edits, Forward, Forwarding, Record, Route, Site, Visitor};
use crate::http2;
use crate::io::{Buffer, Conn, Stream};
use crate::listen;
use crate::target::TargetSpec;
use crate::ui::{Event, Events, Form, Output, Ui};

/// What all threads share.
struct Plan {
    target: TargetSpec,
    edits: Edits,
    events: Events,
    access_log: bool,
}

/// Serves until a signal, then drains.
pub fn run(args: &cli::Run) -> Outcome {
    let threads = thread_count(args.threads);
    let mut listeners: Vec<Vec<std::net::TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    let ui = Ui::start(Form::Logfmt, Output::Stdout)?;
    for text in &args.listen {
        let sockets = listen::bind_each(address(text)?, threads)?;
        if let Some(bound) = sockets.first() {
            let address = bound.local_addr()?.to_string();
            ui.events.send(Event::Listening { what: "http", address });
        }
        listeners.iter_mut().zip(sockets).for_each(|(core, socket)| core.push(socket));
    }
    let forwarding = if args.trust_forwarded { Forwarding::Append } else { Forwarding::Replace };
    let plan = Arc::new(Plan {
        target: TargetSpec::parse(&args.to, args.upstream.manner("http"))?,
        edits: Edits { forwarding, ..Edits::default() },
        events: ui.events.clone(),
        access_log: args.access_log,
    });
    let (drain, draining) = watch::channel(false);
    let mut workers = Vec::new();
    for (number, listeners) in listeners.into_iter().enumerate() {
        workers.push(start(number, listeners, plan.clone(), draining.clone())?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut stopping = stop_signal()?;
        let _ = stopping.wait_for(|stop| *stop).await;
        let _ = drain.send(true);
        let end = Instant::now() + Duration::from_secs(args.drain);
        while workers.iter().any(|worker| !worker.is_finished()) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), Failure>(())
    })?;
    ui.end();
    Ok(Exit::DONE)
}

fn start(
    number: usize,
    listeners: Vec<std::net::TcpListener>,
    plan: Arc<Plan>,
    draining: watch::Receiver<bool>,
) -> Result<std::thread::JoinHandle<()>, Failure> {
    let (ready, is_ready) = mpsc::channel::<Result<(), Failure>>();
    let body = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        LocalSet::new().block_on(&runtime, async move {
            let served = worker(listeners, &plan, draining, &ready).await;
            if let Err(failure) = served {
                let _ = ready.send(Err(failure));
            }
        });
    };
    let thread = std::thread::Builder::new().name(format!("proxy-{number}")).spawn(body)?;
    is_ready.recv().unwrap_or_else(|_| Err(Failure::new("a thread did not start")))?;
    Ok(thread)
}

/// One core.
async fn worker(
    listeners: Vec<std::net::TcpListener>,
    plan: &Arc<Plan>,
    draining: watch::Receiver<bool>,
    ready: &mpsc::Sender<Result<(), Failure>>,
) -> Result<(), Failure> {
    let forward = Forward {
        target: Some(Rc::new(plan.target.target())),
        upstream: None,
        edits: Rc::new(plan.edits.clone()),
        capture: None,
    };
    let site = Rc::new(RunSite { forward, plan: plan.clone(), draining: draining.clone() });
    let open = Rc::new(Cell::new(0usize));
    let mut accepting = Vec::new();
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (site, open) = (site.clone(), open.clone());
        let accept = accept_loop(listener, draining.clone(), move |socket, client| {
            let (site, open) = (site.clone(), open.clone());
            async move {
                open.set(open.get() + 1);
                let conn = Conn::new(Stream::Tcp(socket), Buffer::default());
                let visitor = Visitor { client, tls: false, server_name: None, movable: false };
                http2::serve(conn, visitor, site).await;
                open.set(open.get() - 1);
            }
        });
        accepting.push(tokio::task::spawn_local(accept));
    }
    let _ = ready.send(Ok(()));
    for accept in accepting {
        let _ = accept.await;
    }
    while open.get() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Everything goes to one target.
struct RunSite {
    forward: Forward,
    plan: Arc<Plan>,
    draining: watch::Receiver<bool>,
}

impl Site for RunSite {
    fn route(&self, _: &RequestHead<'_>, _: &Visitor) -> Route {
        Route::Forward(self.forward.clone())
    }

    fn finished(&self, record: &Record) {
        self.plan.events.send(Event::Request(record.clone()));
    }

    fn draining(&self) -> Option<watch::Receiver<bool>> {
        Some(self.draining.clone())
    }

    fn wants_records(&self) -> bool {
        self.plan.access_log
    }
}
