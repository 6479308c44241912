//! Every dependency may be carried by Apache-2.0, and comes from the registry. Offline; deny.toml says the same.

use std::process::Command;

#[test]
fn dependencies_carry_licences_that_this_project_can_carry() {
    let deny = std::fs::read_to_string("deny.toml").unwrap();
    let (_, list) = deny.split_once("allow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let allowed: Vec<&str> =
        list.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()).collect();
    let cargo = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages.iter().filter(|package| package["name"] != "tollgate") {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or("none"));
        assert!(fits(licence, &allowed), "{name} is under {licence}");
        assert!(package["source"].as_str().unwrap().starts_with("registry+"), "{name} comes from elsewhere");
    }
}

/// `(A OR B) AND C`: every part of a conjunction needs one allowed alternative.
fn fits(licence: &str, allowed: &[&str]) -> bool {
    licence.replace('/', " OR ").split(" AND ").all(|part| {
        part.trim_matches(['(', ')', ' '])
            .split(" OR ")
            .any(|name| allowed.contains(&name.trim_matches(['(', ')', ' '])))
    })
}

/// Versions below these have known holes that a gateway can be reached through. Source: RustSec's advisories up to August
/// 2026; `cargo deny check advisories` knows the newest.
const FLOORS: &[(&str, &str)] = &[
    ("h2", "0.4.16"),
    ("hyper", "1.10.2"),
    ("rustls", "0.23.18"),
    ("rustls-webpki", "0.103.13"),
    ("bytes", "1.11.1"),
    ("tokio", "1.43.1"),
    ("tracing-subscriber", "0.3.20"),
    ("aws-lc-sys", "0.39.0"),
    ("lru", "0.18.2"),
    ("crossbeam-channel", "0.5.15"),
    ("slab", "0.4.11"),
    ("idna", "1.0.0"),
    ("time", "0.3.47"),
    ("hickory-proto", "0.26.1"),
    ("quinn-proto", "0.11.15"),
];
/// Not to come in, by whatever way.
const NEVER: &[&str] = &["serde_yml", "rustls-pemfile", "native-tls"];

#[test]
fn no_dependency_is_below_what_advisories_ask_for() {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap();
    let packages: Vec<(&str, &str)> = lock
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let value = |key: &str| {
                package.lines().find_map(|line| line.strip_prefix(key)?.trim_matches([' ', '=', '"']).into())
            };
            (value("name").unwrap(), value("version").unwrap())
        })
        .collect();
    assert!(packages.len() > 100 && packages.iter().any(|(name, _)| *name == "hyper"));
    let numbers = |version: &str| -> Vec<u64> {
        let plain = version.split(['-', '+']).next().unwrap();
        plain.split('.').map(|part| part.parse().unwrap()).collect()
    };
    for (name, version) in packages {
        assert!(!NEVER.contains(&name), "{name} is not to be used");
        if let Some((_, floor)) = FLOORS.iter().find(|(known, _)| *known == name) {
            assert!(numbers(version) >= numbers(floor), "{name} {version} is below {floor}");
        }
    }
}

#[test]
fn no_code_of_its_own_is_unsafe() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for root in ["src/lib.rs", "src/main.rs"] {
        assert!(std::fs::read_to_string(root).unwrap().contains("#![forbid(unsafe_code)]"), "{root}");
    }
}

/// The fuzz targets are built apart, by a lock of their own: it has to fit what the crate depends on, in the versions that are
/// shipped.
#[test]
fn the_lock_of_the_fuzz_targets_fits() {
    let packages = |path: &str| -> Vec<(String, String, Vec<String>)> {
        let text = std::fs::read_to_string(path).unwrap();
        let package = |part: &str| {
            let of = |key: &str| {
                part.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
            };
            let dependencies = part.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
            let names = dependencies.map(|name| name.split(' ').next().unwrap().to_owned()).collect();
            Some((of("name")?.to_owned(), of("version")?.to_owned(), names))
        };
        text.split("[[package]]").filter_map(package).collect()
    };
    let (ours, theirs) = (packages("Cargo.lock"), packages("fuzz/Cargo.lock"));
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    let (dependencies, _) = dependencies.split_once("\n[").unwrap();
    let (_, _, locked) = theirs.iter().find(|(name, ..)| name == "tollgate").unwrap();
    for line in dependencies.lines().filter(|line| !line.is_empty()) {
        let name = line.split(' ').next().unwrap().to_owned();
        assert!(locked.contains(&name), "fuzz/Cargo.lock lacks {name}: run cargo metadata in fuzz/");
        let version = |packages: &[(String, String, Vec<String>)]| {
            let mut found: Vec<String> = packages
                .iter()
                .filter(|(found, ..)| *found == name)
                .map(|(_, version, _)| version.clone())
                .collect();
            found.sort_unstable();
            found
        };
        assert!(
            version(&theirs).iter().all(|found| version(&ours).contains(found)),
            "{name} is of another version in fuzz/Cargo.lock"
        );
    }
}
