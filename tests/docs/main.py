"""Runs the pages: every block of every page, in the order in which a reader meets them. `README.md` in this directory says what the
blocks mean."""

import argparse
import ast
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

import book
import reference
import shell
from page import Page, commands, console, syntax
from settings import NAME, Settings, filled, load

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# What a page cannot know before: keys, and ids of calls that wait.
MADE = re.compile(r"\b((tg-|apr_)[A-Za-z0-9_-]{16,})(?![A-Za-z0-9_-]) *((?:# .*)?)")
# They end with a signal alone, and say so once they are ready.
SERVERS = re.compile(r"^(?:tollgate|cargo run --release --) (?:serve|demo|mock)\b(?!.*--help)")
READY = ["…", "…listening on…", "…"]
STATUS = re.compile(r"#.*\bexit status (\d+)\s*$")
PATIENCE = 20
# What cargo would build is there.
CARGO = """#!/bin/sh
[ "$1 $2 $3" = "run --release --" ] || { echo "the suite's cargo only knows: cargo run --release -- …" >&2; exit 2; }
shift 3
exec tollgate "$@"
"""


class Run:
    """One page."""

    def __init__(self, page, suite):
        self.page, self.suite = page, suite
        self.faults, self.left, self.counts, self.made = [], [], {}, []
        self.shell = self.work = None

    def all(self):
        if not self.page.items:
            return self
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-docs-"))
        try:
            for name in ("page", "home", "bin", "tmp"):
                (self.work / name).mkdir()
            (self.work / "bin/tollgate").symlink_to(self.suite.binary)
            cargo = self.work / "bin/cargo"
            cargo.write_text(CARGO)
            cargo.chmod(0o755)
            for item in self.page.items:
                try:
                    self.one(item)
                except shell.Ended as ended:
                    self.fault(item, str(ended))
                    break
        finally:
            if self.shell:
                self.shell.end()
            shutil.rmtree(self.work, ignore_errors=True)
        return self

    def fault(self, item, message):
        self.faults.append(f"{item.page}:{item.line}: {message}")

    def one(self, item):
        how = {"setup": self.setup, "Ctrl-C": self.interrupt, "sh": self.script, "console": self.session, "yaml": self.yaml,
               "python": self.python, "js": self.javascript, "json": self.json, "text": self.text}.get(item.language)
        if how is None:
            self.fault(item, f"the suite does not understand blocks in {item.language or 'no language'}: see tests/docs/README.md")
            return
        if item.language not in ("setup", "Ctrl-C"):
            self.counts[item.language] = self.counts.get(item.language, 0) + 1
        if "not run" in item.notes:
            self.left.append(f"{item.at}: not run: {item.notes['not run']}")
            self.parsed(item)
        else:
            how(item)

    # Blocks of commands

    def the_shell(self):
        if not self.shell:
            environment = {
                "PATH": f"{self.work}/bin:{self.suite.pythons[0].parent}:{os.environ['PATH']}", "HOME": f"{self.work}/home", "TMPDIR": f"{self.work}/tmp",
                "LANG": "C.UTF-8", "USER": "ada", "TERM": "dumb", "REPOSITORY": str(ROOT), "CLIENTS": str(self.suite.pythons[0].parents[2]),
            }
            self.shell = shell.Shell(self.work, environment, self.suite.network)
        return self.shell

    def command(self, text):
        """`tg-…` stands for the key that was printed last, with a comment behind it for the last one with that comment; so does `apr_…`."""

        def whole(match):
            fitting = [word for word, kind, comment in self.made if kind == match[1] and comment.startswith(match[2] or "")]
            return (fitting[-1] if fitting else f"{match[1]}none") + match[0].removeprefix(f"{match[1]}…")

        return re.sub(r"(tg-|apr_)…(?: *(# .*))?", whole, text)

    def ran(self, job):
        self.made += MADE.findall(job.output)

    def setup(self, item):
        text, begin, name = item.text, item.line + 1, item.page
        if (file := HERE / "setup" / text.strip()).suffix == ".sh" and "\n" not in text.strip():
            if not file.exists():
                self.fault(item, f"there is no tests/docs/setup/{file.name}")
                return
            text, begin, name = file.read_text(), 1, f"tests/docs/setup/{file.name}"
        for at, command in commands(text):
            job = self.the_shell().run(self.command(command))
            self.ran(job)
            if job.status:
                self.faults.append(f"{name}:{begin + at}: the set-up's `{command}` ended with status {job.status}:\n{indented(job.output)}")
                return

    def interrupt(self, item):
        if not self.the_shell().running:
            self.fault(item, "nothing is running that could be ended")
            return
        self.shell.interrupt()

    def script(self, item):
        entries = [(at, command, None) for at, command in commands(item.text)]
        self.entries(item, entries)

    def session(self, item):
        entries = console(item.text)
        if entries is None:
            self.fault(item, "a console block begins with a command behind `$ `")
            return
        self.entries(item, entries)

    def entries(self, item, entries):
        for position, (at, command, expected) in enumerate(entries):
            line = item.line + 1 + at
            where = f"{item.page}:{line}"
            if wrong := syntax(command):
                self.faults.append(f"{where}: bash does not understand this: {wrong}")
                return
            keeps = "keeps running" in item.notes and position == len(entries) - 1
            if SERVERS.match(command) and not command.rstrip().endswith("&"):
                keeps, expected = True, expected or READY
            if command.rstrip().endswith("&") and not expected:
                self.faults.append(f"{where}: what goes on in the background has to show what it prints once it is ready (console)")
                return
            text = self.command(command)
            job = self.the_shell().keep(text) if keeps else self.the_shell().run(text)
            goes_on = keeps or command.rstrip().endswith("&")
            if goes_on and not expected:
                self.faults.append(f"{where}: what keeps running has to show what it prints once it is ready (console)")
            until = time.monotonic() + (PATIENCE if goes_on else 0)
            while expected and not fits(expected, job.output) and time.monotonic() < until:
                time.sleep(0.02)
            self.ran(job)
            status = int(match[1]) if (match := STATUS.search(command.splitlines()[0])) else 0
            if not goes_on and job.status != status:
                self.faults.append(f"{where}: `{command}` ended with status {job.status}, not {status}:\n{indented(job.output)}")
            elif expected and not fits(expected, job.output):
                shown = "\n".join(expected)
                self.faults.append(f"{where}: `{command}` prints\n{indented(job.output)}\n  and not\n{indented(shown)}")
            elif expected:
                self.counts["outputs"] = self.counts.get("outputs", 0) + 1
            self.counts["commands"] = self.counts.get("commands", 0) + 1

    def python(self, item):
        code = self.command(item.text)
        try:
            tree = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        except SyntaxError as error:
            self.fault(item, f"Python does not understand this: {error}")
            return
        python = next((python for python in self.suite.pythons if imports(python, tree)), None)
        if python is None:
            self.fault(item, f"it imports what none of {', '.join(map(str, self.suite.pythons))} has")
            return
        path = self.work / "block.py"
        path.write_text(code)
        job = self.the_shell().run(f"{shlex.quote(str(python))} {shlex.quote(str(HERE / 'block.py'))} {path}")
        if job.status:
            self.fault(item, f"ended with status {job.status}:\n{indented(job.output)}")

    def javascript(self, item):
        packages = self.work / "node_modules"
        if not packages.exists():
            packages.symlink_to(self.suite.pythons[0].parents[2] / "node/node_modules")
        path = self.work / "block.mjs"
        path.write_text(self.command(item.text))
        job = self.the_shell().run(f"node {path}")
        if job.status:
            self.fault(item, f"ended with status {job.status}:\n{indented(job.output)}")

    def parsed(self, item):
        """A block that is not run is understood as far as that goes."""
        if item.language in ("sh", "console"):
            entries = commands(item.text) if item.language == "sh" else console(item.text) or []
            for at, command, *_ in entries:
                where = f"{item.page}:{item.line + 1 + at}"
                if wrong := syntax(command):
                    self.faults.append(f"{where}: bash does not understand this: {wrong}")
                words = [word for word in book.split(re.sub(r"#.*", "", command))]
                if words[:1] == ["tollgate"] and (wrong := self.suite.commands.wrong(words[1:])):
                    self.faults.append(f"{where}: {wrong}")
                for option, value in zip(words, words[1:]):
                    if words[0] == "kubectl" and option in ("-k", "kustomize"):
                        job = self.the_shell().run(f"kubectl kustomize {shlex.quote(str(ROOT / value))} >/dev/null")
                        if job.status:
                            self.faults.append(f"{where}: {value} cannot be rendered:\n{indented(job.output)}")
        elif item.language == "python":
            try:
                compile(item.text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                self.fault(item, f"Python does not understand this: {error}")
        elif item.language == "yaml":
            try:
                list(yaml.safe_load_all(item.text))
            except yaml.YAMLError as error:
                self.fault(item, f"not YAML: {error}")
        else:
            self.fault(item, f"a block in {item.language} needs no note")

    # Blocks of other things

    def json(self, item):
        try:
            json.loads(item.text)
        except ValueError as error:
            self.fault(item, f"not JSON: {error}")

    def text(self, item):
        for line in item.text.splitlines():
            if line.startswith("$ "):
                self.fault(item, "commands and what they print are a `console` block")
                return
            if line.startswith("tollgate ") and (wrong := self.suite.commands.wrong(book.split(re.sub(r"\s#.*", "", line).replace("[", "").replace("]", ""))[1:])):
                self.fault(item, wrong)

    def yaml(self, item):
        settings = self.suite.settings
        try:
            name = match[1] if (match := NAME.match(item.text)) else ""
            if name.endswith("kustomization.yaml"):
                self.kustomization(item)
                return
            if name.startswith("config/"):
                self.written(item, name)
                return
            beside = load(filled(item.notes["with"])) if "with" in item.notes else None
            wanted = None
            if item.page == "docs/lints.md":
                beside = self.suite.lints.get(item.section)
                wanted = item.section if beside != "loads" else None
            problems = settings.loaded(item.text, beside if isinstance(beside, dict) else None)
        except yaml.YAMLError as error:
            self.fault(item, f"not understood: {error}")
            return
        if wanted is None and beside == "loads":
            self.left.append(f"{item.at}: loaded only, see tests/docs/base/lints.yaml")
        self.judged(item, problems, wanted)

    def judged(self, item, problems, wanted):
        """A block loads, or, in lints.md, shows what its section is about."""
        codes = {each["code"] for each in problems}
        if wanted and wanted not in codes:
            self.fault(item, f"`tollgate check` does not tell of `{wanted}` here, but of {sorted(codes)}: {problems}")
        for each in problems:
            if each["severity"] == "error" and each["code"] != wanted:
                self.fault(item, f"does not load: {each['message']} ({each['file']}:{each['line']})" if "file" in each else f"does not load: {each['message']}")

    def written(self, item, name):
        """A file of the page's own configuration: it is there for the blocks behind it."""
        path = self.work / "page" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.suite.settings.complete(name, item.text))
        main = self.work / "page/config/tollgate.yaml"
        (main.parent / "tenants").mkdir(parents=True, exist_ok=True)
        if not main.exists():
            main.write_text((HERE / "base/page.yaml").read_text())
        variables = " ".join(f"{key}=secret" for key in re.findall(r"\benv: ([A-Z_0-9]+)", path.read_text() + main.read_text()))
        if variables:
            self.the_shell().run(f"export {variables}")
        check = f"tollgate test {shlex.quote(name)}" if name.endswith(".test.yaml") else "tollgate check"
        job = self.the_shell().run(check)
        if job.status:
            self.fault(item, f"`{check}` says:\n{indented(job.output)}")

    def kustomization(self, item):
        """Its paths are those of the examples."""
        data = yaml.safe_load(item.text)
        there = ROOT / "config/kubernetes/examples/sidecar"
        for path in data.get("resources", []) + data.get("components", []):
            if not (there / path).exists():
                self.fault(item, f"there is no {path} beside config/kubernetes/examples/*")


def imports(python, tree):
    """Whether a Python has all that a block imports."""
    names = {each.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    names |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    code = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", code, *names]).returncode == 0


def fits(expected, output):
    """`…` stands for anything within a line; alone, for any lines."""
    pattern = ""
    for line in expected:
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(piece) for piece in line.rstrip().split("…")) + r"\s*\n"
    return re.fullmatch(pattern, plain(output)) is not None


def plain(output):
    return "".join(line.rstrip() + "\n" for line in output.rstrip().splitlines())


def indented(text):
    lines = text.rstrip().splitlines()
    if len(lines) > 60:
        lines = lines[:40] + ["…"] + lines[-20:]
    return "\n".join(f"    {line[:400]}" for line in lines)


class Suite:
    def __init__(self, binary, pythons, network=None):
        self.binary, self.pythons = pathlib.Path(binary).resolve(), [pathlib.Path(python) for python in pythons]
        self.network = shell.namespace() if network is None else network
        self.commands = reference.Commands(str(self.binary))
        self.settings = Settings(str(self.binary), ROOT, dict(os.environ))
        self.settings.made()
        self.lints = load(filled((HERE / "base/lints.yaml").read_text()))
        # Else a section of lints.md would be held by what stands around its block.
        told = self.settings.check({}, {})
        assert not told, f"tests/docs/base is not clean: {told}"

    def run(self, root, pages, only):
        runs = [Run(page, self) for name, page in pages.items() if not only or name in only]
        # Without networks of their own, pages would take each other's ports.
        with concurrent.futures.ThreadPoolExecutor(max_workers=2 if self.network else 1) as pool:
            return list(pool.map(Run.all, runs))


def read(root):
    names = sorted(str(path.relative_to(root)) for path in (root / "docs").rglob("*.md"))
    return {name: Page(root / name, name) for name in ["README.md", *names]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--python", required=True, action="append", help="one that blocks may run with; the first one that has what they import")
    parser.add_argument("--root", default=str(ROOT))
    parser.add_argument("pages", nargs="*")
    arguments = parser.parse_args()
    root = pathlib.Path(arguments.root)
    began = time.monotonic()
    pages = read(root)
    for name in arguments.pages:
        if name not in pages:
            sys.exit(f"there is no page {name}; there are {', '.join(pages)}")
    suite = Suite(arguments.binary, arguments.python)
    faults = [] if arguments.pages else book.check(root, pages, suite.commands)
    if not arguments.pages and root == ROOT:
        faults += reference.stale(str(suite.binary))
    counts, left = {}, []
    for each in suite.run(root, pages, arguments.pages):
        faults += each.faults
        left += each.left
        for what, count in each.counts.items():
            counts[what] = counts.get(what, 0) + count
    print("\n".join(left))
    print("\n".join(faults))
    told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"docs: {len(arguments.pages or pages)} pages, {told}; {len(left)} marked, {len(faults)} faults; {time.monotonic() - began:.0f} s")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
