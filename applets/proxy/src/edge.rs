//! The public side: listeners for visitors and agents, names, sessions.
//!
//! One thread a core, each with its own runtime, listeners and lanes; nothing but the registry is
//! shared. A lane stays on the core that greeted its agent. A visitor that was accepted on another
//! core moves, with the bytes read so far, to a core that has a lane of its tunnel, so that bytes
//! never cross cores afterwards.
//!
//! A name belongs to the token that used it first, also while its agent is away. A session whose
//! lanes are all gone keeps its names for a minute; visitors wait three seconds for it to come back.

mod agents;
mod core;
mod registry;
mod store;
mod visitors;

pub use core::{Edge, EdgeConfig, Handoff, Listeners, accept_loop, start};
pub use registry::{Registry, Tunnel};
pub use store::{Store, TokenEntry};
