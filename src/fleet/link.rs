//! The task that speaks with Redis: joins, asks and tells in batches, says every two seconds that it lives; and when
//! Redis is slow or gone, tries again by itself, so that no request does.

use super::{
    Question, View,
    message::{Item, Kind, LIMITS, MEMBERS, Members, Message, Scripts, read_verdict, write_seen},
};
use crate::{
    clock, operator,
    quota::fleet::{Meter, Peers, Verdict},
};
use redis::{Client, RedisError, Value, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Said that often that this gateway lives.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// An answer that takes longer does not come.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);
/// Tried again after a time between these, twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// So much goes in one batch.
const CLAIMS_MAX: usize = 256;
const TOLD_MAX: usize = 512;

/// Why the link to Redis is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {} s", GIVE_UP_AFTER.as_secs())]
    Silent,
    #[error("an answer that makes no sense")]
    Senseless,
}

/// Runs until the gateway ends.
pub(super) async fn run(
    client: Client,
    view: Arc<View>,
    questions: mpsc::Receiver<Question>,
    data_dir: PathBuf,
) {
    let mut task = Task { client, view, questions, data_dir, holding: HashMap::new(), was_told: None };
    let mut wait = RETRY.0;
    loop {
        let joined = clock::now();
        let lost = match task.join().await {
            Ok(mut link) => loop {
                match task.turn(&mut link).await {
                    Ok(Some(())) => {}
                    Ok(None) => return,
                    Err(lost) => break lost,
                }
            },
            Err(lost) => lost,
        };
        task.is_alone(&lost);
        if joined.elapsed() > RETRY.1 {
            wait = RETRY.0;
        }
        // Not all gateways at once.
        let jitter = wait.mul_f64(f64::from(random_byte()) / 255.0);
        tokio::time::sleep(wait / 2 + jitter).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

fn random_byte() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_or(128, |()| byte[0])
}

struct Task {
    client: Client,
    view: Arc<View>,
    questions: mpsc::Receiver<Question>,
    data_dir: PathBuf,
    /// The limits of which something is held: they are told anew to a Redis that may not know.
    holding: HashMap<String, Arc<Meter>>,
    /// What the operator was told last: whether the others can be asked.
    was_told: Option<bool>,
}

struct Link {
    connection: MultiplexedConnection,
    scripts: Scripts,
    members: Members,
    beat: tokio::time::Interval,
    /// What waits to be told was used while this gateway was alone.
    is_late: bool,
}

impl Task {
    async fn join(&mut self) -> Result<Link, Lost> {
        let opened = timeout(GIVE_UP_AFTER, self.client.get_multiplexed_async_connection());
        let mut connection = opened.await.map_err(|_| Lost::Silent)??;
        let mut load = redis::pipe();
        load.cmd("SCRIPT").arg("LOAD").arg(LIMITS).cmd("SCRIPT").arg("LOAD").arg(MEMBERS);
        let names = timeout(GIVE_UP_AFTER, load.query_async::<(String, String)>(&mut connection));
        let (limits, members) = names.await.map_err(|_| Lost::Silent)??;
        let scripts = Scripts { limits, members };
        let members = hear(&mut connection, &scripts, "").await?;
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.reset();
        let holding: Vec<Arc<Meter>> = self.holding.drain().map(|(_, meter)| meter).collect();
        holding.iter().for_each(|meter| self.view.touch(meter));
        let mut link = Link { connection, scripts, members, beat, is_late: true };
        // What was used alone is known before anything is asked for.
        while self.tell(&mut link).await? {}
        self.see(&link.members);
        link.is_late = false;
        self.view.answered(Duration::ZERO);
        self.tell_operator(true, "");
        Ok(link)
    }

    /// Sends what waits to be sent, all at once. None when the gateway has ended.
    async fn turn(&mut self, link: &mut Link) -> Result<Option<()>, Lost> {
        tokio::select! {
            biased;
            _ = link.beat.tick() => {
                let started = clock::now();
                link.members = hear(&mut link.connection, &link.scripts, &link.members.me).await?;
                self.view.answered(started.elapsed());
                self.see(&link.members);
            }
            question = self.questions.recv() => {
                let Some(question) = question else { return Ok(None) };
                self.send(link, Some(question)).await?;
            }
            () = self.view.wake.notified() => self.send(link, None).await?,
        }
        Ok(Some(()))
    }

    async fn tell(&mut self, link: &mut Link) -> Result<bool, Lost> {
        let is_more = !self.view.touched.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if is_more {
            self.send(link, None).await?;
        }
        Ok(is_more)
    }

    async fn send(&mut self, link: &mut Link, first: Option<Question>) -> Result<(), Lost> {
        let mut questions: Vec<Question> = first.into_iter().collect();
        while questions.len() < CLAIMS_MAX
            && let Ok(question) = self.questions.try_recv()
        {
            // Whoever does not wait any more needs no answer; what it took part in is told by itself.
            if !question.answer.is_closed() {
                questions.push(question);
            }
        }
        let touched = self.view.take_touched(TOLD_MAX);
        if questions.is_empty() && touched.is_empty() {
            return Ok(());
        }
        if touched.len() == TOLD_MAX {
            self.view.wake.notify_one();
        }
        let kind = if link.is_late { Kind::TellLate } else { Kind::Tell };
        let unix_s = clock::unix_seconds(clock::wall());
        let about = (&link.scripts, &link.members);
        let mut messages = Vec::with_capacity(touched.len() + questions.len());
        for meter in &touched {
            self.hold(meter);
            messages.push(Message::of(kind, &[Item::tell(Arc::clone(meter))], about, unix_s));
        }
        for question in &questions {
            question.items.iter().for_each(|item| self.hold(&item.meter));
            messages.push(Message::of(Kind::Claim, &question.items, about, unix_s));
        }
        let mut pipe = redis::pipe();
        for message in &messages {
            pipe.add_command(message.cmd.clone());
        }
        let started = clock::now();
        let sent = timeout(GIVE_UP_AFTER, pipe.query_async::<Vec<Value>>(&mut link.connection)).await;
        let answers = match sent {
            Ok(Ok(answers)) => answers,
            failed => {
                messages.into_iter().for_each(Message::is_lost);
                touched.iter().for_each(|meter| self.view.touch(meter));
                return Err(match failed {
                    Ok(Err(error)) => error.into(),
                    Ok(Ok(_)) | Err(_) => Lost::Silent,
                });
            }
        };
        self.view.answered(started.elapsed());
        let now = clock::now();
        let mut verdicts = answers.iter().zip(&messages).map(|(answer, message)| {
            let verdict = read_verdict(answer, message.told.len());
            verdict.ok_or(Lost::Senseless)
        });
        for meter in touched {
            if let Some(Verdict::Granted(told)) = verdicts.next().transpose()? {
                told.iter().for_each(|told| meter.learn(*told, now));
            }
        }
        for (question, verdict) in questions.into_iter().zip(verdicts) {
            // Who does not wait any more gives back what it was granted when it is over.
            drop(question.answer.send(verdict?));
        }
        Ok(())
    }

    fn hold(&mut self, meter: &Arc<Meter>) {
        if meter.held() == 0 {
            self.holding.remove(meter.name());
        } else if !self.holding.contains_key(meter.name()) {
            self.holding.insert(meter.name().to_owned(), Arc::clone(meter));
        }
    }

    fn see(&self, members: &Members) {
        if self.view.gateways.swap(members.count, Relaxed) != members.count
            && let Err(error) = write_seen(&self.data_dir, members.count)
        {
            operator::warn(&format!("the number of gateways cannot be kept in data_dir: {error}"));
        }
    }

    fn is_alone(&mut self, lost: &Lost) {
        self.view.is_joined.store(false, Relaxed);
        // Nobody waits for an answer that does not come.
        while self.questions.try_recv().is_ok() {}
        self.tell_operator(false, &lost.to_string());
    }

    fn tell_operator(&mut self, is_joined: bool, why: &str) {
        if self.was_told.replace(is_joined) == Some(is_joined) {
            return;
        }
        let gateways = self.view.gateways.load(Relaxed);
        if is_joined {
            operator::info(&format!("limits are shared over Redis by {gateways} gateways"));
        } else {
            operator::warn(&format!(
                "the shared state in Redis is gone ({why}): this gateway goes on with a {gateways}th of each limit, and joins again by itself"
            ));
        }
    }
}

/// Says that this gateway lives, and hears who else does.
async fn hear(connection: &mut MultiplexedConnection, scripts: &Scripts, me: &str) -> Result<Members, Lost> {
    let ask = Members::ask(scripts, me);
    let answer = timeout(GIVE_UP_AFTER, ask.query_async::<Value>(connection));
    Members::read(&answer.await.map_err(|_| Lost::Silent)??).ok_or(Lost::Senseless)
}
