//! How much memory there is: the machine's, or the least that a control group leaves of it which the process is in. A
//! group may be a plain one, of `systemd` or of whoever starts the process, and then lies below the root of its hierarchy;
//! a container sees its own as the root.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

/// Where the groups of version 2 stand: alone, or beside those of version 1.
const UNIFIED: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
/// Beyond `memory.high` the system holds a process back, so that it stands still instead of being ended.
const UNIFIED_FILES: &[&str] = &["memory.max", "memory.high"];
/// Where those of version 1 stand.
const MEMORY: &str = "sys/fs/cgroup/memory";
const MEMORY_FILES: &[&str] = &["memory.limit_in_bytes"];

/// How many bytes the process may use, as the system says at its start. `None` where it does not say.
pub fn bytes() -> Option<u64> {
    static BYTES: OnceLock<Option<u64>> = OnceLock::new();
    *BYTES.get_or_init(|| bytes_below(Path::new("/")))
}

/// The same of a system whose files stand below `root`.
fn bytes_below(root: &Path) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let groups = read("proc/self/cgroup");
    let own = groups.lines().filter_map(group).flat_map(|(is_unified, path)| {
        let (mounts, files): (&[&str], _) =
            if is_unified { (&UNIFIED, UNIFIED_FILES) } else { (&[MEMORY], MEMORY_FILES) };
        mounts.iter().filter_map(move |mount| least(&root.join(mount), path, files))
    });
    // Without that file there is still what stands at the roots.
    let roots = UNIFIED.map(|mount| (mount, UNIFIED_FILES)).into_iter().chain([(MEMORY, MEMORY_FILES)]);
    let roots = roots.filter_map(|(mount, files)| least(&root.join(mount), Path::new(""), files));
    own.chain(roots).chain(machine(&read("proc/meminfo"))).min()
}

/// Whether a line of `/proc/self/cgroup` is of version 2, and the path of the group; `None` for what limits no memory.
fn group(line: &str) -> Option<(bool, &Path)> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let is_memory = controllers.split(',').any(|controller| controller == "memory");
    (controllers.is_empty() || is_memory).then(|| (controllers.is_empty(), Path::new(path)))
}

/// The least that a group and those above it leave. Of a path that is not there, as a container sees it, what is there.
fn least(mount: &Path, path: &Path, files: &[&str]) -> Option<u64> {
    // A group outside of what the process sees is written with `..`, which leads nowhere here.
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let below: PathBuf = if path.components().any(|part| part == Component::ParentDir) {
        PathBuf::new()
    } else {
        names.collect()
    };
    let limit = |group: &Path, file: &&str| -> Option<u64> {
        fs::read_to_string(mount.join(group).join(file)).ok()?.trim().parse().ok()
    };
    below.ancestors().flat_map(|group| files.iter().filter_map(move |file| limit(group, file))).min()
}

/// The memory of the machine.
fn machine(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    kib?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a tree of these files.
    fn found(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        bytes_below(root.path())
    }

    const V1: &str = "9:name=systemd:/\n4:memory:/a/b\n1:cpu:/a/b/c\n";
    const V1_BOTH: &str = "4:cpu,memory:/a/b\n0::/\n";
    const V2: &str = "0::/a/b\n";
    const NONE: &str = "9223372036854771712\n";
    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:         100 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_groups_own_limit_is_found() {
        for own in [V1, V1_BOTH] {
            let files = [
                ("proc/self/cgroup", own),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", NONE),
                ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "7000\n"),
                ("sys/fs/cgroup/memory/a/b/c/memory.limit_in_bytes", "1\n"),
                ("sys/fs/cgroup/memory/other/memory.limit_in_bytes", "1\n"),
            ];
            assert_eq!(found(&files), Some(7000), "{own}");
        }
        for mount in UNIFIED {
            let file = |group: &str, name: &str| format!("{mount}{group}/{name}");
            let (own, other, above) =
                (file("/a/b", "memory.max"), file("/a/c", "memory.max"), file("/a", "memory.max"));
            let files = [("proc/self/cgroup", V2), (&own, "8000\n"), (&other, "1\n"), (&above, "max\n")];
            assert_eq!(found(&files), Some(8000), "{mount}");
        }
    }

    #[test]
    fn the_least_of_it_and_those_above_holds() {
        let files = |own, above, root| {
            found(&[
                ("proc/self/cgroup", V2),
                ("sys/fs/cgroup/a/b/memory.max", own),
                ("sys/fs/cgroup/a/memory.max", above),
                ("sys/fs/cgroup/memory.max", root),
            ])
        };
        assert_eq!(files("3", "2", "max"), Some(2));
        assert_eq!(files("max", "max", "5"), Some(5));
        assert_eq!(files("3", "4", "5"), Some(3));
        assert_eq!(files("max", "max", "max"), None);
        let high = [
            ("proc/self/cgroup", V2),
            ("sys/fs/cgroup/a/b/memory.max", "9"),
            ("sys/fs/cgroup/a/b/memory.high", "6"),
        ];
        assert_eq!(found(&high), Some(6));
    }

    #[test]
    fn a_container_sees_its_own_at_the_root() {
        let v1 = [("proc/self/cgroup", V1), ("sys/fs/cgroup/memory/memory.limit_in_bytes", "11")];
        assert_eq!(found(&v1), Some(11));
        let v2 = [("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "12")];
        assert_eq!(found(&v2), Some(12));
        // No group of a path that leads outside, and no file outside of the hierarchy.
        let outside = [
            ("proc/self/cgroup", "0::/../../x\n"),
            ("sys/fs/cgroup/memory.max", "13"),
            ("sys/x/memory.max", "1"),
            ("sys/fs/cgroup/x/memory.max", "1"),
        ];
        assert_eq!(found(&outside), Some(13));
        assert_eq!(found(&[("sys/fs/cgroup/memory.max", "14")]), Some(14), "without /proc");
    }

    #[test]
    fn a_machine_is_a_limit_too() {
        assert_eq!(found(&[MACHINE]), Some(102_400));
        assert_eq!(found(&[MACHINE, ("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE)]), Some(102_400));
        assert_eq!(found(&[MACHINE, ("sys/fs/cgroup/memory.max", "15")]), Some(15));
        for nothing in ["", "MemTotal: many kB", "MemTotal: 99999999999999999999 kB", "MemTotal: 4"] {
            assert_eq!(found(&[("proc/meminfo", nothing)]), None, "{nothing}");
        }
    }
}
