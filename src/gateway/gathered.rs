//! An upstream's whole answer: gathered within the room that there is for answers, worked on apart from others' requests
//! where it is large, and in its room until it is sent. A batch of embeddings is some forty megabytes, and three times as
//! much while it is read: a few at once would end the process where memory is small, and each would keep a thread from
//! everybody else for a tenth of a second.

use super::{Gateway, Visit, apart};
use crate::{
    identity::Identity,
    json::Signs,
    refusal::Refusal,
    room::Held,
    upstream::{
        apart::Leave,
        http1::{AnswerBody, BodyError, Read},
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// An answer of fewer bytes takes no room.
const SMALL_BYTES: usize = 64 * 1024;
/// Of an answer that does not say how long it is, room for so much is taken at a time.
const STEP_BYTES: usize = 1 << 20;
/// So long an answer waits for others to be sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is longer.
pub(super) const LENGTH_MAX: usize = 64 << 20;

const TOO_LARGE: Refusal =
    Refusal::UpstreamError { message: "the upstream's answer is too large to be inspected" };
const NEVER_FITS: Refusal = Refusal::UpstreamError {
    message: "the upstream's answer is too large to be inspected: it takes more than half of `limits.answers`",
};

/// Whether an answer was refused for its size: it came, and is to be paid.
pub(super) fn is_for_room(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NoRoom { .. }) || *refusal == TOO_LARGE || *refusal == NEVER_FITS
}

/// A whole answer, in its room.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) bytes: Bytes,
    pub(super) held: Held,
}

/// What an answer is read as, which may take more than its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing but text.
    Text,
    Json,
    /// JSON of which numbers beside each other stay text.
    Vectors,
}

/// Room for answers to this caller's requests: nothing yet.
pub(super) fn room((gateway, identity): (&Gateway, &Identity)) -> Held {
    gateway.means.room(identity.tenant().id.shared())
}

/// Reads the answer to a request of this caller's.
pub(super) async fn gather(
    (gateway, identity): (&Gateway, &Identity),
    mut body: AnswerBody,
    form: Form,
) -> Result<Gathered, Refusal> {
    let mut held = room((gateway, identity));
    let announced = body.announced().map_err(broke_off)?.unwrap_or(0);
    let announced = usize::try_from(announced).ok().filter(|length| *length <= LENGTH_MAX);
    let announced = announced.ok_or(BodyError::TooLarge).map_err(broke_off)?;
    if announced > SMALL_BYTES {
        // With what it will most likely take: many that each came half would keep each other out.
        let most = if form == Form::Json { 2 * announced } else { announced + announced / 4 };
        take(&mut held, most, &mut body).await?;
    }
    let (mut whole, mut taken) = (Vec::with_capacity(announced), announced.max(SMALL_BYTES));
    let (mut signs, mut counted) = (Signs::default(), 0);
    loop {
        if whole.len() > taken {
            taken = whole.len() + STEP_BYTES;
            take(&mut held, taken, &mut body).await?;
        }
        let read = body.read_into(&mut whole, LENGTH_MAX).await.map_err(broke_off)?;
        if whole.len() > SMALL_BYTES {
            signs.add(whole.get(counted..).unwrap_or_default());
            counted = whole.len();
            // Megabytes that are there already would keep others waiting.
            tokio::task::yield_now().await;
        }
        if read == Read::End {
            break;
        }
    }
    if whole.len() > SMALL_BYTES {
        let weight = match form {
            Form::Text => 0,
            Form::Json => signs.weight_max(false),
            Form::Vectors => signs.weight_max(true),
        };
        take(&mut held, whole.len().saturating_add(weight), &mut body).await?;
    }
    Ok(Gathered { bytes: Bytes::from(whole), held })
}

/// The answer in its room, and leave to work on it.
pub(super) async fn with_leave(
    visit: &mut Visit,
    body: AnswerBody,
    form: Form,
) -> Result<(Gathered, Leave), Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let caller = (&*gateway, &visit.asked()?.identity);
    let gathered = gather(caller, body, form).await?;
    let leave = apart::turn_of_answer(caller, gathered.bytes.len()).await?;
    Ok((gathered, leave))
}

/// Takes so much in all.
async fn take(held: &mut Held, bytes: usize, body: &mut AnswerBody) -> Result<(), Refusal> {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    if held.holds(bytes) {
        return Ok(());
    }
    // Whoever waits here keeps nobody from the upstream.
    body.gives_its_place_back();
    let taken = held.wait_to_hold(bytes, PATIENCE).await;
    taken.map_err(|refusal| refusal.unwrap_or(NEVER_FITS))
}

pub(super) fn broke_off(error: BodyError) -> Refusal {
    match error {
        BodyError::IdleTimeout | BodyError::TotalTimeout => Refusal::UpstreamTimeout,
        BodyError::TooLarge => TOO_LARGE,
        BodyError::Truncated | BodyError::MalformedFraming | BodyError::Io(_) => {
            Refusal::UpstreamError { message: "the upstream's answer broke off" }
        }
    }
}
