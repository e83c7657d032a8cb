//! The lock of a shard and the order of the log, under a scheduler that tries interleavings.

/// The same names, of the model checker.
mod primitives {
    pub use shuttle::hint::spin_loop as spin;
    pub use shuttle::sync::atomic::{AtomicU32, Ordering};
    pub use shuttle::sync::{Condvar, Mutex};
}

#[path = "lock.rs"]
#[allow(dead_code, reason = "the model uses a part of it")]
mod lock;

use std::sync::Arc;

use lock::Lock;
use shuttle::sync::Mutex;
use shuttle::thread;

const ROUNDS: usize = 300;

#[test]
fn nobody_is_in_the_lock_beside_another() {
    let body = || {
        let lock = Arc::new(Lock::new((0u32, 0u32)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        let mut guard = lock.lock();
                        guard.0 += 1;
                        thread::yield_now();
                        guard.1 += 1;
                        assert_eq!(guard.0, guard.1);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!(*lock.lock(), (6, 6));
    };
    shuttle::check_random(body, ROUNDS);
    shuttle::check_pct(body, ROUNDS, 3);
}

/// The protocol of commands: shards in ascending order, the log while they are held. Then the log
/// is an order in which the changes can have happened one by one.
#[test]
fn the_log_is_in_the_order_of_changes() {
    let body = || {
        let shards: Arc<Vec<Lock<u32>>> = Arc::new((0..3).map(|_| Lock::new(0)).collect());
        let log: Arc<Mutex<Vec<(usize, u32)>>> = Arc::default();
        let commands: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 1, 2]];
        let threads: Vec<_> = commands
            .into_iter()
            .map(|keys| {
                let (shards, log) = (shards.clone(), log.clone());
                thread::spawn(move || {
                    let mut held: Vec<_> = keys.iter().map(|key| shards[*key].lock()).collect();
                    for (key, shard) in keys.iter().zip(&mut held) {
                        **shard += 1;
                        thread::yield_now();
                        log.lock().expect("a log").push((*key, **shard));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        let log = log.lock().expect("a log");
        for shard in 0..3 {
            let changes: Vec<u32> =
                log.iter().filter(|(key, _)| *key == shard).map(|(_, value)| *value).collect();
            assert!(changes.iter().copied().eq(1..=changes.len() as u32), "{changes:?}");
        }
    };
    shuttle::check_random(body, ROUNDS);
}
