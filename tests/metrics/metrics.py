"""What a running gateway tells Prometheus: every metric of docs/metrics.md and no other, clean by promtool, the same as the
ledger to the last micro-dollar; and something for every query of the dashboard, the rules and the alerts."""

import contextlib
import hashlib
import http.client
import http.server
import json
import math
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ports import free_ports

BINARY = sys.argv[1]
ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "config/prometheus"
NAME = re.compile(r"\btollgate_[a-z0-9_]+")
# What does not happen here: a store that answers with another tenant's records, a cache, a listener with TLS.
NEVER = {"tollgate_cached_answers_total", "tollgate_certificate_expiry_timestamp_seconds", "tollgate_foreign_records_total"}
KEY, OTHER = "test-key-of-acme", "test-key-of-globex"
checked = 0

CONFIG = """
listen: 127.0.0.1:{gateway}
admin: 127.0.0.1:{admin}
data_dir: data
telemetry: {{ otlp: "http://127.0.0.1:{store}", logs: true }}
upstreams:
  mock: {{ kind: openai, url: "http://127.0.0.1:{mock}/v1" }}
  narrow: {{ kind: openai, url: "http://127.0.0.1:{mock}/v1", max_in_flight: 2 }}
  gone: {{ kind: openai, url: "http://127.0.0.1:1/v1", retry: {{ attempts: 0 }} }}
  crm: {{ kind: mcp, url: "http://127.0.0.1:{mock}/mcp", pin: record }}
models:
  gpt-5: {{ upstream: mock, price: {{ input: 1.25, output: 10 }} }}
  "local-*": {{ upstream: mock, price: {{ input: 0.07, output: 0.3 }} }}
  dead: {{ upstream: gone }}
  slow: {{ upstream: narrow }}
tenants:
  acme:
    keys: [{{ id: prod, sha256: {acme} }}]
    models: ["*"]
    tools: [{{ allow: ["get_*", "crm__*"] }}, {{ deny: "delete_*" }}, {{ deny: get_shadow, mode: shadow }}, {{ ask: refund, within: 1m }}]
    budget: 1 USD/day
    warn: 1%
  globex:
    keys: [{{ id: prod, sha256: {globex} }}]
    models: [gpt-5]
    limits: {{ requests: 2/hour }}
    redact: {{ analyzer: {{ url: "http://127.0.0.1:1", timeout: 1s }} }}
    budget: 100 USD/month
"""


def check(holds, message):
    global checked
    checked += 1
    if not holds:
        raise AssertionError(message)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def wait(what, holds, seconds=20):
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if holds():
                return
        if time.monotonic() > end:
            raise AssertionError(f"{what} is not there after {seconds} s")
        time.sleep(0.1)


class Store(http.server.BaseHTTPRequestHandler):
    """Takes one batch of a signal, and refuses the next."""

    batches = {}

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        batches = Store.batches[self.path] = Store.batches.get(self.path, 0) + 1
        self.send_response(200 if batches % 2 else 400)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Traffic:
    """Everything that is measured, happening."""

    def __init__(self, port):
        self.port = port

    def chat(self, text, key=KEY, model="gpt-5", tools=(), stream=False):
        tools = [{"type": "function", "function": {"name": name}} for name in tools]
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **({"tools": tools} if tools else {})}
        return ask(self.port, "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})

    def tools(self):
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}}
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "accept": "application/json, text/event-stream",
                   "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
        return ask(self.port, "POST", "/mcp", body, headers)

    def once(self):
        names = ["get_weather", "get_shadow", "delete_user", "refund"]
        check(self.chat("my mail is jane@example.com, call get_weather", tools=names)[0] == 200, "a call")
        check(self.chat("!call delete_user {}\n!call get_shadow {}", tools=names)[0] == 200, "denied and shadowed calls")
        check(self.chat("a stream", stream=True)[0] == 200, "a stream")
        check(self.chat("!usage-none\n!say something", model="local-llama")[0] == 200, "usage that nobody tells")
        check(self.chat("!status 429 retry-after 1")[0] == 429, "a provider's limit")
        check(self.chat("!status 400")[0] == 400, "a provider's refusal")
        check(self.chat("hi", model="dead")[0] == 502, "an upstream that is gone")
        check(self.chat("hi", key="nobody")[0] == 401, "no credential")
        check(self.chat("hi", model="made-up\"} 1\n# HELP x")[0] == 404, "a model that is made up")
        check(self.chat("!usage 7777 3333")[0] == 200, "more than the warning's share of a budget")
        check(self.chat("!usage 7777 3333", key=OTHER)[0] in (200, 429), "the other tenant")
        status, text = self.tools()
        check(status == 200 and "crm__" in text, text)


def samples(text, name):
    """The series of a metric, by their labels."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match:
            found[tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[1] or "")))] = float(match[2])
    return found


def described(text):
    return set(re.findall(r"^# HELP (tollgate_\w+) ", text, re.M))


def base(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


def test_names(text):
    """All metrics are documented, whatever names one has it, and promtool finds nothing to say."""
    known = described(text)
    page = (ROOT / "docs/metrics.md").read_text()
    listed = set(re.findall(r"^\| `(tollgate_\w+)`", page, re.M))
    check(listed == known | NEVER, f"docs/metrics.md and the gateway differ in {listed ^ (known | NEVER)}")
    for path in [*PROMETHEUS.glob("*.yaml"), ROOT / "config/grafana/tollgate.json", ROOT / "docs/metrics.md"]:
        own = {"tollgate_requests", "tollgate_failures", "tollgate_tries", "tollgate_tries_failed", "tollgate_tries_limited", "tollgate_budget_spent"}
        records = {each for each in NAME.findall(path.read_text()) if base(each) not in known | NEVER}
        check(records <= own | {"tollgate_cost_usd"}, f"{path.name} names {records - own}")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stdout and not done.stderr, done.stdout + done.stderr)


def test_ledger(text, admin):
    """A tenant's tokens and cost are what the ledger has, exactly."""
    usage = lambda: json.loads(ask(admin, "GET", "/admin/usage")[1])
    told = sum(samples(text, "tollgate_requests_total").values())
    # The ledger is written behind the requests.
    wait("the ledger", lambda: sum(row["requests"] for row in usage()) == told)
    rows = usage()
    for tenant in ("acme", "globex"):
        of = lambda name, **more: sum(
            value for labels, value in samples(text, name).items()
            if ("tenant", tenant) in labels and all((key, word) in labels for key, word in more.items()))
        own = [row for row in rows if row["tenant"] == tenant]
        check(own and of("tollgate_tokens_total", kind="input") == sum(row["input_tokens"] for row in own), f"{tenant}: input")
        check(of("tollgate_tokens_total", kind="output") == sum(row["output_tokens"] for row in own), f"{tenant}: output")
        micro = round(sum(round(row["cost_usd"] * 1e6) for row in own))
        check(micro > 0 and round(of("tollgate_cost_usd_total") * 1e6) == micro, f"{tenant}: {of('tollgate_cost_usd_total')} and {micro}")
        check(round(of("tollgate_budget_spent_usd") * 1e6) == micro, f"{tenant}: the budget")
        check(of("tollgate_requests_total") == sum(row["requests"] for row in own), f"{tenant}: requests")


def test_bounded(traffic, admin):
    """What clients make up makes no series: names of models and tools, paths, headers."""
    metrics = lambda: ask(admin, "GET", "/metrics")[1]
    series = lambda text: {line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")}
    first = lambda: (traffic.chat("hi", model="made-up-0"), traffic.chat("!call tool_0 {}", tools=["tool_0"]), hostile(0))

    def hostile(number):
        return ask(traffic.port, "POST", f"/v1/{number}", {}, {"authorization": f"Bearer {KEY}", "x-tenant-id": f"tenant-{number}", "x-model": f"m{number}"})

    first()
    before = series(metrics())
    connection = socket.create_connection(("127.0.0.1", traffic.port))
    count, answers = 5000, 0
    requests = []
    for number in range(count):
        body = json.dumps({"model": f"made-up-{number}\"}}\n", "messages": [{"role": "user", "content": "hi"}]})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        requests.append(head + body)
    sender = threading.Thread(target=lambda: connection.sendall("".join(requests).encode()))
    sender.start()
    tail = b""
    while answers < count:
        data = connection.recv(1 << 20)
        check(data, f"the connection ended after {answers} answers")
        answers += (tail + data).count(b"HTTP/1.1 404")
        tail = (tail + data)[-11:]
    sender.join()
    connection.close()
    for number in range(50):
        traffic.chat(f"!call tool_{number} {{}}", tools=[f"tool_{number}"])
        traffic.chat("hi", model=f"local-{number}")
        hostile(number)
    after = series(metrics())
    check(after - before <= {each for each in after if 'model="local-*"' in each}, f"new: {sorted(after - before)[:5]}")
    check(any('model="other"' in each for each in after), "made-up models are `other`")


class Prometheus:
    def __init__(self, work, target, stack):
        [self.port] = free_ports(1)
        for each in PROMETHEUS.glob("*.yaml"):
            shutil.copy(each, work)
        config = yaml.safe_load((work / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        [scrape] = config["scrape_configs"]
        scrape.update(scrape_interval="500ms", scrape_timeout="500ms")
        scrape["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
        rules = yaml.safe_load((work / "tollgate.rules.yaml").read_text())
        for group in rules["groups"]:
            group["interval"] = "500ms"
        (work / "tollgate.rules.yaml").write_text(yaml.safe_dump(rules))
        (work / "prometheus.yaml").write_text(yaml.safe_dump(config))
        log = stack.enter_context(open(work / "prometheus.log", "w"))
        process = subprocess.Popen(
            ["prometheus", f"--config.file={work}/prometheus.yaml", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdout=log, stderr=log)
        stack.callback(end, process)
        wait("Prometheus", lambda: ask(self.port, "GET", "/-/ready")[0] == 200)

    def get(self, path, **query):
        status, text = ask(self.port, "GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        told = json.loads(text)
        check(status == 200 and told["status"] == "success" and not told.get("warnings"), f"{path} {query}: {text}")
        return told["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]


def end(process):
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for note in dashboard["annotations"]["list"]:
        yield note["name"], note["expr"]


def filled(expression):
    """As Grafana sends it, for all tenants."""
    for name, value in {"$__rate_interval": "1m", "$__range": "1h", "$tenant": ".*"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that is not known here: {expression}"
    return expression


def test_dashboard(prometheus):
    dashboard = json.loads((ROOT / "config/grafana/tollgate.json").read_text())
    found = list(expressions(dashboard))
    for title, expression in found:
        result = prometheus.query(filled(expression))
        numbers = [float(each["value"][1]) for each in result]
        # `changes … > 0` finds something only when a configuration was loaded while it was watched.
        check(numbers or title == "Configuration loaded" or NEVER & set(NAME.findall(expression)), f"{title}: nothing for {expression}")
        # A quantile of what did not happen is no number.
        check(not numbers or not all(math.isnan(number) for number in numbers), f"{title}: {numbers} for {expression}")
        labels = set(re.findall(r"\{\{(\w+)\}\}", next(
            (target.get("legendFormat", "") for panel in dashboard["panels"] for target in panel.get("targets", []) if target["expr"] == expression), "")))
        for each in result:
            check(labels <= set(each["metric"]), f"{title}: {labels - set(each['metric'])} are no labels of {expression}")
    ids = [panel["id"] for panel in dashboard["panels"]]
    check(len(set(ids)) == len(ids) and dashboard["uid"] == "tollgate", "ids are there twice")
    for one in dashboard["panels"]:
        for other in dashboard["panels"]:
            a, b = one["gridPos"], other["gridPos"]
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            check(one is other or apart, f"{one['title']} lies over {other['title']}")
    known = described(ask(prometheus.target, "GET", "/metrics")[1])
    shown = {base(name) for _, expression in found for name in NAME.findall(expression)}
    check(shown == known | NEVER, f"the dashboard does not show {known - shown}")


def test_rules(prometheus):
    """Each rule is worked out without an error, each recorded one to something."""
    wait("the rules", lambda: all(
        rule["health"] != "unknown" for group in prometheus.get("rules")["groups"] for rule in group["rules"]))
    for group in prometheus.get("rules")["groups"]:
        for rule in group["rules"]:
            check(rule["health"] == "ok", f"{rule['name']}: {rule}")
            if rule["type"] == "recording":
                wait(rule["name"], lambda: prometheus.query(rule["name"]))
    # An upstream that is gone is known to be by now.
    wait("an alert", lambda: prometheus.query('ALERTS{alertname="TollgateUpstreamDown"}'))
    down = prometheus.query('ALERTS{alertname="TollgateUpstreamDown"}')
    check([each["metric"]["upstream"] for each in down] == ["gone"], down)


def main():
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway, admin, mock = free_ports(3)
        store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
        store.daemon_threads = True
        threading.Thread(target=store.serve_forever, daemon=True).start()
        digest = lambda key: hashlib.sha256(key.encode()).hexdigest()
        text = CONFIG.format(gateway=gateway, admin=admin, mock=mock, store=store.server_port, acme=digest(KEY), globex=digest(OTHER))
        (work / "tollgate.yaml").write_text(text)
        for command in (["mock", "--listen", f"127.0.0.1:{mock}"], ["serve", "--config", "tollgate.yaml"]):
            log = stack.enter_context(open(work / f"{command[0]}.log", "w"))
            stack.callback(end, subprocess.Popen([BINARY, *command], cwd=work, stdout=log, stderr=log))
        wait("the mock", lambda: ask(mock, "GET", "/mock/requests")[0] == 200)
        wait("the gateway", lambda: ask(admin, "GET", "/readyz")[0] == 200)
        prometheus = Prometheus(work, admin, stack)
        prometheus.target = admin
        wait("a scrape", lambda: prometheus.query("up == 1"))
        traffic = Traffic(gateway)
        held = threading.Thread(target=lambda: traffic.chat("!call refund {}", tools=["refund"]), daemon=True)

        def wait_in_line():
            # Some still do when the gateway ends.
            with contextlib.suppress(OSError, http.client.HTTPException):
                traffic.chat("!delay 400ms\n!chunks 40\n!say " + "a " * 40, model="slow", stream=True)

        # More than an upstream takes at a time.
        crowd = [threading.Thread(target=wait_in_line, daemon=True) for _ in range(5)]
        for _ in range(6):
            traffic.once()
            check(traffic.chat("hi", model="slow")[0] == 200, "an upstream with a queue")
            time.sleep(0.5)
        metrics = lambda: ask(admin, "GET", "/metrics")[1]
        # Records are written behind the requests.
        wait("redactions", lambda: samples(metrics(), "tollgate_redactions_total"))
        test_ledger(metrics(), admin)
        held.start()
        wait("a call that waits", lambda: samples(metrics(), "tollgate_approvals_waiting"))
        for each in crowd:
            each.start()
        over = threading.Event()

        def flow():
            while not over.wait(0.5):
                traffic.once()

        flowing = threading.Thread(target=flow, daemon=True)
        flowing.start()
        time.sleep(3)
        # What never happened is not told: by now everything did.
        test_names(metrics())
        test_dashboard(prometheus)
        test_rules(prometheus)
        over.set()
        flowing.join(timeout=30)
        test_bounded(traffic, admin)
        # Streams and calls that wait end with the gateway.
        [waiting] = json.loads(ask(admin, "GET", "/admin/approvals")[1])
        ask(admin, "POST", f"/admin/approvals/{waiting['id']}", {"approve": False, "by": "the test"})
        held.join(timeout=20)


started = time.monotonic()
main()
print(f"metrics: {checked} checks in {time.monotonic() - started:.0f} s\n5 passed, 0 failed")
