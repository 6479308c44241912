//! What a crash or a failed write left behind is mended, and the chain goes on.

use super::*;

#[test]
fn a_torn_tail_is_moved_aside_and_the_chain_goes_on() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"time\":\"2026");
    fs::write(&file, bytes).unwrap();
    let found = report(&dir);
    assert!(found.finding.is_none() && found.torn == 13, "{found:?}");
    let ear = Arc::default();
    let records = Records::open(options(&dir, OnFailure::Fail, &ear)).unwrap();
    assert!(ear.0.lock().unwrap()[0].contains("13 bytes were moved"), "{:?}", ear.0);
    records.push(denied("acme")).unwrap();
    records.close().unwrap();
    assert_eq!(fs::read(dir.0.join("audit/acme/2026-11-25.jsonl.torn")).unwrap(), b"{\"time\":\"2026");
    let found = report(&dir);
    assert!(found.finding.is_none() && found.records == 3, "{found:?}");
}

#[test]
fn a_write_that_failed_half_way_is_done_anew() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 1)]);
    let file = dir.0.join("audit/acme/2026-11-25.jsonl");
    let line = fs::read(&file).unwrap();
    fs::write(&file, [&line[..], &line[..], b"{\"time\""].concat()).unwrap();
    let round = sink.sync_round(time(0), Sign::Due);
    sink.sync_failed(round).unwrap();
    write(&mut sink, [decided("acme", 0, 2)]);
    sync(&mut sink);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.records, found.torn), (2, 0));
}

#[test]
fn a_file_cut_under_the_writer_fails_the_sync() {
    let dir = Dir::new();
    let mut sink = sink(&dir);
    write(&mut sink, [decided("acme", 0, 1)]);
    fs::write(dir.0.join("audit/acme/2026-11-25.jsonl"), "").unwrap();
    let failed = sync_round(sink.sync_round(time(0), Sign::Due));
    assert_eq!(failed.len(), 1);
    sink.sync_failed(failed).unwrap();
    sync(&mut sink);
    assert!(report(&dir).finding.is_some());
}

#[test]
fn a_log_is_mended_too() {
    let dir = Dir::new();
    fs::create_dir_all(dir.0.join("log/acme")).unwrap();
    let file = dir.0.join("log/acme/2026-11-25.jsonl");
    fs::write(&file, format!("{{}}\n{}", "x".repeat(10_000))).unwrap();
    write(&mut sink(&dir), [answered("acme")]);
    assert_eq!(lines(&file).len(), 2);
    assert_eq!(fs::read(file.with_extension("jsonl.torn")).unwrap().len(), 10_000);
}

#[test]
fn what_a_crash_left_behind_the_head_is_taken_over() {
    let dir = Dir::new();
    chain(&dir, &[0, 0]);
    write(&mut sink(&dir), [decided("acme", 0, 7), decided("acme", 1, 8)]);
    assert_eq!(report(&dir).unsealed, 2);
    let mut again = sink(&dir);
    assert_eq!(again.warnings, [Warning::Unsealed { tenant: "acme".into(), records: 2 }]);
    write(&mut again, [decided("acme", 1, 9)]);
    sync(&mut again);
    let found = report(&dir);
    assert!(found.finding.is_none(), "{found:?}");
    assert_eq!((found.records, found.unsealed), (5, 0));
}

/// A compressed file of nothing, or a file of anything, of a day that has not come.
#[test]
fn a_file_that_somebody_put_behind_the_last_day_is_not_gone_on_from() {
    for (name, content, is_found) in [
        ("9999-12-31.jsonl.gz", &b""[..], false),
        ("2026-11-27.jsonl.gz", b"", false),
        ("9999-12-31.jsonl", b"", false),
        ("9999-12-31.jsonl.gz", b"nonsense\n", true),
        ("9999-12-31.jsonl", b"nonsense\n", true),
        ("2026-11-26.jsonl", b"nonsense", false),
    ] {
        let dir = Dir::new();
        let mut first = sink(&dir);
        write(&mut first, [0, 0].map(|day| decided("acme", day, 0)));
        end(&mut first);
        drop(first);
        let put = dir.0.join("audit/acme").join(name);
        fs::write(&put, content).unwrap();
        let found = report(&dir);
        assert_eq!(found.empty.contains(&put), content.is_empty(), "{name}: {found:?}");
        for day in [0, 1] {
            let mut again = sink(&dir);
            write(&mut again, [decided("acme", day, 7)]);
            end(&mut again);
        }
        let mut expected =
            vec![put.clone(), day_path_of(&dir, "2026-11-25"), day_path_of(&dir, "2026-11-26")];
        if name == "2026-11-26.jsonl" {
            expected.push(day_path_of(&dir, "2026-11-26").with_extension("jsonl.torn"));
        }
        expected.sort();
        expected.dedup();
        assert_eq!(files(&dir.0.join("audit/acme")), expected);
        let finding = report(&dir).finding.map(|finding| finding.to_string());
        assert_eq!(finding.is_some(), is_found, "{name}: {finding:?}");
        assert!(finding.is_none_or(|finding| finding.contains(name)));
    }
    let dir = Dir::new();
    fs::create_dir_all(dir.0.join("log/acme")).unwrap();
    fs::write(dir.0.join("log/acme/9999-12-31.jsonl.gz"), b"").unwrap();
    write(&mut sink(&dir), [answered("acme")]);
    assert_eq!(lines(&dir.0.join("log/acme/2026-11-25.jsonl")).len(), 1);
}

fn day_path_of(dir: &Dir, day: &str) -> PathBuf {
    dir.0.join(format!("audit/acme/{day}.jsonl"))
}
