//! The trunk: dispatch, names, help, links, and the rules of the tree.

mod binary;
mod demo;
mod dispatch;
mod docs;
mod doctor;
mod features;
mod install;
mod tidy;

use box_harness::Bin;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}
