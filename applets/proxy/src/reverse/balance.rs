//! Which server of a group gets a request.
//!
//! Hashing is rendezvous hashing: each server draws a number for a key, the largest one has it. When
//! a server leaves, only its own keys move. A server that is busier than the others by a quarter is
//! passed over (consistent hashing with bounded loads, Mirrokni et al. 2016).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::config::{Balance, Upstream};

/// A server that failed a request gets none for this long; a health check ends it earlier.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// A server may have so much more than its share of open requests before a key goes elsewhere.
const BOUND: f64 = 1.25;

/// What is known of a server.
struct Server {
    name: String,
    weight: usize,
    backup: bool,
    drain: bool,
    /// Requests that it is answering.
    open: AtomicUsize,
    /// It did not answer the last health check.
    is_down: AtomicBool,
    /// Milliseconds of the group's clock until which it counts as failed.
    failed_until: AtomicU64,
}

/// The servers of an upstream, shared by all threads.
pub struct Group {
    servers: Vec<Server>,
    policy: Balance,
    /// Indices in the order of a round, each as often as its weight, spread out.
    round: Vec<usize>,
    turn: AtomicUsize,
    born: Instant,
}

impl Group {
    /// All servers well.
    pub fn new(upstream: &Upstream) -> Group {
        let server = |server: &crate::config::Server| Server {
            name: server.target.name.clone(),
            weight: server.weight.max(1) as usize,
            backup: server.backup,
            drain: server.drain,
            open: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            failed_until: AtomicU64::new(0),
        };
        let servers: Vec<Server> = upstream.servers.iter().map(server).collect();
        let weights: Vec<usize> = servers.iter().map(|server| server.weight).collect();
        Group {
            round: round(&weights),
            servers,
            policy: upstream.policy.clone(),
            turn: AtomicUsize::new(0),
            born: Instant::now(),
        }
    }

    /// How a server is chosen.
    pub fn policy(&self) -> &Balance {
        &self.policy
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The index of the server for a request: by its key, where the policy has one. With all of
    /// them down each is as good as the others.
    pub fn choose(&self, key: impl FnOnce() -> u64) -> usize {
        let now = self.born.elapsed().as_millis() as u64;
        let is_up = |server: &Server| {
            !server.drain
                && !server.is_down.load(Ordering::Relaxed)
                && server.failed_until.load(Ordering::Relaxed) <= now
        };
        for backup in [false, true] {
            let may = |index: usize| {
                self.servers
                    .get(index)
                    .is_some_and(|server| server.backup == backup && is_up(server))
            };
            if (0..self.servers.len()).any(may) {
                return self.among(may, key);
            }
        }
        self.among(|index| self.servers.get(index).is_some_and(|server| !server.drain), key)
    }

    fn among(&self, may: impl Fn(usize) -> bool, key: impl FnOnce() -> u64) -> usize {
        match &self.policy {
            Balance::RoundRobin => self.next(may),
            Balance::LeastConn => self.least(may),
            Balance::Random => {
                let [a, b] = [self.drawn(&may), self.drawn(&may)];
                if self.load(a) <= self.load(b) { a } else { b }
            }
            Balance::Hash(_) => self.owner(may, key()),
        }
    }

    fn next(&self, may: impl Fn(usize) -> bool) -> usize {
        for _ in 0..self.round.len() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.round.len();
            if let Some(index) = self.round.get(turn).copied().filter(|index| may(*index)) {
                return index;
            }
        }
        0
    }

    /// Open requests by weight.
    fn load(&self, index: usize) -> usize {
        let server = self.servers.get(index);
        server
            .map_or(usize::MAX, |server| server.open.load(Ordering::Relaxed) * 1000 / server.weight)
    }

    /// Of several with the same load, each in turn.
    fn least(&self, may: impl Fn(usize) -> bool) -> usize {
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.servers.len();
        let candidates = (0..count).map(|offset| (start + offset) % count).filter(|i| may(*i));
        candidates.min_by_key(|index| self.load(*index)).unwrap_or(0)
    }

    fn drawn(&self, may: &impl Fn(usize) -> bool) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let start = hash(&(turn, "draw")) as usize;
        let count = self.servers.len();
        (0..count).map(|offset| (start.wrapping_add(offset)) % count).find(|i| may(*i)).unwrap_or(0)
    }

    fn owner(&self, may: impl Fn(usize) -> bool, key: u64) -> usize {
        let able: Vec<usize> = (0..self.servers.len()).filter(|index| may(*index)).collect();
        let open: usize =
            able.iter().map(|index| self.servers[*index].open.load(Ordering::Relaxed)).sum();
        let bound = ((open + 1) as f64 / able.len().max(1) as f64 * BOUND).ceil() as usize;
        let has_room = |index: &&usize| self.servers[**index].open.load(Ordering::Relaxed) < bound;
        let draws = |index: &&usize| hash(&(key, &self.servers[**index].name));
        let chosen = able.iter().filter(has_room).max_by_key(draws);
        chosen.or_else(|| able.iter().max_by_key(draws)).copied().unwrap_or(0)
    }

    /// A request failed on it before anything came back.
    pub fn failed(&self, index: usize) {
        if let Some(server) = self.servers.get(index) {
            let until = self.born.elapsed() + FAILED_FOR;
            server.failed_until.store(until.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// What a health check has found; true when that is new.
    pub fn checked(&self, index: usize, is_well: bool) -> bool {
        let Some(server) = self.servers.get(index) else { return false };
        if is_well {
            server.failed_until.store(0, Ordering::Relaxed);
        }
        server.is_down.swap(!is_well, Ordering::Relaxed) == is_well
    }

    /// Counts a request as open until the lease is dropped.
    pub fn lease(self: &Arc<Group>, index: usize) -> Lease {
        if let Some(server) = self.servers.get(index) {
            server.open.fetch_add(1, Ordering::Relaxed);
        }
        Lease { group: self.clone(), index }
    }
}

/// An open request.
pub struct Lease {
    group: Arc<Group>,
    index: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(server) = self.group.servers.get(self.index) {
            server.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The same on all threads and in all runs.
pub fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A round in which each index comes as often as its weight, as far apart as may be (the smooth
/// weighted round-robin of nginx).
fn round(weights: &[usize]) -> Vec<usize> {
    let total: usize = weights.iter().sum();
    let mut current = vec![0i64; weights.len()];
    let mut order = Vec::with_capacity(total);
    for _ in 0..total {
        for (value, weight) in current.iter_mut().zip(weights) {
            *value += *weight as i64;
        }
        let Some(index) = (0..weights.len()).max_by_key(|i| (current[*i], std::cmp::Reverse(*i)))
        else {
            break;
        };
        current[index] -= total as i64;
        order.push(index);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HashKey, Server as ServerSpec};
    use crate::target::{Manner, TargetSpec};

    fn group(count: u16, policy: Balance) -> Arc<Group> {
        let manner = Manner { scheme: "http", verify: true, http2: false, proxy_protocol: None };
        let server = |n: u16| ServerSpec {
            target: TargetSpec::parse(&format!("{}", 3000 + n), manner).expect("a target"),
            weight: 1,
            backup: false,
            drain: false,
        };
        let servers = (0..count).map(server).collect();
        Arc::new(Group::new(&Upstream { name: "x".to_owned(), servers, policy, health: None }))
    }

    #[test]
    fn rounds_are_even_and_weights_kept() {
        let group = group(3, Balance::RoundRobin);
        let mut counts = [0; 3];
        (0..300).for_each(|_| counts[group.choose(|| 0)] += 1);
        assert_eq!(counts, [100; 3]);
        assert_eq!(round(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_failed_server_gets_nothing_until_it_is_well() {
        let group = group(3, Balance::RoundRobin);
        group.failed(1);
        assert!((0..30).all(|_| group.choose(|| 0) != 1));
        assert!(!group.checked(1, true), "it had not been down");
        assert!((0..30).any(|_| group.choose(|| 0) == 1));
        (0..3).for_each(|index| group.failed(index));
        let mut counts = [0; 3];
        (0..30).for_each(|_| counts[group.choose(|| 0)] += 1);
        assert_eq!(counts, [10; 3], "all down: each as good as the others");
    }

    #[test]
    fn the_least_busy_one_is_taken() {
        let group = group(3, Balance::LeastConn);
        let _stalled = [group.lease(0), group.lease(2), group.lease(2)];
        for _ in 0..10 {
            assert_eq!(group.choose(|| 0), 1);
        }
    }

    #[test]
    fn few_keys_move_when_a_server_leaves_and_none_is_too_busy() {
        let policy = Balance::Hash(HashKey::Ip);
        let group = group(10, policy);
        let before: Vec<usize> = (0..10_000u64).map(|key| group.choose(|| key)).collect();
        group.checked(3, false);
        let moved =
            (0..10_000u64).filter(|key| group.choose(|| *key) != before[*key as usize]).count();
        assert!(moved < 1500, "{moved} of 10000 keys moved");
        group.checked(3, true);
        let leases: Vec<(usize, Lease)> = (0..1000)
            .map(|_| {
                let index = group.choose(|| 7);
                (index, group.lease(index))
            })
            .collect();
        let most = (0..10).map(|i| leases.iter().filter(|(index, _)| *index == i).count()).max();
        assert!(most <= Some(126), "{most:?} of 1000 on one of 10");
    }
}
