//! What a person does not see within a value hides none of it.

use super::*;

/// Controls, `Default_Ignorable_Code_Point`, annotations, marks above ASCII, and colours of a terminal.
const UNSEEN: &[&str] = &[
    "\0",
    "\u{7}",
    "\u{8}",
    "\u{1b}",
    "\u{7f}",
    "\u{80}",
    "\u{9f}",
    "\u{ad}",
    "\u{34f}",
    "\u{115f}",
    "\u{17b4}",
    "\u{180b}",
    "\u{180f}",
    "\u{200c}",
    "\u{202e}",
    "\u{2065}",
    "\u{206a}",
    "\u{3164}",
    "\u{fe0f}",
    "\u{feff}",
    "\u{ffa0}",
    "\u{fff9}",
    "\u{fffc}",
    "\u{1bca0}",
    "\u{1d173}",
    "\u{e0061}",
    "\u{e0100}",
    "\u{301}",
    "\u{336}",
    "\u{332}",
    "\u{20dd}",
    "\u{1b}[0m",
    "\u{1b}[01;31m\u{1b}[K",
];
const VALUES: &[&str] = &[
    "jane.roe@quillhaven.org",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "219-09-9999",
];

#[test]
fn what_is_not_seen_hides_no_value() {
    let redactor = redactor();
    for (value, unseen) in VALUES.iter().flat_map(|value| UNSEEN.iter().map(move |unseen| (value, unseen))) {
        let everywhere = value.chars().map(String::from).collect::<Vec<_>>().join(unseen);
        let (head, tail) = value.split_at(value.len() / 2);
        for hidden in [everywhere, format!("{head}{unseen}{tail}"), format!("{head}{unseen}{unseen}{tail}")] {
            let text = format!("see {hidden} ok");
            let out = redactor.text(&text);
            let left: String = out.as_str().chars().filter(char::is_ascii_graphic).collect();
            let (before, behind) = (left.find('['), left.rfind(']'));
            assert!(before == Some(3) && behind == Some(left.len() - 3), "{text:?} => {out:?}");
            assert_eq!(redactor.text(out.as_str()).as_str(), out.as_str());
        }
    }
    check("at jane.roe@quillhaven。org", "at [EMAIL_ADDRESS]");
}

#[test]
fn controls_that_part_fields_and_marks_of_words_stay() {
    for text in [
        "8=FIX.4.2\u{1}9=65\u{1}35=A\u{1}34=2\u{1}49=BUYER1\u{1}108=30\u{1}10=062\u{1}",
        "SHELL=/bin/bash\0TERM=xterm-256color\0HOME=/home/app\0LINES=48\0COLUMNS=160\0",
        "\u{1b}[1mwarning\u{1b}[0m: \u{1b}[33m12\u{1b}[0m of \u{1b}[33m4096\u{1b}[0m",
        "Cafe\u{301} a\u{300} la cre\u{300}me, Zoe\u{308}",
        "用户2024。01是",
        "\u{c}page 12\u{c}",
    ] {
        stays(text);
    }
}
