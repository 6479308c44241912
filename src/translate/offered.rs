//! Tools and the choice among them, as far as OpenAI's two APIs say them alike. Apart from their readers because both need it.

use super::{
    conversation::{Choice, Conversation, Tool},
    members::Members,
};
use crate::{json::Value, refusal::Refusal};

pub(super) const ONLY_FUNCTIONS: &str = "only tools of type `function` can";

/// What one API writes otherwise than the other.
pub(super) struct Form {
    pub(super) tool: for<'v> fn(Members<'v>) -> Result<Tool<'v>, Refusal>,
    /// The name of the function that is chosen, or allowed.
    pub(super) name: for<'v> fn(&mut Members<'v>) -> Result<&'v str, Refusal>,
    /// Whether what `allowed_tools` says stands in a member of that name.
    pub(super) nests_allowed: bool,
}

/// Reads `tools`, `parallel_tool_calls` and `tool_choice`.
pub(super) fn read<'v>(
    body: &mut Members<'v>,
    conversation: &mut Conversation<'v>,
    form: &Form,
) -> Result<(), Refusal> {
    for (at, tool) in body.items("tools")? {
        conversation.tools.push((form.tool)(Members::of(tool, at.0)?)?);
    }
    conversation.one_call = body.truth("parallel_tool_calls")? == Some(false);
    let at = body.at("tool_choice");
    conversation.choice = match body.take("tool_choice") {
        None => None,
        Some(Value::String(mode)) => Some(match mode.as_ref() {
            "auto" => Choice::Auto,
            "none" => Choice::None,
            "required" => Choice::Any,
            _ => return Err(at.refuse("is no choice that is known")),
        }),
        Some(choice) => Some(chosen(Members::of(choice, at.0)?, &mut conversation.tools, form)?),
    };
    Ok(())
}

/// A choice that is an object. `allowed_tools` leaves only the tools that it lists.
fn chosen<'v>(
    mut choice: Members<'v>,
    tools: &mut Vec<Tool<'v>>,
    form: &Form,
) -> Result<Choice<'v>, Refusal> {
    let at = choice.at("type");
    let found = match choice.need_text("type")? {
        "function" => Choice::One((form.name)(&mut choice)?),
        "allowed_tools" if form.nests_allowed => {
            let mut inner = choice.need_object("allowed_tools")?;
            let found = allowed(&mut inner, tools, form)?;
            inner.end()?;
            found
        }
        "allowed_tools" => allowed(&mut choice, tools, form)?,
        _ => return Err(at.uncarried_but("only a `function` can be chosen")),
    };
    choice.end()?;
    Ok(found)
}

fn allowed<'v>(
    choice: &mut Members<'v>,
    tools: &mut Vec<Tool<'v>>,
    form: &Form,
) -> Result<Choice<'v>, Refusal> {
    let mut names = Vec::new();
    for (at, tool) in choice.items("tools")? {
        let mut tool = Members::of(tool, at.0)?;
        let at = tool.at("type");
        if tool.need_text("type")? != "function" {
            return Err(at.uncarried_but(ONLY_FUNCTIONS));
        }
        let name = (form.name)(&mut tool)?;
        if !tools.iter().any(|tool| tool.name == name) {
            return Err(tool.here().refuse("names a tool that is not offered"));
        }
        names.push(name);
        tool.end()?;
    }
    tools.retain(|tool| names.contains(&tool.name));
    let at = choice.at("mode");
    match choice.need_text("mode")? {
        "auto" => Ok(Choice::Auto),
        "required" => Ok(Choice::Any),
        _ => Err(at.refuse("must be `auto` or `required`")),
    }
}
