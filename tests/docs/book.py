"""The book as a whole: every page is in the summary once, every link leads somewhere, every command that is named exists."""

import pathlib
import re
import shlex


def check(root, pages, commands):
    """Faults of all pages; `pages` by their paths below `root`."""
    faults = [fault for page in pages.values() for fault in page.faults]
    faults += summary(root, pages)
    for name, page in pages.items():
        faults += dead(root, name, page, pages)
        for number, text in page.code():
            if text.startswith("tollgate ") and (wrong := commands.wrong(split(text)[1:])):
                faults.append(f"{name}:{number}: `{text}`: {wrong}")
    return faults


def summary(root, pages):
    found = root / "docs/SUMMARY.md"
    if not found.exists():
        yield "docs/SUMMARY.md is missing"
        return
    listed = [target for _, target in pages["docs/SUMMARY.md"].links()]
    there = {name.removeprefix("docs/") for name in pages if name.startswith("docs/") and name != "docs/SUMMARY.md"}
    for name in sorted(there):
        if listed.count(name) != 1:
            yield f"docs/SUMMARY.md: {name} is listed {listed.count(name)} times"
    for target in listed:
        if target not in there:
            yield f"docs/SUMMARY.md: {target} is no page of the book"


def dead(root, name, page, pages):
    for number, target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (root / name).parent / path if path else root / name
        if not place.exists():
            yield f"{name}:{number}: the link {target} leads nowhere"
            continue
        known = pages.get(str(place.resolve().relative_to(root.resolve())))
        if anchor and (known is None or anchor not in known.anchors):
            yield f"{name}:{number}: the link {target} leads to no heading of its page"


def split(text):
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
