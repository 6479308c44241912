//! Texts that an analyst looks over: what it finds goes, what it does not answer for is not written, and lines stay in
//! their order whatever it does.

use super::{super::study::Room, *};
use crate::redact::Mark;
use std::{sync::Mutex, thread, time::Instant};

/// Finds `Jane`, how it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    Late,
    Never,
    Failing,
    Lying,
    Nameless,
}

#[derive(Debug)]
struct Reader {
    how: How,
    timeout: Duration,
    seen: Mutex<Vec<String>>,
}

impl Reader {
    fn new(how: How) -> Arc<Self> {
        Arc::new(Self { how, timeout: Duration::from_millis(150), seen: Mutex::default() })
    }
}

impl Analyst for Reader {
    fn begin(&self, text: String, answer: Answer) {
        self.seen.lock().unwrap().push(text.clone());
        let mark = |start: usize, end: usize, entity: &str| Mark { start, end, entity: entity.to_owned() };
        let found: Vec<Mark> = text
            .match_indices("Jane")
            .map(|(at, _)| text.get(..at).unwrap().chars().count())
            .map(|at| mark(at, at + 4, "PERSON"))
            .collect();
        match self.how {
            How::Well => answer.give(Some(found)),
            How::Late => drop(thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                answer.give(Some(found));
            })),
            How::Never => {}
            How::Failing => answer.give(None),
            How::Lying => answer.give(Some(vec![mark(0, 10_000, "PERSON")])),
            How::Nameless => answer.give(Some(vec![mark(0, 1, "\"}\n")])),
        }
    }
    fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn journal(tenant: &str, reader: &Arc<Reader>) -> Arc<Journal> {
    let base = fixture::journal(tenant, Content::Redacted);
    let analyst: Arc<dyn Analyst> = Arc::<Reader>::clone(reader);
    Arc::new(Journal {
        tenant: Arc::clone(&base.tenant),
        redactor: Arc::clone(&base.redactor),
        analyst: Some(analyst),
        secret: Arc::clone(&base.secret),
        content: base.content,
        queued: Arc::default(),
        turns: Arc::default(),
    })
}

fn spoken(journal: &Arc<Journal>, id: usize, prompt: &str) -> Entry {
    let request = request("acme", Content::Redacted, prompt);
    Entry::Request(Box::new(RequestEntry {
        journal: Arc::clone(journal),
        request_id: format!("req-{id}").into(),
        ..request
    }))
}

fn called(journal: &Arc<Journal>, id: usize, args: &str) -> Entry {
    Entry::Decision(Box::new(DecisionEntry {
        journal: Arc::clone(journal),
        request_id: format!("req-{id}").into(),
        args: Some(Raw::json(args.to_owned())),
        ..decision("acme", Content::Redacted)
    }))
}

fn recorded(how: How) -> (Dir, Vec<Value>, Vec<Value>, Arc<Reader>, u64) {
    let (dir, ear, reader) = (Dir::new(), Arc::default(), Reader::new(how));
    let records = Records::open(options(&dir, OnFailure::Fail, &ear)).unwrap();
    let journal = journal("acme", &reader);
    for id in 0..6 {
        records.push(spoken(&journal, id, "Grüße, Jane Döe <jane@example.com>")).unwrap();
        records.push(called(&journal, id, "{\"to\":\"Jane\",\"n\":1.50}")).unwrap();
    }
    records.flush().unwrap();
    assert_eq!(journal.queued.load(Relaxed), 0, "what waited is given back");
    assert_eq!(records.shared.queued_bytes.load(Relaxed), 0);
    let left_out = records.counters().left_out.load(Relaxed);
    records.close().unwrap();
    let log = lines(&files(&dir.0.join("log/acme"))[0]);
    let audit = lines(&files(&dir.0.join("audit/acme"))[0]);
    assert!(report(&dir).finding.is_none(), "the chain holds");
    for (at, line) in log.iter().chain(&audit).enumerate() {
        assert_eq!(line["request_id"], format!("req-{}", at % 6), "{how:?}");
    }
    (dir, log, audit, reader, left_out)
}

#[test]
fn what_is_found_goes_and_what_was_redacted_before_is_never_asked_about() {
    for how in [How::Well, How::Late] {
        let (_dir, log, audit, reader, left_out) = recorded(how);
        assert_eq!(left_out, 0);
        for line in &log {
            let prompt = line["prompt"].as_str().unwrap();
            assert!(prompt.contains("Grüße, [PERSON:") && prompt.contains("[EMAIL_ADDRESS:"), "{prompt}");
            assert!(!prompt.contains("Jane") && line.get("left_out").is_none());
        }
        for line in &audit {
            assert!(line["args"]["to"].as_str().unwrap().starts_with("[PERSON:"), "{line}");
            assert_eq!(line["args"]["n"].to_string(), "1.5");
            let whole = "{\"to\":\"Jane\",\"n\":1.50}";
            let hmac = fixture::journal("acme", Content::Redacted).secret.hmac_hex("args", whole.as_bytes());
            assert_eq!(line["args_hmac"], hmac);
        }
        let seen = reader.seen.lock().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|text| !text.contains("jane@example.com")));
    }
}

#[test]
fn without_an_answer_that_can_be_believed_the_text_is_left_out() {
    for how in [How::Never, How::Failing, How::Lying, How::Nameless] {
        let started = clock();
        let (_dir, log, audit, _, left_out) = recorded(how);
        assert!(started.elapsed() < Duration::from_secs(5), "{how:?} holds the writer up");
        assert_eq!(left_out, 12, "{how:?}");
        for line in &log {
            assert!(line["prompt"].is_null() && line["left_out"] == "analyzer", "{line}");
        }
        for line in &audit {
            assert!(
                line["args"].is_null() && line["args_hmac"].is_string() && line["left_out"] == "analyzer"
            );
        }
    }
}

#[test]
fn nobody_waits_for_another_tenants_analyst() {
    let (dir, ear, reader) = (
        Dir::new(),
        Arc::default(),
        Arc::new(Reader { how: How::Never, timeout: Duration::from_secs(4), seen: Mutex::default() }),
    );
    let records = Records::open(options(&dir, OnFailure::Fail, &ear)).unwrap();
    let slow = journal("slow", &reader);
    records.push(spoken(&slow, 0, "Jane")).unwrap();
    records.push(answered("acme")).unwrap();
    let started = clock();
    while !dir.0.join("log/acme").exists() {
        assert!(started.elapsed() < Duration::from_secs(3), "the other tenant's line is held up");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!dir.0.join("log/slow").exists());
    assert!(slow.queued.load(Relaxed) > 0, "it fills its own share meanwhile");
    records.close().unwrap();
    assert_eq!(lines(&files(&dir.0.join("log/slow"))[0])[0]["left_out"], "analyzer");
}

#[test]
fn an_entry_waits_behind_those_of_its_tenant_and_no_longer_than_its_time() {
    let (reader, now) = (Reader::new(How::Never), clock());
    let mut room = Room::default();
    assert!(room.take(spoken(&journal("acme", &reader), 0, "Jane"), now, &Deaf).is_none());
    // The same tenant without an analyst, as after a reload: it stays behind.
    assert!(room.take(answered("acme"), now, &Deaf).is_none());
    assert!(room.take(answered("globex"), now, &Deaf).is_some());
    assert_eq!(room.ready(now, &Deaf).len(), 0);
    let later = now + Duration::from_millis(150);
    assert_eq!(room.ready(later, &Deaf).len(), 2);
    assert!(room.is_empty());
}

#[expect(clippy::disallowed_methods, reason = "the test waits for a thread")]
fn clock() -> Instant {
    Instant::now()
}
