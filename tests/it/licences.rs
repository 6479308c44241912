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
