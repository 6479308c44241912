//! One read buffer per thread, lent for the length of a synchronous read. Apart because this is what keeps a held
//! stream from owning a buffer of its own.
use std::cell::Cell;

/// Bytes that one read may take.
pub(super) const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's buffer to `use_it`. A nested call gets a buffer of its own.
pub(super) fn with_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SCRATCH.take();
    if buffer.len() != SCRATCH_BYTES {
        buffer = vec![0; SCRATCH_BYTES];
    }
    let result = use_it(&mut buffer);
    SCRATCH.set(buffer);
    result
}
