//! How much work one condition may do. Counted, not timed: the same question always gets the same answer.

/// The work that one answer may cost, in steps of some ten nanoseconds: enough to look at each of 60,000 items, and
/// a few milliseconds at most. What a condition makes is bounded with it, to some 16 MiB.
pub const STEPS_MAX: usize = 250_000;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Stop {
    /// A missing field, a wrong type, an overflow. `false && …` and `true || …` hold all the same.
    Fails,
    /// The budget is spent: nothing can be said any more.
    Spent,
}

/// How much work an evaluation may still do, in steps of some nanoseconds each.
#[derive(Debug)]
pub(in crate::policy) struct Budget {
    left: usize,
}

/// This many bytes of text are one step.
const STEP_BYTES: usize = 64;

impl Budget {
    pub(in crate::policy) fn new(steps: usize) -> Self {
        Self { left: steps }
    }

    pub(in crate::policy) fn left(&self) -> usize {
        self.left
    }

    pub(in crate::policy) fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        match self.left.checked_sub(steps) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                return Err(Stop::Spent);
            }
        }
        Ok(())
    }

    /// For walking over so much text.
    pub(in crate::policy) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spend(bytes / STEP_BYTES)
    }
}
