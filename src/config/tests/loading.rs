//! Reading from a disk: directories, ConfigMap mounts, duplicates, what is missing, the hash.

use std::{fs, path::Path};

use crate::config::{Colour, Files, Loaded, SecretMissing, SecretRef, load, load_tests, to_text};

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn read(dir: &Path) -> Loaded {
    load(&dir.join("tollgate.yaml"))
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.tenants.iter().map(|tenant| tenant.tenant.value.as_str()).collect()
}

fn codes(loaded: &Loaded) -> Vec<&str> {
    loaded.problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn the_full_example_loads() {
    let mut loaded = load(Path::new("src/config/tests/full/tollgate.yaml"));
    assert_eq!(to_text(&loaded.problems, &loaded.files, Colour::Plain), "");
    assert_eq!((names(&loaded), loaded.broken.len()), (vec!["acme"], 0));
    let rule = &loaded.tenants[0].settings.tools.as_ref().unwrap()[0];
    assert_eq!(loaded.files.place(rule.at), "src/config/tests/full/tenants/acme.yaml:12");
    assert_eq!(loaded.files.base_dir(rule.at.file), Path::new("src/config/tests/full/tenants"));
    let (tests, problems) =
        load_tests(Path::new("src/config/tests/full/tenants/acme.test.yaml"), &mut loaded.files);
    assert_eq!((tests.unwrap().cases.len(), problems.len(), loaded.files.len()), (5, 0, 3));
    loaded.files.forget_texts();
    assert_eq!(loaded.files.place(rule.at), "src/config/tests/full/tenants/acme.yaml:12");
}

#[test]
fn tenant_files_are_found_in_order_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("tollgate.yaml", "tenants: [b/, ./a]"),
            ("b/z.yaml", "tenant: z"),
            ("b/m.yml", "tenant: m"),
            ("b/m.test.yaml", "not: read"),
            ("b/.hidden.yaml", "not: read"),
            ("b/..old/x.yaml", "not: read"),
            ("b/notes.txt", "not read"),
            ("b/dir/x.yaml", "not read"),
            ("a/k.yaml", "tenant: k"),
        ],
    );
    let loaded = read(dir.path());
    assert_eq!((names(&loaded), codes(&loaded)), (vec!["m", "z", "k"], vec![]));
}

#[test]
fn what_has_a_tenant_s_name_and_is_no_file_is_an_error() {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };
    let check = |put: &dyn Fn(&Path), expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("tollgate.yaml", "tenants: a"), ("a/x.yaml", "tenant: x")]);
        put(&dir.path().join("a"));
        let loaded = read(dir.path());
        assert_eq!((names(&loaded)[0], codes(&loaded)), ("x", vec![expected]), "{:?}", loaded.problems);
    };
    let odd_name = OsStr::from_bytes(b"y\xff.yaml");
    check(&|dir| fs::create_dir(dir.join("y.yaml")).unwrap(), "not-a-file");
    check(&|dir| symlink("/dev/zero", dir.join("y.yaml")).unwrap(), "not-a-file");
    check(&|dir| symlink("nowhere", dir.join("y.yaml")).unwrap(), "not-found");
    check(&|dir| symlink("y.yaml", dir.join("y.yaml")).unwrap(), "not-readable");
    check(&|dir| fs::write(dir.join("y.YAML"), "tenant: z").unwrap(), "wrong-name");
    check(&|dir| fs::write(dir.join(odd_name), "tenant: y").unwrap(), "wrong-name");
    // Beside a generation too: only a link into the generation may point to nothing for a moment.
    let beside = |dir: &Path| {
        fs::create_dir(dir.join("..gen1")).unwrap();
        fs::rename(dir.join("x.yaml"), dir.join("..gen1/x.yaml")).unwrap();
        symlink("..gen1", dir.join("..data")).unwrap();
        symlink("..data/x.yaml", dir.join("x.yaml")).unwrap();
        symlink("..data/gone.yaml", dir.join("gone.yaml")).unwrap();
        symlink("nowhere", dir.join("y.yaml")).unwrap();
    };
    check(&beside, "not-found");
}

#[test]
fn tenants_may_stand_in_the_gateway_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("tollgate.yaml", "tenants: { acme: { models: [a] }, globex: { weight: 3 } }")]);
    let loaded = read(dir.path());
    assert_eq!((names(&loaded), codes(&loaded)), (vec!["acme", "globex"], vec![]));
    assert_eq!(loaded.tenants[1].settings.weight.map(|at| at.value), Some(3));
}

#[test]
fn what_is_wrong_between_files_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let dir = tempfile::tempdir_in(dir.path()).unwrap();
        write(dir.path(), files);
        assert_eq!(codes(&read(dir.path())), expected, "{files:?}");
    };
    check(&[], &["not-found"]);
    check(&[("tollgate.yaml", "tenants: nowhere")], &["not-found"]);
    check(&[("tollgate.yaml", "tenants: tollgate.yaml")], &["not-found"]);
    check(
        &[("tollgate.yaml", "tenants: [a, b]"), ("a/x.yaml", "tenant: x"), ("b/x.yaml", "tenant: x")],
        &["duplicate-tenant"],
    );
    check(&[("tollgate.yaml", "tenants: a"), ("a/x.yaml", "tenant: y")], &["wrong-name"]);
    check(&[("tollgate.yaml", "tenants: { a: {}, a: {} }")], &["duplicate-key"]);
    check(&[("tollgate.yaml", &"#".repeat((4 << 20) + 1))], &["too-large"]);
    check(
        &[("tollgate.yaml", "tenants: a\nx: 1"), ("a/x.yaml", "tenant: x\ny: 1"), ("a/z.yaml", "tenant: [")],
        &["unknown-key", "unknown-key", "bad-yaml"],
    );
}

#[test]
fn the_hash_follows_names_and_contents() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("tollgate.yaml", "tenants: a"), ("a/x.yaml", "tenant: x")]);
    let first = read(dir.path()).hash;
    assert_eq!((first.len(), &first), (64, &read(dir.path()).hash));
    write(dir.path(), &[("a/x.yaml", "tenant: x\nweight: 2")]);
    let changed = read(dir.path()).hash;
    write(dir.path(), &[("a/x.yaml", "tenant: x")]);
    assert_eq!(first, read(dir.path()).hash);
    fs::rename(dir.path().join("a/x.yaml"), dir.path().join("a/y.yaml")).unwrap();
    let renamed = read(dir.path()).hash;
    assert!(first != changed && first != renamed);
}

#[cfg(unix)]
#[test]
fn a_config_map_is_read_from_one_generation() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    write(
        path,
        &[
            ("..gen1/tollgate.yaml", "tenants: tenants"),
            ("..gen1/acme.yaml", "tenant: acme"),
            ("..gen2/tollgate.yaml", "tenants: tenants"),
            ("..gen2/acme.yaml", "tenant: acme\nweight: 2"),
            ("..gen2/globex.yaml", "tenant: globex"),
        ],
    );
    symlink("..gen1", path.join("..data")).unwrap();
    symlink("..data/tollgate.yaml", path.join("tollgate.yaml")).unwrap();
    let tenants = path.join("tenants");
    fs::create_dir(&tenants).unwrap();
    symlink(path.join("..gen1"), tenants.join("..data")).unwrap();
    symlink("..data/acme.yaml", tenants.join("acme.yaml")).unwrap();
    // The gateway's own file is no tenant's, though it is in the same generation.
    for generation in ["..gen1", "..gen2"] {
        fs::create_dir(path.join(generation).join("tenants-only")).unwrap();
        fs::rename(
            path.join(generation).join("acme.yaml"),
            path.join(generation).join("tenants-only/acme.yaml"),
        )
        .unwrap();
    }
    fs::rename(path.join("..gen2/globex.yaml"), path.join("..gen2/tenants-only/globex.yaml")).unwrap();
    let turn = |generation: &str| {
        fs::remove_file(tenants.join("..data")).unwrap();
        symlink(path.join(generation).join("tenants-only"), tenants.join("..data")).unwrap();
        read(path)
    };
    let first = turn("..gen1");
    assert_eq!((names(&first), codes(&first)), (vec!["acme"], vec![]));
    assert!(first.files.path(first.tenants[0].at.file).ends_with("tenants/acme.yaml"));
    // A file that is new in the generation counts before its own link is there.
    let second = turn("..gen2");
    assert_eq!((names(&second), codes(&second)), (vec!["acme", "globex"], vec![]));
    assert_eq!(second.tenants[0].settings.weight.map(|at| at.value), Some(2));
    // A link whose file is gone from the generation does not count.
    symlink("..data/globex.yaml", tenants.join("globex.yaml")).unwrap();
    let third = turn("..gen1");
    assert_eq!((names(&third), codes(&third)), (vec!["acme"], vec![]));
}

#[cfg(unix)]
#[test]
fn a_config_map_that_holds_everything_is_read_through_its_link() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    write(
        path,
        &[("..gen1/tollgate.yaml", "tenants: tenants"), ("..gen1/tenants/acme.yaml", "tenant: acme")],
    );
    symlink("..gen1", path.join("..data")).unwrap();
    symlink("..data/tollgate.yaml", path.join("tollgate.yaml")).unwrap();
    symlink("..data/tenants", path.join("tenants")).unwrap();
    let loaded = read(path);
    assert_eq!((names(&loaded), codes(&loaded)), (vec!["acme"], vec![]));
}

#[test]
fn secrets_are_fetched_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("s", "from a file\r\n"), ("empty", "\n"), ("large", &"x".repeat(70_000))]);
    fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
    let env = |name: &str| (name == "SET").then(|| "from the environment".to_owned());
    let check = |secret: &SecretRef, expected: Result<&str, SecretMissing>| {
        let found = secret.resolve(&env, dir.path());
        assert!(!format!("{found:?} {secret:?}").contains("from"));
        assert_eq!(found.as_ref().map(|secret| secret.expose()).map_err(Clone::clone), expected);
    };
    let file = |name: &str| SecretRef::File(name.into());
    check(&SecretRef::Env("SET".to_owned()), Ok("from the environment"));
    check(&SecretRef::Env("UNSET".to_owned()), Err(SecretMissing::Env("UNSET".to_owned())));
    check(&file("s"), Ok("from a file"));
    check(&file("empty"), Err(SecretMissing::Empty));
    check(&file("large"), Err(SecretMissing::Unfit));
    check(&file("binary"), Err(SecretMissing::Unfit));
    check(&SecretRef::Plain(crate::config::Secret::new("from here".to_owned())), Ok("from here"));
    assert!(matches!(file("none").resolve(&env, dir.path()), Err(SecretMissing::File(..))));
    assert_eq!(Files::default().len(), 0);
}
