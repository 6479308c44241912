//! The task that speaks with Redis: joins, asks and tells in batches, says every two seconds that it lives; and when
//! Redis is slow or gone, tries again by itself, so that no request does.

use super::{
    Question, View,
    message::{GIVE_UP_AFTER, Kept, Kind, LIMITS, Lost, MEMBERS, Members, Message, Scripts, read_verdict},
};
use crate::{
    clock, operator,
    quota::fleet::{Meter, Peers, Verdict},
};
use redis::{AsyncConnectionConfig, Client, Value, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Said that often that this gateway lives.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// Tried again after a time between these, twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// So much goes in one batch.
const CLAIMS_MAX: usize = 256;
const TOLD_MAX: usize = 512;

/// Runs until the gateway ends.
pub(super) async fn run(
    (client, prefix): (Client, String),
    view: Arc<View>,
    questions: mpsc::Receiver<Question>,
    (data_dir, kept): (PathBuf, Kept),
) {
    let (known, me) = (HashMap::new(), String::new());
    let mut task = Task { client, prefix, view, questions, data_dir, kept, known, me, was_told: None };
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
        if task.questions.is_closed() {
            return;
        }
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
    /// All that is kept in Redis begins with it.
    prefix: String,
    view: Arc<View>,
    questions: mpsc::Receiver<Question>,
    data_dir: PathBuf,
    kept: Kept,
    /// The limits of which a Redis would have to be told that forgot everything.
    known: HashMap<String, Arc<Meter>>,
    /// This gateway's number, where it was joined before.
    me: String,
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
        // Each answer has its time here.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let opened = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = timeout(GIVE_UP_AFTER, opened).await.map_err(|_| Lost::Silent)??;
        let mut load = redis::pipe();
        load.cmd("SCRIPT").arg("LOAD").arg(LIMITS).cmd("SCRIPT").arg("LOAD").arg(MEMBERS);
        let names = timeout(GIVE_UP_AFTER, load.query_async::<(String, String)>(&mut connection));
        let (limits, members) = names.await.map_err(|_| Lost::Silent)??;
        let (prefix, spender) = (self.prefix.clone(), self.kept.spender.clone());
        let scripts = Scripts { limits, members, prefix, spender };
        let members = hear(&mut connection, &scripts, &self.me).await?;
        self.me.clone_from(&members.me);
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.reset();
        self.tell_all();
        let mut link = Link { connection, scripts, members, beat, is_late: true };
        // What was used alone is known before anything is asked for.
        let batches = self.view.touched().len() / TOLD_MAX + 1;
        for _ in 0..batches {
            self.send(&mut link, None).await?;
        }
        self.see(&link.members);
        link.is_late = false;
        self.view.answered(Duration::ZERO);
        self.view.connected(Some(link.connection.clone()));
        self.tell_operator(true, "");
        Ok(link)
    }

    /// Sends what waits to be sent, all at once. None when the gateway has ended.
    async fn turn(&mut self, link: &mut Link) -> Result<Option<()>, Lost> {
        tokio::select! {
            biased;
            _ = link.beat.tick() => {
                let started = clock::now();
                let members = hear(&mut link.connection, &link.scripts, &self.me).await?;
                self.view.answered(started.elapsed());
                if members.me != self.me {
                    self.me.clone_from(&members.me);
                    // The others took this gateway for dead, and what it holds for free.
                    self.tell_all();
                }
                link.members = members;
                self.see(&link.members);
                let unix_s = clock::unix_seconds(clock::wall());
                self.known.retain(|_, meter| meter.matters(unix_s));
            }
            question = self.questions.recv() => {
                let Some(question) = question else { return Ok(None) };
                self.send(link, Some(question)).await?;
            }
            () = self.view.wake.notified() => self.send(link, None).await?,
        }
        Ok(Some(()))
    }

    /// Sends what waits to be told and asked for, and takes in what comes back.
    async fn send(&mut self, link: &mut Link, first: Option<Question>) -> Result<(), Lost> {
        let mut questions: Vec<Question> = first.into_iter().collect();
        while questions.len() < CLAIMS_MAX
            && let Ok(question) = self.questions.try_recv()
        {
            // Whoever does not wait any more needs no answer, and tells what it uses by itself.
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
        let unix_s = clock::unix_seconds(clock::wall());
        let messages = messages(link, &touched, &questions, unix_s);
        let mut pipe = redis::pipe();
        // What one of them comes to says nothing of the others.
        pipe.ignore_errors();
        for message in &messages {
            pipe.add_command(message.cmd.clone());
        }
        let started = clock::now();
        let sent = timeout(GIVE_UP_AFTER, pipe.query_async::<Vec<Value>>(&mut link.connection)).await;
        let answers = match sent {
            Ok(Ok(answers)) if answers.len() == messages.len() => Ok(answers),
            Ok(Ok(_)) => Err(Lost::Senseless),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Lost::Silent),
        };
        let took = started.elapsed();
        let (answers, mut lost) =
            answers.map_or_else(|lost| (Vec::new(), Some(lost)), |answers| (answers, None));
        let (mut answers, mut questions) = (answers.into_iter(), questions.into_iter());
        for message in messages {
            let question = if message.kind == Kind::Claim { questions.next() } else { None };
            let verdict = answers.next().map(|answer| read_verdict(answer, message.limits.len()));
            let came = self.take_in(&message, question, verdict);
            lost = lost.or_else(|| came.err());
            message.limits.iter().for_each(|(meter, _)| self.know(meter, unix_s));
        }
        if let Some(lost) = lost {
            return Err(lost);
        }
        if !link.is_late {
            self.view.answered(took);
        }
        Ok(())
    }

    /// Takes in what came of a message, if anything did.
    fn take_in(
        &self,
        message: &Message,
        question: Option<Question>,
        verdict: Option<Result<Verdict, Lost>>,
    ) -> Result<(), Lost> {
        let Some(Ok(verdict)) = verdict else {
            // As far as is known it did not arrive: what it told is told again.
            for (meter, told) in &message.limits {
                meter.is_lost(*told);
                self.view.touch(meter);
            }
            return verdict.map_or(Ok(()), |verdict| verdict.map(drop));
        };
        let now = clock::now();
        message.limits.iter().for_each(|(meter, told)| meter.arrived(*told));
        match question {
            Some(Question { claim, answer }) => {
                // Nobody waits for it any more: it is given back.
                if let Err(late) = answer.send(claim.decided(&verdict, now)) {
                    late.comes_late(&claim);
                }
            }
            None => {
                let (Verdict::Granted(told) | Verdict::Refused { told, .. }) = verdict;
                for ((meter, _), told) in message.limits.iter().zip(told) {
                    meter.learn(told, now);
                }
            }
        }
        Ok(())
    }

    /// Has everything told anew that a new Redis would not know.
    fn tell_all(&mut self) {
        self.known.values().for_each(|meter| self.view.touch(meter));
    }

    fn know(&mut self, meter: &Arc<Meter>, unix_s: i64) {
        if !meter.matters(unix_s) {
            self.known.remove(meter.name());
        } else if !self.known.contains_key(meter.name()) {
            self.known.insert(meter.name().to_owned(), Arc::clone(meter));
        }
    }

    fn see(&mut self, members: &Members) {
        self.view.gateways.store(members.count, Relaxed);
        if self.kept.gateways == members.count {
            return;
        }
        self.kept.gateways = members.count;
        if let Err(error) = self.kept.write(&self.data_dir) {
            operator::warn(&format!("the number of gateways cannot be kept in data_dir: {error}"));
        }
    }

    fn is_alone(&mut self, lost: &Lost) {
        self.view.is_joined.store(false, Relaxed);
        self.view.connected(None);
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

/// What is told, then what is asked for: so what came back is there for those who ask.
fn messages(link: &Link, touched: &[Arc<Meter>], questions: &[Question], unix_s: i64) -> Vec<Message> {
    let kind = if link.is_late { Kind::TellLate } else { Kind::Tell };
    let about = (&link.scripts, &link.members);
    let told = touched.iter().map(|meter| Message::tell(kind, meter, about, unix_s));
    let asked = questions.iter().map(|question| Message::claim(&question.claim, about, unix_s));
    told.chain(asked).collect()
}

/// Says that this gateway lives, and hears who else does.
async fn hear(connection: &mut MultiplexedConnection, scripts: &Scripts, me: &str) -> Result<Members, Lost> {
    let ask = Members::ask(scripts, me);
    let answer = timeout(GIVE_UP_AFTER, ask.query_async::<Value>(connection));
    Members::read(&answer.await.map_err(|_| Lost::Silent)??).ok_or(Lost::Senseless)
}
