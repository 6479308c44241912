"""One shell a page: what a block sets, starts or changes is there for the next one. In a network of its own, so that pages can
use the ports that readers use."""

import os
import pathlib
import shlex
import signal
import socket
import subprocess
import time

PATIENCE = 120
DRIVER = """
ip link set lo up 2>/dev/null
while IFS= read -r -u 3 job; do
  . "$job/command" >"$job/output" 2>&1 </dev/null
  echo $? >"$job/ended"; mv "$job/ended" "$job/status"
done
"""
KNOWN_PORTS = [8000, 8080, 8081, 8082, 8443, 9090, 9099]


def namespace():
    """How a network of one's own is had here, and if it is not, why pages may use this machine's."""
    for how in (["unshare", "--map-root-user", "--net"], ["unshare", "--net"]):
        try:
            if subprocess.run([*how, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0:
                return how
        except FileNotFoundError:
            break
    for port in KNOWN_PORTS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            raise SystemExit(f"pages use port {port}, which is taken, and `unshare --net` gives no network of its own here") from None
    return []


class Shell:
    def __init__(self, work, environment, how):
        self.jobs, self.count, self.running = work / ".jobs", 0, []
        self.jobs.mkdir()
        down, self.up = os.pipe()
        driver = work / ".driver"
        driver.write_text(DRIVER)
        self.process = subprocess.Popen(
            [*how, "bash", "--norc", "--noprofile", "-c", f"{'' if down == 3 else f'exec 3<&{down} {down}<&-; '}. {shlex.quote(str(driver))}"],
            cwd=work / "page", env=environment, pass_fds=[down], stdin=subprocess.DEVNULL, start_new_session=True,
        )
        os.close(down)

    def start(self, command):
        self.count += 1
        job = self.jobs / str(self.count)
        job.mkdir()
        (job / "command").write_text(command + "\n")
        (job / "output").touch()
        os.write(self.up, f"{job}\n".encode())
        return Job(self, job)

    def run(self, command):
        job = self.start(command)
        job.wait()
        return job

    def keep(self, command):
        """A command that goes on, in a process group of its own, by which it is ended."""
        job = self.start(f"set -m\n(\n{command}\n) &\necho $! >{shlex.quote(str(self.jobs))}/process\nset +m")
        job.wait()
        self.running.append((int((self.jobs / "process").read_text()), job))
        return job

    def interrupt(self):
        """Ends what was kept running last."""
        process, _ = self.running.pop()
        return self.run(f"kill -INT -{process} && wait {process} 2>/dev/null; true")

    def end(self):
        os.close(self.up)
        groups = [process for process, _ in self.running] + [self.process.pid]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for group in groups:
                try:
                    os.killpg(group, number)
                except ProcessLookupError:
                    continue
            until = time.monotonic() + 10
            while time.monotonic() < until and living(groups):
                time.sleep(0.02)
        self.process.wait()


def living(groups):
    """Whether anything of these process groups still runs; what is over and not yet fetched does not count."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) in groups and state != "Z":
            return True
    return False


class Job:
    def __init__(self, shell, directory):
        self.shell, self.directory, self.status = shell, directory, None

    def wait(self):
        until = time.monotonic() + PATIENCE
        while not (self.directory / "status").exists():
            if self.shell.process.poll() is not None:
                raise Ended(f"the shell ended with status {self.shell.process.returncode}; it printed:\n{self.output}")
            if time.monotonic() > until:
                raise Ended(f"is not over after {PATIENCE} s; it printed:\n{self.output}")
            time.sleep(0.005)
        self.status = int((self.directory / "status").read_text())

    @property
    def output(self):
        return (self.directory / "output").read_text(errors="replace")


class Ended(Exception):
    pass
