//! `box cache-benchmark`.

pub mod cli;
