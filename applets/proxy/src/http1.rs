//! The HTTP/1 engine: requests of one connection, in order, each forwarded to an upstream.
//!
//! ```text
//! client --head--> parse, route (Site) --head'--> upstream      one Plan a request
//! client --body--> upload   -----------------> upstream         two halves of one task:
//! client <-------- download <--head, body----- upstream         either may be ahead of the other
//! ```
//! The same engine serves visitors at the edge (upstream: a stream of a lane), visitors of a reverse
//! proxy (upstream: a socket) and, at the agent, the streams of a lane (upstream: the local port).
//!
//! Invariants:
//! - a message is forwarded by its [`box_wire::http1::Framing`] and nothing else
//! - an upstream connection is reused only after a whole request and a whole response, with no byte
//!   left over; a response that is cut short breaks the client's connection as well
//! - bytes behind a request with Upgrade are not touched before the upstream has answered 101
//! - a request is sent a second time only if it is idempotent, has no body, came back without one
//!   byte, and went over a connection that had been idle

mod answer;
mod body;
mod emit;
mod exchange;
mod pool;
mod serve;
mod site;

pub use answer::{Answer, escape, phrase};
pub use emit::{Edits, Forwarding};
pub use pool::{Target, TargetKind, connect};
pub use serve::{Ended, Role, drained, serve};
pub use site::{
    Alternatives, Capture, Failed, Forward, Handler, Record, Route, Site, Upstream, Visitor,
};
