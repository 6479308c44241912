//! Calls that the provider ran, by their ids: what came of a call leaves with it, or not at all. The same in every dialect
//! in which providers run tools.

use super::{CALLS_MAX, unreadable};
use crate::refusal::Refusal;

/// A longer id is none.
const ID_BYTES_MAX: usize = 1024;

/// What stands in the place of a result that the client may not see.
pub(super) const RESULT_WITHHELD: &str = "[The result of a denied tool call is left out.]";

/// The calls of an answer that were judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl Ran {
    /// A call was denied, wherever it was to run: no result of it may leave.
    pub(super) fn deny(&mut self, id: &str) {
        self.denied.push(id.to_owned());
    }

    /// Takes down what became of a call of this id; `judge` says what stands in its place, if it is denied.
    pub(super) fn call(
        &mut self,
        id: &str,
        judge: &mut dyn FnMut() -> Result<Option<String>, Refusal>,
    ) -> Result<Option<String>, Refusal> {
        if id.len() > ID_BYTES_MAX || self.allowed.len() + self.denied.len() > 8 * CALLS_MAX {
            return Err(unreadable());
        }
        let notice = judge()?;
        let list = if notice.is_some() { &mut self.denied } else { &mut self.allowed };
        list.push(id.to_owned());
        Ok(notice)
    }

    /// What stands in the place of a result that names this call. One that names none may be the result of any; one whose
    /// call was not seen is judged by what it says it is.
    pub(super) fn result(
        &mut self,
        id: Option<&str>,
        judge: &mut dyn FnMut() -> Result<Option<String>, Refusal>,
    ) -> Result<Option<String>, Refusal> {
        let named = |list: &[String]| list.iter().any(|known| Some(known.as_str()) == id);
        let denied = if id.is_none() { !self.denied.is_empty() } else { named(&self.denied) };
        match (id.is_some() && named(&self.allowed), denied) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(RESULT_WITHHELD.to_owned())),
            (false, false) => self.call(id.unwrap_or_default(), judge),
        }
    }
}
