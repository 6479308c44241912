//! `GET /admin/records`: a tenant's redacted audit trail and log, the newest first, filtered, page by page; or what came
//! since (`after=`), which costs a look at two files; or one record whole (`at=`).

use super::{Failed, query::Query};
use crate::{
    config,
    json::{self, Value},
    names::TenantId,
    policy::glob::Glob,
    records::{
        recent::{Bounds, Cursor, Kind, Line, Part, Position, Recent, Verdict, time_of},
        rfc3339,
    },
};
use http::StatusCode;
use std::{
    path::Path,
    time::{Duration, SystemTime},
};

/// What can be asked for.
pub(super) const PARAMETERS: [&str; 14] = [
    "tenant", "kind", "tool", "decision", "status", "request", "key", "model", "since", "until", "limit",
    "cursor", "after", "at",
];
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;
/// So much is looked at for one answer, and of so much is it made.
const READ_BYTES_MAX: u64 = 32 << 20;
const TAKEN_BYTES_MAX: usize = 8 << 20;
/// Log lines tell when a request came, and are written when it ends: the order of times is not quite that of lines.
const LATE: Duration = Duration::from_secs(3600);
/// Longer texts are shown in part where many records are shown.
const TEXT_CHARS_MAX: usize = 200;

/// Which records are wanted.
#[derive(Debug)]
struct Wanted<'q> {
    tool: Option<Glob>,
    model: Option<Glob>,
    decision: Option<&'q str>,
    status: Option<&'q str>,
    request: Option<&'q str>,
    key: Option<&'q str>,
    since: Option<String>,
    /// Everything before this time was written before `since`.
    over: Option<String>,
    until: Option<String>,
}

fn bad(message: impl Into<String>) -> Failed {
    (StatusCode::BAD_REQUEST, message.into())
}

/// Answers a request. `now` in seconds since 1970, UTC; `is_known` says whether a tenant is configured. Reads the disk.
pub(super) fn read(
    data_dir: &Path,
    query: &Query,
    now: i64,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<Value<'static>, Failed> {
    let tenant = query.given("tenant").ok_or_else(|| bad("whose records? `tenant` names one"))?;
    let tenant = TenantId::try_from(tenant).map_err(|wrong| bad(format!("the tenant's name {wrong}")))?;
    let kinds: &[Kind] = match query.given("kind") {
        None => &Kind::ALL,
        Some("audit") => &[Kind::Audit],
        Some("log") => &[Kind::Log],
        Some(_) => return Err(bad("`kind` is `audit` or `log`")),
    };
    let recent = Recent::new(data_dir, &tenant, kinds);
    if !is_known(tenant.as_str()) && !recent.is_there() {
        let message = format!("there is no tenant `{tenant}`, and there are no records of one");
        return Err((StatusCode::NOT_FOUND, message));
    }
    let unreadable =
        |_: std::io::Error| (StatusCode::INTERNAL_SERVER_ERROR, "the records cannot be read".into());
    if let Some(at) = query.given("at") {
        let (kind, at) = place(at).ok_or_else(|| bad("`at` is not where a record was said to be"))?;
        let text = recent.line(kind, at).map_err(unreadable)?;
        let line = text.map(|text| Line { kind, at, text });
        let told = line.as_ref().and_then(|line| told(line, Detail::Whole));
        let told =
            told.ok_or_else(|| (StatusCode::NOT_FOUND, "there is no record there any more".to_owned()))?;
        return Ok(Value::object([("records", Value::Array(vec![told]))]));
    }
    let wanted = Wanted::of(query, now)?;
    let lines = match query.given("limit").map(str::parse) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => return Err(bad(format!("`limit` is a number from 1 to {LIMIT_MAX}"))),
    };
    let bounds = Bounds { lines, taken_bytes: TAKEN_BYTES_MAX, read_bytes: READ_BYTES_MAX };
    let cursor = |name: &str| {
        let cursor = query.given(name).map(Cursor::parse);
        cursor.map(|cursor| cursor.ok_or_else(|| bad(format!("`{name}` is no cursor of an earlier answer"))))
    };
    let mut judge = |_: Kind, line: &[u8]| wanted.judge(line);
    let part = match (cursor("cursor").transpose()?, cursor("after").transpose()?) {
        (Some(_), Some(_)) => return Err(bad("`cursor` leads back and `after` on: not both at once")),
        (None, Some(after)) => recent.newer(after, bounds, &mut judge),
        (cursor, None) => recent.older(cursor, bounds, &mut judge),
    };
    Ok(answer(&part.map_err(unreadable)?))
}

fn answer(part: &Part) -> Value<'static> {
    let records: Vec<Value<'static>> =
        part.lines.iter().filter_map(|line| told(line, Detail::Brief)).collect();
    let cursor = |cursor: Cursor| Value::string(cursor.to_string());
    Value::object([
        ("records", Value::Array(records)),
        ("older", part.older.map_or(Value::Null, cursor)),
        ("newer", cursor(part.newer)),
    ])
}

/// `audit.2026-11-25.1234`
fn place(text: &str) -> Option<(Kind, Position)> {
    let (kind, at) = text.split_once('.')?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some((kind, Position::parse(at)?))
}

/// How much of a record is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Brief,
    Whole,
}

/// A record with its kind and its place; `None` for what is none.
fn told(line: &Line, detail: Detail) -> Option<Value<'static>> {
    let mut record = json::parse(&line.text, json::NESTING_MAX).ok()?.into_owned();
    if detail == Detail::Brief {
        for name in ["prompt", "completion", "args"] {
            if let Some(value) = record.get_mut(name) {
                shorten(value);
            }
        }
    }
    Some(Value::object([
        ("kind", Value::string(line.kind.as_str())),
        ("at", Value::string(format!("{}.{}", line.kind.as_str(), line.at))),
        ("record", record),
    ]))
}

fn shorten(value: &mut Value<'static>) {
    let text = match &*value {
        Value::String(text) => text.to_string(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        Value::Bool(_) | Value::Null | Value::Number(_) => return,
    };
    if let Some((cut, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        *value = Value::string(format!("{}…", text.get(..cut).unwrap_or_default()));
    }
}

impl<'q> Wanted<'q> {
    fn of(query: &'q Query, now: i64) -> Result<Self, Failed> {
        let decision = query.given("decision");
        if decision.is_some_and(|decision| !["allow", "ask", "deny"].contains(&decision)) {
            return Err(bad("`decision` is `allow`, `ask` or `deny`"));
        }
        let status = query.given("status");
        let is_status = |text: &str| {
            text.len() == 3
                && text.starts_with(|c: char| ('1'..='5').contains(&c))
                && (text.ends_with("xx") || text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if status.is_some_and(|status| !is_status(status)) {
            return Err(bad(
                "`status` is a status such as `429`, or a class of them such as `4xx`, from 100 to 599",
            ));
        }
        let since = moment(query, "since", now)?;
        Ok(Self {
            tool: query.given("tool").map(Glob::new),
            model: query.given("model").map(Glob::new),
            decision,
            status,
            request: query.given("request"),
            key: query.given("key"),
            over: since.and_then(|since| since.checked_sub(LATE)).map(rfc3339),
            since: since.map(rfc3339),
            until: moment(query, "until", now)?.map(rfc3339),
        })
    }

    fn judge(&self, line: &[u8]) -> Verdict {
        let time = time_of(line);
        let is_before =
            |limit: &Option<String>| limit.as_deref().is_some_and(|limit| time < limit.as_bytes());
        if is_before(&self.over) {
            return Verdict::End;
        }
        let is_after = self.until.as_deref().is_some_and(|until| time > until.as_bytes());
        if is_before(&self.since) || is_after || !self.may_be(line) {
            return Verdict::Skip;
        }
        let asks_more = self.tool.is_some() || self.model.is_some() || self.status.is_some();
        if !asks_more && [self.decision, self.request, self.key].iter().all(Option::is_none) {
            return Verdict::Take;
        }
        match json::parse(line, json::NESTING_MAX) {
            Ok(record) if self.is(&record) => Verdict::Take,
            Ok(_) | Err(_) => Verdict::Skip,
        }
    }

    /// A quick look: the words that must be there are somewhere in the line.
    fn may_be(&self, line: &[u8]) -> bool {
        [self.decision, self.request, self.key].into_iter().flatten().all(|word| {
            let quoted = format!("\"{word}\"");
            memchr::memmem::find(line, quoted.as_bytes()).is_some()
        })
    }

    fn is(&self, record: &Value<'_>) -> bool {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let equals =
            |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| text(name) == Some(wanted));
        let denied = || record.get("tools_denied").and_then(Value::items).unwrap_or_default();
        equals("decision", self.decision)
            && equals("request_id", self.request)
            && equals("key", self.key)
            && self.model.as_ref().is_none_or(|model| text("model").is_some_and(|name| model.matches(name)))
            && self.status.is_none_or(|wanted| {
                let status = record.get("status").and_then(Value::digits).unwrap_or_default();
                status == wanted || wanted.strip_suffix("xx").is_some_and(|class| status.starts_with(class))
            })
            && self.tool.as_ref().is_none_or(|tool| {
                let own = text("tool").is_some_and(|name| tool.matches(name));
                own || denied().iter().filter_map(Value::as_str).any(|name| tool.matches(name))
            })
    }
}

fn moment(query: &Query, name: &str, now: i64) -> Result<Option<SystemTime>, Failed> {
    let Some(text) = query.given(name) else { return Ok(None) };
    let seconds = config::moment(text, now).and_then(|seconds| u64::try_from(seconds).ok());
    let seconds = seconds.ok_or_else(|| {
        bad(format!("`{name}` is a date, a time with its zone, or how long ago, such as 7d or 90m"))
    })?;
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_860_000;

    fn judged(query: &str, line: &str) -> Verdict {
        let query = Query::read(Some(query), &PARAMETERS).unwrap();
        Wanted::of(&query, NOW).unwrap().judge(line.as_bytes())
    }

    #[test]
    fn each_filter_takes_what_it_names_and_nothing_else() {
        let audit = r#"{"time":"2026-11-28T09:30:00.000Z","key":"prod","request_id":"r1","tool":"crm__get","decision":"deny"}"#;
        let log = r#"{"time":"2026-11-28T09:30:00.000Z","key":"prod","request_id":"r1","model":"gpt-5","status":429,"tools_denied":["crm__get"]}"#;
        let check = |query: &str, of_audit: Verdict, of_log: Verdict| {
            assert_eq!((judged(query, audit), judged(query, log)), (of_audit, of_log), "{query}");
        };
        use Verdict::{End, Skip, Take};
        check("", Take, Take);
        check("tool=crm__*", Take, Take);
        check("tool=crm", Skip, Skip);
        check("decision=deny", Take, Skip);
        check("decision=allow", Skip, Skip);
        check("status=429", Skip, Take);
        check("status=4xx", Skip, Take);
        check("status=5xx", Skip, Skip);
        check("request=r1&key=prod", Take, Take);
        // A word that stands in another member is not it.
        check("request=prod", Skip, Skip);
        check("model=gpt-*", Skip, Take);
        check("until=2026-11-28T09:00:00Z", Skip, Skip);
        check("since=2026-11-28T09:31:00Z", Skip, Skip);
        check("since=2026-11-28T10:31:00Z", End, End);
        check("since=2026-11-28T09:30:00Z&until=2026-11-28T09:30:00Z", Take, Take);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_no_path_is_made_of_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("audit/_operator")).unwrap();
        let status = |query: &str| {
            let query = Query::read(Some(query), &PARAMETERS).unwrap();
            read(dir.path(), &query, NOW, &|tenant| tenant == "acme").map_err(|(status, _)| status.as_u16())
        };
        for bad in [
            "",
            "tenant=..",
            "tenant=../audit",
            "tenant=_operator",
            "tenant=%2e%2e%2f",
            "tenant=acme&kind=x",
            "tenant=acme&limit=0",
            "tenant=acme&limit=501",
            "tenant=acme&limit=x",
            "tenant=acme&cursor=x",
            "tenant=acme&after=..",
            "tenant=acme&cursor=-_-&after=-_-",
            "tenant=acme&status=4",
            "tenant=acme&status=9xx",
            "tenant=acme&status=é",
            "tenant=acme&decision=no",
            "tenant=acme&since=now",
            "tenant=acme&at=x",
            "tenant=acme&at=x.2026-11-28.0",
        ] {
            assert_eq!(status(bad), Err(400), "{bad}");
        }
        assert_eq!(status("tenant=nobody"), Err(404));
        assert_eq!(status("tenant=acme&at=audit.2026-11-28.0"), Err(404));
        assert_eq!(
            status("tenant=acme").unwrap().to_string(),
            r#"{"records":[],"older":null,"newer":"-_-"}"#
        );
    }
}
