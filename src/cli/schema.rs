//! `tollgate schema`: what editors know about the YAML files.

use super::{Status, print};

pub(super) fn run() -> Status {
    print::line(&format!("{:#}", crate::config::schema()));
    Status::Fine
}
