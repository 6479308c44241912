//! A configuration of any bytes is read or refused, with its problems in their places.
#![no_main]
use std::{io::Write, path::Path};
use tollgate::config::{Colour, compile::compile_to_read, load, to_text};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = format!("/dev/shm/tollgate-fuzz-{}.yaml", std::process::id());
    std::fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).unwrap();
    let loaded = load(Path::new(&path));
    let (snapshot, problems) = compile_to_read(&loaded, 1_800_000_000);
    let told = to_text(&problems, &loaded.files, Colour::Plain);
    assert!(snapshot.is_some() || !told.is_empty());
});
