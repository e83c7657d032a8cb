//! Snapshots for replicas, made without a file: the cut goes out shard by shard while the server
//! goes on, and the stream from the cut on waits in the backlog.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use box_wire::rdb::crc64::crc64;
use box_wire::rdb::opcode;

use super::{Replica, new_id, state};
use crate::persist::rdb::{self, Cut};
use crate::server::Server;
use crate::server::hot::pause;
use crate::server::mailbox::Message;

/// Bytes that may wait in a replica's connection before more of the snapshot is made.
const AHEAD_MAX: usize = 1 << 20;

impl Server {
    /// Makes the cut for all replicas that wait for one, unless another is being made.
    pub fn start_full_syncs(&'static self) {
        let waiting: Vec<Arc<Replica>> = self
            .repl
            .replicas()
            .into_iter()
            .filter(|replica| replica.is(state::WAIT_START))
            .collect();
        if waiting.is_empty() || !self.saver.begin_save() {
            return;
        }
        let config = self.config();
        let (cut, offset) = {
            let _applying = self.repl.applying();
            let mut view = self.keyspace.lock_all();
            self.repl.forget_db();
            (rdb::cut(self, &config, view.shards(), false), self.repl.offset())
        };
        for replica in &waiting {
            replica.sent.store(offset, Ordering::Release);
            replica.state.store(state::SENDING, Ordering::Release);
            self.repl.syncs[0].fetch_add(1, Ordering::Relaxed);
        }
        self.logger.notice("Starting BGSAVE for SYNC with target: replicas sockets");
        let work = move || {
            let whole = self.send_cut(&cut, &waiting, offset);
            if !whole {
                self.keyspace.each_shard(|shard| shard.snapshot = None);
            }
            self.saver.end_save();
        };
        if std::thread::Builder::new().name("sync".into()).spawn(work).is_err() {
            self.keyspace.each_shard(|shard| shard.snapshot = None);
            self.saver.end_save();
        }
    }

    /// Sends the cut to those who are still there; whether all of it was made.
    fn send_cut(&'static self, cut: &Cut, replicas: &[Arc<Replica>], offset: u64) -> bool {
        let mark = new_id();
        let id = self.repl.histories().id;
        for replica in replicas.iter().filter(|replica| !replica.old.load(Ordering::Relaxed)) {
            self.give(replica, format!("+FULLRESYNC {id} {offset}\r\n").as_bytes());
        }
        let (marked, counted): (Vec<_>, Vec<_>) =
            replicas.iter().partition(|replica| replica.eof.load(Ordering::Relaxed));
        let mut sum = 0;
        // For those that must be told the length, and those that want only a part.
        let mut kept = Vec::new();
        for replica in &marked {
            self.give(replica, format!("$EOF:{mark}\r\n").as_bytes());
        }
        let mut send = |bytes: &[u8]| {
            sum = crc64(sum, bytes);
            if !counted.is_empty() {
                kept.extend_from_slice(bytes);
            }
            for replica in marked.iter().filter(|replica| !is_partial(replica)) {
                self.give(replica, bytes);
            }
            replicas.iter().any(|replica| self.is_there(replica))
        };
        let whole = rdb::each_chunk(self, cut, &mut send);
        if !whole {
            return false;
        }
        send(&[opcode::EOF]);
        let footer = sum.to_le_bytes();
        kept.extend_from_slice(&footer);
        for replica in &marked {
            if is_partial(replica) {
                self.give(replica, &self.functions_file());
            } else {
                self.give(replica, &footer);
            }
            self.give(replica, mark.as_bytes());
        }
        for replica in &counted {
            let file = if is_partial(replica) { self.functions_file() } else { kept.clone() };
            self.give(replica, format!("${}\r\n", file.len()).as_bytes());
            file.chunks(AHEAD_MAX).for_each(|chunk| self.give(replica, chunk));
        }
        for replica in replicas {
            self.logger.notice(&format!(
                "Synchronization with replica {}:{} succeeded",
                replica.address(),
                replica.port.load(Ordering::Relaxed)
            ));
            replica.acked_ms.store(self.now_ms(), Ordering::Relaxed);
            if !replica.rdb_only.load(Ordering::Relaxed) {
                let marked = replica.eof.load(Ordering::Relaxed);
                let next = if marked { state::SENT } else { state::ONLINE };
                replica.state.store(next, Ordering::Release);
            }
            self.post(replica.worker, Message::Feed);
        }
        true
    }

    /// A file that holds the functions and nothing else.
    fn functions_file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        crate::persist::snapshot::push_start(&mut file, false);
        crate::cmd::function::push_libraries(&mut file, self, true);
        file.push(opcode::EOF);
        let sum = crc64(0, &file);
        file.extend_from_slice(&sum.to_le_bytes());
        file
    }

    fn is_there(&self, replica: &Replica) -> bool {
        self.clients.find(replica.client).is_some() && !self.ending.load(Ordering::Acquire)
    }

    /// Leaves bytes for a replica's connection, and waits while too many are there already.
    fn give(&self, replica: &Replica, bytes: &[u8]) {
        while let Some(info) = self.clients.find(replica.client) {
            let full = info.reply_bytes.load(Ordering::Relaxed) > AHEAD_MAX;
            if !full || self.ending.load(Ordering::Acquire) {
                self.post(replica.worker, Message::Deliver(replica.client, bytes.into()));
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn is_partial(replica: &Replica) -> bool {
    replica.functions_only.load(Ordering::Relaxed)
}

impl Server {
    /// Hands the master's role to a replica: writes are held back until it has got everything, then
    /// it is asked to take over, and this server follows it.
    pub fn fail_over(&'static self, to: Option<(String, u16)>, timeout_ms: i64, force: bool) {
        let work = move || self.hand_over(to, timeout_ms, force);
        if std::thread::Builder::new().name("failover".into()).spawn(work).is_err() {
            self.logger.warning("The thread of the failover cannot be started");
        }
    }

    fn hand_over(&'static self, to: Option<(String, u16)>, timeout_ms: i64, force: bool) {
        let start = self.now_ms();
        self.hot.pause_clients(pause::WRITES, i64::MAX);
        let target = loop {
            let offset = self.repl.offset();
            let replicas = self.repl.replicas();
            let fits = |replica: &&Arc<Replica>| {
                let port = replica.port.load(Ordering::Relaxed);
                replica.is(state::ONLINE)
                    && to.as_ref().is_none_or(|(host, at)| {
                        replica.address() == *host && port == usize::from(*at)
                    })
            };
            let best = replicas.iter().filter(fits);
            let best = best.max_by_key(|replica| replica.acked.load(Ordering::Relaxed));
            let late = timeout_ms > 0 && self.now_ms() - start > timeout_ms;
            match best {
                Some(best) if best.acked.load(Ordering::Relaxed) >= offset || (late && force) => {
                    break Some((best.address(), best.port.load(Ordering::Relaxed) as u16));
                }
                _ if late || self.ending.load(Ordering::Acquire) => break None,
                _ => {}
            }
            self.repl.append_plain(&["REPLCONF", "GETACK", "*"]);
            self.repl.wake(self, usize::MAX);
            std::thread::sleep(Duration::from_millis(20));
        };
        match target {
            Some((host, port)) => {
                self.logger.notice(&format!("Failover target is {host}:{port}"));
                self.repl.link.failover.store(true, Ordering::Release);
                self.follow(&host, port);
            }
            None => self.logger.warning("Failover aborted: no replica has caught up in time"),
        }
        self.hot.end_pause(None);
        self.post_all(|| Message::Resume);
    }
}
