//! How a conversation with a program begins: it is asked for its era, and a session is opened where there are sessions.

use super::{
    super::{Era, Failed, agreed, era_of, wire::Said},
    child::{Child, Reply},
};
use crate::{
    json::Value,
    mcp::{
        Revision,
        about::About,
        envelope::{self, Ask},
    },
    refusal::Refusal,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// So long the answer to the first question is waited for. A program of the older era may leave it unanswered.
const PROBE_WAIT: Duration = Duration::from_secs(8);

/// Begins; what is known of the program's era is believed, where that is the older one.
pub(super) async fn with(
    child: &Arc<Child>,
    known: Option<Era>,
    capabilities: &Value<'_>,
) -> Result<(Era, Revision, About), Failed> {
    let modern = |result: &Value<'_>| (Era::Modern, Revision::MODERN, About::of(result));
    let mut late = None;
    if known != Some(Era::Legacy) {
        let ask = |id| Ask { id, method: "server/discover", name: None, params: &[], wishes: None };
        let mut asked = send(child, Revision::MODERN, ask).await?;
        match timeout(PROBE_WAIT, last_of(&mut asked)).await {
            Ok(Ok(Said::Result(result))) if era_of(&result) == Era::Modern => return Ok(modern(&result)),
            Ok(Ok(_)) => {}
            Ok(Err(Failed::Refusal(Refusal::UpstreamTimeout))) | Err(_) => late = Some(asked),
            Ok(Err(failed)) => return Err(failed),
        }
    }
    let params = envelope::initialize_params(capabilities);
    let ask = |id| Ask { id, method: "initialize", name: None, params: &params, wishes: None };
    let mut opening = send(child, Revision::LEGACY, ask).await?.lasting();
    let opened = tokio::select! {
        biased;
        result = is_modern(&mut late) => return Ok(modern(&result)),
        said = last_of(&mut opening) => said?,
    };
    match opened {
        Said::Result(result) => {
            let revision = agreed(&result)?;
            child.tell(envelope::INITIALIZED.to_vec()).await?;
            Ok((Era::Legacy, revision, About::of(&result)))
        }
        Said::Error { code, message, data } => Err(Failed::Error { code, message, data }),
        Said::Notification { .. } | Said::Request { .. } => Err(child.down()),
    }
}

async fn send<'a>(
    child: &Arc<Child>,
    revision: Revision,
    ask: impl Fn(u64) -> Ask<'a>,
) -> Result<Reply, Failed> {
    let id = child.next_id();
    let body = ask(id).sealed(revision, &Value::object([])).body;
    child.request(body, id, None).await?.ok_or_else(|| child.down())
}

/// The answer, whatever is told before it.
async fn last_of(asked: &mut Reply) -> Result<Said, Failed> {
    loop {
        let said = asked.next().await?;
        if matches!(said, Said::Result(_) | Said::Error { .. }) {
            return Ok(said);
        }
    }
}

/// Ends once a question that was left unanswered so far is answered as the newer era does.
async fn is_modern(late: &mut Option<Reply>) -> Value<'static> {
    if let Some(asked) = late
        && let Ok(Said::Result(result)) = last_of(asked).await
        && era_of(&result) == Era::Modern
    {
        return result;
    }
    std::future::pending().await
}
