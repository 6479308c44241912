//! Whole prompts: values among other text, in the shapes in which agents send text, with their places.

use std::ops::Range;

use super::{credentials, dice::Dice, disguise, lookalikes, personal};

/// A value that must go.
pub(crate) struct Sensitive {
    pub(crate) range: Range<usize>,
    pub(crate) entity: String,
    /// As it reads without disguise.
    pub(crate) value: String,
    pub(crate) group: Group,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Group {
    Personal,
    Credential,
    /// A password that a sentence tells.
    Told,
    Disguised,
}

pub(crate) struct Prompt {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) shape: &'static str,
    pub(crate) text: String,
    pub(crate) sensitive: Vec<Sensitive>,
    pub(crate) look_alikes: Vec<(Range<usize>, String)>,
}

const FILLER: &[&str] = &[
    "Could you tidy up the changelog before Friday?",
    "Der Drucker im dritten Stock streikt schon wieder.",
    "On déménage le serveur mardi prochain.",
    "The dashboard shows 42 open items, most of them old.",
    "Bitte schreib eine freundliche Antwort auf Englisch.",
    "Explique-moi la différence entre un mutex et un sémaphore.",
    "We migrated three services last sprint; two to go.",
    "Die Tests laufen lokal, aber nicht in der Pipeline.",
    "Kindly do the needful and revert back by EOD.",
    "What does this traceback mean?",
    "Gruezi mitenand, chönd ihr das aaluege?",
    "Je préfère un résumé en trois points.",
    "Summarise the complaint and suggest a refund policy.",
    "Servus, i brauch a Übersetzung ins Italienische.",
    "Refactor this so that errors are returned, not thrown.",
];

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

struct Marked {
    entity: String,
    value: String,
    group: Option<Group>,
}

/// A sentence with its value marked, or one without.
struct Piece {
    text: String,
    /// Under which name it would stand in structured text, and the bare value.
    member: Option<(String, String)>,
}

pub(crate) fn prompt(seed: u64) -> Prompt {
    let mut dice = Dice(seed);
    let mut marked: Vec<Marked> = Vec::new();
    let kind = match dice.below(100) {
        0..30 => "personal",
        30..55 => "credential",
        55..63 => "told",
        63..80 => "disguised",
        _ => "clean",
    };
    let mut pieces = Vec::new();
    for _ in 0..dice.between(1, 2) {
        pieces.push(plain(dice.pick(FILLER)));
    }
    match kind {
        "personal" => {
            for _ in 0..dice.between(1, 3) {
                let entity = dice.pick(personal::ENTITIES);
                pieces.push(personal_piece(&mut dice, entity, &mut marked));
            }
        }
        "credential" => {
            for _ in 0..dice.between(1, 2) {
                pieces.push(credential_piece(&mut dice, &mut marked));
            }
        }
        "told" => {
            let value = credentials::password(&mut dice);
            let wording = dice.pick(credentials::PASSWORD_WORDINGS);
            pieces.push(piece(wording, "PASSWORD", value, Group::Told, "password", &mut marked));
        }
        "disguised" => {
            let how = dice.pick(disguise::KINDS);
            pieces.push(disguised_piece(&mut dice, how, &mut marked));
        }
        _ => {}
    }
    for _ in 0..dice.below(if kind == "clean" { 4 } else { 2 }) {
        let what = dice.pick(lookalikes::KINDS);
        let value = lookalikes::value(&mut dice, what);
        let text = dice
            .pick(&["{}", "see {}", "Hier: {}", "on a {}", "it says {} there"])
            .replace("{}", &mark(&value, marked.len()));
        marked.push(Marked { entity: what.to_owned(), value, group: None });
        pieces.push(plain(&text));
    }
    pieces.push(plain(dice.pick(FILLER)));
    let shapes: &[&str] = &[
        "plain",
        "plain",
        "plain",
        "chat",
        "chat",
        "tool_args",
        "tool_args",
        "code",
        "log",
        "email",
        "csv",
        "yaml",
        "markdown",
        "shell",
        "xml",
        "transcript",
    ];
    let shape = SHAPES.iter().copied().find(|s| *s == dice.pick(shapes)).unwrap_or("plain");
    let text = shaped(&mut dice, shape, &pieces);
    finish(format!("g-{seed}"), kind, shape, &text, marked)
}

const SHAPES: &[&str] = &[
    "plain",
    "chat",
    "tool_args",
    "code",
    "log",
    "email",
    "csv",
    "yaml",
    "markdown",
    "shell",
    "xml",
    "transcript",
];

fn plain(text: &str) -> Piece {
    Piece { text: text.to_owned(), member: None }
}

/// The value between marks, with its number before it.
fn mark(value: &str, index: usize) -> String {
    let number = char::from_u32(0xE100 + u32::try_from(index).unwrap_or(0)).unwrap_or(OPEN);
    format!("{OPEN}{number}{value}{CLOSE}")
}

fn piece(
    wording: &str,
    entity: &str,
    value: String,
    group: Group,
    key: &str,
    marked: &mut Vec<Marked>,
) -> Piece {
    let shown = mark(&value, marked.len());
    marked.push(Marked { entity: entity.to_owned(), value, group: Some(group) });
    Piece { text: wording.replace("{}", &shown), member: Some((key.to_owned(), shown)) }
}

fn personal_piece(dice: &mut Dice, entity: &str, marked: &mut Vec<Marked>) -> Piece {
    let value = personal::value(dice, entity);
    let wording = dice.pick(personal::wordings(entity));
    let key = dice.pick(personal::keys(entity));
    let mut made = piece(wording, entity, value.clone(), Group::Personal, key, marked);
    // Digits with nothing between them need their name: a wording without one is none.
    let bare = value.bytes().all(|b| b.is_ascii_digit());
    let unnamed = wording.trim() == "{}" || (entity == "PHONE_NUMBER" && bare);
    if bare && unnamed && !matches!(entity, "CREDIT_CARD" | "CH_AHV") {
        made.text = format!("{key}: {}", mark(&value, marked.len() - 1));
    }
    made
}

fn credential_piece(dice: &mut Dice, marked: &mut Vec<Marked>) -> Piece {
    if dice.one_in(2) {
        let (vendor, template) = *dice.pick(&credentials::TOKENS.iter().collect::<Vec<_>>());
        let value = dice.filled(template);
        let wording = dice.pick(credentials::TOKEN_WORDINGS);
        return piece(wording, vendor, value, Group::Credential, "value", marked);
    }
    let kind = dice.pick(credentials::NAMED);
    let (value, around) = credentials::named(dice, kind);
    let around = if around.contains("{access}") {
        let key = dice.filled("AKIA{u16}");
        let shown = mark(&key, marked.len());
        marked.push(Marked {
            entity: "AWS_ACCESS_KEY".to_owned(),
            value: key,
            group: Some(Group::Credential),
        });
        around.replace("{access}", &shown)
    } else {
        around
    };
    let mut made = piece(&around, kind, value, Group::Credential, "", marked);
    made.member = None;
    made
}

fn disguised_piece(dice: &mut Dice, how: &'static str, marked: &mut Vec<Marked>) -> Piece {
    let numbers = &["CREDIT_CARD", "IBAN_CODE", "CH_AHV", "PHONE_NUMBER", "FR_NIR", "US_SSN"];
    loop {
        let from = marked.len();
        let digits_only = matches!(how, "arabic_digits" | "unicode_separator" | "spaced" | "line_wrap");
        let made = if digits_only {
            let entity = dice.pick(numbers);
            personal_piece(dice, entity, marked)
        } else if dice.one_in(3) && !matches!(how, "confusable") {
            let template = dice.pick(&[
                "sk-proj-{b48}",
                "ghp_{a36}",
                "AKIA{u16}",
                "xoxb-{d11}-{d12}-{a24}",
                "AIza{b35}",
                "sk_live_{a24}",
            ]);
            let value = dice.filled(template);
            piece(dice.pick(credentials::TOKEN_WORDINGS), "TOKEN", value, Group::Credential, "value", marked)
        } else {
            let entity = dice.pick(&[
                "EMAIL_ADDRESS",
                "EMAIL_ADDRESS",
                "CREDIT_CARD",
                "IBAN_CODE",
                "CH_AHV",
                "PHONE_NUMBER",
                "CRYPTO",
            ]);
            personal_piece(dice, entity, marked)
        };
        let Some(last) = marked.last_mut() else { continue };
        let fits = match how {
            "line_wrap" => last.value.len() >= 14,
            "spaced" => !last.value.starts_with(['+', '(']),
            _ => true,
        };
        let Some(shown) = disguise::disguised(dice, how, &last.value).filter(|_| fits) else {
            marked.truncate(from);
            continue;
        };
        last.group = Some(Group::Disguised);
        last.entity = format!("disguised:{how}");
        let old = mark(&last.value, from);
        let new = mark(&shown, from);
        return Piece { text: made.text.replace(&old, &new), member: made.member.map(|(key, _)| (key, new)) };
    }
}

fn shaped(dice: &mut Dice, shape: &str, pieces: &[Piece]) -> String {
    let lines: Vec<&str> = pieces.iter().map(|p| p.text.as_str()).collect();
    let members: Vec<(&str, &str)> = pieces
        .iter()
        .map(|p| {
            p.member.as_ref().map_or(("note", p.text.as_str()), |(k, v)| {
                (if k.is_empty() { "note" } else { k.as_str() }, v.as_str())
            })
        })
        .collect();
    let joined = lines.join(dice.pick(&["\n", "\n\n", " "]));
    match shape {
        "chat" => {
            let content = if dice.one_in(2) {
                serde_json::json!(joined)
            } else {
                serde_json::json!([{ "type": "text", "text": joined }])
            };
            serde_json::json!({ "model": "gpt-5", "temperature": 0.2, "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": content }] }).to_string()
        }
        "tool_args" => {
            let object: serde_json::Map<String, serde_json::Value> = if dice.one_in(2) {
                members.iter().map(|(k, v)| ((*k).to_owned(), serde_json::json!(v))).collect()
            } else {
                [("query".to_owned(), serde_json::json!(joined)), ("limit".to_owned(), serde_json::json!(20))]
                    .into_iter()
                    .collect()
            };
            // A name twice would lose a value.
            let object = if object.len() < members.len() && object.len() != 2 {
                [("text".to_owned(), serde_json::json!(joined))].into_iter().collect()
            } else {
                object
            };
            let arguments = serde_json::Value::Object(object).to_string();
            serde_json::json!({ "messages": [{ "role": "assistant", "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "crm__update", "arguments": arguments } }] }] }).to_string()
        }
        "code" if !lines.iter().any(|l| l.contains('\n')) => {
            let comment = dice.pick(&["// ", "# ", "-- "]);
            let body: Vec<String> = lines
                .iter()
                .map(|l| l.replace('\n', &format!("\n{comment}")))
                .map(|l| format!("{comment}{l}"))
                .collect();
            format!("```\nfn main() {{\n{}\n    run();\n}}\n```", body.join("\n"))
        }
        "log" => lines
            .iter()
            .enumerate()
            .map(|(n, l)| {
                format!(
                    "2026-10-0{} 12:0{n}:41,{}30 WARN [worker-{n}] com.acme.Flow - {}",
                    n % 9 + 1,
                    n % 9,
                    l
                )
            })
            .collect::<Vec<_>>()
            .join("\n"),
        "email" => format!(
            "Subject: Re: Anfrage\nDate: Tue, 3 Mar 2026 09:12:44 +0100\n\nHi,\n\n{}\n\nBest\nKim\n> {}",
            joined,
            FILLER.first().unwrap_or(&"")
        ),
        "csv" => {
            let head: Vec<&str> = members.iter().map(|(k, _)| *k).collect();
            let row: Vec<String> = members
                .iter()
                .map(|(_, v)| {
                    if v.contains([',', '"', '\n']) {
                        format!("\"{}\"", v.replace('"', "\"\""))
                    } else {
                        (*v).to_owned()
                    }
                })
                .collect();
            format!("Please import:\n{}\n{}\n", head.join(","), row.join(","))
        }
        "yaml" => members
            .iter()
            .map(|(k, v)| {
                format!(
                    "{k}: {}",
                    if v.contains(['\n', ':', '#', '\'']) {
                        format!("{v:?}").replace("\\u{e000}", "\u{E000}").replace("\\u{e001}", "\u{E001}")
                    } else {
                        (*v).to_owned()
                    }
                )
            })
            .collect::<Vec<_>>()
            .join("\n"),
        "markdown" => members.iter().fold("| field | value |\n|---|---|\n".to_owned(), |out, (k, v)| {
            format!("{out}| {k} | {} |\n", v.replace('|', "\\|"))
        }),
        "shell" => lines.iter().map(|l| format!("$ echo \"{l}\"")).collect::<Vec<_>>().join("\n"),
        "xml" => members.iter().map(|(k, v)| format!("  <{k}>{v}</{k}>")).collect::<Vec<_>>().join("\n"),
        "transcript" => lines
            .iter()
            .enumerate()
            .map(|(n, l)| format!("[{}] {l}", if n % 2 == 0 { "Agent" } else { "Kunde" }))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => joined,
    }
}

/// Takes the marks out and notes where they stood.
fn finish(id: String, kind: &str, shape: &'static str, text: &str, marked: Vec<Marked>) -> Prompt {
    let text = unescaped_marks(text);
    let mut out = String::with_capacity(text.len());
    let mut ranges: Vec<Option<Range<usize>>> = marked.iter().map(|_| None).collect();
    let mut chars = text.chars();
    let mut open: Option<(usize, usize)> = None;
    while let Some(c) = chars.next() {
        match c {
            OPEN => {
                let index = chars.next().map_or(0, |c| (u32::from(c) - 0xE100) as usize);
                open = Some((index, out.len()));
            }
            CLOSE => {
                if let Some((index, start)) = open.take()
                    && let Some(range) = ranges.get_mut(index)
                {
                    *range = Some(start..out.len());
                }
            }
            c => out.push(c),
        }
    }
    let mut prompt = Prompt {
        id,
        kind: kind.to_owned(),
        shape,
        text: out,
        sensitive: Vec::new(),
        look_alikes: Vec::new(),
    };
    for (one, range) in marked.into_iter().zip(ranges) {
        let Some(range) = range else { continue };
        match one.group {
            Some(group) => {
                prompt.sensitive.push(Sensitive { range, entity: one.entity, value: one.value, group });
            }
            None => prompt.look_alikes.push((range, one.entity)),
        }
    }
    prompt
}

/// A debug string escapes the private use characters that marks are made of.
fn unescaped_marks(text: &str) -> String {
    let mut out = text.to_owned();
    for code in (0xE100..0xE110_u32).chain([0xE000, 0xE001]) {
        if let Some(c) = char::from_u32(code) {
            out = out.replace(&format!("\\u{{{code:x}}}"), &c.to_string());
        }
    }
    out
}
