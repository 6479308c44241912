//! One rule set decides alike in every dialect.
