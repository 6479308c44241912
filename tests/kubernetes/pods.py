"""The manifests as they run, without a cluster: pods and providers are network namespaces, the node's firewall keeps the
NetworkPolicies as they are rendered, volumes are written and swapped as a kubelet does, and signals come in its order."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from issuer import Issuer
from network import Network, run
from rendered import KUBERNETES, gateways, lay_out, localize, owners, pod_of, render, write_volume

BINARY = sys.argv[1]
HERE = pathlib.Path(__file__).resolve().parent
# One that every user may run.
PYTHON = "/usr/bin/python3"
GATEWAY, AGENT, SERVER = 65532, 10001, 12345
PROVIDER = "198.51.100.10"
ELSEWHERE = "203.0.113.20"
SERVERS = [f"http://{PROVIDER}:443/", f"http://{ELSEWHERE}:80/", f"http://{ELSEWHERE}:8443/", "http://10.244.9.9:443/"]
SECRETS = {"openai-api-key": "sk-first", "admin-token": "operator-token", "records-secret": "r" * 44}
checked = 0


def check(holds, message):
    global checked
    checked += 1
    if not holds:
        raise AssertionError(message)


def wait(what, holds, seconds=10):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what} is not there after {seconds} s")
        time.sleep(0.1)
    check(True, what)


class Play(contextlib.ExitStack):
    """A network, a directory, and processes that are ended with it."""

    def __init__(self):
        super().__init__()
        self.work = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        # Whoever runs on a host finds the scripts; what is another's is closed by itself.
        self.work.chmod(0o755)
        self.network = Network()
        self.callback(self.network.close)
        for name in ("client.py", "provider.py"):
            (self.work / name).write_text((HERE / name).read_text())
        (self.work / "tollgate").write_bytes(pathlib.Path(BINARY).read_bytes())
        (self.work / "tollgate").chmod(0o755)
        self.keys = self.work / "keys"
        self.keys.write_text("sk-first\n")

    def start(self, host, user, *command):
        log = open(self.work / f"{host}-{user}.log", "a")
        process = subprocess.Popen(self.network.command(host, user, *command), stdout=subprocess.PIPE, stderr=log, text=True)
        self.callback(end, process)
        return process

    def client(self, host, url, key=None, body=None, seconds=20.0, method=None, user=AGENT):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        body = json.dumps(body) if body is not None else ""
        arguments = [method or ("POST" if body else "GET"), url, json.dumps(headers), body, str(seconds)]
        return self.start(host, user, PYTHON, str(self.work / "client.py"), *arguments)

    def ask(self, *arguments, **more):
        return told(self.client(*arguments, **more))

    def kubelet(self, url):
        """A probe comes from the node."""
        client = [str(self.work / "client.py"), "GET", url, "{}", "", "2"]
        return json.loads(self.network.on_node(PYTHON, *client))

    def serve(self, host, objects, owner, container, replace):
        """Starts the gateway of a pod. What only its container mounts is closed to every other user."""
        root = self.work / host
        secrets = {"tollgate-secrets": SECRETS}
        lay_out(root, objects, pod_of(owner), container, secrets)
        if (root / "etc/tollgate/issuer").exists():
            # As shipped it holds no key, and the gateway does not start.
            write_volume(root / "etc/tollgate/issuer", {"jwks.json": Issuer("https://other.example").jwks})
        path = localize(root, container, replace)
        for directory, _, files in os.walk(root):
            os.chown(directory, GATEWAY, GATEWAY)
            for name in files:
                os.chown(pathlib.Path(directory) / name, GATEWAY, GATEWAY, follow_symlinks=False)
        root.chmod(0o700)
        gateway = self.start(host, GATEWAY, str(self.work / "tollgate"), "serve", "--config", str(path))
        probe = container["startupProbe"]
        address = f"http://{self.network.hosts[host]['address']}:8082{probe['httpGet']['path']}"
        limit = probe["periodSeconds"] * probe["failureThreshold"]
        wait("the startup probe", lambda: gateway.poll() is not None or self.kubelet(address)["status"] == 200, limit)
        check(gateway.poll() is None, (self.work / f"{host}-{GATEWAY}.log").read_text())
        return root, gateway

    def provider(self):
        self.network.add("provider", PROVIDER)
        run("ip", "netns", "exec", self.network.hosts["provider"]["netns"], "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0")
        self.start("provider", SERVER, PYTHON, str(self.work / "provider.py"), PROVIDER, "443", str(self.keys))
        # What an agent must not reach listens too, so that only the firewall can keep it away.
        self.network.add("elsewhere", ELSEWHERE)
        for port in ("80", "8443"):
            run("ip", "netns", "exec", self.network.hosts["elsewhere"]["netns"], "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0")
            self.start("elsewhere", SERVER, PYTHON, str(self.work / "provider.py"), ELSEWHERE, port, str(self.keys))
        self.network.add("inside", "10.244.9.9", {}, "default")
        run("ip", "netns", "exec", self.network.hosts["inside"]["netns"], "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0")
        self.start("inside", SERVER, PYTHON, str(self.work / "provider.py"), "10.244.9.9", "443", str(self.keys))
        for url in SERVERS:
            wait(url, lambda: self.kubelet(url)["status"] is not None)

    def open(self, host):
        """While no policy is kept, a host reaches everything: it is the policies that close it."""
        for url in SERVERS:
            check(self.ask(host, url)["status"] is not None, f"{host} does not reach {url}")


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def told(client):
    out, _ = client.communicate(timeout=60)
    return json.loads(out)


def chat(content, stream=False):
    return {"model": "gpt-5-mini", "stream": stream, "messages": [{"role": "user", "content": str(content)}]}


def whole(answer, count):
    """Whether a stream arrived from its first chunk to its end."""
    words = "".join(
        choice["delta"].get("content", "")
        for line in answer["body"].splitlines() if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    return answer["status"] == 200 and answer["body"].endswith("data: [DONE]\n\n") and words.split() == [str(n) for n in range(count)]


def policies_of(objects):
    return [each for each in objects if each["kind"] == "NetworkPolicy"]


def closed(play, host, *urls):
    """Nothing comes back from there: not even that nobody listens."""
    clients = [(url, play.client(host, url, seconds=1.5)) for url in urls]
    for url, client in clients:
        check(told(client)["error"] == "no answer", f"{host} reaches {url}")


def denied(play, host, url, key):
    """What the rules deny does not reach the agent."""
    answer = play.ask(host, url, key=key, body=chat("call delete_ticket"))
    check(answer["status"] == 200 and "call_1" not in answer["body"] and "Deletions go through support" in answer["body"], answer)


def test_sidecar():
    """Agent and gateway share a pod's network. Who holds the key decides, not the firewall."""
    with Play() as play:
        objects = render(KUBERNETES / "examples/sidecar")
        [owner] = owners(objects)
        pod, labels = pod_of(owner), owner["spec"]["template"]["metadata"]["labels"]
        [container] = gateways(pod)
        play.network.add("pod", "10.244.1.2", labels, owner["metadata"]["namespace"])
        play.network.add("prometheus", "10.244.4.2", {}, "monitoring")
        play.network.add("neighbour", "10.244.5.2", {}, "other")
        play.provider()
        play.open("pod")
        play.network.enforce(policies_of(objects))
        root, gateway = play.serve("pod", objects, owner, container, {"https://api.openai.com/v1": f"http://{PROVIDER}:443/v1"})
        base = next(each["value"] for each in pod["containers"][0]["env"] if each["name"] == "OPENAI_BASE_URL")
        completions = f"{base}/chat/completions"

        # The agent needs no key, and has none.
        answer = play.ask("pod", completions, key="none", body=chat("hi"))
        check(answer["status"] == 200 and "hello" in answer["body"], answer)
        denied(play, "pod", completions, "none")
        direct = play.ask("pod", f"http://{PROVIDER}:443/v1/chat/completions", key="none", body=chat("hi"))
        check(direct["status"] == 401, f"around the gateway: {direct}")
        read = subprocess.run(play.network.command("pod", AGENT, "cat", str(root / "run/secrets/tollgate/openai-api-key")), capture_output=True)
        check(read.returncode != 0 and not read.stdout, "the agent reads the key")
        listing = subprocess.run(play.network.command("pod", AGENT, "cat", f"/proc/{child_of(gateway)}/environ"), capture_output=True)
        check(b"sk-first" not in listing.stdout, "the key is in the environment")
        # It cannot make itself the operator.
        for method, path in [("GET", "/admin/status"), ("POST", "/admin/reload"), ("GET", "/admin/approvals"), ("POST", "/admin/approvals/x")]:
            answer = play.ask("pod", f"http://127.0.0.1:8081{path}", method=method, body={"approve": True, "by": "me"} if method == "POST" else None)
            check(answer["status"] == 401, f"{method} {path}: {answer}")
        operator = play.ask("pod", "http://127.0.0.1:8081/admin/status", key="operator-token")
        check(operator["status"] == 200, operator)
        # Nor send what it has seen elsewhere, nor be asked by neighbours.
        closed(play, "pod", f"http://{ELSEWHERE}:80/", f"http://{ELSEWHERE}:8443/", "http://10.244.9.9:443/")
        closed(play, "neighbour", "http://10.244.1.2:8080/v1/models", "http://10.244.1.2:8081/admin/status", "http://10.244.1.2:8082/metrics")
        metrics = play.ask("prometheus", "http://10.244.1.2:8082/metrics")
        check('tollgate_requests_total{tenant="support-agent"' in metrics["body"], metrics)
        admin = play.ask("prometheus", "http://10.244.1.2:8082/admin/status")
        check(admin["status"] == 404, admin)

        # The pod ends while an answer streams: preStop begins, the agent is told first, the gateway when it has ended.
        agent = play.client("pod", completions, body=chat(40, stream=True))
        wait("the stream", lambda: "tollgate_in_flight 1" in play.ask("prometheus", "http://10.244.1.2:8082/metrics")["body"])
        deleted = time.monotonic()
        os.kill(child_of(agent), signal.SIGTERM)
        check(play.kubelet("http://10.244.1.2:8082/readyz")["status"] == 200, "the gateway ends before its agent")
        answer = told(agent)
        check(agent.returncode == 0 and whole(answer, 40), f"{agent.returncode}: {answer}")
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        time.sleep(max(0, deleted + pause - time.monotonic()))
        finish(play, root, gateway, deleted, pod)


def child_of(process):
    """`ip netns exec` and `setpriv` become what they run: it has their process id."""
    return process.pid


def finish(play, root, gateway, deleted, pod):
    """The gateway is told to end, does so within the pod's time, and leaves whole records."""
    os.kill(child_of(gateway), signal.SIGTERM)
    status = gateway.wait(timeout=pod["terminationGracePeriodSeconds"] - (time.monotonic() - deleted))
    check(status == 0, f"the gateway ended with {status}: {(play.work / f'{root.name}-{GATEWAY}.log').read_text()}")
    verified = run(BINARY, "audit", "verify", str(root / "var/lib/tollgate"))
    check("1 chains, 0 broken" in verified, verified)


def test_shared():
    """Agents of two tenants, one gateway: the firewall leaves no way to the provider but through it."""
    with Play() as play:
        objects, tenant = render(KUBERNETES / "examples/shared"), render(KUBERNETES / "examples/tenant")
        [owner] = owners(objects)
        pod, labels = pod_of(owner), owner["spec"]["template"]["metadata"]["labels"]
        [container] = gateways(pod)
        [agent] = owners(tenant)
        [namespace] = [each for each in tenant if each["kind"] == "Namespace"]
        play.network.add("gateway", "10.244.2.2", labels, "tollgate")
        play.network.add("agent", "10.244.1.2", agent["spec"]["template"]["metadata"]["labels"], "acme", namespace["metadata"]["labels"])
        play.network.add("stranger", "10.244.3.2", {}, "stranger")
        play.network.add("prometheus", "10.244.4.2", {}, "monitoring")
        play.provider()
        play.open("agent")
        play.network.enforce(policies_of(objects) + policies_of(tenant))
        # A Service's name stands for the pod's address: there are no names here.
        replace = {"https://api.openai.com/v1": f"http://{PROVIDER}:443/v1", "[tollgate, ": "[10.244.2.2, tollgate, "}
        root, gateway = play.serve("gateway", objects, owner, container, replace)
        completions = "http://10.244.2.2:8080/v1/chat/completions"

        # The cluster's keys change with a swap of their volume, and are taken without a restart.
        issuer = Issuer("https://kubernetes.default.svc.cluster.local")
        token = issuer.token("acme")
        check(play.ask("agent", completions, key=token, body=chat("hi"))["status"] == 401, "a token of nobody's")
        write_volume(root / "etc/tollgate/issuer", {"jwks.json": issuer.jwks})
        wait("the issuer's keys", lambda: play.ask("agent", completions, key=token, body=chat("hi"))["status"] == 200, 5)
        for wrong in (None, "sk-first", issuer.token("acme", audience="https://kubernetes.default.svc"), issuer.token("stranger"),
                      issuer.token("tollgate"), issuer.token("acme", seconds=-60)):
            check(play.ask("agent", completions, key=wrong, body=chat("hi"))["status"] == 401, wrong)
        denied(play, "agent", completions, token)
        models = lambda name: play.ask("agent", "http://10.244.2.2:8080/v1/models", key=issuer.token(name))["body"]
        check('"gpt-5"' in models("acme") and '"gpt-5"' not in models("globex"), "the namespace is not the tenant")

        # No way around the gateway, whatever it is asked for.
        closed(play, "agent", f"http://{PROVIDER}:443/v1/models", f"http://{ELSEWHERE}:80/", f"http://{ELSEWHERE}:8443/", "http://10.244.9.9:443/",
               "http://10.244.2.2:8081/admin/status", "http://10.244.2.2:8082/metrics", "http://10.244.4.2:9090/")
        closed(play, "stranger", "http://10.244.2.2:8080/v1/models", "http://10.244.2.2:8082/metrics", "http://10.244.1.2:80/")
        closed(play, "prometheus", "http://10.244.2.2:8080/v1/models")
        metrics = play.ask("prometheus", "http://10.244.2.2:8082/metrics")
        check('tollgate_requests_total{tenant="acme"' in metrics["body"], metrics)

        # A tenant's file, and the provider's key: swapped, and taken within 3 s.
        tenants = {name: (KUBERNETES / f"shared/tenants/{name}").read_text() for name in ("acme.yaml", "globex.yaml")}
        tenants["acme.yaml"] = tenants["acme.yaml"].replace('models: ["gpt-5*"]', "models: [gpt-5-mini]")
        write_volume(root / "etc/tollgate/tenants", tenants)
        wait("the tenant's change", lambda: '"gpt-5"' not in models("acme"), 5)
        play.keys.write_text("sk-second\n")
        check(play.ask("agent", completions, key=token, body=chat("hi"))["status"] == 502, "the old key is good still")
        write_volume(root / "run/secrets/tollgate", {**SECRETS, "openai-api-key": "sk-second"})
        wait("the new key", lambda: play.ask("agent", completions, key=token, body=chat("hi"))["status"] == 200, 5)

        # A pod goes while an answer streams: nothing new is sent there, what runs ends by itself.
        stream = play.client("agent", completions, key=token, body=chat(60, stream=True))
        wait("the stream", lambda: "tollgate_in_flight 1" in play.ask("prometheus", "http://10.244.2.2:8082/metrics")["body"])
        deleted = time.monotonic()
        # preStop: until the nodes know, it answers as before.
        check(play.ask("agent", completions, key=token, body=chat("hi"))["status"] == 200, "preStop turns agents away")
        os.kill(child_of(gateway), signal.SIGTERM)
        wait("a probe that fails", lambda: play.kubelet("http://10.244.2.2:8082/readyz")["status"] == 503)
        check(play.kubelet("http://10.244.2.2:8082/livez")["status"] == 200, "it would be killed while it drains")
        refused = play.ask("agent", completions, key=token, body=chat("hi"))
        check(refused["error"] == "ConnectionRefusedError", f"new connections: {refused}")
        check(gateway.poll() is None, "it does not drain")
        check(whole(told(stream), 60), "the stream was cut")
        status = gateway.wait(timeout=pod["terminationGracePeriodSeconds"] - (time.monotonic() - deleted))
        check(status == 0, f"the gateway ended with {status}")
        verified = run(BINARY, "audit", "verify", str(root / "var/lib/tollgate"))
        check("1 chains, 0 broken" in verified, verified)


started = time.monotonic()
tests = [test_sidecar, test_shared]
for test in tests:
    test()
print(f"pods: {checked} checks in {time.monotonic() - started:.0f} s\n{len(tests)} passed, 0 failed")
