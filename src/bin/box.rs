//! main: hands `argv` to the dispatcher, nothing else.

use std::process::ExitCode;

#[global_allocator]
static HEAP: box_sys::heap::Chosen = box_sys::heap::Chosen;

fn main() -> ExitCode {
    ExitCode::from(toolbox::dispatch::main(std::env::args_os().collect()).0)
}
