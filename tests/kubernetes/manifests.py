"""Every kustomization rendered, validated against Kubernetes' own schemas, and held against what docs/kubernetes.md says of
it; every configuration in it loads under `tollgate check --strict`."""

import ipaddress
import json
import pathlib
import subprocess
import sys
import tempfile

import yaml
from issuer import Issuer
from rendered import KUBERNETES, ROOT, gateways, lay_out, localize, overlay, owners, pod_of, render, write_volume

BINARY = sys.argv[1]
VERSIONS = ["1.30", "1.32", "1.34"]
VALIDATE = [str(pathlib.Path(sys.executable).with_name("kubernetes-validate")), "--strict"]
# Of operators: the schemas do not have them, so that they are checked here.
FOREIGN = {"PodMonitor"}
SECRETS = {
    "tollgate-secrets": {"openai-api-key": "sk-test", "admin-token": "test-token", "records-secret": "r" * 44},
    "tollgate-redis": {"redis.conf": "requirepass test\n"},
}
checked = 0


def check(holds, message):
    global checked
    checked += 1
    if not holds:
        raise AssertionError(message)


def validate(name, objects):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(objects, file)
        file.flush()
        for version in VERSIONS:
            done = subprocess.run([*VALIDATE, "-k", version, file.name], capture_output=True, text=True)
            told = (done.stdout + done.stderr).strip().splitlines()
            check(done.returncode == 0, f"{name}, Kubernetes {version}: {told}")
            passed = [line for line in told if line.startswith("INFO") and "passed" in line]
            foreign = sum(each["kind"] in FOREIGN for each in objects)
            # What the validator does not know passes with a warning: only what is known to be unknown may.
            check(len(passed) == len(objects) - foreign, f"{name}, Kubernetes {version}: {told}")


def secure(name, pod, container):
    """As Pod Security's `restricted` asks, and a read-only root."""
    of_pod, own = pod.get("securityContext", {}), container.get("securityContext", {})
    both = {**of_pod, **own}
    check(both.get("runAsNonRoot") is True and both.get("runAsUser", 0) > 0, f"{name}: may be root")
    check(own.get("allowPrivilegeEscalation") is False, f"{name}: may gain privileges")
    check(own.get("capabilities") == {"drop": ["ALL"]}, f"{name}: has capabilities")
    check(own.get("readOnlyRootFilesystem") is True, f"{name}: may write its root")
    check(both.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name}: no seccomp profile")
    check(not own.get("privileged"), f"{name}: is privileged")
    check("limits" in container.get("resources", {}) and "memory" in container["resources"]["limits"], f"{name}: no memory limit")


def isolated(name, pod):
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        check(not pod.get(key), f"{name}: {key}")
    check(pod.get("automountServiceAccountToken") is False, f"{name}: has a token of the cluster's API")
    check(not any("hostPath" in volume for volume in pod.get("volumes", [])), f"{name}: mounts the host")
    used = {each["name"] for each in pod.get("volumes", [])}
    mounts = {mount["name"] for each in pod.get("initContainers", []) + pod["containers"] for mount in each.get("volumeMounts", [])}
    check(used <= mounts, f"{name}: nobody mounts {used - mounts}")


def gateway(name, objects, owner, container, work):
    pod = pod_of(owner)
    secure(name, pod, container)
    check(not container.get("env") and not container.get("envFrom"), f"{name}: secrets are files, not variables")
    check(":" in container["image"] and not container["image"].endswith(":latest"), f"{name}: which version is {container['image']}?")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for kind, path in [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")]:
        check(container[kind]["httpGet"] == {"path": path, "port": "probes"}, f"{name}: {kind}")
    root = work / name.replace("/", "-")
    lay_out(root, objects, pod, container, SECRETS)
    if (root / "etc/tollgate/issuer").exists():
        check(json.loads((root / "etc/tollgate/issuer/jwks.json").read_text()) == {"keys": []}, f"{name}: somebody's keys are shipped")
        write_volume(root / "etc/tollgate/issuer", {"jwks.json": Issuer("https://issuer.example").jwks})
    path = localize(root, container, {})
    done = subprocess.run([BINARY, "check", "--strict", "--config", str(path)], capture_output=True, text=True)
    check(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")
    config = yaml.safe_load(path.read_text())
    check(config["probes"] == f"0.0.0.0:{ports['probes']}", f"{name}: kubelets reach the pod's address only: {config['probes']}")
    check(ipaddress.ip_address(config["admin"].rsplit(":", 1)[0]).is_loopback, f"{name}: the admin port is open")
    check("file" in config["admin_token"], f"{name}: whoever is in the pod would be the operator")
    # The last: what is bound is within what is mounted for writing.
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    check(writable == ["/var/lib/tollgate"] == [config["data_dir"].removeprefix(str(root))], f"{name}: writes to {writable}")
    drain, pause = seconds(config["limits"]["drain"]), container["lifecycle"]["preStop"]["sleep"]["seconds"]
    check(pause + drain + 5 <= pod["terminationGracePeriodSeconds"], f"{name}: drains longer than it lives")
    return config, ports


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def shared(name, objects, work, kind):
    by_kind = {}
    for each in objects:
        by_kind.setdefault(each["kind"], []).append(each)
    [owner] = [each for each in owners(objects) if each["metadata"]["name"] == "tollgate"]
    check(owner["kind"] == kind, f"{name}: is a {owner['kind']}")
    pod = pod_of(owner)
    [container] = gateways(pod)
    isolated(name, pod)
    config, ports = gateway(name, objects, owner, container, work)
    labels = owner["spec"]["template"]["metadata"]["labels"]
    selected = lambda selector: selector.items() <= labels.items()
    [service] = [each for each in by_kind["Service"] if each["metadata"]["name"] == "tollgate"]
    check(selected(service["spec"]["selector"]), f"{name}: the Service selects nothing")
    [port] = service["spec"]["ports"]
    check(port["targetPort"] == "agents", f"{name}: the Service opens {port}")
    check(ports["agents"] == port["port"] == int(config["listen"].rsplit(":", 1)[1]), f"{name}: ports differ")
    namespace = owner["metadata"]["namespace"]
    for host in [f"tollgate.{namespace}.svc", f"tollgate.{namespace}.svc.cluster.local"]:
        check(host in config["allowed_hosts"], f"{name}: MCP clients are refused under {host}")
    [scaler] = by_kind["HorizontalPodAutoscaler"]
    target = scaler["spec"]["scaleTargetRef"]
    check((target["kind"], target["name"]) == (kind, "tollgate"), f"{name}: scales {target}")
    check("replicas" not in owner["spec"] and scaler["spec"]["minReplicas"] >= 2, f"{name}: how many pods?")
    [budget] = by_kind["PodDisruptionBudget"]
    check(selected(budget["spec"]["selector"]["matchLabels"]), f"{name}: the disruption budget selects nothing")
    keys = {each["topologyKey"] for each in pod["topologySpreadConstraints"]}
    check(keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, f"{name}: spreads over {keys}")
    check(all(selected(each["labelSelector"]["matchLabels"]) for each in pod["topologySpreadConstraints"]), f"{name}: spreads nothing")
    for each in objects:
        if each["kind"] not in ("Namespace",):
            check(each["metadata"].get("namespace") == namespace, f"{name}: {each['kind']} is in no namespace")
    [issuer] = config["identity"]["jwt"]
    check(issuer["tenant"] == "claims.kubernetes.io.namespace" and "fixed" not in config["identity"], f"{name}: {config['identity']}")
    return config, labels


def policies(objects):
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == "NetworkPolicy"}


def monitors(name, objects, labels, container):
    [monitor] = [each for each in objects if each["kind"] == "PodMonitor"]
    check(monitor["apiVersion"] == "monitoring.coreos.com/v1", f"{name}: {monitor['apiVersion']}")
    check(set(monitor) == {"apiVersion", "kind", "metadata", "spec"}, f"{name}: {set(monitor)}")
    check(set(monitor["spec"]) == {"selector", "podMetricsEndpoints"}, f"{name}: {set(monitor['spec'])}")
    check(monitor["spec"]["selector"]["matchLabels"].items() <= labels.items(), f"{name}: monitors nothing")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    check(set(endpoint) == {"port", "path", "interval"} and endpoint["path"] == "/metrics", f"{name}: {endpoint}")
    check(endpoint["port"] in [port["name"] for port in container["ports"]], f"{name}: scrapes no port")


def not_public(name, policy):
    """Where a policy lets a pod go is names, a named pod, or public addresses by HTTPS: no whole private network."""
    for rule in policy["spec"]["egress"]:
        check(rule.get("to") and rule.get("ports"), f"{name}: a rule without `to` or `ports` is a rule for everything")
        for peer in rule["to"]:
            if "ipBlock" in peer:
                check([port["port"] for port in rule["ports"]] == [443], f"{name}: {rule['ports']}")
                kept = [ipaddress.ip_network(each) for each in peer["ipBlock"]["except"]]
                for private in ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1"]:
                    address = ipaddress.ip_address(private)
                    check(any(address in network for network in kept), f"{name}: {private} is reached")
            else:
                check(peer.get("podSelector", {}).get("matchLabels"), f"{name}: {peer} is everything in a namespace")


def test_shared(work):
    for name, kind in [("shared", "Deployment"), ("examples/shared", "StatefulSet")]:
        objects = render(KUBERNETES / name)
        validate(name, objects)
        shared(name, objects, work, kind)
    [policy] = policies(objects).values()
    [owner] = owners(objects)
    labels = owner["spec"]["template"]["metadata"]["labels"]
    check(policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items(), "the policy selects nothing")
    check(set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}, "the policy leaves a direction open")
    not_public("examples/shared", policy)
    ingress = {rule["ports"][0]["port"]: rule for rule in policy["spec"]["ingress"]}
    check(set(ingress) == {8080, 8082}, f"{set(ingress)} is reached")
    check(all(len(rule["ports"]) == 1 and rule["from"] for rule in ingress.values()), "a rule of ingress is too wide")
    tenants = ingress[8080]["from"]
    check(tenants == [{"namespaceSelector": {"matchLabels": {"tollgate.dev/tenant": "true"}}}], "who are the tenants?")
    check("tollgate.dev/tenant" not in json.dumps(ingress[8082]), "tenants read the metrics of all")
    monitors("examples/shared", objects, labels, gateways(pod_of(owner))[0])
    claims = owner["spec"]["volumeClaimTemplates"]
    check([each["metadata"]["name"] for each in claims] == ["data"], "records are on no volume")
    check("data" not in [each["name"] for each in pod_of(owner)["volumes"]], "records go with the pod")


def test_collector(work):
    objects = overlay(work / "collector", render(KUBERNETES / "shared"), ["network-policy/gateway", "network-policy/collector"])
    validate("collector", objects)
    found = policies(objects)
    check(set(found) == {"tollgate", "tollgate-collector"}, f"policies: {set(found)}")
    collector = found["tollgate-collector"]
    # It selects whom the other one selects, in the same namespace, and opens one way more; who comes in is the other one's word.
    check(collector["spec"]["podSelector"] == found["tollgate"]["spec"]["podSelector"], "it opens a way for others")
    check(collector["metadata"]["namespace"] == found["tollgate"]["metadata"]["namespace"], "it is for another namespace")
    check(collector["spec"]["policyTypes"] == ["Egress"] and "ingress" not in collector["spec"], "it lets somebody in")
    not_public("collector", collector)
    [rule] = collector["spec"]["egress"]
    check([port["port"] for port in rule["ports"]] == [4317, 4318], f"OTLP is 4317 and 4318, not {rule['ports']}")
    [peer] = rule["to"]
    check(set(peer) == {"namespaceSelector", "podSelector"} and all(each.get("matchLabels") for each in peer.values()), f"{peer} is more than a collector")


def test_redis(work):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tollgate"}}
    objects = overlay(work / "redis", [namespace], ["redis"])
    validate("redis", objects)
    [owner] = owners(objects)
    [container] = pod_of(owner)["containers"]
    secure("redis", pod_of(owner), container)
    isolated("redis", pod_of(owner))
    [policy] = policies(objects).values()
    check(policy["spec"]["egress"] == [] and "Egress" in policy["spec"]["policyTypes"], "Redis goes somewhere")
    [rule] = policy["spec"]["ingress"]
    check(rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "tollgate"}}}], "who reaches Redis?")


def test_tenant(work):
    objects = render(KUBERNETES / "examples" / "tenant")
    validate("examples/tenant", objects)
    [owner] = owners(objects)
    pod = pod_of(owner)
    isolated("examples/tenant", pod)
    [container] = pod["containers"]
    secure("examples/tenant", pod, container)
    check(not gateways(pod), "the tenant runs a gateway of its own")
    [token] = [each for each in pod["volumes"] if "projected" in each]
    [source] = token["projected"]["sources"]
    gateway_config = yaml.safe_load((KUBERNETES / "shared/config/tollgate.yaml").read_text())
    [issuer] = gateway_config["identity"]["jwt"]
    check(source["serviceAccountToken"]["audience"] == issuer["audience"], "the token is another's")
    [namespace] = [each for each in objects if each["kind"] == "Namespace"]
    check(namespace["metadata"]["labels"]["tollgate.dev/tenant"] == "true", "the gateway's port is closed to the namespace")
    check((KUBERNETES / f"shared/tenants/{namespace['metadata']['name']}.yaml").exists(), "the namespace is no tenant")
    [policy] = policies(objects).values()
    check(policy["spec"]["podSelector"] == {}, "the policy leaves pods out")
    check(set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}, "the policy leaves a direction open")
    not_public("examples/tenant", policy)
    check("ipBlock" not in json.dumps(policy), "an agent reaches addresses by itself")
    reached = [(rule["to"], [port["port"] for port in rule["ports"]]) for rule in policy["spec"]["egress"]]
    check(len(reached) == 2 and reached[0][1] == [53, 53] and reached[1][1] == [8080], f"an agent reaches {reached}")
    url = next(each["value"] for each in container["env"] if each["name"] == "OPENAI_BASE_URL")
    check(url == "http://tollgate.tollgate.svc:8080/v1", url)


def sidecar(name, objects, work):
    for owner in owners(objects):
        pod = pod_of(owner)
        [container] = gateways(pod)
        isolated(name, pod)
        check(container in pod["initContainers"] and container["restartPolicy"] == "Always", f"{name}: is no sidecar")
        config, _ = gateway(name, objects, owner, container, work)
        check(config["listen"] == "127.0.0.1:8080" and "fixed" in config["identity"], f"{name}: {config['listen']}")
        check(f"{config['identity']['fixed']}.yaml" in next(
            each for each in objects if each["metadata"]["name"] == "tollgate-tenants")["data"], f"{name}: who is it?")
        custody = [volume["name"] for volume in pod["volumes"] if "secret" in volume]
        for other in pod["containers"] + [each for each in pod["initContainers"] if each is not container]:
            mounted = {mount["name"] for mount in other.get("volumeMounts", [])}
            check(not mounted & {*custody, "tollgate-data", "tollgate-config"}, f"{name}: the agent mounts {mounted}")
            check("secretRef" not in json.dumps(other) and "secretKeyRef" not in json.dumps(other), f"{name}: the agent has secrets")
        yield owner, container


def test_sidecar(work):
    objects = render(KUBERNETES / "examples" / "sidecar")
    validate("examples/sidecar", objects)
    [(owner, container)] = sidecar("examples/sidecar", objects, work)
    labels = owner["spec"]["template"]["metadata"]["labels"]
    [policy] = policies(objects).values()
    check(policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items(), "the policy selects nothing")
    not_public("examples/sidecar", policy)
    monitors("examples/sidecar", objects, labels, container)
    agent = pod_of(owner)["containers"][0]
    secure("examples/sidecar, agent", pod_of(owner), agent)
    # Everything that can carry an agent, and nothing that does not ask for it; what an owner has already stays.
    template = lambda: {
        "metadata": {"labels": {"app": "a"}},
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "own", "image": "registry.example/own:1"}],
            "containers": [{"name": "agent", "image": "registry.example/agent:1", "volumeMounts": [{"name": "own", "mountPath": "/own"}]}],
            "volumes": [{"name": "own", "emptyDir": {}}],
        },
    }
    named = lambda name, label: {"name": name, "labels": {"tollgate.dev/sidecar": "true"} if label else {}}
    job = lambda name, label: {"apiVersion": "batch/v1", "kind": "Job", "metadata": named(name, label), "spec": {"template": template()}}
    always = template()
    always["spec"].pop("restartPolicy")
    stateful = {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": named("kept", True),
        "spec": {"serviceName": "kept", "selector": {"matchLabels": {"app": "a"}}, "template": always},
    }
    objects = overlay(work / "kinds", [job("once", True), stateful, job("plain", False)], ["sidecar"], "agents")
    validate("sidecar of a Job and a StatefulSet", objects)
    [plain] = [each for each in objects if each["metadata"]["name"] == "plain"]
    check(pod_of(plain) == template()["spec"], "who did not ask got a sidecar")
    objects.remove(plain)
    for number, (owner, _) in enumerate(sidecar("kinds", objects, work / "two")):
        pod = pod_of(owner)
        check([each["name"] for each in pod["containers"]] == ["agent"], "a container is gone")
        check({"own", "tollgate-secrets"} <= {each["name"] for each in pod["volumes"]}, "a volume is gone")
        check({each["name"] for each in pod["initContainers"]} == {"own", "tollgate"}, "an init container is gone")
        (work / "two" / "kinds").rename(work / "two" / f"kinds-{number}")
    check(number == 1, "a kind got no sidecar")


def test_reference():
    """What is in the tree is rendered somewhere above."""
    rendered = {"shared", "sidecar", "agents", "redis", "records", "network-policy/gateway", "network-policy/agents",
                "network-policy/sidecar", "network-policy/collector", "pod-monitor/gateway", "pod-monitor/sidecar", "examples/shared", "examples/sidecar",
                "examples/tenant"}
    found = {str(each.parent.relative_to(KUBERNETES)) for each in KUBERNETES.rglob("kustomization.yaml")}
    check(found == rendered, f"nobody renders {found ^ rendered}")
    page = (ROOT / "docs/kubernetes.md").read_text()
    for each in sorted(rendered):
        check(f"config/kubernetes/{each}" in page or f"`{each}`" in page, f"docs/kubernetes.md says nothing of {each}")


with tempfile.TemporaryDirectory() as directory:
    work = pathlib.Path(directory)
    tests = [test_shared, test_collector, test_redis, test_tenant, test_sidecar]
    for test in tests:
        test(work / test.__name__)
    test_reference()
print(f"manifests: {checked} checks\n{len(tests) + 1} passed, 0 failed")
