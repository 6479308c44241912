"""Hosts in network namespaces of their own, around a node that forwards between them and keeps NetworkPolicies as a CNI
does: with nftables, from the policies as they are rendered."""

import ipaddress
import os
import subprocess


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


class Network:
    """A node and its hosts. A host is a pod (with the labels of itself and of its namespace) or a server somewhere."""

    def __init__(self):
        self.prefix = f"tg{os.getpid()}"
        self.hosts = {}
        self.node = self.add_namespace("node")
        run("ip", "-n", self.node, "link", "set", "lo", "up")
        self.on_node("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    def add_namespace(self, name):
        namespace = f"{self.prefix}-{name}"
        run("ip", "netns", "add", namespace)
        self.hosts[name] = {"netns": namespace}
        return namespace

    def add(self, name, address, labels=None, namespace=None, namespace_labels=None):
        """A host at an address, reached over the node."""
        number = len(self.hosts)
        netns = self.add_namespace(name)
        outside, inside = f"v{number}", "eth0"
        run("ip", "-n", self.node, "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", netns)
        gateway = f"169.254.100.{number}"
        run("ip", "-n", self.node, "addr", "add", f"{gateway}/32", "dev", outside)
        run("ip", "-n", self.node, "link", "set", outside, "up")
        run("ip", "-n", self.node, "route", "add", f"{address}/32", "dev", outside)
        run("ip", "-n", netns, "addr", "add", f"{address}/32", "dev", inside)
        run("ip", "-n", netns, "link", "set", "lo", "up")
        run("ip", "-n", netns, "link", "set", inside, "up")
        run("ip", "-n", netns, "route", "add", f"{gateway}/32", "dev", inside, "scope", "link")
        run("ip", "-n", netns, "route", "add", "default", "via", gateway)
        self.hosts[name].update(
            address=address, labels=labels, namespace=namespace,
            namespace_labels={"kubernetes.io/metadata.name": namespace, **(namespace_labels or {})} if namespace else None,
        )

    def on_node(self, *command, **more):
        return run("ip", "netns", "exec", self.node, *command, **more)

    def command(self, name, user, *command):
        """A command on a host, as a user without any privilege."""
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
        return ["ip", "netns", "exec", self.hosts[name]["netns"], *drop, *command]

    def pods(self, namespace=None, selector=None, namespace_selector=None):
        """The addresses of the pods that selectors choose."""
        chosen = []
        for host in self.hosts.values():
            if host.get("labels") is None:
                continue
            fits = namespace is None or host["namespace"] == namespace
            fits &= selector is None or matches(selector, host["labels"])
            fits &= namespace_selector is None or matches(namespace_selector, host["namespace_labels"])
            if fits:
                chosen.append(host["address"])
        return chosen

    def enforce(self, policies):
        """Sets the node's firewall up for these policies: what selects a pod closes it but for what it allows."""
        chains = {}
        for policy in policies:
            spec, namespace = policy["spec"], policy["metadata"]["namespace"]
            for address in self.pods(namespace, spec["podSelector"]):
                for kind in spec["policyTypes"]:
                    rules = chains.setdefault((kind, address), [])
                    for rule in spec.get(kind.lower()) or []:
                        rules += self.rules(kind, rule, namespace)
        text = "table inet policies {\n"
        for (kind, address), rules in chains.items():
            text += f"  chain {chain(kind, address)} {{\n    {'; '.join([*rules, 'drop'])}\n  }}\n"
        text += "  chain forward {\n    type filter hook forward priority 0; policy accept;\n    ct state established,related accept\n"
        for kind, side in [("Egress", "saddr"), ("Ingress", "daddr")]:
            for each, address in chains:
                if each == kind:
                    text += f"    ip {side} {address} jump {chain(kind, address)}\n"
        self.on_node("nft", "-f", "-", input=text + "  }\n}\n")

    def rules(self, kind, rule, namespace):
        side = "daddr" if kind == "Egress" else "saddr"
        peers = [None] if side not in rule and not rule.get("to" if kind == "Egress" else "from") else []
        for peer in rule.get("to" if kind == "Egress" else "from") or []:
            if "ipBlock" in peer:
                block = peer["ipBlock"]
                kept = block.get("except") or []
                peers.append(f"ip {side} {block['cidr']}" + (f" ip {side} != {{ {', '.join(kept)} }}" if kept else ""))
            else:
                inside = None if "namespaceSelector" in peer else namespace
                found = self.pods(inside, peer.get("podSelector"), peer.get("namespaceSelector"))
                peers += [f"ip {side} {address}" for address in found]
        ports = [f"{port['protocol'].lower()} dport {port['port']}" for port in rule.get("ports") or []] or [""]
        return [f"{peer or ''} {port} return".strip() for peer in peers for port in ports]

    def close(self):
        for host in self.hosts.values():
            subprocess.run(["ip", "netns", "del", host["netns"]], capture_output=True)


def matches(selector, labels):
    assert set(selector) <= {"matchLabels"}, f"a selector that is not understood here: {selector}"
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def chain(kind, address):
    return f"{kind.lower()}_{int(ipaddress.ip_address(address))}"
