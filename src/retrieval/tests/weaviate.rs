//! Golden requests.
