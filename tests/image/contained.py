"""Runs the gateway and its mock on an image's root, as its user, in the network namespace that this is started in:
contained.py ROOT. Names are answered by a DNS server of its own, since a static binary has to look them up by itself."""

import http.client
import json
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

root, user = sys.argv[1], 65532
CHROOT = shutil.which("chroot")


def answer_names(server, addresses):
    """Answers questions for the IPv4 addresses of these names; others have none."""
    while True:
        question, client = server.recvfrom(512)
        name, at = [], 12
        while question[at]:
            name.append(question[at + 1 : at + 1 + question[at]].decode())
            at += question[at] + 1
        (kind,) = struct.unpack(">H", question[at + 1 : at + 3])
        found = addresses.get(".".join(name)) if kind == 1 else None
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if found else 0, 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(found) if found else b""
        server.sendto(head + question[12 : at + 5] + answer, client)


def start(*command):
    return subprocess.Popen([CHROOT, f"--userspec={user}:{user}", root, "/tollgate", *command], env={})


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def wait(port, path):
    for _ in range(200):
        try:
            if ask(port, "GET", path)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{path} at {port} does not come")


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
threading.Thread(target=answer_names, args=(names, {"provider.test": "127.0.0.1"}), daemon=True).start()
mock = start("mock", "--listen", "127.0.0.1:9000")
gateway = start("serve", "--config", "/etc/tollgate/tollgate.yaml")
try:
    wait(9000, "/mock/requests")
    wait(8082, "/readyz")
    status = pathlib.Path(f"/proc/{gateway.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == [str(user)] * 4 and int(fields["CapEff"], 16) == 0, status
    body = json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]})
    status, answer = ask(8080, "POST", "/v1/chat/completions", body)
    assert status == 200 and "choices" in answer, (status, answer)
    for shell in ("/bin/sh", "/bin/bash", "/busybox"):
        assert subprocess.run([CHROOT, root, shell], capture_output=True).returncode == 127, f"there is {shell}"
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(timeout=20) == 0, gateway.returncode
finally:
    for process in (mock, gateway):
        if process.poll() is None:
            process.kill()
        process.wait()
