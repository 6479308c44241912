"""Chat Completions with the official OpenAI SDK for Python.

What is expected of a tool call is not written down: the mock is asked the same directly, and the gateway has to say
the same, less what its rules deny. Cases that need no code are in cases.json, which openai_chat.mjs reads too.
"""

import json
import os
import pathlib
import threading
import time

import openai

from harness import GATEWAY, HIDDEN, MOCK, TARGET, forget, key, named, run, same, seen, until

TABLE = json.loads(pathlib.Path(__file__).with_name("cases.json").read_text())


def client(tenant, retries=0, hooks=None):
    http = openai.DefaultHttpxClient(event_hooks={"request": [hooks]}) if hooks else None
    return openai.OpenAI(base_url=f"{TARGET}/v1", api_key=key(tenant), max_retries=retries, timeout=20, http_client=http)


CLIENTS = {tenant: client(tenant) for tenant in ("acme", "globex", "tight", "single", "expired", "unknown")}
DIRECT = openai.OpenAI(base_url=f"{MOCK}/v1", api_key="none", max_retries=0)
ACME = CLIENTS["acme"]


def user(*lines, model="gpt-5", **more):
    return {"model": model, "messages": [{"role": "user", "content": "\n".join(lines)}], **more}


def function(name):
    return {"name": name, "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}


def tools(*names):
    return [{"type": "function", "function": {**function(name), "strict": True}} for name in names]


def refused(error, status, code, ask):
    """The error that `ask` raises, which must be of this class, status and code, and must not be worth a retry."""
    try:
        answer = ask()
    except openai.APIStatusError as raised:
        assert isinstance(raised, error), f"{type(raised).__name__}, not {error.__name__}: {raised}"
        same((raised.status_code, raised.code), (status, code), "status and code")
        shape = {"message", "type", "param", "code"}
        same(set(raised.body), shape, "the fields of the error")
        assert raised.request_id, "x-request-id is missing"
        return raised
    raise AssertionError(f"answered, not refused: {str(answer)[:300]}")


# ---------------------------------------------------------------- reading answers, all into the same form

def one(choice):
    """{content, refusal, calls: [{id, type, name, arguments}], legacy, finish} of a whole choice."""
    message, calls = choice["message"], []
    for call in message.get("tool_calls") or []:
        inner = call[call["type"]]
        calls.append({"id": call["id"], "type": call["type"], "name": inner["name"],
                      "arguments": inner["input"] if call["type"] == "custom" else inner["arguments"]})
    legacy = message.get("function_call")
    legacy = legacy and {"name": legacy["name"], "arguments": legacy["arguments"]}
    return {"content": message.get("content") or "", "refusal": message.get("refusal") or "", "calls": calls,
            "legacy": legacy, "finish": choice["finish_reason"]}


def whole(sdk, body):
    answer = sdk.chat.completions.create(**body).model_dump(warnings=False)
    return [one(choice) for choice in answer["choices"]], [answer]


def streamed(sdk, body, strict):
    """Puts the chunks together by hand. `strict` wants what the SDKs' own helpers need: dense indexes, in order."""
    choices, events = {}, []
    for chunk in sdk.chat.completions.create(**body, stream=True):
        events.append(chunk.model_dump(warnings=False))
        for part in events[-1]["choices"]:
            fresh = {"content": "", "refusal": "", "calls": [], "legacy": None, "finish": None}
            choice, delta = choices.setdefault(part["index"], fresh), part["delta"]
            assert choice["finish"] is None, "something after the finish"
            choice["finish"] = part["finish_reason"]
            choice["content"] += delta.get("content") or ""
            choice["refusal"] += delta.get("refusal") or ""
            for entry in delta.get("tool_calls") or []:
                add_call(choice["calls"], entry, strict)
            if legacy := delta.get("function_call"):
                known = choice["legacy"] = choice["legacy"] or {"name": "", "arguments": ""}
                known["name"] += legacy.get("name") or ""
                known["arguments"] += legacy.get("arguments") or ""
    return [{**choices[index], "calls": [strip(call) for call in choices[index]["calls"]]}
            for index in sorted(choices)], events


def add_call(calls, entry, strict):
    index, identity = entry.get("index"), entry.get("id")
    inner = entry.get("function") or entry.get("custom") or {}
    if strict:
        assert isinstance(index, int) and index <= len(calls), f"index {index} after {len(calls)} calls"
        known = calls[index] if index < len(calls) else None
        assert known is None or not identity or identity == known["id"], "another call at the same index"
    else:
        by_id = [call for call in calls if identity and call["id"] == identity]
        by_index = [call for call in calls if not identity and index is not None and call["index"] == index]
        known = (by_id or by_index or (calls if not identity else []) or [None])[-1]
    if known is None:
        known = {"index": index, "id": identity, "type": entry.get("type"), "name": "", "arguments": ""}
        calls.append(known)
    known["name"] += inner.get("name") or ""
    more = inner.get("arguments", inner.get("input"))
    known["arguments"] = known["arguments"] + more if isinstance(more, str) else more or known["arguments"]


def strip(call):
    return {key: call[key] for key in ("id", "type", "name", "arguments")}


def helped(sdk, body):
    with sdk.chat.completions.stream(**body) as stream:
        events = [event.model_dump(warnings=False) for event in stream]
        answer = stream.get_final_completion().model_dump(warnings=False)
    return [one(choice) for choice in answer["choices"]], [*events, answer]


# ---------------------------------------------------------------- the table

def body_of(case, form):
    names = [line.split(" ")[1] for line in case["lines"] if line.startswith("!call ")]
    body = user(*case["lines"], *form["lines"], model=case.get("model", "gpt-5"))
    offer = case.get("offer", names)
    if offer and case.get("legacy"):
        body["functions"] = [function(name) for name in dict.fromkeys(offer)]
    elif offer:
        body["tools"] = tools(*dict.fromkeys(offer))
    if "n" in case:
        body["n"] = case["n"]
    return body


def loose(arguments):
    """Arguments that came as an object have no text to be kept."""
    return json.dumps(json.loads(arguments) if isinstance(arguments, str) else arguments, sort_keys=True)


def expected_calls(case, truth):
    """The calls that are left of the mock's own, and those that are not."""
    kept = case["kept"] if GATEWAY else range(len(truth["calls"]))
    calls = [dict(truth["calls"][at]) for at in kept]
    for at, becomes in (case.get("becomes", {}) if GATEWAY else {}).items():
        calls[list(kept).index(int(at))]["arguments"] = json.dumps(becomes)
    return calls, [call for at, call in enumerate(truth["calls"]) if at not in kept]


def judge(case, truth, got, dump):
    denied = case.get("denied", []) if GATEWAY else []
    same(len(got), len(truth), "choices")
    for truth, got in zip(truth, got):
        if case.get("legacy"):
            same(got["legacy"], None if denied else truth["legacy"], "the legacy call")
            natural = "stop" if denied else truth["finish"]
        else:
            calls, gone = expected_calls(case, truth)
            parsed = "becomes" in case or any(not isinstance(call["arguments"], str) for call in truth["calls"])
            form = (lambda calls: [{**call, "arguments": loose(call["arguments"])} for call in calls]) if parsed else list
            same(form(got["calls"]), form(calls), "calls")
            natural = truth["finish"] if not denied else "tool_calls" if calls else "stop"
            for call in gone:
                assert call["id"] not in dump, f"the id of the denied call of {call['name']} came through"
        assert got["finish"] == natural or (got["calls"] and got["finish"] == truth["finish"]), \
            f"finish_reason {got['finish']}, expected {natural}"
        same(got["refusal"], truth["refusal"], "refusal")
        assert denied or got["content"] == truth["content"], f"text {got['content']!r}, expected {truth['content']!r}"
        assert got["content"].startswith(truth["content"]), f"the model's own text is gone: {got['content']!r}"
        for denial in denied:
            for words in denial.values():
                assert words in got["content"], f"{words!r} is not in the text {got['content']!r}"
    if GATEWAY and (denied or "becomes" in case):
        assert HIDDEN not in dump, "arguments that were denied or replaced came through"


def run_case(case, form):
    body, sdk = body_of(case, form), CLIENTS[case["tenant"]]
    if case.get("raises"):
        return breaks(case, sdk, body)
    truth, _ = whole(DIRECT, body)
    unstreamed, dump = whole(sdk, body)
    judge(case, truth, unstreamed, json.dumps(dump, ensure_ascii=False))
    strict = bool(GATEWAY) or not form.get("odd")
    ways = [("stream=True", lambda: streamed(sdk, body, strict))]
    if case.get("helper", True) and strict:
        ways.append((".stream()", lambda: helped(sdk, body)))
    for way, ask in ways:
        got, dump = ask()
        try:
            judge(case, truth, got, json.dumps(dump, ensure_ascii=False))
            if all(isinstance(call["arguments"], str) for choice in truth for call in choice["calls"]):
                same(got, unstreamed, "unlike unstreamed")
        except AssertionError as error:
            raise AssertionError(f"{way}: {error}") from None


def breaks(case, sdk, body):
    """A stream that breaks must be an error; an end that looks fine would be taken for the whole answer."""
    expected = openai.APIError if GATEWAY else Exception
    for way, ask in {"stream=True": lambda: streamed(sdk, body, True), ".stream()": lambda: helped(sdk, body)}.items():
        try:
            got, _ = ask()
        except expected as error:
            assert not GATEWAY or HIDDEN not in str(error), "arguments in the error"
        else:
            assert case.get("refused") and not GATEWAY, f"{way}: a clean end: {got}"
        whole(sdk, user("hello", model=body["model"]))  # so that failures in a row do not open the circuit
    if case.get("refused") and GATEWAY:
        error = refused(openai.PermissionDeniedError, 403, "tool_not_allowed", lambda: sdk.chat.completions.create(**body))
        assert HIDDEN not in json.dumps(error.body), "arguments in the error"


# ---------------------------------------------------------------- what needs code

def usage_comes_when_asked_for():
    answer = ACME.chat.completions.create(**user("hello"))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    chunks = list(ACME.chat.completions.create(**user("hello"), stream=True, stream_options={"include_usage": True}))
    same((chunks[-1].choices, chunks[-1].usage), ([], answer.usage), "the last chunk")
    chunks = list(ACME.chat.completions.create(**user("hello"), stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks), "usage that was not asked for"


def embeddings():
    plain = ACME.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    packed = ACME.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    same(len(packed.data), 2, "vectors")
    for one, other in zip(plain.data, packed.data):
        assert all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True)), "base64 differs"
    assert packed.usage.prompt_tokens > 0


def completions():
    body = {"model": "gpt-5", "prompt": "!say one two three"}
    same(ACME.completions.create(**body).choices[0].text, "one two three", "text")
    chunks = list(ACME.completions.create(**body, stream=True))
    same("".join(chunk.choices[0].text for chunk in chunks), "one two three", "streamed text")
    same(chunks[-1].choices[0].finish_reason, "stop", "finish")


def moderations():
    results = ACME.moderations.create(model="omni-moderation-latest", input=["violence", "peace"]).results
    same([result.flagged for result in results], [True, False], "flags")


def models_are_the_tenants_own():
    listed = {tenant: sorted(model.id for model in CLIENTS[tenant].models.list()) for tenant in ("acme", "globex")}
    acme = ["claude-opus", "claude-raw", "gpt-4o", "gpt-5", "omni-moderation-latest", "text-embedding-3-small"]
    same(listed, {"acme": acme, "globex": ["claude-raw", "gpt-4o"]}, "models")
    same(ACME.models.retrieve("gpt-5").id, "gpt-5", "retrieved")


def model_that_is_not_the_tenants_does_not_exist():
    def bodies(ask):
        errors = [(name, refused(openai.NotFoundError, 404, "model_not_found", lambda: ask(name)))
                  for name in ("secret-model", "absent-model")]
        assert all(hit["path"] != "/v1/chat/completions" for hit in seen()), "it reached the upstream"
        return [json.dumps(error.body).replace(name, "NAME") for name, error in errors]
    forget()
    for ask in (lambda name: ACME.chat.completions.create(**user("hello", model=name)),
                lambda name: ACME.chat.completions.create(**user("hello", model=name), stream=True),
                lambda name: ACME.embeddings.create(model=name, input="a"),
                lambda name: ACME.models.retrieve(name)):
        same(*bodies(ask), "the two answers")


def credentials_are_one_answer():
    def ask(tenant):
        return refused(openai.AuthenticationError, 401, "invalid_api_key",
                       lambda: CLIENTS[tenant].chat.completions.create(**user("hello")))
    forget()
    same(ask("unknown").body, ask("expired").body, "the two answers")
    same(seen(), [], "what reached the upstream")


def credentials_stay_on_their_side():
    forget()
    raw = ACME.chat.completions.with_raw_response.create(**user("hello", "!headers"), extra_headers={"x-tenant-id": "globex"})
    for name in ("openai-organization", "set-cookie"):
        assert name not in raw.headers, f"the provider's {name} came through"
    assert raw.headers.get("x-ratelimit-limit-requests") not in (None, "10000"), "x-ratelimit-limit-requests"
    assert raw.headers.get("x-request-id"), "x-request-id is missing"
    hit = json.dumps(seen()[-1])
    assert ACME.api_key not in hit, "the tenant's key reached the upstream"
    assert f"Bearer {os.environ['UPSTREAM_KEY']}" in hit, "the upstream's key did not"


def offered_tools_that_are_denied_never_arrive():
    forget()
    ACME.chat.completions.create(**user("hello"), tools=tools("no_a", "ok_b", "delete_c", "transfer"), parallel_tool_calls=False)
    ACME.chat.completions.create(**user("hello"), tools=tools("no_a"), tool_choice="auto", parallel_tool_calls=False)
    ACME.chat.completions.create(**user("hello"), functions=[function("no_a"), function("ok_b")])
    some, none, legacy = [json.loads(hit["body"]) for hit in seen()]
    same([tool["function"]["name"] for tool in some["tools"]], ["ok_b", "transfer"], "tools")
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(none), f"left over: {none}"
    same([tool["name"] for tool in legacy["functions"]], ["ok_b"], "functions")


def a_forced_tool_that_is_denied_is_refused_once():
    attempts = []
    eager = client("acme", retries=2, hooks=lambda request: attempts.append(request.url))
    forget()
    for stream in (False, True):
        choice = {"type": "function", "function": {"name": "no_a"}}
        error = refused(openai.PermissionDeniedError, 403, "tool_not_allowed", lambda: eager.chat.completions.create(
            **user("hello"), tools=tools("no_a", "ok_b"), tool_choice=choice, stream=stream))
        same(error.response.headers.get("x-should-retry"), "false", "x-should-retry")
    same((len(attempts), len(seen())), (2, 0), "attempts, and hits upstream")


def a_result_for_a_denied_call_is_refused():
    body = user(f'!call no_a {{"v":"{HIDDEN}"}}')
    call = DIRECT.chat.completions.create(**body).choices[0].message.tool_calls[0]
    ACME.chat.completions.create(**body)
    body["messages"] += [{"role": "assistant", "tool_calls": [call.model_dump()]},
                         {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    refused(openai.PermissionDeniedError, 403, "tool_not_allowed", lambda: ACME.chat.completions.create(**body))


def an_agent_comes_to_an_end():
    body, ran = user("Use ok_a and no_b, please.", tools=tools("ok_a", "no_b")), []
    for _ in range(4):
        message = ACME.chat.completions.create(**body).choices[0].message
        body["messages"].append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            ran.append(call.function.name)
            body["messages"].append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    same((ran, message.content), (["ok_a"], "The tool answered: sunny"), "what ran, and the last word")


def the_rate_limit_says_how_long_to_wait():
    tight = CLIENTS["tight"]
    for _ in range(5):
        try:
            tight.chat.completions.create(**user("hello"))
        except openai.RateLimitError as raised:
            error = raised
            break
    else:
        raise AssertionError("five requests at once passed a rate of 60/min burst 2")
    same((error.status_code, error.code), (429, "rate_limit_exceeded"), "status and code")
    headers = error.response.headers
    wait_ms = int(headers["retry-after-ms"])
    assert 0 < wait_ms <= 1000 <= int(headers["retry-after"]) * 1000, f"{dict(headers)}"
    assert headers["x-ratelimit-remaining-requests"] == "0" and headers["x-ratelimit-limit-requests"], f"{dict(headers)}"
    time.sleep(wait_ms / 1000 + 0.05)
    tight.chat.completions.create(**user("hello"))
    client("tight", retries=4).chat.completions.create(**user("the SDK waits as it is told"))


def one_too_many_at_once_is_refused_at_once():
    single = CLIENTS["single"]
    held = single.chat.completions.create(**user("!say one two three", "!stall 3"), stream=True)
    next(iter(held))
    start = time.monotonic()
    refused(openai.RateLimitError, 429, "rate_limit_exceeded", lambda: single.chat.completions.create(**user("hello")))
    assert time.monotonic() - start < 1, "it waited"
    held.close()

    def admitted():
        try:
            return single.chat.completions.create(**user("hello"))
        except openai.RateLimitError:
            return None
    until(admitted, 2, "the place is free again")


def failures_upstream_are_told_in_our_words():
    for status, error, told, code in ((503, openai.InternalServerError, None, "upstream_error"),
                                      (500, openai.InternalServerError, 502, "upstream_error"),
                                      (401, openai.InternalServerError, 502, "upstream_error"),
                                      (400, openai.BadRequestError, 400, None),
                                      (422, openai.UnprocessableEntityError, 422, None),
                                      (429, openai.RateLimitError, 429, None)):
        for stream in (False, True):
            try:
                ACME.chat.completions.create(**user(f"!status {status}"), stream=stream)
                raise AssertionError(f"a {status} upstream was answered")
            except openai.APIStatusError as raised:
                assert isinstance(raised, error), f"{status} became {type(raised).__name__}"
                assert told in (None, raised.status_code), f"{status} became {raised.status_code}"
                assert code in (None, raised.code), f"{status} has code {raised.code}"
                same(set(raised.body), {"message", "type", "param", "code"}, "the fields of the error")
                assert "sk-" not in raised.response.text, f"the upstream's words came through: {raised.response.text}"
            ACME.chat.completions.create(**user("hello"))


def failures_of_a_moment_are_tried_again():
    forget()
    message = f"!status-times 2 503\n!say {time.time_ns()}"
    answer = ACME.chat.completions.create(**user(message))
    same(answer.choices[0].finish_reason, "stop", "finish")
    same(len(seen()), 3, "hits upstream")


def leaving_closes_the_upstream():
    for stream in (lambda: ACME.chat.completions.create(**user("!say one two three", "!stall 3"), stream=True),
                   lambda: ACME.chat.completions.create(**user('!call ok_a {"a":1}', "!stall 2"), stream=True)):
        forget()
        open_stream = stream()
        next(iter(open_stream))
        open_stream.close()
        until(lambda: [hit["outcome"] for hit in seen()] == ["client_gone"], 2, "the upstream is left")


def requests_in_parallel_do_not_mix():
    wrong = []

    def ask(number):
        body = user(f"!say answer {number}", f'!call ok_a {{"number":{number}}}', f'!call no_b {{"v":"{HIDDEN}"}}', "!delay 1ms")
        [got], _ = streamed(ACME, body, True)
        if f"answer {number}" not in got["content"] or [call["arguments"] for call in got["calls"]] != [f'{{"number":{number}}}']:
            wrong.append(got)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [], "answers of other requests")


ANYWHERE = [usage_comes_when_asked_for, embeddings, completions, moderations, leaving_closes_the_upstream]
GATEWAY_ONLY = [
    models_are_the_tenants_own, model_that_is_not_the_tenants_does_not_exist, credentials_are_one_answer,
    credentials_stay_on_their_side, offered_tools_that_are_denied_never_arrive,
    a_forced_tool_that_is_denied_is_refused_once, a_result_for_a_denied_call_is_refused, an_agent_comes_to_an_end,
    the_rate_limit_says_how_long_to_wait, one_too_many_at_once_is_refused_at_once,
    failures_upstream_are_told_in_our_words, failures_of_a_moment_are_tried_again, requests_in_parallel_do_not_mix,
]


def checks():
    for case in TABLE["cases"]:
        for name in case.get("forms", ["one by one"]):
            yield f"{case['name']} ({name})", lambda case=case, name=name: run_case(case, TABLE["forms"][name])
    yield from named(ANYWHERE + (GATEWAY_ONLY if GATEWAY else []))


run("openai_chat.py", checks())
