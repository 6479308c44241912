//! What all dialects promise alike.
