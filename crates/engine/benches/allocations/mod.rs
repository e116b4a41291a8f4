//! An allocator that counts, so that a benchmark can say how much memory something takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted while somebody asks: counting would show in what is timed.
pub(crate) struct Counting {
    counts: AtomicBool,
    bytes: AtomicUsize,
    pieces: AtomicUsize,
}

/// What is allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocated {
    /// Bytes as they were asked for; the allocator's own overhead comes on top.
    pub(crate) bytes: usize,
    pub(crate) pieces: usize,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Counting { counts: AtomicBool::new(false), bytes: AtomicUsize::new(0), pieces: AtomicUsize::new(0) }
    }

    /// What is made by `make`, and how much more is allocated once it is made. One at a time, on one thread; what it frees
    /// it must have made.
    pub(crate) fn around<T>(&self, make: impl FnOnce() -> T) -> (T, Allocated) {
        self.bytes.store(0, Relaxed);
        self.pieces.store(0, Relaxed);
        self.counts.store(true, Relaxed);
        let made = make();
        self.counts.store(false, Relaxed);
        (made, Allocated { bytes: self.bytes.load(Relaxed), pieces: self.pieces.load(Relaxed) })
    }
}

#[expect(unsafe_code, reason = "allocations can be counted by an allocator alone; it only passes them on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.counts.load(Relaxed) {
            self.bytes.fetch_add(layout.size(), Relaxed);
            self.pieces.fetch_add(1, Relaxed);
        }
        // SAFETY: the caller keeps what this method asks for, which is what the system's asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.counts.load(Relaxed) {
            self.bytes.fetch_sub(layout.size(), Relaxed);
            self.pieces.fetch_sub(1, Relaxed);
        }
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
