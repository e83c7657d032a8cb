//! Capture from interfaces.

use box_kit::{Failure, Invocation, Outcome};

use crate::arguments::Settings;

/// `-D`
///
/// # Errors
/// The kernel's.
pub fn list_interfaces() -> Outcome {
    Err(Failure::new("no interfaces"))
}

/// `-L`
///
/// # Errors
/// The kernel's.
pub fn list_link_types(_: &Settings) -> Outcome {
    Err(Failure::new("no interfaces"))
}

/// Captures.
///
/// # Errors
/// The kernel's.
pub fn capture(_: Settings, _: &Invocation) -> Outcome {
    Err(Failure::new("no interfaces"))
}
