#!/usr/bin/env python3
"""docs/reference: made of the command line's own help and of config/schema.json.

    tests/docs/reference.py [--write]      without it: are the pages as they would be made? TOLLGATE_BIN names the binary
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/reference"
MADE = "<!-- Made by `tests/docs/reference.py --write`; changes here are lost. -->"


class Commands:
    """Every command with its help, by its words: `["audit", "verify"]`."""

    def __init__(self, binary):
        self.binary, self.help = binary, {}
        self.ask([])

    def ask(self, words):
        # Without an environment, whose values the help would show.
        done = subprocess.run([self.binary, *words, "--help"], capture_output=True, text=True, env={}, check=True)
        self.help[tuple(words)] = done.stdout
        section = done.stdout.partition("\nCommands:\n")[2].partition("\n\n")[0]
        for name in re.findall(r"^  ([a-z]+) ", section, re.M):
            if name != "help":
                self.ask([*words, name])

    def of(self, words):
        """The longest command that the words begin with, and how many of them it is."""
        for count in range(len(words), -1, -1):
            if tuple(words[:count]) in self.help:
                return tuple(words[:count])

    def children(self, command):
        return [each for each in self.help if len(each) == len(command) + 1 and each[: len(command)] == command]

    def options(self, command):
        return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", self.help[command]))

    def wrong(self, words):
        """What is wrong with a command as a page has it, by the help alone."""
        if not words or words[0].startswith("-") or not re.fullmatch(r"[a-z]+", words[0]):
            return None
        command = self.of(words)
        rest = words[len(command) :]
        if command == ():
            return f"there is no command `{words[0]}`"
        if self.children(command) and rest and re.fullmatch(r"[a-z]+", rest[0]):
            return f"`{' '.join(command)}` has no command `{rest[0]}`"
        known = self.options(command)
        for word in before(rest, "--"):
            option = word.strip("[]").split("=")[0]
            if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", option) and option not in known:
                return f"`tollgate {' '.join(command)}` has no option `{option}`"
        return None


def before(words, end):
    for word in words:
        if word == end:
            return
        yield word


def command_line(commands):
    lines = ["# Commands", MADE, "", "What each command says of itself with `--help`. `--config` names a `tollgate.yaml` or the directory that it is in.",
             "Exit status: 0 fine; 1 findings, or a configuration that does not load; 2 wrong usage.", ""]
    for words, text in commands.help.items():
        name = " ".join(("tollgate", *words))
        lines += [f"## {name}", "```text", text.strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


class Configuration:
    def __init__(self, schema):
        self.defs, self.lines = schema["$defs"], []

    def page(self):
        self.lines = [
            "# Configuration", MADE, "",
            "Every key of the three kinds of file, from [the schema](../../config/schema.json) that editors use (`tollgate schema`). `NAME` stands for a name that you",
            "give, `[]` for each entry of a list. What a map may hold stands in the rows behind it; `map or list of map` takes one of these or several.", "",
        ]
        own = sorted(set(self.defs["tenant-file"]["properties"]) - set(self.defs["defaults"]["properties"]))
        own = ", ".join(f"`{key}`" for key in own)
        shown = {"tollgate-yaml": ("tollgate.yaml", "The platform team's file."),
                 "tenant-file": ("tenants/NAME.yaml", f"A tenant's file. All keys but {own} may stand under `defaults` of `tollgate.yaml`, too."),
                 "policy-tests": ("tenants/NAME.test.yaml", "A tenant's policy tests.")}
        for definition, (title, words) in shown.items():
            self.lines += [f"## {title}", words, "", "| key | type | default | |", "|---|---|---|---|"]
            # What a tenant's file has is told there.
            self.table(definition, "", skip={"defaults", "tenant"})
            self.lines.append("")
        return "\n".join(self.lines).rstrip() + "\n"

    def table(self, definition, prefix, skip):
        whole = self.defs[definition]
        for name, value in whole.get("properties", {}).items():
            path = prefix + name
            self.row(path, value, name in whole.get("required", []))
            told = set(skip)
            for suffix, inner in self.inside(value):
                # One of these or a list of them: told of once.
                if inner not in told:
                    told.add(inner)
                    self.table(inner, path + suffix + ".", skip)

    def inside(self, value, suffix=""):
        """The maps that a value may hold, each with what stands between."""
        if "$ref" in value:
            name = value["$ref"].rsplit("/", 1)[1]
            if name != "secret-reference":
                yield suffix, name
        for each in value.get("anyOf", []):
            yield from self.inside(each, suffix)
        if isinstance(value.get("items"), dict):
            yield from self.inside(value["items"], suffix + "[]")
        if isinstance(value.get("additionalProperties"), dict):
            yield from self.inside(value["additionalProperties"], suffix + ".NAME")

    def row(self, path, value, required):
        default = "required" if required else f"`{json.dumps(value['default'], ensure_ascii=False)}`" if "default" in value else ""
        default = re.sub(r'^`"(.*)"`$', r"`\1`", default)
        words = value.get("description", "")
        for word, meaning in zip(value.get("enum", []), value.get("markdownEnumDescriptions", [])):
            if isinstance(word, str):
                words += f" `{word}`: {meaning}"
        cells = [f"`{path}`", self.kind(value), default, words]
        self.lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")

    def kind(self, value):
        if "$ref" in value:
            name = value["$ref"].rsplit("/", 1)[1]
            return {"secret-reference": "secret", "matcher": "matcher"}.get(name, "map")
        if "anyOf" in value:
            kinds = list(dict.fromkeys(self.kind(each) for each in value["anyOf"]))
            # A secret is a reference, or, with a warning, the text itself.
            return "secret" if kinds == ["secret", "text"] else " or ".join(kinds)
        if "enum" in value:
            return "one of " + ", ".join(f"`{word}`" for word in value["enum"] if isinstance(word, str))
        kind = value.get("type")
        if isinstance(kind, list):
            return "size" if "KiB" in value.get("pattern", "") else " or ".join(map(self.word, kind))
        if kind == "array":
            inner = self.kind(value["items"]) if value.get("items") else "any"
            return f"list of {inner}" if inner != "any" else "list"
        if kind == "object":
            inner = value.get("additionalProperties")
            inner = self.kind(inner) if isinstance(inner, dict) and inner else "any value"
            return f"map of NAME to {inner}"
        pattern = value.get("pattern", "")
        for mark, word in (("(ms|s|m|h|d)", "duration"), ("(s|min|hour|day)", "rate"), ("USD", "budget"), ("%$", "percentage"),
                           ("^https?", "URL"), ("[0-9]{1,5}$", "address"), ("(GET|HEAD", "method and path")):
            if mark in pattern:
                return word
        if kind == "integer" and "maximum" in value:
            return f"integer, {value.get('minimum', 0)} to {value['maximum']}"
        return self.word(kind)

    @staticmethod
    def word(kind):
        return {"string": "text", "boolean": "true or false", None: "any value"}.get(kind, kind)


def pages(binary):
    schema = json.loads((ROOT / "config/schema.json").read_text())
    return {"cli.md": command_line(Commands(binary)), "configuration.md": Configuration(schema).page()}


def stale(binary):
    for name, text in pages(binary).items():
        path = PAGES / name
        if not path.exists() or path.read_text() != text:
            yield f"docs/reference/{name} is not what it would be made to: run tests/docs/reference.py --write"


if __name__ == "__main__":
    binary = os.environ.get("TOLLGATE_BIN", str(ROOT / "target/debug/tollgate"))
    if "--write" in sys.argv[1:]:
        PAGES.mkdir(exist_ok=True)
        for name, text in pages(binary).items():
            (PAGES / name).write_text(text)
    else:
        found = list(stale(binary))
        print("\n".join(found) or "the reference is as it would be made")
        sys.exit(bool(found))
