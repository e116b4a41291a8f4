//! An allocator that counts, so that a benchmark can say how much memory something takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted.
pub(crate) struct Counting {
    bytes: AtomicUsize,
    pieces: AtomicUsize,
}

/// What is allocated at a moment, or between two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocated {
    /// Bytes as they were asked for; the allocator's own overhead comes on top.
    pub(crate) bytes: usize,
    pub(crate) pieces: usize,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Counting { bytes: AtomicUsize::new(0), pieces: AtomicUsize::new(0) }
    }

    /// What is made by `make`, and how much more is allocated once it is made.
    pub(crate) fn around<T>(&self, make: impl FnOnce() -> T) -> (T, Allocated) {
        let (bytes, pieces) = (self.bytes.load(Relaxed), self.pieces.load(Relaxed));
        let made = make();
        let more = |now: &AtomicUsize, before: usize| now.load(Relaxed).saturating_sub(before);
        (made, Allocated { bytes: more(&self.bytes, bytes), pieces: more(&self.pieces, pieces) })
    }
}

#[expect(unsafe_code, reason = "allocations can be counted by an allocator alone; it only passes them on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.bytes.fetch_add(layout.size(), Relaxed);
        self.pieces.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps what this method asks for, which is what the system's asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.bytes.fetch_sub(layout.size(), Relaxed);
        self.pieces.fetch_sub(1, Relaxed);
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
