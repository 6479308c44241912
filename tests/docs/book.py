"""The book as a whole: every page is in the summary once, every link leads somewhere, every command that is named exists."""

import re
import shlex

from page import Page


# Beside the book: read for their links and names, their blocks are no commands.
BESIDE = ["ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"]


def check(root, pages, commands):
    """Faults of all pages; `pages` by their paths below `root`."""
    beside = {name: Page(root / name, name) for name in BESIDE if (root / name).exists()}
    faults = [fault for page in pages.values() for fault in page.faults]
    faults += summary(root, pages)
    for name, page in (pages | beside).items():
        faults += dead(root, name, page, pages | beside)
        for number, text in page.code():
            if text.startswith("tollgate ") and (wrong := commands.wrong(split(text)[1:])):
                faults.append(f"{name}:{number}: `{text}`: {wrong}")
            faults += [f"{name}:{number}: {wrong}" for wrong in missing(root, text)]
    if "docs/operations.md" in pages and (root / "src").is_dir():
        faults += messages(root, pages["docs/operations.md"])
    return faults


def missing(root, text):
    """Files of the repository, and its benches, that a sentence names."""
    place = text.split("::")[0].split(" ")[0]
    if re.fullmatch(r"(?:src|tests|benches|docs|config)/[a-z0-9_./-]+", place) and not (root / place).exists():
        # A reader's own files begin like ours.
        if not re.match(r"config/(?:tollgate\.yaml|tenants/)", place):
            yield f"there is no {place}"
    if bench := re.match(r"cargo bench --bench ([a-z_|]+)", text):
        known = re.findall(r'^\[\[bench\]\]\nname = "([a-z_]+)"', (root / "Cargo.toml").read_text(), re.M)
        for each in bench[1].split("|"):
            if each not in known:
                yield f"there is no bench `{each}`"


def messages(root, page):
    """Messages that the page explains are those that the program prints: `…` stands for what is filled in."""
    sources = "".join(path.read_text() for path in sorted((root / "src").rglob("*.rs"))).replace("`", "")
    section = ""
    for number, line in page.prose:
        if line.startswith("#"):
            section = line
        if not section.endswith("## Troubleshooting") or not line.startswith("| ") or line.startswith("| you read"):
            continue
        for text in re.findall(r"`([^`]+)`", line.split("|")[1]):
            if text.startswith(("tollgate ", "/")):
                continue
            for piece in (piece.strip() for piece in text.split("…")):
                if piece and piece not in sources:
                    yield f"{page.name}:{number}: the program does not print {piece!r}"


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
