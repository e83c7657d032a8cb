//! The allocator, chosen once at dispatch.
//!
//! Short commands use glibc's `malloc` (starts in nothing), servers mimalloc (halves their cost of
//! allocation, but doubles the start-up of a short command). What Rust's runtime and the dispatcher
//! allocate before the choice comes from a small static arena that is never given back, so that a
//! block can be returned to its owner by its address alone:
//!
//! ```text
//! before choose():  arena (bump), and glibc once the arena is full, which settles the choice
//! after choose():   glibc or mimalloc; an arena block that is freed stays where it is
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

#[cfg(feature = "mimalloc")]
use crate::heap_use;

/// Which allocator serves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heap {
    /// glibc's malloc.
    System,
    /// mimalloc; glibc's where no applet of this build asks for it.
    Mimalloc,
}

const UNDECIDED: u8 = 0;
const SYSTEM: u8 = 1;
const MIMALLOC: u8 = 2;

/// Bytes for the runtime's and the dispatcher's own allocations: a command line of some hundred
/// arguments fits, a longer one settles for glibc.
const ARENA_BYTES: usize = 32 * 1024;

static CHOICE: AtomicU8 = AtomicU8::new(UNDECIDED);
static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

/// Chooses the allocator of the process. Later calls change nothing.
pub fn choose(heap: Heap) {
    let choice = match heap {
        Heap::Mimalloc if cfg!(feature = "mimalloc") => MIMALLOC,
        _ => SYSTEM,
    };
    #[cfg(feature = "mimalloc")]
    if choice == MIMALLOC {
        // SAFETY: takes nothing and may be called at any time; it is what mimalloc's constructor
        // would call, which .cargo/config.toml switches off. A second call changes nothing.
        unsafe { _mi_auto_process_init() };
    }
    // The arena may have run over and settled for glibc already: then that stays.
    let _ = CHOICE.compare_exchange(UNDECIDED, choice, Ordering::AcqRel, Ordering::Acquire);
}

#[cfg(feature = "mimalloc")]
unsafe extern "C" {
    fn _mi_auto_process_init();
}

/// The global allocator of `box`: forwards to what [`choose`] chose.
pub struct Chosen;

#[repr(align(16))]
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: the bytes are handed out in disjoint pieces, the offset being claimed atomically.
unsafe impl Sync for Arena {}

impl Arena {
    /// A piece of the arena, or `None` when it is full.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let base = self.bytes.get() as usize;
        let claimed = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let start = (base + used).next_multiple_of(layout.align()) - base;
            start.checked_add(layout.size()).filter(|end| *end <= ARENA_BYTES)
        });
        let used = claimed.ok()?;
        let start = (base + used).next_multiple_of(layout.align()) - base;
        // SAFETY: `start` lies within the arena, by the check of the claim above.
        Some(unsafe { self.bytes.get().cast::<u8>().add(start) })
    }

    fn owns(&self, block: *mut u8) -> bool {
        (block as usize).wrapping_sub(self.bytes.get() as usize) < ARENA_BYTES
    }
}

// SAFETY: every block comes from exactly one of arena, glibc and mimalloc. The choice is made once
// (compare_exchange from UNDECIDED) and blocks from before it are the arena's, known by address, or
// glibc's, in which case the choice is glibc for good. So each block is freed by its own allocator.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match CHOICE.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise about `layout` is passed on.
            SYSTEM => unsafe { System.alloc(layout) },
            #[cfg(feature = "mimalloc")]
            // SAFETY: as above.
            MIMALLOC => unsafe {
                heap_use::allocated(layout.size());
                mimalloc::MiMalloc.alloc(layout)
            },
            _ => ARENA.take(layout).unwrap_or_else(|| {
                choose(Heap::System);
                // SAFETY: as above; `self.alloc` now goes to what is chosen.
                unsafe { self.alloc(layout) }
            }),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if ARENA.owns(block) {
            return;
        }
        match CHOICE.load(Ordering::Relaxed) {
            #[cfg(feature = "mimalloc")]
            // SAFETY: the block is not the arena's, so it came after the choice, from mimalloc.
            MIMALLOC => unsafe {
                heap_use::freed(layout.size());
                mimalloc::MiMalloc.dealloc(block, layout);
            },
            // SAFETY: the block is not the arena's, and mimalloc was never chosen.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match CHOICE.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise about `layout` is passed on.
            SYSTEM => unsafe { System.alloc_zeroed(layout) },
            #[cfg(feature = "mimalloc")]
            // SAFETY: as above.
            MIMALLOC => unsafe {
                heap_use::allocated(layout.size());
                mimalloc::MiMalloc.alloc_zeroed(layout)
            },
            // The arena's pieces are handed out once, so they are still zero.
            // SAFETY: as above.
            _ => unsafe {
                let block = self.alloc(layout);
                if !block.is_null() && !ARENA.owns(block) {
                    block.write_bytes(0, layout.size());
                }
                block
            },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !ARENA.owns(block) {
            return match CHOICE.load(Ordering::Relaxed) {
                #[cfg(feature = "mimalloc")]
                // SAFETY: not the arena's, so mimalloc's, as in `dealloc`.
                MIMALLOC => unsafe {
                    heap_use::freed(layout.size());
                    heap_use::allocated(new_size);
                    mimalloc::MiMalloc.realloc(block, layout, new_size)
                },
                // SAFETY: not the arena's, so glibc's, as in `dealloc`.
                _ => unsafe { System.realloc(block, layout, new_size) },
            };
        }
        // SAFETY: the caller promises that `new_size` rounds to a valid layout; old and new block
        // are distinct, and the shorter of both sizes is readable and writable.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
            }
            new
        }
    }
}
