"""The table of Responses and Messages (answers.json), and how an answer is judged; answers.mjs does the same.

What is expected is not written down: the mock is asked the same directly, and the gateway has to say the same, part by
part, less what its rules deny. A dialect tells how it asks and what its parts are (items there, blocks here).
"""

import collections
import json
import pathlib
import re

from harness import GATEWAY, HIDDEN, same

TABLE = json.loads(pathlib.Path(__file__).with_name("answers.json").read_text())
NOTICE = re.compile(r"\[The tool call `(.+?)` was denied: (.+)\]")

# `parts` are dicts, `end` says why the answer ended, `dump` is everything that was read, as text.
Answer = collections.namedtuple("Answer", "parts end usage dump")


def answer(parts, end, usage, read):
    return Answer(parts, end, usage, json.dumps(read, ensure_ascii=False))


def cases(dialect):
    """The checks of the table, by name."""
    def fits(entry):
        return entry.get("only", dialect.name) == dialect.name and (GATEWAY or entry.get("gateway_only") not in (True, dialect.name))
    for case in filter(fits, TABLE["cases"]):
        for name in case.get("forms", ["plain"]):
            form = TABLE["forms"][name]
            if fits(form):
                yield f"{case['name']} ({name})", lambda case=case, form=form: run_case(dialect, case, form)


def run_case(dialect, case, form):
    names = [line.split(" ")[1] for line in case["lines"] if line.startswith("!call ")]
    tenant = case.get("tenant", "acme")
    sdk, lines = dialect.clients[tenant], case["lines"] + form["lines"]
    body = dialect.body(lines, tenant, offer=list(dict.fromkeys(case.get("offer", names))))
    if case.get("raises"):
        return breaks(dialect, case, sdk, body)
    truth = dialect.whole(dialect.direct, body)
    whole = unstreamed(dialect, case, truth, sdk, body)
    ways = {"stream=True": dialect.by_hand, **({".stream()": dialect.helped} if case.get("helper", True) else {})}
    for way, ask in ways.items():
        try:
            if case.get("last_copy"):
                never_shown(dialect, case, truth, sdk, body, ask)
                continue
            streamed = ask(sdk, body)
            judge(dialect, case, truth, streamed)
            if whole:
                same(without_new_ids(dialect, streamed), without_new_ids(dialect, whole), "unlike unstreamed")
        except AssertionError as error:
            raise AssertionError(f"{way}: {error}") from None
    nothing_hidden(dialect, case, truth, dialect.raw(sdk, body))


def unstreamed(dialect, case, truth, sdk, body):
    """The whole answer. In some dialects it cannot say all that a stream can, and may be refused; then there is none."""
    if case.get("streamed_alone") != dialect.name:
        whole = dialect.whole(sdk, body)
        judge(dialect, case, truth, whole)
        return whole
    try:
        judge(dialect, case, truth, dialect.whole(sdk, body))
    except dialect.error as error:
        nothing_hidden(dialect, case, truth, str(error))
    return None


def places(dialect, case, truth):
    """Where the truth's calls are that are kept, and those that are not."""
    calls = [at for at, part in enumerate(truth.parts) if dialect.call(part)]
    kept = [calls[number] for number in case.get("kept", [])] if GATEWAY else calls
    return kept, [at for at in calls if at not in kept]


def judge(dialect, case, truth, got):
    kept, gone = places(dialect, case, truth)
    same(len(got.parts), len(truth.parts), f"the number of parts of {got.parts}")
    denied = iter(case.get("denied", []))
    for at, (expected, part) in enumerate(zip(truth.parts, got.parts)):
        becomes = case.get("becomes", {}).get(str(kept.index(at))) if at in kept and GATEWAY else None
        if at in gone:
            is_notice(dialect, part, **next(denied))
        elif becomes:
            same(dialect.with_arguments(part, None), dialect.with_arguments(expected, None), f"part {at} but for its arguments")
            same(dialect.arguments(part), becomes, f"the arguments of part {at}")
        else:
            same(part, expected, f"part {at}")
    if gone or got.end != truth.end:
        fitting = dialect.ends(truth.end, [truth.parts[at] for at in kept])
        assert got.end in fitting and (gone or kept), f"the end is {got.end}, not {truth.end}"
    same(got.usage, truth.usage, "usage")
    nothing_hidden(dialect, case, truth, got.dump)


def is_notice(dialect, part, tool, reason=None):
    text = dialect.notice(part)
    found = text and NOTICE.fullmatch(text)
    assert found, f"no notice of a denied {tool}: {part}"
    same(found[1], tool, "the tool of the notice")
    assert reason is None or found[2].startswith(reason), f"the reason is {found[2]!r}"


def nothing_hidden(dialect, case, truth, dump):
    """Nothing of a denied call but its name, in any event or copy."""
    if not GATEWAY:
        return
    assert HIDDEN not in dump, "arguments that were denied or replaced came through"
    for at in places(dialect, case, truth)[1]:
        for identity in dialect.ids(truth.parts[at]):
            assert identity not in dump, f"an id of the denied call of {truth.parts[at].get('name')} came through"


def without_new_ids(dialect, answer):
    """A notice's id is the gateway's own, and new each time."""
    parts = [{**part, "id": None} if NOTICE.fullmatch(dialect.notice(part) or "") else part for part in answer.parts]
    return parts, answer.end, answer.usage


def never_shown(dialect, case, truth, sdk, body, ask):
    """The last event says something else than those before it: what it says of calls was decided too, or is an error."""
    if not GATEWAY:
        return ask(sdk, body)
    try:
        got = ask(sdk, body)
    except dialect.error as error:
        return nothing_hidden(dialect, case, truth, str(error))
    kept, _ = places(dialect, case, truth)
    judged = [truth.parts[at] for at in kept]
    for part in got.parts:
        assert not dialect.call(part) or part in judged, f"a call that was not judged: {part}"
    nothing_hidden(dialect, case, truth, got.dump)


def breaks(dialect, case, sdk, body):
    """A stream that breaks must be an error; an end that looks fine would be taken for the whole answer."""
    expected = dialect.error if GATEWAY else Exception
    for way, ask in {"stream=True": dialect.by_hand, ".stream()": dialect.helped}.items():
        try:
            got = ask(sdk, body)
        except expected as error:
            assert not isinstance(error, AssertionError), f"{way}: {error}"
            assert not GATEWAY or HIDDEN not in str(error), "arguments in the error"
        else:
            raise AssertionError(f"{way}: a clean end: {got}")
        dialect.whole(sdk, dialect.body(["hello"], case.get("tenant", "acme")))  # failures in a row would open the circuit
    if GATEWAY:
        assert HIDDEN not in dialect.raw(sdk, body, broken=True), "arguments in the events before the error"
        dialect.whole(sdk, dialect.body(["hello"], case.get("tenant", "acme")))
    if case.get("refused"):
        error = dialect.refused(403, lambda: dialect.whole(sdk, body))
        assert HIDDEN not in json.dumps(error.body), "arguments in the error"
