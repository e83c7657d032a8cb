//! Registries: the distribution specification 1.1 as a client.
//!
//! [`http`] and [`tls`] carry, [`auth`] proves, [`client`] knows the addresses of manifests and
//! blobs, [`pull`] and [`push`] move images between a registry and the store.

mod auth;
mod client;
mod http;
pub mod login;
mod pull;
mod push;
mod tls;

pub use client::{Client, Trust};
pub use pull::{Wanted, pull};
pub use push::push;
