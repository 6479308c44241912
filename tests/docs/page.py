"""A Markdown page as the suite reads it: its blocks with the notes to the suite before them, its headings, links and inline code.

Notes are HTML comments, which readers do not see:

    <!-- test: not run: REASON -->      the next block is only parsed; REASON is printed
    <!-- test: keeps running -->        the next block's last command goes on in the background
    <!-- test: Ctrl-C -->               ends what was started last in this way
    <!-- test: setup                    what the reader has already, or does elsewhere: a script
    COMMANDS -->                        or a file of them in tests/docs/setup: `setup FILE.sh`
    <!-- test: with                     YAML: what stands beside the next block's settings, by file
    tenants/parent.yaml: { … } -->
"""

import dataclasses
import os
import pathlib
import re
import subprocess

FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*(\S*)\s*$")
NOTE = re.compile(r"<!--\s*test:\s*(.*?)\s*-->", re.S)
LINK = re.compile(r"(?<!\\)!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
KINDS = ["not run:", "keeps running", "Ctrl-C", "setup", "with"]


@dataclasses.dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    section: str
    notes: dict

    @property
    def at(self):
        return f"{self.page}:{self.line}"


class Page:
    def __init__(self, path, name):
        self.path, self.name = pathlib.Path(path), name
        self.items, self.headings, self.prose, self.faults = [], [], [], []
        self.read(self.path.read_text().splitlines())
        self.anchors = anchors(self.headings)

    def read(self, lines):
        section, notes, at = "", {}, 0
        while at < len(lines):
            line, number = lines[at], at + 1
            if fence := FENCE.match(line):
                indent, ticks, language = fence.groups()
                text = []
                at += 1
                while at < len(lines) and lines[at].strip() != ticks:
                    text.append(lines[at][len(indent) :] if lines[at].startswith(indent) else lines[at].lstrip())
                    at += 1
                if at == len(lines):
                    self.faults.append(f"{self.name}:{number}: a block without an end")
                self.items.append(Block(self.name, number, language, "\n".join(text) + "\n", section, notes))
                notes = {}
            elif "<!--" in line:
                whole = line
                while "-->" not in whole and at + 1 < len(lines):
                    at += 1
                    whole += "\n" + lines[at]
                if note := NOTE.search(whole):
                    kind = next((kind for kind in KINDS if note[1].startswith(kind)), None)
                    rest = note[1][len(kind or "") :].strip()
                    if kind is None or (kind.endswith(":") or kind in ("setup", "with")) != bool(rest):
                        self.faults.append(f"{self.name}:{number}: a note that is none: {note[1].splitlines()[0]}")
                    elif kind in ("setup", "Ctrl-C"):
                        self.items.append(Block(self.name, number, kind, rest + "\n", section, {}))
                    else:
                        notes[kind.rstrip(":")] = rest
            else:
                if heading := re.match(r"^(#+)\s+(.*?)\s*#*$", line):
                    section = heading[2]
                    self.headings.append(section)
                if notes and line.strip():
                    self.faults.append(f"{self.name}:{number}: a note without a block behind it")
                    notes = {}
                self.prose.append((number, line))
            at += 1
        if notes:
            self.faults.append(f"{self.name}: a note without a block behind it")

    @property
    def blocks(self):
        return [item for item in self.items if item.language not in ("setup", "Ctrl-C")]

    def links(self):
        for number, line in self.prose:
            for target in LINK.findall(CODE.sub("", line)):
                yield number, target

    def code(self):
        for number, line in self.prose:
            for text in CODE.findall(line):
                yield number, text


def anchors(headings):
    """As GitHub and mdBook make them of headings."""
    found, seen = set(), {}
    for heading in headings:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = "".join(each for each in plain if each.isalnum() or each in " -_").strip().replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def commands(text):
    """A script as its commands, each with its first line's number: what bash takes for one, be it a loop over several lines."""
    lines, start, held = text.splitlines(), 0, []
    for at, line in enumerate(lines):
        if not held and (not line.strip() or line.lstrip().startswith("#")):
            continue
        if not held:
            start = at
        held.append(line)
        if not unfinished("\n".join(held)):
            yield start, "\n".join(held)
            held = []
    if held:
        yield start, "\n".join(held)


def console(text):
    """A session at a terminal: commands behind `$ `, and what each prints."""
    found, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        if not lines[at].startswith("$ "):
            if not found:
                return None
            found[-1][2].append(lines[at])
            at += 1
            continue
        start, command = at, lines[at][2:]
        at += 1
        while at < len(lines) and unfinished(command):
            command += "\n" + lines[at].removeprefix("> ")
            at += 1
        found.append((start, command, []))
    return found


def unfinished(script):
    told = syntax(script + "\n")
    return script.endswith("\\") or any(words in told for words in ("unexpected end of file", "here-document", "looking for matching"))


def syntax(script):
    """What bash finds wrong with a script, without running it."""
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, env=environment).stderr.strip()
