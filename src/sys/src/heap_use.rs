//! How many bytes are allocated: counted where a server has asked for it, in counters that
//! threads do not share, so that counting costs a few instructions and no bus traffic.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

const COUNTERS: usize = 64;

#[repr(align(64))]
struct Counter(AtomicIsize);

static COUNTING: AtomicBool = AtomicBool::new(false);
static TABLE: [Counter; COUNTERS] = [const { Counter(AtomicIsize::new(0)) }; COUNTERS];
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of the thread's counter; `usize::MAX` before its first allocation.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Counts from here on. What was allocated before is not known.
pub fn start_counting() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// Bytes allocated at this moment.
pub fn used_bytes() -> usize {
    let sum: isize = TABLE.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum();
    usize::try_from(sum).unwrap_or(0)
}

/// What a request of `bytes` takes from the allocator's size classes.
#[inline]
fn rounded(bytes: usize) -> isize {
    let step = match bytes {
        0..=64 => 8,
        65..=1024 => 16,
        _ => 64,
    };
    bytes.next_multiple_of(step) as isize
}

#[inline]
pub(crate) fn allocated(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        add(rounded(bytes));
    }
}

#[inline]
pub(crate) fn freed(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        add(-rounded(bytes));
    }
}

#[inline]
fn add(delta: isize) {
    let index = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        mine.get()
    });
    match index {
        // The first threads have a counter each: a plain load and store will do.
        Ok(index) if index < COUNTERS - 1 => {
            let counter = &TABLE[index].0;
            counter.store(counter.load(Ordering::Relaxed) + delta, Ordering::Relaxed);
        }
        _ => {
            TABLE[COUNTERS - 1].0.fetch_add(delta, Ordering::Relaxed);
        }
    }
}
