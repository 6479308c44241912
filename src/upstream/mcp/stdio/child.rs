//! One running program: many requests at once over its stdin and stdout, each answer to whoever asked for it.

use super::{Program, complaints, program::Group};
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
    upstream::mcp::{
        Failed, lock,
        wire::{MESSAGE_BYTES_MAX, Said, failed, said_by},
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
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
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
    first_byte: Duration,
    idle: Duration,
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

/// The requests that are on their way.
#[derive(Debug)]
struct Calls {
    waiting: HashMap<u64, mpsc::Sender<Result<Said, Failed>>>,
    cancelled: VecDeque<u64>,
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

/// What the program said that nobody could use. Each kind is told once.
#[derive(Debug, Default)]
struct Odd {
    unreadable: AtomicU64,
    unwanted: AtomicU64,
    dropped: AtomicU64,
}

/// A request on its way. Dropping it cancels it.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Reply {
    child: Arc<Child>,
    id: u64,
    said: mpsc::Receiver<Result<Said, Failed>>,
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
            first_byte: program.first_byte,
            idle: program.idle,
            ids: AtomicU64::new(1),
            calls: Mutex::new(Calls {
                waiting: HashMap::new(),
                cancelled: VecDeque::new(),
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
    ) -> Result<Option<Reply>, Failed> {
        let place = timeout(self.first_byte, self.out.reserve()).await;
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
        calls.used = clock::now();
        place.send(line_of(body));
        Ok(Some(Reply { child: Arc::clone(self), id, said, is_first: true, can_be_cancelled: true }))
    }

    /// Tells it something.
    pub(in crate::upstream::mcp) async fn tell(&self, body: Vec<u8>) -> Result<(), Failed> {
        let told = timeout(self.first_byte, self.out.send(line_of(body))).await;
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
        loop {
            piece.clear();
            if !matches!(stdout.read_buf(&mut piece).await, Ok(1..)) {
                return;
            }
            lines.push(&piece);
            while let Some(line) = lines.next_line() {
                match line {
                    Line::Whole(line) => self.hear(&line),
                    Line::Cut(_) => self.fail_all("the upstream's answer is too large to be inspected"),
                }
            }
        }
    }

    /// A line that is too long may be the answer to anything that was asked.
    fn fail_all(&self, why: &'static str) {
        let waiting = std::mem::take(&mut lock(&self.calls).waiting);
        for asked in waiting.into_values() {
            drop(asked.try_send(Err(failed(why))));
        }
        Odd::tell(&self.odd.unreadable, &self.who, "a line that is too long for a message");
    }

    fn hear(&self, line: &[u8]) {
        let parsed = json::parse(line, json::NESTING_MAX).ok();
        let Some(value) = parsed.filter(|value| message::read(value).is_ok()) else {
            Odd::tell(&self.odd.unreadable, &self.who, "a line that is no message");
            return;
        };
        match message::read(&value) {
            Ok(Message::Response { id }) => {
                let id = id.and_then(Value::as_u64);
                let waiting = id.and_then(|id| Some((id, self.take(id)?)));
                let Some((id, asked)) = waiting else {
                    if id.is_none_or(|id| !lock(&self.calls).cancelled.contains(&id)) {
                        Odd::tell(
                            &self.odd.unwanted,
                            &self.who,
                            "an answer to what nobody asked, or a second one",
                        );
                    }
                    return;
                };
                let said = said_by(value, Some(id))
                    .and_then(|said| said.ok_or_else(|| failed("the upstream's answer cannot be inspected")));
                // There is always a place for the answer: notifications leave the last one free.
                drop(asked.try_send(said));
            }
            Ok(Message::Notification { method, params }) => {
                let asked =
                    (line.len() <= NOTIFICATION_BYTES_MAX).then(|| self.told_of(method, params)).flatten();
                let Ok(Some(said)) = said_by(value, None) else { return };
                match asked {
                    Some(asked) if asked.capacity() > 1 => drop(asked.try_send(Ok(said))),
                    Some(_) => self.drop_one(),
                    None => self.pass_on(said, line.len()),
                }
            }
            Ok(Message::Request(_)) => {
                let asked = self.only_one();
                match (said_by(value, None), asked) {
                    // What it asks while one request is on its way, it asks because of that.
                    (Ok(Some(said)), Some(asked)) if asked.capacity() > 1 => drop(asked.try_send(Ok(said))),
                    (Ok(Some(said)), _) => self.pass_on(said, line.len()),
                    _ => {}
                }
            }
            Err(_) => {}
        }
    }

    /// Takes a request out that is answered.
    fn take(&self, id: u64) -> Option<mpsc::Sender<Result<Said, Failed>>> {
        let mut calls = lock(&self.calls);
        calls.used = clock::now();
        calls.waiting.remove(&id)
    }

    /// Whose a notification is: progress is its request's, a message is that of the only request there is.
    fn told_of(
        &self,
        method: &str,
        params: Option<&Value<'_>>,
    ) -> Option<mpsc::Sender<Result<Said, Failed>>> {
        let calls = lock(&self.calls);
        match method {
            "notifications/progress" => calls.waiting.get(&params?.get("progressToken")?.as_u64()?).cloned(),
            "notifications/message" if calls.waiting.len() == 1 => calls.waiting.values().next().cloned(),
            _ => None,
        }
    }

    /// Who waits for the only request that is on its way.
    fn only_one(&self) -> Option<mpsc::Sender<Result<Said, Failed>>> {
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

impl Odd {
    fn tell(kind: &AtomicU64, who: &str, what: &str) {
        if kind.fetch_add(1, Ordering::Relaxed) == 0 {
            operator::warn(&format!(
                "{who} wrote {what}; it is left out, and more of its kind are only counted"
            ));
        }
    }

    fn sum_up(&self, who: &str) {
        let [unreadable, unwanted, dropped] =
            [&self.unreadable, &self.unwanted, &self.dropped].map(|kind| kind.load(Ordering::Relaxed));
        if unreadable.max(unwanted).max(dropped) > 1 {
            operator::warn(&format!(
                "{who} had written {unreadable} lines that are no messages, {unwanted} answers that nobody waited for, \
                 and {dropped} messages too many"
            ));
        }
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
        let wait = if self.is_first { self.child.first_byte } else { self.child.idle };
        self.is_first = false;
        let said = timeout(wait, self.said.recv()).await;
        said.map_err(|_| Failed::Refusal(Refusal::UpstreamTimeout))?.unwrap_or_else(|| Err(self.child.down()))
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

/// Writes to a program until it is to end, or does not listen; then its stdin is closed.
async fn write(
    mut stdin: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<Bytes>,
    stop: CancellationToken,
) {
    let writing = async {
        while let Some(message) = messages.recv().await {
            if stdin.write_all(&message).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = stop.cancelled() => {}
    }
}

/// The owner of what a program says without being asked: it declines requests, and tells notifications to who listens.
async fn attend(
    mut heard: mpsc::Receiver<Said>,
    told: broadcast::Sender<Said>,
    out: mpsc::Sender<Bytes>,
    stop: CancellationToken,
) {
    let declining = async {
        while let Some(said) = heard.recv().await {
            match said {
                Said::Request { id, .. } => drop(out.send(line_of(envelope::not_served(&id))).await),
                // What it says while several were asked may be of any of them.
                Said::Notification { method, .. } if method == "notifications/message" => {}
                // Nobody may listen.
                said => drop(told.send(said)),
            }
        }
    };
    tokio::select! {
        () = declining => {}
        () = stop.cancelled() => {}
    }
}
