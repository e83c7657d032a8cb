//! What a tunnel offers, and how a stream of it is served.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use box_wire::http1::RequestHead;

use crate::http1::{Forward, Record, Role, Route, Site, Target, Visitor, serve as serve_http};
use crate::inspect::{Recorder, Store};
use crate::io::{Buffer, Conn, Stream, relay};
use crate::mux::MuxStream;
use crate::mux::frame::OpenHead;
use crate::policy::Policy;
use crate::protocol::TunnelKind;
use crate::ui::{Event, Events};

/// What is behind a tunnel.
pub enum Service {
    /// Requests go through the HTTP engine.
    Http(Rc<dyn Site>),
    /// Bytes go to a target as they are.
    Bytes(Rc<Target>),
}

/// A tunnel as the agent offers it.
pub struct TunnelSpec {
    /// The agent's number for it.
    pub number: u32,
    /// Its kind.
    pub kind: TunnelKind,
    /// The name asked for.
    pub name: RefCell<String>,
    /// We made the name up: another will do.
    pub name_is_free: bool,
    /// What is put behind the name then.
    pub suffix: String,
    /// It has been.
    pub renamed: Cell<bool>,
    /// A whole host name of the user's own.
    pub domain: Option<String>,
    /// The port of a `tcp` tunnel.
    pub remote_port: u16,
    /// `http://localhost:3000`, for people.
    pub shown_target: String,
    /// What is behind it.
    pub service: Service,
    /// Where it is reached, once it stands.
    pub urls: RefCell<Vec<String>>,
    /// Where events go.
    pub events: Events,
}

/// Serves one stream.
pub async fn serve(tunnel: Rc<TunnelSpec>, stream: MuxStream, head: OpenHead) {
    let conn = Conn::new(Stream::Mux(stream), Buffer::default());
    match &tunnel.service {
        Service::Http(site) => {
            let visitor =
                Visitor { client: head.client, tls: false, server_name: None, movable: false };
            serve_http(conn, visitor, site.clone(), Role::Stream).await;
        }
        Service::Bytes(target) => bytes(&tunnel, target, conn, head).await,
    }
}

async fn bytes(tunnel: &TunnelSpec, target: &Target, conn: Conn, head: OpenHead) {
    let (carried, error) = match target.dial(head.client).await {
        Ok(upstream) => {
            let (carried, result) = relay(conn, upstream).await;
            (carried, result.err().map(|error| error.to_string()))
        }
        Err(failed) => {
            conn.stream.abort();
            (Default::default(), Some(failed.reason))
        }
    };
    tunnel.events.send(Event::Connection {
        client: head.client,
        received: carried.forth,
        sent: carried.back,
        error,
    });
}

/// The site of an `http` tunnel: everything goes to one target.
pub struct AgentSite {
    /// Where requests go.
    pub forward: Forward,
    /// What is asked of them.
    pub policy: Policy,
    /// Where they are recorded.
    pub store: Option<Rc<RefCell<Store>>>,
    /// Where events go.
    pub events: Events,
}

impl Site for AgentSite {
    fn route(&self, head: &RequestHead<'_>, visitor: &Visitor) -> Route {
        if let Some(answer) = self.policy.refuses(head, visitor, false) {
            return Route::Answer(answer);
        }
        let mut forward = self.forward.clone();
        match self.policy.claim(head, false) {
            Ok(claim) => forward.claim = claim,
            Err(answer) => return Route::Answer(answer),
        }
        if let Some(store) = &self.store {
            forward.capture = Some(Rc::new(RefCell::new(Recorder::new(store.clone()))));
        }
        Route::Forward(forward)
    }

    fn finished(&self, record: &Record) {
        self.events.send(Event::Request(record.clone()));
    }
}
