//! The reverse proxy behind `box proxy run`: routes, groups of servers, and the threads that serve.
//!
//! The main thread holds the configuration, the listeners and the health checks; each worker holds
//! its own connections. A new configuration goes to the workers as a whole: connections stay, their
//! next requests follow the new routes. What concerns a server as such (open requests, health) is
//! shared by all threads.

mod balance;
mod health;
mod site;
mod worker;

pub use balance::Group;
pub use health::look_after;
pub use site::Local;
pub use worker::{Command, Worker};

use std::net::SocketAddr;
use std::sync::Arc;

use box_kit::Failure;
use rustls::ServerConfig;

use crate::config::{Config, Listen, Tls};
use crate::http2;
use crate::tls::ca::Authority;
use crate::tls::server::{self, Certificates, FileCertificate};
use crate::ui::Events;

/// A configuration and what belongs to it, for all threads.
pub struct Model {
    /// The configuration.
    pub config: Config,
    /// The servers of each upstream.
    pub groups: Vec<Arc<Group>>,
    /// Where events go.
    pub events: Events,
    /// What the TLS listeners show.
    tls: Vec<Option<Arc<ServerConfig>>>,
}

impl Model {
    /// Sets everything up that can fail. `authority` makes the local one at its first use.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn new(
        config: Config,
        events: Events,
        authority: impl Fn() -> Result<Arc<Authority>, Failure>,
    ) -> Result<Model, Failure> {
        let tls = |listen: &Listen| {
            listen.tls.as_ref().map(|tls| server_config(tls, &authority)).transpose()
        };
        let tls = config.listens.iter().map(tls).collect::<Result<_, _>>()?;
        let groups =
            config.upstreams.iter().map(|upstream| Arc::new(Group::new(upstream))).collect();
        Ok(Model { config, groups, events, tls })
    }

    /// What is configured for an address.
    pub fn listen(&self, address: SocketAddr) -> Option<(&Listen, Option<&Arc<ServerConfig>>)> {
        let index = self.config.listens.iter().position(|listen| listen.address == address)?;
        Some((self.config.listens.get(index)?, self.tls.get(index)?.as_ref()))
    }
}

fn server_config(
    tls: &Tls,
    authority: &impl Fn() -> Result<Arc<Authority>, Failure>,
) -> Result<Arc<ServerConfig>, Failure> {
    let certificates = match tls {
        Tls::Local => Certificates {
            authority: Some(authority()?),
            default_name: Some("localhost".to_owned()),
            ..Certificates::default()
        },
        Tls::Files(files) => {
            let mut opened = Vec::new();
            for (cert, key, names) in files {
                let file = FileCertificate::open(cert.clone(), key.clone())?;
                opened.push((names.clone(), file));
            }
            Certificates { files: opened, ..Certificates::default() }
        }
    };
    server::config(Arc::new(certificates), &[http2::ALPN, b"http/1.1"])
}
