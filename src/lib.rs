//! `box`: five systems in one static binary. The applet table ([`applets`]) and the way from
//! `argv` to a row of it ([`dispatch`]).
//!
//! `docs/ARCHITECTURE.md` gives the tree in reading order.

pub mod applets;
pub mod dispatch;
