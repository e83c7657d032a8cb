//! Waiting for locks.

use std::time::Duration;

use crate::vfs::Vfs;

/// The pauses between attempts, in milliseconds: short at first, since most locks are held for the
/// length of one commit.
const DELAYS_MS: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// Called with the number of earlier calls; `false` gives up.
pub type BusyHandler = Box<dyn FnMut(u32) -> bool>;

/// What to do when a lock is in the way.
pub enum Busy {
    /// Wait up to a time.
    Timeout(Duration),
    /// Ask.
    Handler(BusyHandler),
}

impl Busy {
    /// Waits once; `false`: give up. `attempt` counts the waits for this lock.
    pub fn wait(&mut self, vfs: &dyn Vfs, attempt: u32) -> bool {
        match self {
            Busy::Handler(handler) => handler(attempt),
            Busy::Timeout(limit) => {
                let at = attempt as usize;
                let last = DELAYS_MS[DELAYS_MS.len() - 1];
                let delay = DELAYS_MS.get(at).copied().unwrap_or(last);
                let beyond = at.saturating_sub(DELAYS_MS.len()) as u64 * last;
                let waited = DELAYS_MS.iter().take(at).sum::<u64>() + beyond;
                let left = (limit.as_millis() as u64).saturating_sub(waited);
                if left == 0 {
                    return false;
                }
                vfs.sleep(Duration::from_millis(delay.min(left)));
                true
            }
        }
    }
}
