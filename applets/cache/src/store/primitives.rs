//! What [`super::lock`] is made of.

pub use std::hint::spin_loop as spin;
pub use std::sync::atomic::{AtomicU32, Ordering};
pub use std::sync::{Condvar, Mutex};
