"""`tollgate top` at a real terminal: what it shows, its keys, and that the terminal is given back however it ends."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BINARY, ADMIN, LOCKED = os.environ["BINARY"], os.environ["ADMIN_URL"], os.environ["LOCKED_URL"]


class Top:
    """A running `tollgate top` at a terminal of its own."""

    def __init__(self, *args, columns=120, lines=30, admin=ADMIN):
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.ours, (lines, columns))
        self.before = termios.tcgetattr(self.theirs)
        self.text = b""
        self.process = subprocess.Popen(
            [BINARY, "top", "--admin", admin, "--every", "500ms", *args],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
        )

    def until(self, part, seconds=8):
        end = time.monotonic() + seconds
        while part not in self.text:
            if time.monotonic() > end:
                raise AssertionError(f"{part!r} is not in {self.text[-600:]!r}")
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 65536)
        return self.text

    def frame(self, holds, seconds=8):
        """The first whole frame from here on of which something holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            frames = [part.split(b"\x1b[J")[0] for part in self.text.split(b"\x1b[H")[1:] if b"\x1b[J" in part]
            found = next((frame for frame in frames if holds(frame)), None)
            if found is not None:
                return found
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 65536)
        raise AssertionError(f"no such frame in {self.text[-600:]!r}")

    def press(self, keys):
        self.text = b""
        os.write(self.ours, keys)

    def ends(self, status):
        assert self.process.wait(8) == status, self.process.returncode
        while select.select([self.ours], [], [], 0.2)[0]:
            self.text += os.read(self.ours, 65536)
        assert self.text.rstrip().endswith(b"\x1b[?1049l"), self.text[-200:]
        assert b"\x1b[?25h" in self.text
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is not as it was"


def first_tenant(frame):
    rows = re.sub(r"\x1b\[[0-9;]*m", "", frame.decode()).split("\x1b[K")[4:]
    return rows[0].split()[0] if rows and rows[0].split() else ""


def shows_and_sorts():
    top = Top("--sort", "tenant")
    text = top.frame(lambda frame: first_tenant(frame) == "acme")
    for part in [b"TENANT", b"REQ/S", b"BUDGET", b"5 tenants", b"q quit", b"umbrella"]:
        assert part in text, part
    top.press(b"n")
    top.frame(lambda frame: first_tenant(frame) == "umbrella")
    top.press(b"q")
    top.ends(0)


def gives_the_terminal_back_on_a_signal():
    for sent in [signal.SIGTERM, signal.SIGINT]:
        top = Top()
        top.until(b"acme")
        top.process.send_signal(sent)
        top.ends(0)
    top = Top()
    top.until(b"acme")
    top.press(b"\x03")
    top.ends(0)


def plain(frame):
    """The lines of a frame, as one sees them."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame.decode())
    return [line.rstrip("\r") for line in text.split("\n")]


HEADS = ["TENANT", "REQ/S", "REQS", "DENIED", "TOKENS", "SPEND", "BUDGET", "P99", "FLIGHT", "QUEUED", "WAIT"]
LONG = "a-tenant-whose-name-is-as-long-as-a-name-may-be-50"
BUSY = {
    "per_second": 12345.67, "requests": 9876543, "denied": 98765, "input_tokens": 292600000, "output_tokens": 289200000,
    "cost_usd": 98765.43, "p99_ms": 118000, "in_flight": 1234, "queued": 4321, "waiting": 17,
    "budgets": [{"budget": "120000 USD/month", "limit_usd": 120000, "spent_usd": 98765.43}],
}
FIGURES = "12346 9876k 98765 581M $98765 82% 118 s 1234 4321 17"


class Busy(BaseHTTPRequestHandler):
    """An admin port whose tenants are as busy as can be."""

    def do_GET(self):
        rows = [{"tenant": name, **BUSY} for name in [LONG, "acme"]]
        body = json.dumps({"time": "2026-11-28T09:30:00.000Z", "count": 2, "all": BUSY, "tenants": rows}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def eighty_columns_hold_every_figure():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    top = Top("--sort", "spend", columns=80, lines=24, admin=f"http://127.0.0.1:{server.server_port}")
    lines = plain(top.frame(lambda frame: b"TENANT" in frame and b"acme" in frame))
    assert len(lines) == 24 and all(len(line) <= 80 for line in lines), lines
    head, long, acme = [next(line for line in lines if line.startswith(start)) for start in ["TENANT", "a-tenan", "acme"]]
    assert [name.rstrip("▼▲") for name in head.split()] == HEADS, head
    assert " ".join(acme.split()[1:]) == FIGURES, acme
    assert " ".join(long.split("…")[1].split()) == FIGURES, long
    assert "17 waiting" in lines[0], lines[0]
    keys = lines[-1].split()
    assert all(key in keys for key in "q n r a d t s p f j k".split()), lines[-1]
    top.press(b"q")
    top.ends(0)
    server.shutdown()


def fits_a_small_terminal():
    top = Top(columns=40, lines=6)
    text = top.until(b"\x1b[J")
    frame = text[text.index(b"\x1b[H"):]
    assert frame.count(b"\r\n") == 5, frame
    top.press(b"\x1b")
    top.ends(0)


def is_plain_where_there_is_no_terminal():
    def run(*args, **more):
        return subprocess.run([BINARY, "top", *args], capture_output=True, text=True, timeout=20, check=False, **more)

    done = run("--admin", ADMIN, "--sort", "tenant")
    assert done.returncode == 0 and "\x1b" not in done.stdout, done
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["TENANT▼", "acme", "globex", "hooli", "initech", "umbrella"], done.stdout
    told = json.loads(run("--admin", ADMIN, "--once", "--format", "json").stdout)
    assert told["count"] == 5 and len(told["tenants"]) == 5, told
    refused = run("--admin", LOCKED)
    assert refused.returncode == 1 and "token" in refused.stderr, refused
    token = {**os.environ, "TOLLGATE_ADMIN_TOKEN": os.environ["ADMIN_TOKEN"]}
    assert run("--admin", LOCKED, env=token).returncode == 0
    assert run("--admin", "http://127.0.0.1:1").returncode == 1
    assert run("--admin", ADMIN, "--every", "1ms").returncode == 2


failed = 0
TESTS = [shows_and_sorts, gives_the_terminal_back_on_a_signal, eighty_columns_hold_every_figure, fits_a_small_terminal, is_plain_where_there_is_no_terminal]
for test in TESTS:
    try:
        test()
        print(f"ok   top: {test.__name__.replace('_', ' ')}")
    except Exception as error:  # noqa: BLE001
        failed += 1
        print(f"FAIL top: {test.__name__.replace('_', ' ')}\n     {error!r}")
print(f"{len(TESTS) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
