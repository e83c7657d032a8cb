//! What the server knows of a client that only its worker needs.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use box_wire::resp::Args;

use super::blocked::Waiter;
use super::clients::ClientInfo;
use crate::acl::User;
use crate::cmd::table::Command;
use crate::repl::Replica;
use crate::store::shard::WatchFlag;

/// What a client costs before it has said anything.
const SESSION_BYTES: usize = 1024;

/// A request that waits for EXEC.
pub struct Queued {
    /// The command.
    pub command: &'static Command,
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Queued {
    /// Keeps a request.
    pub fn new(command: &'static Command, args: Args<'_>) -> Queued {
        let mut queued = Queued { command, bytes: Vec::new(), ranges: Vec::new() };
        for arg in args.iter() {
            let start = queued.bytes.len();
            queued.bytes.extend_from_slice(arg);
            queued.ranges.push(start..queued.bytes.len());
        }
        queued
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<Range<usize>>()
    }

    /// Its arguments.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }
}

/// A transaction that has been begun.
#[derive(Default)]
pub struct Multi {
    /// What is to be executed.
    pub queue: Vec<Queued>,
    /// Bytes that the queue takes.
    pub bytes: usize,
    /// Whether a request was refused, so that EXEC will be.
    pub broken: bool,
}

/// Which replies a client wants (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// All but that of the next command.
    SkipNext,
    /// Not that of this command.
    Skip,
}

/// What is done once a command has given its locks back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Save in the background.
    Save,
    /// Rewrite the append-only file in the background.
    Rewrite,
    /// End the server: saving as wished, or as configured without a wish.
    Shutdown {
        /// Whether to save.
        wish: Option<bool>,
        /// Whether to end even if saving fails.
        force: bool,
    },
    /// Load the append-only file again.
    LoadAof,
    /// Follow a master.
    Follow(String, u16),
    /// Follow nobody.
    FollowNobody,
    /// Make the cut for replicas that wait.
    FullSync,
    /// See who has waited for a replica's acknowledgement.
    Acknowledged,
    /// Hand the master's role to a replica.
    Failover {
        /// Which; any that has got the furthest without one.
        to: Option<(String, u16)>,
        /// How long to wait for it, in ms; forever if 0.
        timeout_ms: i64,
        /// Whether to go on without waiting once the time is over.
        force: bool,
    },
}

/// What a client watches.
#[derive(Default)]
pub struct Watch {
    /// Set by whoever changes one of the keys.
    pub flag: Option<WatchFlag>,
    /// The keys with their databases.
    pub keys: Vec<(u32, Vec<u8>)>,
}

impl Watch {
    /// Whether a key has been changed.
    pub fn is_dirty(&self) -> bool {
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire))
    }

    /// The flag, made when it is needed first.
    pub fn flag(&mut self) -> WatchFlag {
        self.flag.get_or_insert_with(|| Arc::new(AtomicBool::new(false))).clone()
    }
}

/// The state of a connection.
pub struct Session {
    /// What others may see of it.
    pub info: Arc<ClientInfo>,
    /// Its worker's number.
    pub worker: usize,
    /// The selected database.
    pub db: u32,
    /// Whether it speaks RESP3.
    pub resp3: bool,
    /// Whom it has authenticated as; nobody for what the server does by itself.
    pub user: Option<Arc<User>>,
    /// Whether it has authenticated, or need not.
    pub authenticated: bool,
    /// Its transaction, if one has been begun.
    pub multi: Option<Multi>,
    /// The keys it watches.
    pub watch: Watch,
    /// Channels it listens to.
    pub channels: BTreeSet<Vec<u8>>,
    /// Patterns it listens to.
    pub patterns: BTreeSet<Vec<u8>>,
    /// Shard channels it listens to.
    pub shard_channels: BTreeSet<Vec<u8>>,
    /// Which replies it wants.
    pub replies: Replies,
    /// Its state as a replica, if it is one.
    pub replica: Option<Arc<Replica>>,
    /// Whether what it sends is the master's stream.
    pub is_master: bool,
    /// What it waits for.
    pub blocked: Option<Arc<Waiter>>,
    /// Whether the connection ends once its replies are written.
    pub closing: bool,
    /// What is to be done once its command has ended.
    pub after: Option<After>,
    /// Whether it sees every command that is executed.
    pub monitor: bool,
    /// Whether its reads do not renew the clocks of keys.
    pub no_touch: bool,
    /// How it tracks keys: bits of [`super::tracking::mode`].
    pub tracking: u32,
    /// Bytes of the prefixes that it tracks.
    pub prefix_bytes: usize,
}

impl Session {
    /// That of a new connection.
    pub fn new(info: Arc<ClientInfo>, worker: usize, authenticated: bool) -> Session {
        Session {
            info,
            worker,
            db: 0,
            resp3: false,
            user: None,
            authenticated,
            multi: None,
            watch: Watch::default(),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            replies: Replies::On,
            replica: None,
            is_master: false,
            blocked: None,
            closing: false,
            after: None,
            monitor: false,
            no_touch: false,
            tracking: 0,
            prefix_bytes: 0,
        }
    }

    /// The client's number.
    pub fn id(&self) -> u64 {
        self.info.id
    }

    /// Bytes that are kept for it beside its buffers.
    pub fn memory(&self) -> usize {
        let texts = |texts: &BTreeSet<Vec<u8>>| -> usize {
            if texts.is_empty() { 0 } else { texts.iter().map(|text| text.len() + 64).sum() }
        };
        let watched = self.watch.keys.iter().map(|(_, key)| key.len() + 96).sum::<usize>();
        SESSION_BYTES
            + self.multi.as_ref().map_or(0, |multi| multi.bytes)
            + watched
            + texts(&self.channels)
            + texts(&self.patterns)
            + texts(&self.shard_channels)
            + self.prefix_bytes
    }

    /// How many channels and patterns it listens to.
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether it may only listen: a RESP2 client with subscriptions.
    pub fn only_listens(&self) -> bool {
        !self.resp3 && self.subscriptions() + self.shard_channels.len() > 0
    }
}
