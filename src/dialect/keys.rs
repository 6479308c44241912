//! Members of requests and answers that are decided on: no other key may be read as one of them.

pub(super) use crate::json::keys::{fold, reads_as};
use crate::{json::Value, refusal::Refusal};

/// Refuses an object in which a key is not one of these names and yet could be read as one of them.
pub(super) fn no_twins(object: &Value<'_>, names: &[&str], param: &str) -> Result<(), Refusal> {
    for (key, _) in object.members().unwrap_or_default() {
        // Nobody reads a key of small letters as another one.
        if key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            continue;
        }
        let twin = names.iter().find(|name| key != *name && reads_as(key, name));
        if let Some(name) = twin {
            let message = format!("a key could be read as `{name}`; write it exactly so, or leave it out");
            return Err(Refusal::invalid(message, Some(param)));
        }
    }
    Ok(())
}
