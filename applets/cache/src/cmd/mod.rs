//! Commands: what a client asks for, from the words of a request to the bytes of a reply.
//!
//! [`table`] is the one source of what there is: names, arity, flags, key positions, functions.
//! [`dispatch`] takes a request through the checks that stand in front of every command, locks the
//! shards of its keys, runs it, and hands what it changed to the log, to waiting clients and to
//! subscribers. The modules beside hold the commands themselves, one data type each.

pub mod acl;
pub mod bitfield;
pub mod bitmap;
pub mod blocking;
pub mod client;
pub mod cluster;
pub mod command;
pub mod conditional;
pub mod config;
pub mod connection;
pub mod db;
pub mod debug;
pub mod digest;
pub mod dispatch;
pub mod docs;
pub mod dump;
pub mod eval;
pub mod expire;
pub mod function;
pub mod generic;
pub mod geo;
pub mod geo_search;
pub mod hash;
pub mod hyperloglog;
pub mod info;
pub mod keys;
pub mod latency;
pub mod lcs;
pub mod list;
pub mod lolwut;
pub mod migrate;
pub mod module;
pub mod object;
pub mod parse;
pub mod persistence;
pub mod pubsub;
pub mod replication;
pub mod reply;
pub mod scan;
pub mod server;
pub mod set;
pub mod slowlog;
pub mod sort;
pub mod stream;
pub mod stream_group;
pub mod stream_info;
pub mod stream_read;
pub mod string;
pub mod table;
pub mod tracking;
pub mod transaction;
pub mod zrange;
pub mod zset;
pub mod zstore;

use std::borrow::Cow;

use box_wire::resp::Args;

use crate::config::Config;
use crate::server::Server;
use crate::server::session::Session;
use db::Db;
use reply::Out;

/// An error reply, without the `-` in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub Cow<'static, [u8]>);

impl Error {
    /// An error with a text of its own.
    pub const fn fixed(text: &'static str) -> Error {
        Error(Cow::Borrowed(text.as_bytes()))
    }

    /// An error whose text is made.
    pub fn made(text: impl Into<String>) -> Error {
        Error(Cow::Owned(text.into().into_bytes()))
    }
}

/// `ERR syntax error`
pub const SYNTAX: Error = Error::fixed("ERR syntax error");
/// `WRONGTYPE …`
pub const WRONG_TYPE: Error =
    Error::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
/// `ERR value is not an integer or out of range`
pub const NOT_INTEGER: Error = Error::fixed("ERR value is not an integer or out of range");
/// `ERR value is not a valid float`
pub const NOT_FLOAT: Error = Error::fixed("ERR value is not a valid float");
/// `ERR no such key`
pub const NO_KEY: Error = Error::fixed("ERR no such key");
/// `ERR index out of range`
pub const OUT_OF_RANGE: Error = Error::fixed("ERR index out of range");
/// `ERR string exceeds maximum allowed size …`
pub const TOO_LONG: Error =
    Error::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

/// What a command returns.
pub type Done = Result<(), Error>;

/// What a command works with.
pub struct Ctx<'a> {
    /// The server.
    pub server: &'static Server,
    /// The configuration, as it was when the batch of requests began.
    pub config: &'a Config,
    /// The client.
    pub session: &'a mut Session,
    /// The keys that the command has locked.
    pub db: Db<'a>,
    /// Where the reply goes.
    pub out: &'a mut Out,
    /// Whether the command runs inside EXEC, where nothing blocks.
    pub in_exec: bool,
    /// Whether files are being loaded.
    pub loading: bool,
}

/// A command's function.
pub type Run = fn(&mut Ctx<'_>, Args<'_>) -> Done;

/// Whether `word` is the option `name`, in any case.
#[inline]
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}
