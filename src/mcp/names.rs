//! One name everywhere: a server's tool is `SERVER__tool` to rules, records and the merged list.
//!
//! A server's name neither holds `__` nor ends in `_` (the configuration refuses it), so that no two tools of two
//! servers share a name. A tool is still looked up in its server's list: a name alone calls nothing.
//!
//! Prompts and resources follow the same rules under names that no tool may have.

use super::question;

/// A longer name is not offered in the merged list: models' APIs take none.
pub const MERGED_CHARS_MAX: usize = 64;

/// What the rules' names of prompts and resources have before their own.
pub(super) const PROMPT: &str = "prompt__";
pub(super) const RESOURCE: &str = "resource__";

/// The name of a server's tool.
pub fn combined(server: &str, tool: &str) -> String {
    format!("{server}__{tool}")
}

/// The name that rules and records have for a server's prompt.
pub fn prompt(server: &str, prompt: &str) -> String {
    format!("{server}__{PROMPT}{prompt}")
}

/// The name that rules and records have for a server's resource.
pub fn resource(server: &str, uri: &str) -> String {
    format!("{server}__{RESOURCE}{uri}")
}

/// Whether a tool of this name would pass for something else: for a prompt, a resource, or what a server may ask of a client.
pub fn is_reserved(tool: &str) -> bool {
    tool.starts_with(PROMPT) || tool.starts_with(RESOURCE) || question::is_reserved(tool)
}

/// The tool's own name, if the name is one of this server's.
pub fn tool_of<'n>(server: &str, name: &'n str) -> Option<&'n str> {
    name.strip_prefix(server)?.strip_prefix("__")
}

/// Whether the merged list can hold a name.
pub fn fits(name: &str) -> bool {
    name.chars().count() <= MERGED_CHARS_MAX
}

/// Whether a server of this name can be told apart from others by the names of its tools.
pub fn is_distinct(server: &str) -> bool {
    !server.ends_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::UpstreamName;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_two_tools_share_a_name(a in "_?a(_?a){0,2}", b in "_?a(_?a){0,2}", x in "[a_]{1,4}", y in "[a_]{1,4}") {
            let is_server = |name: &str| UpstreamName::try_from(name).is_ok() && is_distinct(name);
            prop_assume!(is_server(&a) && is_server(&b) && (&a, &x) != (&b, &y));
            prop_assert_ne!(combined(&a, &x), combined(&b, &y));
            let name = combined(&a, &x);
            prop_assert_eq!(tool_of(&a, &name), Some(&*x));
            prop_assert!(is_reserved(tool_of(&a, &prompt(&a, &x)).unwrap()));
            prop_assert!(is_reserved(tool_of(&a, &resource(&a, &x)).unwrap()));
            prop_assert_ne!(prompt(&a, &x), resource(&b, &y));
            if a != b {
                prop_assert_eq!(tool_of(&b, &name), None);
            }
        }
    }
}
