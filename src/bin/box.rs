//! main: hands `argv` to the dispatcher, nothing else.
//!
//! It is C's `main` and not Rust's: what Rust's runtime does before (reading `/proc/self/maps` for a
//! message on stack overflow, an alternate signal stack, a look at the standard streams) costs a
//! short command a tenth of its time. The dispatcher sets SIGPIPE itself, and glibc hands the
//! arguments to `std::env` also in a static binary.

#![no_main]

#[global_allocator]
static HEAP: box_sys::heap::Chosen = box_sys::heap::Chosen;

/// Called by the C library's start-up code.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    toolbox::dispatch::main(std::env::args_os().collect()).0.into()
}
