//! The `tollgate` binary: arguments in, exit status out. Everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Records are made in large, short-lived pieces on another thread than requests: the system's allocator gives their
/// pages back and fetches them again each time. Without huge pages, which cost memory for every stream that is held.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tollgate::cli::run()
}
