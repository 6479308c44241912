//! How far reading chains has got, for whoever waits for it.

/// So many bytes later it is told again how many were read.
const TOLD_EVERY_BYTES: u64 = 4 << 20;

/// What was read since it was told last, and who hears of it.
pub(super) struct Progress<'p> {
    bytes: u64,
    heard: &'p mut dyn FnMut(u64),
}

impl<'p> Progress<'p> {
    pub(super) fn new(heard: &'p mut dyn FnMut(u64)) -> Self {
        Self { bytes: 0, heard }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= TOLD_EVERY_BYTES {
            self.finish();
        }
    }

    pub(super) fn finish(&mut self) {
        (self.heard)(std::mem::take(&mut self.bytes));
    }
}
