//! `box`: five systems in one static binary. The applet table ([`applets`]), the way from `argv`
//! to a row of it ([`dispatch`]), and the words of `box` itself ([`words`], [`install`],
//! [`manual`], [`doctor`]).
//!
//! `docs/ARCHITECTURE.md` gives the tree in reading order.

pub mod applets;
pub mod dispatch;
pub mod doctor;
pub mod install;
pub mod manual;
pub mod words;
