//! Publish and subscribe: who listens to which channel.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Server;
use super::mailbox::Message;
use crate::cmd::reply::Out;
use crate::glob;

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// A shard channel.
    Shard,
}

/// A listening client.
#[derive(Clone, Copy, Debug)]
struct Listener {
    client: u64,
    worker: usize,
    resp3: bool,
}

type Topics = BTreeMap<Vec<u8>, Vec<Listener>>;

#[derive(Default)]
struct Registry {
    channels: Topics,
    patterns: Topics,
    shards: Topics,
}

impl Registry {
    fn topics(&mut self, kind: Kind) -> &mut Topics {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }
}

/// The registry of listeners.
#[derive(Default)]
pub struct Hub {
    registry: RwLock<Registry>,
}

/// The bytes of a message, in both protocols, made when they are needed first.
struct Encoded<'a> {
    parts: &'a [&'a [u8]],
    made: [Option<Arc<[u8]>>; 2],
}

impl Encoded<'_> {
    fn bytes(&mut self, resp3: bool) -> Arc<[u8]> {
        let parts = self.parts;
        self.made[usize::from(resp3)]
            .get_or_insert_with(|| {
                let mut out = Out::new(resp3);
                out.push(parts.len());
                parts.iter().for_each(|part| out.bulk(part));
                out.bytes.into()
            })
            .clone()
    }
}

impl Hub {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a listener.
    pub fn subscribe(&self, kind: Kind, topic: &[u8], client: u64, worker: usize, resp3: bool) {
        let listener = Listener { client, worker, resp3 };
        self.write().topics(kind).entry(topic.to_vec()).or_default().push(listener);
    }

    /// Removes a listener.
    pub fn unsubscribe(&self, kind: Kind, topic: &[u8], client: u64) {
        let mut registry = self.write();
        let topics = registry.topics(kind);
        if let Some(listeners) = topics.get_mut(topic) {
            listeners.retain(|listener| listener.client != client);
            if listeners.is_empty() {
                topics.remove(topic);
            }
        }
    }

    /// Whether all that a client listens to passes; patterns are not literal.
    pub fn all_topics(&self, client: u64, passes: impl Fn(&[u8], bool) -> bool) -> bool {
        let mut registry = self.write();
        [Kind::Channel, Kind::Pattern, Kind::Shard].into_iter().all(|kind| {
            let literal = kind != Kind::Pattern;
            registry.topics(kind).iter().all(|(topic, listeners)| {
                let listens = listeners.iter().any(|listener| listener.client == client);
                !listens || passes(topic, literal)
            })
        })
    }

    /// A client has changed its protocol.
    pub fn set_protocol(&self, client: u64, resp3: bool) {
        let mut registry = self.write();
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for listener in registry.topics(kind).values_mut().flatten() {
                if listener.client == client {
                    listener.resp3 = resp3;
                }
            }
        }
    }

    /// Sends `text` to all who listen to `channel`; how many. What is for `own` client goes to
    /// its own output.
    pub fn publish(
        &self,
        server: &Server,
        channel: &[u8],
        text: &[u8],
        own: Option<(u64, &mut Out)>,
    ) -> usize {
        let registry = self.read();
        let mut sender = Sender { server, own, sent: 0 };
        if let Some(listeners) = registry.channels.get(channel) {
            sender.send(listeners, &[b"message", channel, text]);
        }
        for (pattern, listeners) in &registry.patterns {
            if glob::matches(pattern, channel, false) {
                sender.send(listeners, &[b"pmessage", pattern, channel, text]);
            }
        }
        sender.sent
    }

    /// Sends `text` to all who listen to the shard channel.
    pub fn publish_shard(
        &self,
        server: &Server,
        channel: &[u8],
        text: &[u8],
        own: Option<(u64, &mut Out)>,
    ) -> usize {
        let registry = self.read();
        let mut sender = Sender { server, own, sent: 0 };
        if let Some(listeners) = registry.shards.get(channel) {
            sender.send(listeners, &[b"smessage", channel, text]);
        }
        sender.sent
    }

    /// Topics that match a pattern.
    pub fn topics(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let mut registry = self.write();
        let topics = registry.topics(kind).keys();
        topics
            .filter(|topic| pattern.is_none_or(|pattern| glob::matches(pattern, topic, false)))
            .cloned()
            .collect()
    }

    /// How many listen to a topic.
    pub fn listeners(&self, kind: Kind, topic: &[u8]) -> usize {
        self.write().topics(kind).get(topic).map_or(0, Vec::len)
    }

    /// How many topics of a kind are listened to.
    pub fn count(&self, kind: Kind) -> usize {
        self.write().topics(kind).len()
    }
}

struct Sender<'a> {
    server: &'a Server,
    own: Option<(u64, &'a mut Out)>,
    sent: usize,
}

impl Sender<'_> {
    fn send(&mut self, listeners: &[Listener], parts: &[&[u8]]) {
        let mut encoded = Encoded { parts, made: [None, None] };
        for listener in listeners {
            let bytes = encoded.bytes(listener.resp3);
            match &mut self.own {
                Some((client, out)) if *client == listener.client => out.raw(&bytes),
                _ => self.server.post(listener.worker, Message::Deliver(listener.client, bytes)),
            }
            self.sent += 1;
        }
    }
}
