"""What an image holds and says of itself, and that it runs as Kubernetes runs it: read-only, as nobody, without a shell."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

inspected, image, profile = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]), sys.argv[3]
ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTAINED = pathlib.Path(__file__).with_name("contained.py")
USER = 65532
MEBIBYTES_MAX = 30
checked = 0


def check(holds, message):
    global checked
    checked += 1
    if not holds:
        raise AssertionError(message)


def test_configuration():
    config = inspected["OCIv1"]["config"]
    check(config["User"] == f"{USER}:{USER}", config)
    check(config["Entrypoint"] == ["/tollgate"], config)
    check(config["Cmd"] == ["serve", "--config", "/etc/tollgate/tollgate.yaml"], config)
    check({port.split("/")[0] for port in config["ExposedPorts"]} == {"8080", "8082"}, config)
    label = lambda name: config["Labels"][f"org.opencontainers.image.{name}"]
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    check(label("version") == package["version"], f"the label says {label('version')}, Cargo.toml {package['version']}")
    check(label("licenses") == package["license"] and label("description") == package["description"], config["Labels"])
    check(label("title") == "Tollgate" and label("revision") == "test", config["Labels"])
    check(not [each for each in config.get("Env", []) if not each.startswith("PATH=")], config)


def test_content():
    found = {str(each.relative_to(image)) for each in image.rglob("*") if not each.is_dir() or each.is_symlink()}
    check(found == {"tollgate", "etc/passwd", "etc/group", "etc/nsswitch.conf"}, f"there is {found}")
    data = (image / "var/lib/tollgate").stat()
    check((data.st_uid, data.st_gid, data.st_mode & 0o777) == (USER, USER, 0o700), oct(data.st_mode))
    size = sum(each.stat().st_size for each in image.rglob("*") if each.is_file()) / 2**20
    if profile == "release":
        print(f"the image is {size:.1f} MiB")
        check(size < MEBIBYTES_MAX, f"{size:.1f} MiB")
    else:
        print(f"NOT RUN: the size is held against {MEBIBYTES_MAX} MiB by tests/image/run --release only", file=sys.stderr)
    headers = subprocess.run(["readelf", "--program-headers", str(image / "tollgate")], capture_output=True, text=True, check=True)
    check("INTERP" not in headers.stdout, "the binary needs a loader: it is not static")


def test_runs():
    """The gateway and its mock on the image's root, with the few devices that every container has; the upstream is found by a name in the DNS."""
    config = """
listen: 127.0.0.1:8080
admin: 127.0.0.1:8081
probes: 0.0.0.0:8082
data_dir: /var/lib/tollgate
identity: { fixed: acme }
admin_token: a-token-of-the-test
tenants: { acme: { models: [gpt-5], limits: { requests: 60/min } } }
upstreams: { mock: { kind: openai, url: "http://provider.test:9000/v1" } }
models: { gpt-5: { upstream: mock } }
"""
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        work.chmod(0o755)
        (work / "data").mkdir()
        os.chown(work / "data", USER, USER)
        (work / "etc").mkdir()
        for name in ("passwd", "group", "nsswitch.conf"):
            (work / "etc" / name).write_text((image / "etc" / name).read_text())
        (work / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (work / "etc/tollgate").mkdir()
        (work / "etc/tollgate/tollgate.yaml").write_text(config)
        script = f"""
            ip link set lo up
            mkdir {image}/dev && mount -t tmpfs none {image}/dev
            for device in null random urandom; do touch {image}/dev/$device; mount --bind /dev/$device {image}/dev/$device; done
            mount --rbind {image} {image} && mount -o remount,bind,ro {image}
            mount --bind {work}/etc {image}/etc && mount -o remount,bind,ro {image}/etc
            mount --bind {work}/data {image}/var/lib/tollgate
            exec {sys.executable} {CONTAINED} {image}
        """
        done = subprocess.run(["unshare", "--mount", "--net", "bash", "-euc", script], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, done.stdout + done.stderr)
        written = {str(each.relative_to(work / "data")) for each in (work / "data").rglob("*") if each.is_file()}
        check(any(name.startswith("log/acme/") for name in written), f"records: {written}")


tests = [test_configuration, test_content, test_runs]
for test in tests:
    test()
print(f"image: {checked} checks\n{len(tests)} passed, 0 failed")
