"""The real presidio-analyzer behind `redact.analyzer`: its answers are understood, its code points are ours.

Apart from the other suites, because it needs an interpreter that has `presidio-analyzer` (a minute to install, some
400 MB):
    python3 -m venv target/presidio && target/presidio/bin/pip install presidio-analyzer
    target/presidio/bin/python tests/clients/presidio.py [target/debug/tollgate]
No language model is loaded: names come from a list, by Presidio's own deny-list recogniser, and words from a blank
tokenizer.
"""

import hashlib
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import spacy
from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ports import free_ports

NAMES = ["Jané Döe", "Maximilian Mustermann", "李小龍"]
KEY = "test-key-of-acme"


class Blank(SpacyNlpEngine):
    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}


def engine():
    registry = RecognizerRegistry()
    registry.add_recognizer(PatternRecognizer(supported_entity="PERSON", deny_list=NAMES))
    return AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])


class Analyzer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = []

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == "/analyze", self.path
        Analyzer.asked.append(asked)
        found = self.server.engine.analyze(
            asked["text"], language=asked["language"], entities=asked["entities"],
            score_threshold=asked["score_threshold"],
        )
        body = json.dumps([one.to_dict() for one in found], default=str).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return found


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/debug/tollgate"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Analyzer)
    server.engine = engine()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mock, listen, admin = free_ports(3)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        (directory / "tollgate.yaml").write_text(f"""
listen: 127.0.0.1:{listen}
admin: 127.0.0.1:{admin}
data_dir: data
upstreams:
  openai: {{ kind: openai, url: "http://127.0.0.1:{mock}/v1", models: {{ gpt-5: {{}} }} }}
tenants:
  acme:
    keys: [{{ id: prod, sha256: {digest} }}]
    models: [gpt-5]
    redact: {{ analyzer: {{ url: "http://127.0.0.1:{server.server_port}", timeout: 10s }} }}
""")
        run = [subprocess.Popen([binary, "mock", "--listen", f"127.0.0.1:{mock}"]),
               subprocess.Popen([binary, "serve", "--config", "tollgate.yaml"], cwd=directory)]
        try:
            def ready():
                try:
                    return urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz").status == 200
                except OSError:
                    return False
            until(ready)
            prompt = "😀 ask " + ", ".join(NAMES) + " or jane@example.com, 4111 1111 1111 1111"
            body = json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": prompt}]}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{listen}/v1/chat/completions", body,
                {"authorization": f"Bearer {KEY}", "content-type": "application/json"})
            urllib.request.urlopen(request).read()
            line = until(lambda: next((path.read_text() for path in directory.glob("data/log/acme/*.jsonl")), ""))
            recorded = json.loads(line.splitlines()[0])["prompt"]
            assert recorded.count("[PERSON:") == len(NAMES), recorded
            assert not any(found in recorded for found in NAMES), recorded
            assert "😀 ask [PERSON:" in recorded, recorded
            sent = json.dumps(Analyzer.asked)
            assert "jane@example.com" not in sent and "4111" not in sent, sent
            print(f"ok: {recorded}")
        finally:
            for process in run:
                process.terminate()
            for process in run:
                process.wait()


main()
