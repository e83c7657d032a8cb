//! The lock of a shard: one word where nobody waits, a short spin where somebody does, then sleep.
//!
//! It differs from the standard library's in that who waits may be told to give up: a slow script
//! holds all shards, and everybody else must be able to say so instead of waiting for its end.
//!
//! ```text
//! FREE -> HELD      taken by who came first
//! any  -> AWAITED   by who goes to sleep: takes the lock if it was free
//! HELD, AWAITED -> FREE   given back; AWAITED wakes a sleeper
//! ```
//!
//! A sleeper looks at the word again under `asleep` before it sleeps, and whoever gives the lock back
//! takes `asleep` before it wakes somebody: no wake-up is lost. A model checker runs this file with
//! its own primitives (see [`super::model`]).

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::primitives::{AtomicU32, Condvar, Mutex, Ordering, spin};

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// Looks at the lock before sleeping.
const SPINS: usize = 64;
/// How often a sleeper asks whether to give up.
const PATIENCE: Duration = Duration::from_millis(10);

/// A value behind a lock.
pub struct Lock<T> {
    state: AtomicU32,
    asleep: Mutex<()>,
    woken: Condvar,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and there is one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The right to use the value.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Lock<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Lock<T> {
        Lock {
            state: AtomicU32::new(FREE),
            asleep: Mutex::new(()),
            woken: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.lock_unless(|| false) {
                return guard;
            }
        }
    }

    /// Takes the lock, unless `give_up` says so while it waits.
    #[inline]
    pub fn lock_unless(&self, give_up: impl Fn() -> bool) -> Option<Guard<'_, T>> {
        if self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Some(Guard { lock: self });
        }
        self.wait(give_up)
    }

    #[cold]
    fn wait(&self, give_up: impl Fn() -> bool) -> Option<Guard<'_, T>> {
        for _ in 0..SPINS {
            if self.state.load(Ordering::Relaxed) == FREE
                && self
                    .state
                    .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return Some(Guard { lock: self });
            }
            spin();
        }
        while self.state.swap(AWAITED, Ordering::Acquire) != FREE {
            if give_up() {
                return None;
            }
            let asleep = self.asleep.lock();
            let asleep = asleep.unwrap_or_else(std::sync::PoisonError::into_inner);
            if self.state.load(Ordering::Relaxed) == AWAITED {
                drop(self.woken.wait_timeout(asleep, PATIENCE));
            }
        }
        Some(Guard { lock: self })
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.state.swap(FREE, Ordering::Release) == AWAITED {
            self.lock.wake();
        }
    }
}

impl<T> Lock<T> {
    #[cold]
    fn wake(&self) {
        drop(self.asleep.lock());
        self.woken.notify_one();
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is the only guard.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}
