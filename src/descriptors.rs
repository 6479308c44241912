//! How many files this process may have open at once. A connection is one, and so is the connection to an upstream that
//! its request needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beyond this many nothing here gets better, and programs that the gateway runs inherit them: some close each one that
/// there may be when they start.
const RAISED_MAX: u64 = 1 << 16;

/// As many as the system lets it have; `None` where it has no limit.
pub fn allowed() -> Option<usize> {
    getrlimit(Resource::Nofile).current.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Takes as many as it may: most systems give 1,024 to whoever asks for no more, and allow a multiple of it.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(RAISED_MAX).min(RAISED_MAX);
    if current.is_some_and(|current| current < wanted) {
        // Where that is denied it works with what it has.
        let _is_raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    }
}
