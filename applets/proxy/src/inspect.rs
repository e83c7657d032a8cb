//! The inspector: the last requests of this agent, as a page and as ngrok's agent API.
//!
//! A recorder takes a bounded copy while a request passes; it never holds the request up. The page
//! and the API listen on loopback only, answer to loopback names only (a page of another site that
//! resolves to this machine gets 403) and take no request that another site's page has sent.

mod api;
mod store;

pub use api::{Inspector, InspectorSite};
pub use store::{Recorder, Store};
