//! Four-valued truth: what a condition can answer when fields are missing or arguments not known yet.

/// The answer of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    False,
    /// It depends on arguments that are not known yet.
    Open,
    True,
    /// It cannot be evaluated: a missing field, a wrong type, arguments that are not JSON.
    Unknown,
}

impl Truth {
    /// Conjunction: one false is false; else what cannot be evaluated, then what is open, decides.
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut result = Self::True;
        for truth in truths {
            match (truth, result) {
                (Self::False, _) => return Self::False,
                (Self::Unknown, _) => result = Self::Unknown,
                (Self::Open, Self::True) => result = Self::Open,
                (Self::Open | Self::True, _) => {}
            }
        }
        result
    }

    /// Disjunction: one true is true.
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        let negated = Self::all(truths.into_iter().map(Self::not));
        negated.not()
    }

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Open | Self::Unknown => self,
        }
    }

    /// Whether an allow with this condition allows. Open counts: some arguments could pass.
    pub fn permits(self) -> bool {
        match self {
            Self::True | Self::Open => true,
            Self::False | Self::Unknown => false,
        }
    }

    /// Whether a deny or an ask with this condition applies. Unknown counts: it fails closed.
    pub fn guards(self) -> bool {
        match self {
            Self::True | Self::Unknown => true,
            Self::False | Self::Open => false,
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}
