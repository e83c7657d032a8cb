//! The LFU clock: 16 bits of minutes and a counter of 8 bits that grows logarithmically and decays.
//!
//! ```text
//! [minutes of the last decay 16][counter 8]
//! ```

use super::rng;

/// A counter this high or lower is that of a new key.
const INITIAL: u32 = 5;

/// The counter of `clock` at `minutes`, decayed by one for every `decay` minutes.
pub fn decayed(clock: u32, minutes: u32, decay: u32) -> u32 {
    let counter = clock & 0xff;
    let passed = minutes.wrapping_sub(clock >> 8) & 0xffff;
    match decay {
        0 => counter,
        _ => counter.saturating_sub(passed / decay),
    }
}

/// The clock of a key with clock `clock` that is used at `minutes`.
pub fn touched(clock: u32, minutes: u32, factor: u32, decay: u32) -> u32 {
    let counter = decayed(clock, minutes, decay);
    let above = counter.saturating_sub(INITIAL);
    let chance = 1.0 / (f64::from(above) * f64::from(factor) + 1.0);
    let lucky = (rng::next() >> 11) as f64 / (1u64 << 53) as f64 <= chance;
    let counter = if lucky { (counter + 1).min(255) } else { counter };
    (minutes & 0xffff) << 8 | counter
}
