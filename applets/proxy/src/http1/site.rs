//! What the engine asks of whoever uses it: where a request goes, and what becomes of its record.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use box_wire::http1::{RequestHead, ResponseHead};

use super::{Answer, Edits, Target};
use crate::io::Conn;
use crate::policy::Claim;

/// Who is at the other end of a client connection.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The client's address, as far as it is known for certain.
    pub client: SocketAddr,
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// The server name of its TLS handshake.
    pub server_name: Option<Rc<str>>,
    /// It is a plain connection for itself, which another thread can take over.
    pub movable: bool,
}

impl Visitor {
    /// For requests of our own.
    pub fn nobody() -> Visitor {
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Visitor { client, tls: false, server_name: None, movable: false }
    }
}

/// Opens a connection that is not a plain [`Target`]: a stream of a lane.
pub trait Upstream {
    /// Opens one.
    fn open<'a>(
        &'a self,
        visitor: &'a Visitor,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Conn, Failed>> + 'a>>;
}

/// Where a request goes.
pub enum Route {
    /// To an upstream.
    Forward(Forward),
    /// Nowhere: this is the answer.
    Answer(Answer),
    /// To a handler that answers once the body has been read.
    Read(Handler),
    /// To another thread, with its whole connection.
    Elsewhere(usize),
}

/// Takes a whole body and makes the answer.
pub type Handler = Box<dyn FnOnce(Vec<u8>) -> Pin<Box<dyn Future<Output = Answer>>>>;

/// An upstream, and what is changed on the way.
#[derive(Clone)]
pub struct Forward {
    /// A socket with a pool of idle connections.
    pub target: Option<Rc<Target>>,
    /// Anything else.
    pub upstream: Option<Rc<dyn Upstream>>,
    /// Changes to the heads.
    pub edits: Rc<Edits>,
    /// Takes a copy of the exchange.
    pub capture: Option<Rc<RefCell<dyn Capture>>>,
    /// The target is one of several.
    pub group: Option<Rc<dyn Alternatives>>,
    /// What must hold of the request's body, which is read whole before anything is sent.
    pub claim: Option<Rc<Claim>>,
    /// Held as long as the request goes on.
    pub lease: Option<Rc<dyn Any>>,
}

impl Forward {
    /// To a target that has no like.
    pub fn to(target: Rc<Target>, edits: Rc<Edits>) -> Forward {
        Forward { target: Some(target), ..Forward::through(None, edits) }
    }

    /// Through something that is no socket.
    pub fn through(upstream: Option<Rc<dyn Upstream>>, edits: Rc<Edits>) -> Forward {
        Forward {
            target: None,
            upstream,
            edits,
            capture: None,
            group: None,
            claim: None,
            lease: None,
        }
    }
}

/// Targets that do the same.
pub trait Alternatives {
    /// The target of a request has failed before anything came of it: another one and its lease, if
    /// there is one.
    fn instead_of(&self, failed: &Forward) -> Option<(Rc<Target>, Rc<dyn Any>)>;
}

/// Takes a bounded copy of an exchange. Never slows it down.
pub trait Capture {
    /// The request head as it came, before any change.
    fn request(&mut self, head: &RequestHead<'_>, raw: &[u8], visitor: &Visitor);
    /// Bytes of the request's body.
    fn request_body(&mut self, bytes: &[u8]);
    /// The response head as it came.
    fn response(&mut self, head: &ResponseHead<'_>, raw: &[u8]);
    /// Bytes of the response's body.
    fn response_body(&mut self, bytes: &[u8]);
    /// It is over.
    fn finished(&mut self, record: &Record);
}

/// One finished request, for logs, screens and metrics.
#[derive(Clone, Debug)]
pub struct Record {
    /// The client.
    pub client: SocketAddr,
    /// The method.
    pub method: String,
    /// The target as sent.
    pub target: String,
    /// The host asked for.
    pub host: String,
    /// The status the client got; 0 when it got none.
    pub status: u16,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// Body bytes of the request.
    pub received: u64,
    /// Body bytes of the response.
    pub sent: u64,
    /// When the head was complete.
    pub started: Instant,
    /// From there to the first byte of the answer.
    pub first_byte: Duration,
    /// From there to the end.
    pub total: Duration,
}

/// Decides about requests.
pub trait Site {
    /// Where this request goes.
    fn route(&self, head: &RequestHead<'_>, visitor: &Visitor) -> Route;
    /// A request is over.
    fn finished(&self, record: &Record);
    /// Turns true when no further request is to be taken: idle connections are closed then.
    fn draining(&self) -> Option<tokio::sync::watch::Receiver<bool>> {
        None
    }
    /// Whether records are wanted: they cost a few allocations.
    fn wants_records(&self) -> bool {
        true
    }
}

/// Why an upstream could not be reached or did not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The status for the client: 502, 503 or 504.
    pub status: u16,
    /// The code in `X-Box-Error`.
    pub code: u16,
    /// One line: what failed and why.
    pub reason: String,
    /// What the visitor or owner can do.
    pub advice: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
