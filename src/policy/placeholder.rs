//! Placeholders in the values that a rule forces: `{tenant.id}` and `{tenant.labels.NAME}`, filled in for each tenant when
//! its policy is made. So one rule of `defaults`, or of a tenant that others extend, forces each tenant's own name.

use super::Caller;
use crate::json::Value;
use std::borrow::Cow;

/// What begins a placeholder. Other braces are text.
const BEGIN: &str = "{tenant.";
const LABELS: &str = "labels.";

/// A placeholder that nothing can be filled into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlaceholder {
    #[error("the tenant has no label `{0}`")]
    NoLabel(String),
    #[error("`{{tenant.` begins a placeholder; write `{{tenant.id}}` or `{{tenant.labels.NAME}}`")]
    Unknown,
}

/// Fills in what a value holds for one tenant.
pub fn fill(value: &mut Value<'static>, caller: &Caller) -> Result<(), BadPlaceholder> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, caller)),
        Value::Object(members) => members.iter_mut().try_for_each(|(_, member)| fill(member, caller)),
        Value::String(text) if text.contains(BEGIN) => {
            *text = Cow::Owned(filled(text, caller)?);
            Ok(())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn filled(text: &str, caller: &Caller) -> Result<String, BadPlaceholder> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) = behind.split_once('}').ok_or(BadPlaceholder::Unknown)?;
        filled.push_str(before);
        filled.push_str(match name.strip_prefix(LABELS) {
            None if name == "id" => caller.tenant().get("name").and_then(Value::as_str).unwrap_or_default(),
            None => return Err(BadPlaceholder::Unknown),
            Some(label) => {
                let labels = caller.tenant().get("labels");
                let value = labels.and_then(|labels| labels.get(label)).and_then(Value::as_str);
                value.ok_or_else(|| BadPlaceholder::NoLabel(label.to_owned()))?
            }
        });
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_tenants_own_is_filled_in() {
        let caller = Caller::new("acme", "", &[("region", "eu"), ("odd", "{tenant.id}")]);
        let check = |text: &str, expected: Result<&str, BadPlaceholder>| {
            let mut value = json::parse(text.as_bytes(), 8).unwrap().into_owned();
            let done = fill(&mut value, &caller).map(|()| value.to_string());
            assert_eq!(done, expected.map(ToOwned::to_owned), "{text}");
        };
        check(r#""{tenant.id}""#, Ok(r#""acme""#));
        check(
            r#"["a-{tenant.id}-{tenant.labels.region}",{"a":"{tenant.id}"},1]"#,
            Ok(r#"["a-acme-eu",{"a":"acme"},1]"#),
        );
        // What is filled in is not looked at again.
        check(r#""{tenant.labels.odd}""#, Ok(r#""{tenant.id}""#));
        check(r#""{id} {} {key.id}""#, Ok(r#""{id} {} {key.id}""#));
        check(r#""{tenant.labels.plan}""#, Err(BadPlaceholder::NoLabel("plan".into())));
        check(r#""{tenant.name}""#, Err(BadPlaceholder::Unknown));
        check(r#""{tenant.id""#, Err(BadPlaceholder::Unknown));
    }
}
