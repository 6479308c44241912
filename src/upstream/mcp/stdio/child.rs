//! One running program: many requests at once over its stdin and stdout, each answer to whoever asked for it.

use super::{
    Program, complaints,
    odd::Odd,
    pipes::{attend, write},
    program::Group,
};
use crate::{
    clock,
    json::{self, Value},
    mcp::{
        Message, Revision,
        about::About,
        envelope,
        lines::{Line, Lines, line_of},
        message,
    },
    operator,
    redact::Redactor,
    refusal::Refusal,
    upstream::{
        apart::Leave,
        mcp::{
            Failed, Taken,
            large::{Large, SMALL_BYTES},
            lock,
            wire::{MESSAGE_BYTES_MAX, Said, failed, said_by},
        },
    },
};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Child as Process,
    sync::{broadcast, mpsc},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// So many messages may wait until the program reads them.
const OUT_MAX: usize = 8;
/// So many of its messages may wait for one request's client, and for the owner of those that answer none.
const WAITING_MAX: usize = 256;
/// A longer notification is not kept for a client that is slow.
const NOTIFICATION_BYTES_MAX: usize = 256 << 10;
/// Nor is a longer message that answers no request.
const UNASKED_BYTES_MAX: usize = 1 << 20;
/// So many requests are remembered that nobody waits for any more: their answers are no surprise.
const CANCELLED_MAX: usize = 256;
const PIECE_BYTES: usize = 16 << 10;
/// So long is read on once the program ended.
const LINGER: Duration = Duration::from_millis(500);

/// A program that runs, for one tenant.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Child {
    /// Of which server it is, and whose.
    who: String,
    server: String,
    program: Arc<Program>,
    ids: AtomicU64,
    calls: Mutex<Calls>,
    out: mpsc::Sender<Bytes>,
    unasked: mpsc::Sender<Said>,
    /// What it tells without being asked, to whoever listens.
    told: broadcast::Sender<Said>,
    /// It is to end.
    stop: CancellationToken,
    /// It ended, and all that it started.
    pub(super) gone: CancellationToken,
    pub(super) started: Instant,
    /// Once it is ready: the revision that is spoken with it, and what it says of itself.
    pub(super) spoken: OnceLock<(Revision, Arc<About>)>,
    odd: Odd,
}

/// Who waits for an answer.
type Asked = mpsc::Sender<Result<Heard, Failed>>;

/// Something that the program said, and what that takes.
#[derive(Debug)]
struct Heard {
    said: Said,
    taken: Taken,
}

impl Heard {
    /// One that takes nothing to speak of.
    fn small(said: Said) -> Self {
        Self { said, taken: Taken::default() }
    }
}

/// What a line says.
enum Read {
    /// Nothing: it is no message.
    Nothing,
    /// Something that may be of no use.
    Answer(Option<u64>, Result<Said, Failed>),
    Told(Said),
}

/// The requests that are on their way.
#[derive(Debug)]
struct Calls {
    waiting: HashMap<u64, Asked>,
    cancelled: VecDeque<u64>,
    /// What a large message takes: whoever asked last, it is of the same tenant.
    large: Option<Large>,
    state: State,
    used: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Serves,
    /// It was told to end; it did nothing wrong.
    Retired,
    /// It ended by itself, or was of no use.
    Failed(Instant),
}

/// A request on its way. Dropping it cancels it.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Reply {
    child: Arc<Child>,
    id: u64,
    said: mpsc::Receiver<Result<Heard, Failed>>,
    /// What the last of it takes.
    taken: Taken,
    is_first: bool,
    /// `initialize` must not be cancelled.
    can_be_cancelled: bool,
}

impl Child {
    /// Starts a program. What it says without being asked goes to `attend`.
    pub(super) fn start(
        program: &Arc<Program>,
        redactor: &Arc<Redactor>,
        server: &str,
        tenant: &str,
    ) -> std::io::Result<Arc<Self>> {
        let (mut process, group) = program.start()?;
        let (out, messages) = mpsc::channel(OUT_MAX);
        let (unasked, heard) = mpsc::channel(WAITING_MAX);
        let started = clock::now();
        let child = Arc::new(Self {
            who: format!("the MCP server {server} of the tenant {tenant}"),
            server: server.to_owned(),
            program: Arc::clone(program),
            ids: AtomicU64::new(1),
            calls: Mutex::new(Calls {
                waiting: HashMap::new(),
                cancelled: VecDeque::new(),
                large: None,
                state: State::Serves,
                used: started,
            }),
            out,
            unasked,
            told: broadcast::Sender::new(WAITING_MAX),
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
            started,
            spoken: OnceLock::new(),
            odd: Odd::default(),
        });
        let stdin = process.stdin.take();
        let stop = child.stop.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Some(stdin) = stdin {
                write(stdin, messages, stop).await;
            }
        });
        let stdout = process.stdout.take();
        let reader = Arc::clone(&child);
        tasks.spawn(async move {
            if let Some(stdout) = stdout {
                reader.read(stdout).await;
            }
        });
        let stderr = process.stderr.take();
        let (who, program, redactor) = (child.who.clone(), Arc::clone(program), Arc::clone(redactor));
        let relaying = tokio::spawn(async move {
            if let Some(stderr) = stderr {
                complaints::relay(stderr, who, program, redactor).await;
            }
        });
        tokio::spawn(attend(heard, child.told.clone(), child.out.clone(), child.stop.clone()));
        tokio::spawn(Arc::clone(&child).supervise(process, group, tasks, relaying));
        Ok(child)
    }

    /// The revision that is spoken with it, once it is ready.
    pub(in crate::upstream::mcp) fn revision(&self) -> Option<Revision> {
        self.spoken.get().map(|(revision, _)| *revision)
    }

    /// What it says of itself.
    pub(in crate::upstream::mcp) fn about(&self) -> Arc<About> {
        self.spoken.get().map(|(_, about)| Arc::clone(about)).unwrap_or_default()
    }

    /// What it tells from now on without being asked.
    pub(in crate::upstream::mcp) fn told(&self) -> broadcast::Receiver<Said> {
        self.told.subscribe()
    }

    /// A number for the next request.
    pub(in crate::upstream::mcp) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request of this id. `None` if the program was told to end before.
    pub(in crate::upstream::mcp) async fn request(
        self: &Arc<Self>,
        body: Vec<u8>,
        id: u64,
        large: Option<Large>,
    ) -> Result<Option<Reply>, Failed> {
        let place = timeout(self.program.first_byte, self.out.reserve()).await;
        let place = match place.map_err(|_| Failed::Refusal(Refusal::UpstreamTimeout))? {
            Ok(place) => place,
            Err(_) if lock(&self.calls).state == State::Retired => return Ok(None),
            Err(_) => return Err(self.down()),
        };
        let (heard, said) = mpsc::channel(WAITING_MAX);
        let mut calls = lock(&self.calls);
        match calls.state {
            State::Serves => {}
            State::Retired => return Ok(None),
            State::Failed(_) => return Err(self.down()),
        }
        calls.waiting.insert(id, heard);
        calls.large = large;
        calls.used = clock::now();
        place.send(line_of(body));
        let (child, taken) = (Arc::clone(self), Taken::default());
        Ok(Some(Reply { child, id, said, taken, is_first: true, can_be_cancelled: true }))
    }

    /// Tells it something.
    pub(in crate::upstream::mcp) async fn tell(&self, body: Vec<u8>) -> Result<(), Failed> {
        let told = timeout(self.program.first_byte, self.out.send(line_of(body))).await;
        told.map_err(|_| Failed::Refusal(Refusal::UpstreamTimeout))?.map_err(|_| self.down())
    }

    /// Why there is no answer of a program that ended.
    pub(super) fn down(&self) -> Failed {
        super::down(&self.server, super::BACKOFF_MIN)
    }

    /// Whether it can be asked.
    pub(super) fn serves(&self) -> bool {
        lock(&self.calls).state == State::Serves
    }

    /// When it failed, if it did.
    pub(super) fn failed_at(&self) -> Option<Instant> {
        match lock(&self.calls).state {
            State::Failed(at) => Some(at),
            State::Serves | State::Retired => None,
        }
    }

    /// Since when nothing is asked of it; `None` while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let calls = lock(&self.calls);
        (calls.waiting.is_empty() && calls.state == State::Serves).then_some(calls.used)
    }

    /// Ends it, unless something was asked of it meanwhile.
    pub(super) fn retire_if_idle(&self) -> bool {
        let mut calls = lock(&self.calls);
        let may = calls.waiting.is_empty() && calls.state == State::Serves;
        if may {
            calls.state = State::Retired;
            self.stop.cancel();
        }
        may
    }

    /// Ends it.
    pub(super) fn retire(&self) {
        let mut calls = lock(&self.calls);
        if calls.state == State::Serves {
            calls.state = State::Retired;
        }
        drop(calls);
        self.stop.cancel();
    }

    /// Ends it as one that failed.
    pub(super) fn give_up(&self) {
        self.fail();
        self.stop.cancel();
    }

    fn fail(&self) {
        let mut calls = lock(&self.calls);
        if calls.state == State::Serves {
            calls.state = State::Failed(clock::now());
        }
    }

    async fn read(&self, mut stdout: impl AsyncRead + Unpin) {
        let (mut lines, mut piece) = (Lines::new(MESSAGE_BYTES_MAX), BytesMut::with_capacity(PIECE_BYTES));
        // What the line takes that comes.
        let mut large = None;
        loop {
            piece.clear();
            if !matches!(stdout.read_buf(&mut piece).await, Ok(1..)) {
                return;
            }
            lines.push(&piece);
            while let Some(line) = lines.next_line() {
                match line {
                    Line::Whole(line) => self.take_in(&line, large.take()).await,
                    Line::Cut(_) => {
                        large = None;
                        self.fail_all(&failed("the upstream's answer is too large to be inspected"));
                        Odd::tell(&self.odd.unreadable, &self.who, "a line that is too long for a message");
                    }
                }
            }
            if !self.has_room(lines.begun(), &mut large).await {
                large = None;
                lines.skip();
            }
        }
    }

    /// Waits for room for a line of which so much has come; the program waits meanwhile.
    async fn has_room(&self, begun: usize, large: &mut Option<Large>) -> bool {
        if begun > SMALL_BYTES && large.is_none() {
            *large = self.large();
        }
        let Some(large) = large else { return true };
        large.reach(begun).await.inspect_err(|failed| self.fail_all(failed)).is_ok()
    }

    /// What a large message takes, on behalf of whoever asked last.
    fn large(&self) -> Option<Large> {
        lock(&self.calls).large.as_ref().map(Large::another)
    }

    /// Reads a line: a large one within its room, when its turn has come.
    async fn take_in(&self, line: &Bytes, large: Option<Large>) {
        let mut large = large.or_else(|| self.large().filter(|_| line.len() > SMALL_BYTES));
        let leave = match &mut large {
            Some(large) => large.admit(line).await,
            None => Ok(Leave::default()),
        };
        match leave {
            Ok(leave) => {
                let read = leave.work(|| self.understand(line));
                self.hear(read, Taken { bytes: line.len(), held: large.map(Large::into_held) });
            }
            Err(failed) => self.fail_all(&failed),
        }
    }

    /// A line that was not read may be the answer to anything that was asked.
    fn fail_all(&self, why: &Failed) {
        let waiting = std::mem::take(&mut lock(&self.calls).waiting);
        for asked in waiting.into_values() {
            drop(asked.try_send(Err(why.clone())));
        }
    }

    /// What a line says, without what the program was given.
    fn understand(&self, line: &[u8]) -> Read {
        let Ok(value) = json::parse(line, json::NESTING_MAX) else { return Read::Nothing };
        let (id, is_answer) = match message::read(&value) {
            Ok(Message::Response { id }) => (id.and_then(Value::as_u64), true),
            Ok(Message::Notification { .. } | Message::Request(_)) => (None, false),
            Err(_) => return Read::Nothing,
        };
        let mut said = said_by(value, id);
        if let Ok(Some(said)) = &mut said {
            said.conceal(|value| self.program.conceal_in(value));
        }
        match said {
            said if is_answer => Read::Answer(
                id,
                said.and_then(|said| said.ok_or_else(|| failed("the upstream's answer cannot be inspected"))),
            ),
            Ok(Some(said)) => Read::Told(said),
            Ok(None) | Err(_) => Read::Nothing,
        }
    }

    fn hear(&self, read: Read, taken: Taken) {
        let bytes = taken.bytes;
        match read {
            Read::Nothing => Odd::tell(&self.odd.unreadable, &self.who, "a line that is no message"),
            Read::Answer(id, said) => match id.and_then(|id| self.take(id)) {
                // There is always a place for the answer: notifications leave the last one free.
                Some(asked) => drop(asked.try_send(said.map(|said| Heard { said, taken }))),
                None if id.is_some_and(|id| lock(&self.calls).cancelled.contains(&id)) => {}
                None => {
                    let what = "an answer to what nobody asked, or a second one";
                    Odd::tell(&self.odd.unwanted, &self.who, what);
                }
            },
            Read::Told(said) => {
                let asked = match &said {
                    Said::Notification { method, params } if bytes <= NOTIFICATION_BYTES_MAX => {
                        self.told_of(method, params)
                    }
                    // What it asks while one request is on its way, it asks because of that.
                    Said::Request { .. } => self.only_one(),
                    _ => None,
                };
                match asked {
                    Some(asked) if asked.capacity() > 1 => drop(asked.try_send(Ok(Heard::small(said)))),
                    Some(_) if matches!(said, Said::Notification { .. }) => self.drop_one(),
                    Some(_) | None => self.pass_on(said, bytes),
                }
            }
        }
    }

    /// Takes a request out that is answered.
    fn take(&self, id: u64) -> Option<Asked> {
        let mut calls = lock(&self.calls);
        calls.used = clock::now();
        calls.waiting.remove(&id)
    }

    /// Whose a notification is: progress is its request's, a message is that of the only request there is.
    fn told_of(&self, method: &str, params: &Value<'_>) -> Option<Asked> {
        let calls = lock(&self.calls);
        match method {
            "notifications/progress" => calls.waiting.get(&params.get("progressToken")?.as_u64()?).cloned(),
            "notifications/message" if calls.waiting.len() == 1 => calls.waiting.values().next().cloned(),
            _ => None,
        }
    }

    /// Who waits for the only request that is on its way.
    fn only_one(&self) -> Option<Asked> {
        let calls = lock(&self.calls);
        let mut waiting = calls.waiting.values();
        waiting.next().filter(|_| calls.waiting.len() == 1).cloned()
    }

    /// Passes on what answers no request. What is too much is left out; a request is declined then.
    fn pass_on(&self, said: Said, bytes: usize) {
        let sent = match self.unasked.try_reserve() {
            Ok(place) if bytes <= UNASKED_BYTES_MAX => {
                place.send(said);
                return;
            }
            Ok(_) | Err(_) => said,
        };
        self.drop_one();
        if let Said::Request { id, .. } = sent {
            // One that reads nothing hears of nothing.
            drop(self.out.try_send(line_of(envelope::not_served(&id))));
        }
    }

    fn drop_one(&self) {
        Odd::tell(&self.odd.dropped, &self.who, "more notifications or requests than are taken from it");
    }

    async fn supervise(
        self: Arc<Self>,
        mut process: Process,
        group: Group,
        mut pipes: JoinSet<()>,
        mut relaying: JoinHandle<()>,
    ) {
        let mut status = None;
        tokio::select! {
            ended = process.wait() => status = ended.ok(),
            () = self.stop.cancelled() => {}
            // Without its stdin or its stdout it is of no use.
            _ = pipes.join_next() => {}
        }
        let was_told = self.stop.is_cancelled();
        self.fail();
        self.stop.cancel();
        if status.is_none() {
            group.end(&mut process).await;
            status = process.try_wait().ok().flatten();
        }
        // What it said last is heard. Whatever it started ends with it.
        drop(timeout(LINGER, async { while pipes.join_next().await.is_some() {} }).await);
        drop(group);
        drop(timeout(LINGER, &mut relaying).await);
        drop(pipes);
        relaying.abort();
        let waiting = std::mem::take(&mut lock(&self.calls).waiting);
        for asked in waiting.into_values() {
            drop(asked.try_send(Err(self.down())));
        }
        self.odd.sum_up(&self.who);
        if !was_told {
            let how = status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"));
            operator::warn(&format!("{} {how}; it is started again when it is next used", self.who));
        }
        self.gone.cancel();
    }
}

impl Reply {
    /// A request that is not cancelled when nobody waits for it any more.
    pub(super) fn lasting(mut self) -> Self {
        self.can_be_cancelled = false;
        self
    }

    /// The program that is answered where it asks something meanwhile.
    pub(in crate::upstream::mcp) fn takes_answers(&self) -> Option<&Arc<Child>> {
        Some(&self.child)
    }

    /// What the program says next. The answer is the last of it.
    pub(in crate::upstream::mcp) async fn next(&mut self) -> Result<Said, Failed> {
        let program = &self.child.program;
        let wait = if self.is_first { program.first_byte } else { program.idle };
        self.is_first = false;
        let heard = timeout(wait, self.said.recv()).await;
        let heard = heard.map_err(|_| Failed::Refusal(Refusal::UpstreamTimeout))?;
        let Heard { said, taken } = heard.unwrap_or_else(|| Err(self.child.down()))?;
        self.taken = taken;
        Ok(said)
    }

    /// What the last of it takes, which is its owner's from now on.
    pub(in crate::upstream::mcp) fn taken(&mut self) -> Taken {
        std::mem::take(&mut self.taken)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let mut calls = lock(&self.child.calls);
        if calls.waiting.remove(&self.id).is_none() {
            return;
        }
        calls.used = clock::now();
        if calls.cancelled.len() >= CANCELLED_MAX {
            calls.cancelled.pop_front();
        }
        calls.cancelled.push_back(self.id);
        if self.can_be_cancelled {
            // A program that reads nothing hears of nothing.
            drop(self.child.out.try_send(line_of(envelope::cancelled(self.id))));
        }
    }
}
