"""Responses with the official OpenAI SDK for Python. The table is answers.json; what needs code is here."""

import json
import threading

import httpx2
import openai

import answers
from harness import GATEWAY, HIDDEN, MOCK, TARGET, bodies, forget, key, named, run, same, seen, until

TENANTS = ("acme", "globex", "bare", "expired", "unknown")


def client(tenant, retries=0, hook=None):
    http = openai.DefaultHttpxClient(event_hooks={"request": [hook]}) if hook else None
    return openai.OpenAI(base_url=f"{TARGET}/v1", api_key=key(tenant), max_retries=retries, timeout=20, http_client=http)


def function(name):
    parameters = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return {"type": "function", "name": name, "parameters": parameters, "strict": True}


def plain(model):
    """What a model object holds, without what the SDK adds to it."""
    def strip(value):
        if isinstance(value, dict):
            return {name: strip(entry) for name, entry in value.items()
                    if entry is not None and name not in ("parsed", "parsed_arguments")}
        return [strip(entry) for entry in value] if isinstance(value, list) else value
    return strip(model.model_dump(warnings=False))


class Responses:
    name, error = "responses", openai.APIError
    clients = {tenant: client(tenant) for tenant in TENANTS}
    direct = openai.OpenAI(base_url=f"{MOCK}/v1", api_key="none", max_retries=0)

    @staticmethod
    def body(lines, tenant="acme", offer=(), **more):
        custom = "!custom" in lines
        tools = [{"type": "custom", "name": name} if custom else function(name) for name in offer]
        return {"model": "gpt-4o" if tenant == "globex" else "gpt-5", "input": "\n".join(lines),
                **({"tools": tools} if tools else {}), **more}

    @staticmethod
    def read(response, read):
        response = response if isinstance(response, dict) else plain(response)
        end = (response["status"], response.get("incomplete_details"))
        return answers.answer(response["output"], end, response["usage"], read)

    @classmethod
    def whole(cls, sdk, body):
        response = plain(sdk.responses.create(**body))
        return cls.read(response, response)

    @classmethod
    def helped(cls, sdk, body):
        with sdk.responses.stream(**body) as stream:
            events = [plain(event) for event in stream]
            response = plain(stream.get_final_response())
        return cls.read(response, [*events, response])

    @classmethod
    def by_hand(cls, sdk, body):
        events = [plain(event) for event in sdk.responses.create(**body, stream=True)]
        same([event["type"] for event in events[:2]], ["response.created", "response.in_progress"], "the first events")
        numbers = [event["sequence_number"] for event in events]
        assert all(before < after for before, after in zip(numbers, numbers[1:])), f"not in sequence: {numbers}"
        ends = [event for event in events if event["type"] in ("response.completed", "response.incomplete", "response.failed")]
        same(ends, events[-1:], "the one event that ends it")
        items = put_together(events)
        if "!completed-only" not in body["input"] and "!completed-differs" not in body["input"]:
            same(ends[0]["response"]["output"], items, "the output of the last event")
        return cls.read(ends[0]["response"], events)

    @staticmethod
    def raw(sdk, body, broken=False):
        """The bytes of the stream, as text."""
        text = b""
        try:
            with sdk.responses.with_streaming_response.create(**body, stream=True) as answer:
                for more in answer.iter_bytes():
                    text += more
        except (openai.APIError, httpx2.HTTPError):
            assert broken, "the stream broke off"
        return text.decode()

    @staticmethod
    def call(part):
        return part["type"].endswith("_call") or part["type"] == "mcp_approval_request"

    @staticmethod
    def ids(part):
        return [part[name] for name in ("id", "call_id") if name in part]

    @staticmethod
    def arguments(part):
        return json.loads(part["arguments"])

    @staticmethod
    def with_arguments(part, arguments):
        return {**part, "arguments": arguments}

    @staticmethod
    def notice(part):
        content = part.get("content")
        whole = part["type"] == "message" and part["role"] == "assistant" and part["status"] == "completed" and part["id"]
        return content[0]["text"] if whole and len(content) == 1 and content[0]["type"] == "output_text" else None

    @staticmethod
    def ends(end, kept):
        return [end]

    @staticmethod
    def refused(status, ask, code=None):
        return refused(status, code or {401: "invalid_api_key", 403: "tool_not_allowed", 404: "model_not_found"}[status], ask)


def put_together(events):
    """The items of a stream; what was streamed of each must be what it is in the end."""
    items = []
    for event in events:
        kind = event["type"].removeprefix("response.")
        if kind == "output_item.added":
            same(event["output_index"], len(items), "the index of a new item")
            items.append({"id": event["item"].get("id"), "kind": event["item"]["type"], "said": "", "whole": [], "item": None})
        elif "output_index" in event:
            known = items[event["output_index"]]
            assert known["item"] is None, f"{kind} after the item was done"
            same(event.get("item_id", known["id"]), known["id"], f"the item of {kind}")
            if kind.endswith(".delta"):
                known["said"] += event["delta"]
            elif kind == "output_item.done":
                known["item"] = event["item"]
                same((event["item"].get("id"), event["item"]["type"]), (known["id"], known["kind"]), "the item that is done")
            elif kind.endswith(".done"):
                known["whole"] += [event[name] for name in ("text", "refusal", "arguments", "input") if name in event]
    for known in items:
        assert known["item"], f"an item that was never done: {known}"
        item = known["item"]
        parts = [*item.get("content", []), *item.get("summary", [])]
        said = parts[0].get("text", parts[0].get("refusal")) if parts else item.get("arguments", item.get("input"))
        for copy in ([known["said"]] if known["said"] else []) + known["whole"]:
            same(copy, said, f"what was streamed of a {known['kind']}")
    return [known["item"] for known in items]


def refused(status, code, ask):
    """The error that `ask` raises, in OpenAI's shape, and not worth a retry."""
    try:
        answer = ask()
    except openai.APIStatusError as raised:
        same((raised.status_code, raised.code), (status, code), f"status and code of {raised.message!r}")
        same(set(raised.body), {"message", "type", "param", "code"}, "the fields of the error")
        assert raised.request_id, "x-request-id is missing"
        return raised
    raise AssertionError(f"answered, not refused: {str(answer)[:300]}")


ACME, GLOBEX = Responses.clients["acme"], Responses.clients["globex"]
body = Responses.body


def create(sdk, *lines, **more):
    return sdk.responses.create(**body(lines, "globex" if sdk is GLOBEX else "acme", **more))


def output(call, text="sunny"):
    kind = "custom_tool_call_output" if call.type == "custom_tool_call" else "function_call_output"
    return {"type": kind, "call_id": call.call_id, "output": text}


# ---------------------------------------------------------------- what needs code

def usage_is_the_mocks():
    usage = create(ACME, "!usage 1000 200 300 50").usage
    same((usage.input_tokens, usage.output_tokens, usage.total_tokens), (1000, 200, 1200), "usage")
    same((usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens), (300, 50), "details")


def stored_responses_can_be_asked_for():
    made = create(ACME, "!say Hi.")
    same(plain(ACME.responses.retrieve(made.id)), plain(made), "what is retrieved")
    same(ACME.responses.input_items.list(made.id).data[0].content[0].text, "!say Hi.", "the input")
    next_one = create(ACME, "hello", previous_response_id=made.id)
    same(next_one.previous_response_id, made.id, "previous_response_id")
    ACME.responses.cancel(made.id)
    ACME.responses.delete(made.id)
    try:
        ACME.responses.retrieve(made.id)
        raise AssertionError("retrieved what was deleted")
    except openai.NotFoundError:
        pass


def an_agent_comes_to_an_end():
    """The loop of a client that keeps the history itself; directly, both tools run."""
    for stream in (False, True):
        ran, history = [], [{"role": "user", "content": 'Use ok_a and no_b.\n!call ok_a {}\n!call no_b {}'}]
        for _ in range(4):
            ask = {"model": "gpt-5", "input": history, "tools": [function("ok_a"), function("no_b")], "store": False}
            if stream:
                with ACME.responses.stream(**ask) as events:
                    response = events.get_final_response()
            else:
                response = ACME.responses.create(**ask)
            history += [plain(item) for item in response.output]
            calls = [item for item in response.output if item.type == "function_call"]
            if not calls:
                break
            ran += [call.name for call in calls]
            history += [output(call) for call in calls]
        expected = ["ok_a"] if GATEWAY else ["ok_a", "no_b"]
        same((ran, response.output_text), (expected, "The tool answered: sunny"), "what ran, and the last word")


def a_denied_call_leaves_no_debt():
    """The provider's stored answer still holds the call that was denied; the gateway answers it in the client's stead."""
    lines = ('!call ok_a {"v": 1}', f'!call no_b {{"v": "{HIDDEN}"}}')
    for more in ((), ("!custom",), ("!done-only",)):
        with ACME.responses.stream(**body([*lines, *more])) as events:
            streamed = events.get_final_response()
        for made in (create(ACME, *lines, *more), streamed):
            [call] = [item for item in made.output if item.type in ("function_call", "custom_tool_call")]
            forget()
            told = ACME.responses.create(model="gpt-5", previous_response_id=made.id, input=[output(call)])
            assert "The tool answered: " in told.output_text, told.output_text
            [sent] = bodies()
            same(sorted(item["type"] for item in sent["input"]), [output(call)["type"]] * 2, "the outputs that were sent")
            assert HIDDEN not in json.dumps(sent), "arguments of the denied call went up"
    for lines in (['!call no_b {}'], ['!item shell_call', '!item computer_call', '!item apply_patch_call']):
        made = create(ACME, *lines)
        assert create(ACME, "hello", previous_response_id=made.id).output_text, "all calls denied, then text"
        with ACME.responses.stream(**body(lines)) as events:
            made = events.get_final_response()
        assert create(ACME, "hello", previous_response_id=made.id).output_text, "streamed, all calls denied"


def what_is_retrieved_is_what_was_answered():
    lines = ('!say Well.', '!call ok_a {"v": 1}', f'!call no_b {{"v": "{HIDDEN}"}}', '!call kb_search {"q": "x"}')
    made = create(ACME, *lines)
    for ask in (lambda: ACME.responses.retrieve(made.id), lambda: ACME.responses.cancel(made.id)):
        told = plain(ask())
        assert HIDDEN not in json.dumps(told), "arguments of a denied call were kept for later"
        same([item["type"] for item in told["output"]], [item.type for item in made.output], "the items")
        same(json.loads(told["output"][3]["arguments"]), {"q": "x", "filter": {"tenant": "acme"}}, "the forced arguments")


def another_tenants_response_does_not_exist():
    made = create(ACME, "!say Mine.")
    asks = (lambda name: GLOBEX.responses.retrieve(name),
            lambda name: GLOBEX.responses.delete(name),
            lambda name: GLOBEX.responses.cancel(name),
            lambda name: GLOBEX.responses.input_items.list(name).data,
            lambda name: create(GLOBEX, "hello", previous_response_id=name))
    for number, ask in enumerate(asks):
        told = []
        for name in (made.id, made.id[:-4] + "XXXX"):
            try:
                raise AssertionError(f"ask {number} was answered: {ask(name)}")
            except openai.APIStatusError as error:
                told.append((error.status_code, json.dumps(error.body).replace(name, "NAME")))
        same(*told, f"the two answers of ask {number}")
        assert told[0][0] in (400, 404), told
    same(ACME.responses.retrieve(made.id).output_text, "Mine.", "what its owner gets afterwards")
    item = {"type": "item_reference", "id": made.output[0].id}
    asked = {"input": [item, {"role": "user", "content": "hi"}]}
    assert create(ACME, "hello", **asked).output_text, "its owner may name an item"
    refused(400, "invalid_request", lambda: create(GLOBEX, "hello", **asked))


def a_notice_is_an_item_that_may_be_named():
    """The provider never had the message that stands for a denied call; clients that send ids name it all the same."""
    made = create(ACME, f'!call no_b {{"v": "{HIDDEN}"}}')
    item = {"type": "item_reference", "id": made.output[0].id}
    forget()
    assert create(ACME, "hello", input=[item, {"role": "user", "content": "hi"}]).output_text
    sent = json.loads(seen()[-1]["body"])["input"][0]
    same((sent["type"], sent["role"]), ("message", "assistant"), "what the provider gets in its place")
    assert "no_b" in sent["content"][0]["text"] and HIDDEN not in json.dumps(sent)


def what_cannot_be_checked_is_refused():
    for more in ({"background": True}, {"prompt": {"id": "pmpt_1"}}, {"conversation": "conv_1"}):
        forget()
        for stream in (False, True):
            error = refused(400, "invalid_request", lambda: create(ACME, "hello", **more, stream=stream))
            assert next(iter(more)) in error.message + str(error.param), error.message
        same(seen(), [], "what reached the upstream")


def offered_tools_that_are_denied_never_arrive():
    forget()
    create(ACME, "hello", offer=["no_a", "ok_b", "delete_c", "transfer"], parallel_tool_calls=False)
    create(ACME, "hello", offer=["no_a"], tool_choice="auto", parallel_tool_calls=False)
    create(ACME, "hello", tools=[{"type": "custom", "name": "no_a"}, {"type": "custom", "name": "ok_b"}])
    some, none, custom = bodies()
    same([tool["name"] for tool in some["tools"]], ["ok_b", "transfer"], "tools")
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(none), f"left over: {none}"
    same([tool["name"] for tool in custom["tools"]], ["ok_b"], "custom tools")


def hosted_tools_are_offered_by_rule():
    def arrived(sdk, *tools):
        forget()
        sdk.responses.create(model="gpt-5", input="hello", tools=list(tools))
        return bodies()[0].get("tools", [])
    web, code = {"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}
    files = {"type": "file_search", "vector_store_ids": ["vs_acme_1", "vs_acme_2"]}
    foreign = {"type": "file_search", "vector_store_ids": ["vs_acme_1", "vs_globex_1"]}
    ours = {"type": "mcp", "server_label": "a", "server_url": "https://mcp.acme.example/x"}
    theirs = {"type": "mcp", "server_label": "b", "server_url": "https://evil.example/"}
    same(arrived(ACME, web, code, files, foreign, ours, theirs), [web, files, ours], "what acme may offer")
    same(arrived(Responses.clients["bare"], web, code, files, ours, function("ok_a")), [], "what bare may offer")
    made = create(ACME, "!hosted web_search_call", "!hosted file_search_call", tools=[web, files])
    same([item.type for item in made.output], ["web_search_call", "file_search_call"], "what the provider ran")
    refused(403, "tool_not_allowed", lambda: create(ACME, "hello", tools=[web, code], tool_choice={"type": "code_interpreter"}))


def a_forced_tool_that_is_denied_is_refused_once():
    attempts = []
    eager = client("acme", retries=2, hook=lambda request: attempts.append(request.url))
    forget()
    for choice in ({"type": "function", "name": "no_a"}, {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "no_a"}]}):
        for stream in (False, True):
            error = refused(403, "tool_not_allowed", lambda: create(eager, "hello", offer=["no_a", "ok_b"], tool_choice=choice, stream=stream))
            same(error.response.headers.get("x-should-retry"), "false", "x-should-retry")
    same((len(attempts), len(seen())), (4, 0), "attempts, and hits upstream")


def a_result_for_a_denied_call_is_refused():
    lines = [f'!call no_a {{"v":"{HIDDEN}"}}', '!call ok_a {}']
    made = Responses.direct.responses.create(**body(lines))
    history = [{"role": "user", "content": "hi"}, *(plain(item) for item in made.output), *(output(call) for call in made.output)]
    refused(403, "tool_not_allowed", lambda: create(ACME, "hello", input=history))
    stored = create(ACME, *lines)
    denied, allowed = made.output
    refused(403, "tool_not_allowed", lambda: create(ACME, "hello", input=[output(denied), output(allowed)], previous_response_id=stored.id))


def model_that_is_not_the_tenants_does_not_exist():
    forget()
    for stream in (False, True):
        told = [json.dumps(refused(404, "model_not_found", lambda: create(ACME, "hello", model=name, stream=stream)).body)
                .replace(name, "NAME") for name in ("secret-model", "absent-model")]
        same(*told, "the two answers")
    same(seen(), [], "what reached the upstream")


def credentials_are_one_answer():
    forget()
    told = [refused(401, "invalid_api_key", lambda: create(Responses.clients[tenant], "hello")).body for tenant in ("unknown", "expired")]
    same(*told, "the two answers")
    told = [refused(401, "invalid_api_key", lambda: Responses.clients[tenant].responses.retrieve("resp_x")).body for tenant in ("unknown", "expired")]
    same(*told, "the two answers")
    same(seen(), [], "what reached the upstream")


def credentials_stay_on_their_side():
    forget()
    raw = ACME.responses.with_raw_response.create(**body(["hello", "!headers"]))
    for name in ("openai-organization", "set-cookie"):
        assert name not in raw.headers, f"the provider's {name} came through"
    assert raw.headers.get("x-ratelimit-limit-requests") not in (None, "10000"), "x-ratelimit-limit-requests"
    assert ACME.api_key not in json.dumps(seen()), "the tenant's key reached the upstream"


def failures_upstream_are_told_in_our_words():
    for status, told, code in ((503, 502, "upstream_error"), (500, 502, "upstream_error"), (401, 502, "upstream_error"),
                               (400, 400, None), (429, 429, "rate_limit_exceeded")):
        for stream in (False, True):
            try:
                raise AssertionError(f"a {status} upstream was answered: {create(ACME, f'!status {status}', stream=stream)}")
            except openai.APIStatusError as error:
                assert error.status_code == told or status == 503, f"{status} became {error.status_code}"
                assert code in (None, error.code), f"{status} has code {error.code}"
                assert "sk-" not in error.response.text, f"the upstream's words came through: {error.response.text}"
            create(ACME, "hello")


def leaving_closes_the_upstream():
    for lines in (["!say one two three", "!stall 6"], ['!call ok_a {"a":1}', "!stall 4"]):
        forget()
        stream = ACME.responses.create(**body(lines), stream=True)
        next(iter(stream))
        stream.close()
        until(lambda: [hit["outcome"] for hit in seen()] == ["client_gone"], 2, "the upstream is left")


def requests_in_parallel_do_not_mix():
    wrong = []

    def ask(number):
        lines = [f"!say answer {number}", f'!call ok_a {{"number":{number}}}', f'!call no_b {{"v":"{HIDDEN}"}}', "!delay 1ms"]
        got = Responses.by_hand(ACME, body(lines))
        if got.parts[0]["content"][0]["text"] != f"answer {number}" or got.parts[1]["arguments"] != f'{{"number":{number}}}':
            wrong.append(got)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [], "answers of other requests")


ANYWHERE = [usage_is_the_mocks, stored_responses_can_be_asked_for, an_agent_comes_to_an_end, leaving_closes_the_upstream]
GATEWAY_ONLY = [
    a_denied_call_leaves_no_debt, what_is_retrieved_is_what_was_answered, another_tenants_response_does_not_exist,
    a_notice_is_an_item_that_may_be_named,
    what_cannot_be_checked_is_refused, offered_tools_that_are_denied_never_arrive, hosted_tools_are_offered_by_rule,
    a_forced_tool_that_is_denied_is_refused_once, a_result_for_a_denied_call_is_refused,
    model_that_is_not_the_tenants_does_not_exist, credentials_are_one_answer, credentials_stay_on_their_side,
    failures_upstream_are_told_in_our_words, requests_in_parallel_do_not_mix,
]

run("openai_responses.py", [*answers.cases(Responses), *named(ANYWHERE + (GATEWAY_ONLY if GATEWAY else []))])
