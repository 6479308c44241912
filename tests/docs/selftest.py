"""Can the suite fail? Pages with a fault each, of which it has to tell, and one page without."""

import argparse
import os
import pathlib
import sys
import tempfile
import time

import book
import main
import reference
import shell

F = "```"
# Of this run alone, so that what it starts can be told from what others do.
LONG = f"{os.getpid()}.4711"
KUSTOMIZE = "kubectl apply -k config/kubernetes/none"
# A page's name: what stands in it, and the one fault that is told.
FAULTY = {
    "output": (f"{F}console\n$ echo right\nwrong\n{F}\n", "prints"),
    "output-more": (f"{F}console\n$ seq 3\n1\n2\n{F}\n", "prints"),
    "status": (f"{F}sh\ntrue\nfalse\n{F}\n", "`false` ended with status 1, not 0"),
    "status-other": (f"{F}sh\ntrue   # exit status 1\n{F}\n", "ended with status 0, not 1"),
    "middle": (f"{F}console\n$ echo a\na\n$ tollgate check\n$ echo b\nb\n{F}\n", "ended with status 1, not 0"),
    "shell-ends": (f"{F}sh\nexit 3\n{F}\n", "the shell ended with status 3"),
    "language": (f"{F}ruby\nputs 1\n{F}\n", "does not understand blocks in ruby"),
    "no-language": (f"{F}\ntollgate check\n{F}\n", "does not understand blocks in no language"),
    "no-end": (f"{F}text\nwords\n", "a block without an end"),
    "console-start": (f"{F}console\nwords\n{F}\n", "begins with a command"),
    "text-commands": (f"{F}text\n$ tollgate check\n{F}\n", "are a `console` block"),
    "text-synopsis": (f"{F}text\ntollgate top [--colour]\n{F}\n", "has no option `--colour`"),
    "bash": (f"<!-- test: not run: a reason -->\n{F}sh\nif true; then echo; done\n{F}\n", "bash does not understand"),
    "not-run-option": (f"<!-- test: not run: a reason -->\n{F}sh\ntollgate serve --colour\n{F}\n", "has no option `--colour`"),
    "not-run-path": (f"<!-- test: not run: a reason -->\n{F}sh\n{KUSTOMIZE}\n{F}\n", "cannot be rendered"),
    "note": (f"<!-- test: not to be run: a reason -->\n{F}sh\ntrue\n{F}\n", "a note that is none"),
    "note-without-reason": (f"<!-- test: not run: -->\n{F}sh\ntrue\n{F}\n", "a note that is none"),
    "note-alone": ("<!-- test: not run: a reason -->\nWords.\n", "a note without a block"),
    "set-up": (f"<!-- test: setup\ntrue\nfalse\n-->\n{F}sh\ntrue\n{F}\n", "the set-up's `false` ended"),
    "set-up-file": ("<!-- test: setup nowhere.sh -->\n", "there is no tests/docs/setup/nowhere.sh"),
    "background": (f"{F}sh\nsleep 100 &\n{F}\n", "has to show what it prints"),
    "python": (f"{F}python\nassert False\n{F}\n", "ended with status 1"),
    "python-syntax": (f"{F}python\nif:\n{F}\n", "Python does not understand"),
    "python-import": (f"{F}python\nimport nothing_of_that_name\n{F}\n", "it imports what none of"),
    "js": (f"{F}js\nimport OpenAI from 'openai'\nthrow new Error('words')\n{F}\n", "ended with status 1"),
    "js-import": (f"{F}js\nimport words from 'no-such-package'\n{F}\n", "ended with status 1"),
    "json": (f"{F}json\n{{a: 1}}\n{F}\n", "not JSON"),
    "yaml-key": (f"{F}yaml\nlimits: {{ request: 600/min }}\n{F}\n", "does not load: unknown key"),
    "yaml-twice": (f"{F}yaml\nbudget: 1 USD/day\nbudget: 2 USD/day\n{F}\n", "stands twice"),
    "yaml-whose": (f"{F}yaml\nnobodys: 1\n{F}\n", "whose keys are these?"),
    "yaml-file": (f"{F}yaml\n# config/tenants/acme.yaml\ntenant: globex\n{F}\n", "`tollgate check` says"),
    "yaml-test": (f"{F}yaml\n# config/tenants/acme.yaml\ntenant: acme\n{F}\n{F}yaml\n# config/tenants/acme.test.yaml\ntenant: acme\ncases: [{{ call: x, expect: allow }}]\n{F}\n",
                  "`tollgate test config/tenants/acme.test.yaml` says"),
    "link": ("[words](nowhere.md)\n", "leads nowhere"),
    "anchor": ("[words](right.md#no-such-heading)\n", "leads to no heading"),
    "operations": ("## Troubleshooting\n| `is over: …` | |\n|---|---|\n| `was never said` | |\n", "does not print 'was never said'"),
    "path": ("It is in `src/words.rs`, and not in `src/other.rs`.\n", "there is no src/other.rs"),
    "bench": ("`cargo bench --bench nothing` measures it.\n", "there is no bench `nothing`"),
    "inline": ("Then `tollgate erase acme`.\n", "there is no command `erase`"),
    "inline-option": ("Then `tollgate check --colour`.\n", "has no option `--colour`"),
}
RIGHT = f"""# Right
Words, `tollgate audit verify DIR`, [here](#right) and [there](output.md).
{F}console
$ export NAME=words
$ for each in 1 2; do
>   echo "$each $NAME"
> done
1 words
2 …
$ false   # exit status 1
$ printf 'a\\nb\\nc\\n'
a
…
$ sleep 1000 &
$ tollgate mock
listening on http://127.0.0.1:9099
$ curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:9099/mock/requests
200
{F}
{F}python
import asyncio

await asyncio.sleep(0)
{F}
{F}yaml
tools: [{{ allow: "get_*" }}]
{F}
""".replace("$ sleep 1000 &\n", f"$ (echo slept; exec sleep {LONG}) &\nslept\n")


def page_faults(faults, name):
    return [fault for fault in faults if fault.startswith(f"docs/{name}.md:")]


def running(word):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def check(holds, message):
    if not holds:
        sys.exit(f"the suite's own test failed: {message}")


def run(binary, pythons):
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "docs").mkdir()
        (root / "README.md").write_text("# Words\n")
        (root / "SECURITY.md").write_text("[words](docs/nowhere.md)\n")
        (root / "src").mkdir()
        (root / "src/words.rs").write_text('fn words() { format!("`{}` is over: {}") }\n')
        (root / "Cargo.toml").write_text('[[bench]]\nname = "words"\n')
        for name, (text, _) in FAULTY.items():
            (root / f"docs/{name}.md").write_text(text)
        (root / "docs/right.md").write_text(RIGHT)
        (root / "docs/unlisted.md").write_text("# Words\n")
        listed = ["right", "right", *FAULTY]
        (root / "docs/SUMMARY.md").write_text("".join(f"- [{name}]({name}.md)\n" for name in listed) + "- [gone](gone.md)\n")
        pages = main.read(root)
        suite = main.Suite(binary, pythons)
        of_book = list(book.check(root, pages, suite.commands))
        runs = suite.run(root, pages, [])
        faults = of_book + [fault for each in runs for fault in each.faults]
        for name, (_, expected) in FAULTY.items():
            told = page_faults(faults, name)
            check(len(told) == 1 and expected in told[0], f"{name}: expected one fault with {expected!r}, told was {told}")
        check(not page_faults(faults, "right"), f"a page without faults has {page_faults(faults, 'right')}")
        for expected in ("SECURITY.md:1: the link docs/nowhere.md leads nowhere", "right.md is listed 2 times", "unlisted.md is listed 0 times", "gone.md is no page of the book"):
            check(any(expected in fault for fault in faults), f"nothing was told of: {expected}")
        marked = [line for each in runs for line in each.left]
        check(len(marked) == 3 and all("not run: a reason" in line for line in marked), f"marked: {marked}")
        check(not running(LONG), "a process that a page started was not ended")

        shell.PATIENCE = 1
        (root / "docs/output.md").write_text(f"{F}sh\nsleep {LONG}\n{F}\n")
        [slow] = suite.run(root, {"docs/output.md": main.Page(root / "docs/output.md", "docs/output.md")}, [])
        check(len(slow.faults) == 1 and "is not over after 1 s" in slow.faults[0], f"a command that hangs: {slow.faults}")
        check(not running(LONG), "a command that hangs was not ended")

        # A section of lints.md has to show what it is about.
        (root / "docs/lints.md").write_text(f"## bare-secret\n{F}yaml\nlimits: {{ concurrency: 3 }}\n{F}\n")
        [lints] = suite.run(root, {"docs/lints.md": main.Page(root / "docs/lints.md", "docs/lints.md")}, [])
        check(len(lints.faults) == 1 and "does not tell of `bare-secret`" in lints.faults[0], f"lints.md: {lints.faults}")

        reference.PAGES = root / "reference"
        check(len(list(reference.stale(binary))) == 2, "a reference that is missing was not told of")
        reference.PAGES.mkdir()
        for name, text in reference.pages(binary).items():
            (reference.PAGES / name).write_text(text)
        check(not list(reference.stale(binary)), "a fresh reference is stale")
        with (reference.PAGES / "cli.md").open("a") as file:
            file.write("more\n")
        [told] = reference.stale(binary)
        check("run tests/docs/reference.py --write" in told, told)
    return len(FAULTY) + 7


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--python", required=True, action="append")
    arguments = parser.parse_args()
    began = time.monotonic()
    count = run(os.path.abspath(arguments.binary), arguments.python)
    print(f"docs: the suite tells of {count} faults that were made for it; {time.monotonic() - began:.0f} s")
