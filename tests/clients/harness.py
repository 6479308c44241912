"""What the suites share: where the mock and the gateway are, what the mock has seen, and how checks are run.

A suite runs against the gateway or, without GATEWAY_URL, against the mock alone.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOCK = os.environ["MOCK_URL"]
GATEWAY = os.environ.get("GATEWAY_URL")
TARGET = GATEWAY or MOCK
HIDDEN = "HIDDEN-ARGUMENT"


def key(tenant):
    return os.environ[f"KEY_{tenant.upper()}"]


def seen():
    with urllib.request.urlopen(f"{MOCK}/mock/requests") as answer:
        return json.load(answer)


def forget():
    urllib.request.urlopen(urllib.request.Request(f"{MOCK}/mock/requests", method="DELETE")).close()


def bodies():
    """The JSON bodies that the mock has seen."""
    return [json.loads(hit["body"]) for hit in seen()]


def receiver(path, kind, answer, received, port=0):
    """A store that takes OTLP over HTTP on this path into `received`: its port."""

    class Store(BaseHTTPRequestHandler):
        def do_POST(self):
            same(self.path, path, "the path")
            same(self.headers["content-type"], "application/x-protobuf", "the type")
            received.append(kind.FromString(self.rfile.read(int(self.headers["content-length"]))))
            told = answer().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Store)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def same(got, expected, what):
    assert got == expected, f"{what}:\n      got      {got!r}\n      expected {expected!r}"


def named(checks):
    """Functions as pairs of their name, in words, and themselves."""
    return [(check.__name__.replace("_", " "), check) for check in checks]


def run(suite, checks):
    """Runs all; a report of all failures is worth more than the first."""
    failed = total = 0
    start = time.monotonic()
    for name, check in checks:
        total += 1
        try:
            check()
        except Exception as error:
            failed += 1
            print(f"FAIL {name}\n      {type(error).__name__}: {error}")
    print(f"{suite}: {total - failed} of {total} passed in {time.monotonic() - start:.0f} s", flush=True)
    sys.exit(1 if failed else 0)
