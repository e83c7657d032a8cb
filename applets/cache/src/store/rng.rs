//! Random choices that need be quick, not secret: samples, random members, shuffles.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = Cell::new(box_sys::random::u64().unwrap_or(0x9e37_79b9_7f4a_7c15) | 1);
}

/// A random number (xorshift64*).
pub fn next() -> u64 {
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

/// A random number below `bound`, which must not be zero.
pub fn below(bound: usize) -> usize {
    ((u128::from(next()) * bound as u128) >> 64) as usize
}
