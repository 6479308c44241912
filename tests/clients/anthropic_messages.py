"""Messages with the official Anthropic SDK for Python. The table is answers.json; what needs code is here."""

import json
import threading

import anthropic
import httpx2

import answers
from harness import GATEWAY, HIDDEN, MOCK, TARGET, bodies, forget, key, named, run, same, seen, until

TENANTS = ("acme", "globex", "bare", "expired", "unknown")


def client(tenant, retries=0, hook=None):
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [hook]}) if hook else None
    return anthropic.Anthropic(base_url=TARGET, api_key=key(tenant), max_retries=retries, timeout=20, http_client=http)


def tool(name):
    return {"name": name, "description": name, "input_schema": {"type": "object", "properties": {}}}


def plain(model):
    """What a model object holds, without what the SDK adds to it."""
    def strip(value):
        if isinstance(value, dict):
            return {name: strip(entry) for name, entry in value.items() if entry is not None and name != "parsed_output"}
        return [strip(entry) for entry in value] if isinstance(value, list) else value
    return strip(model.model_dump(warnings=False))


class Messages:
    name, error = "messages", anthropic.APIError
    clients = {tenant: client(tenant) for tenant in TENANTS}
    direct = anthropic.Anthropic(base_url=MOCK, api_key="none", max_retries=0)

    @staticmethod
    def body(lines, tenant="acme", offer=(), **more):
        tools = [tool(name) for name in offer]
        return {"model": "claude-raw", "max_tokens": 1000, "messages": [{"role": "user", "content": "\n".join(lines)}],
                **({"tools": tools} if tools else {}), **more}

    @staticmethod
    def read(message, read):
        return answers.answer(message["content"], message["stop_reason"], message["usage"], read)

    @classmethod
    def whole(cls, sdk, body):
        message = plain(sdk.messages.create(**body))
        return cls.read(message, message)

    @classmethod
    def helped(cls, sdk, body):
        with sdk.messages.stream(**body) as stream:
            events = [plain(event) for event in stream]
            message = plain(stream.get_final_message())
        return cls.read(message, [*events, message])

    @classmethod
    def by_hand(cls, sdk, body):
        events = [plain(event) for event in sdk.messages.create(**body, stream=True)]
        return cls.read(put_together(events), events)

    @staticmethod
    def raw(sdk, body, broken=False):
        """The bytes of the stream, as text."""
        text = b""
        try:
            with sdk.messages.with_streaming_response.create(**body, stream=True) as answer:
                for more in answer.iter_bytes():
                    text += more
        except (anthropic.APIError, httpx2.HTTPError):
            assert broken, "the stream broke off"
        return text.decode()

    @staticmethod
    def call(part):
        return part["type"].endswith("tool_use")

    @staticmethod
    def ids(part):
        return [part["id"]]

    @staticmethod
    def arguments(part):
        return part["input"]

    @staticmethod
    def with_arguments(part, arguments):
        return {**part, "input": arguments}

    @staticmethod
    def notice(part):
        return part["text"] if part["type"] == "text" else None

    @staticmethod
    def ends(end, kept):
        """With calls left, what the model said or that there are calls; without, that the turn is over."""
        return {end, "tool_use"} if any(part["type"] == "tool_use" for part in kept) else {"end_turn"}

    @staticmethod
    def refused(status, ask):
        kinds = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
        return refused(status, kinds[status], ask)


def put_together(events):
    """The message of a stream, read as the SDKs do, but for that nothing may stand where it does not belong."""
    kinds = [event["type"] for event in events]
    same((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]), "the first event and the last two")
    message, blocks = {**events[0]["message"]}, []
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            same(event["index"], len(blocks), "the index of a new block")
            blocks.append({"block": {**event["content_block"]}, "input": "", "open": True})
            continue
        known = blocks[event["index"]]
        assert known["open"], f"{event} after the end of its block"
        if event["type"] == "content_block_stop":
            known["open"] = False
            if known["input"]:
                known["block"]["input"] = json.loads(known["input"])
            continue
        same(event["type"], "content_block_delta", "an event about a block")
        for name, more in event["delta"].items():
            if name == "partial_json":
                known["input"] += more
            elif name != "type":
                known["block"][name] = known["block"].get(name, "") + more
    assert not any(known["open"] for known in blocks), "a block without an end"
    delta = events[-2]
    usage = {**message["usage"], **delta["usage"]}
    return {**message, **delta["delta"], "usage": usage, "content": [known["block"] for known in blocks]}


def refused(status, kind, ask):
    """The error that `ask` raises, in Anthropic's shape."""
    try:
        answer = ask()
    except anthropic.APIStatusError as raised:
        body = raised.body
        same((raised.status_code, body.get("type"), body["error"].get("type")), (status, "error", kind), f"status and types of {body}")
        assert body["error"]["message"] and raised.request_id, f"no message or no request-id: {body}"
        return raised
    raise AssertionError(f"answered, not refused: {str(answer)[:300]}")


ACME, GLOBEX = Messages.clients["acme"], Messages.clients["globex"]
body = Messages.body


def create(sdk, *lines, **more):
    return sdk.messages.create(**body(lines, **more))


def result(call, text="sunny"):
    return {"type": "tool_result", "tool_use_id": call.id, "content": text}


# ---------------------------------------------------------------- what needs code

def usage_is_the_mocks():
    usage = create(ACME, "!usage 1000 200 300 50").usage
    same((usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens), (700, 200, 300), "usage")
    counted = ACME.messages.count_tokens(model="claude-raw", messages=[{"role": "user", "content": "four bytes a token"}])
    same(counted.input_tokens, 5, "counted tokens")


def an_agent_comes_to_an_end():
    """The loop of a client that keeps the history itself; directly, both tools run."""
    for stream in (False, True):
        ran, history = [], [{"role": "user", "content": 'Use ok_a and no_b.\n!call ok_a {}\n!call no_b {}\n!reasoning hm'}]
        for _ in range(4):
            ask = {"model": "claude-raw", "max_tokens": 100, "messages": history, "tools": [tool("ok_a"), tool("no_b")]}
            if stream:
                with ACME.messages.stream(**ask) as events:
                    message = events.get_final_message()
            else:
                message = ACME.messages.create(**ask)
            history.append({"role": "assistant", "content": [plain(block) for block in message.content]})
            calls = [block for block in message.content if block.type == "tool_use"]
            if message.stop_reason != "tool_use":
                break
            ran += [call.name for call in calls]
            history.append({"role": "user", "content": [result(call) for call in calls]})
        expected = ["ok_a"] if GATEWAY else ["ok_a", "no_b"]
        same((ran, calls, message.content[0].text), (expected, [], "The tool answered: sunny"), "what ran, and the last word")


def offered_tools_that_are_denied_never_arrive():
    forget()
    create(ACME, "hello", offer=["no_a", "ok_b", "delete_c", "transfer"])
    create(ACME, "hello", offer=["no_a"], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    create(ACME, "hello", tools=[{"type": "bash_20250124", "name": "bash"}, tool("ok_b")])
    some, none, typed = bodies()
    same([tool["name"] for tool in some["tools"]], ["ok_b", "transfer"], "tools")
    assert not {"tools", "tool_choice"} & set(none), f"left over: {none}"
    same([tool["name"] for tool in typed["tools"]], ["ok_b"], "beside a tool that Anthropic defined")
    forget()
    ACME.messages.count_tokens(model="claude-raw", messages=[{"role": "user", "content": "hi"}], tools=[tool("no_a"), tool("ok_b")])
    same([tool["name"] for tool in bodies()[0]["tools"]], ["ok_b"], "tools that are counted")


def hosted_tools_are_offered_by_rule():
    def arrived(sdk, key, *tools, **more):
        forget()
        create(sdk, "hello", **({"tools": list(tools)} if tools else {}), **more)
        return bodies()[0].get(key, [])
    web = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    code = {"type": "code_execution_20250522", "name": "code_execution"}
    ours = {"type": "url", "name": "a", "url": "https://mcp.acme.example/x"}
    theirs = {"type": "url", "name": "b", "url": "https://evil.example/"}
    servers = {"extra_body": {"mcp_servers": [ours, theirs]}, "extra_headers": {"anthropic-beta": "mcp-client-2025-04-04"}}
    bare = Messages.clients["bare"]
    same(arrived(ACME, "tools", web, code, tool("ok_a")), [web, tool("ok_a")], "what acme may offer")
    same(arrived(bare, "tools", web, code, tool("ok_a")), [], "what bare may offer")
    same(arrived(ACME, "mcp_servers", **servers), [ours], "acme's servers")
    same(arrived(bare, "mcp_servers", **servers), [], "bare's servers")
    made = create(ACME, "!hosted web_search", tools=[web])
    same([block.type for block in made.content], ["server_tool_use", "web_search_tool_result"], "what the provider ran")


def a_forced_tool_that_is_denied_is_refused_once():
    attempts = []
    eager = client("acme", retries=2, hook=lambda request: attempts.append(request.url))
    forget()
    for stream in (False, True):
        error = refused(403, "permission_error", lambda: create(
            eager, "hello", offer=["no_a", "ok_b"], tool_choice={"type": "tool", "name": "no_a"}, stream=stream))
        same(error.response.headers.get("x-should-retry"), "false", "x-should-retry")
    same((len(attempts), len(seen())), (2, 0), "attempts, and hits upstream")


def a_result_for_a_denied_call_is_refused():
    made = create(Messages.direct, f'!call no_a {{"v":"{HIDDEN}"}}', '!call ok_a {}')
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [plain(block) for block in made.content]},
               {"role": "user", "content": [result(call) for call in made.content]}]
    error = refused(403, "permission_error", lambda: create(ACME, "hello", messages=history))
    assert HIDDEN not in json.dumps(error.body), "arguments in the error"


def model_that_is_not_the_tenants_does_not_exist():
    forget()
    for ask in (lambda name: create(ACME, "hello", model=name), lambda name: create(ACME, "hello", model=name, stream=True),
                lambda name: ACME.messages.count_tokens(model=name, messages=[{"role": "user", "content": "hi"}])):
        told = []
        for name in ("secret-model", "absent-model"):
            error = refused(404, "not_found_error", lambda: ask(name))
            told.append(error.body["error"]["message"].replace(name, "NAME"))
        same(*told, "the two answers")
    same(seen(), [], "what reached the upstream")


def credentials_are_one_answer():
    forget()
    told = [refused(401, "authentication_error", lambda: create(Messages.clients[tenant], "hello")).body["error"]
            for tenant in ("unknown", "expired")]
    same(*told, "the two answers")
    same(seen(), [], "what reached the upstream")
    bearer = anthropic.Anthropic(base_url=TARGET, auth_token=key("acme"), max_retries=0)
    same(create(bearer, "!say Hi.").content[0].text, "Hi.", "with a bearer token")


def credentials_stay_on_their_side():
    forget()
    raw = ACME.messages.with_raw_response.create(**body(["hello", "!headers"]))
    for name in ("anthropic-organization-id", "set-cookie", "anthropic-ratelimit-tokens-limit"):
        assert name not in raw.headers, f"the provider's {name} came through"
    hit = json.dumps(seen()[-1])
    assert ACME.api_key not in hit, "the tenant's key reached the upstream"
    assert any(header[0] == "anthropic-version" for header in seen()[-1]["headers"]), "anthropic-version did not"


def failures_upstream_are_told_in_our_words():
    for status, told in ((503, None), (529, None), (500, 502), (401, 502), (400, 400), (429, 429)):
        for stream in (False, True):
            try:
                raise AssertionError(f"a {status} upstream was answered: {create(ACME, f'!status {status}', stream=stream)}")
            except anthropic.APIStatusError as error:
                assert told in (None, error.status_code), f"{status} became {error.status_code}"
                same((error.body["type"], set(error.body["error"])), ("error", {"type", "message"}), "the shape of the error")
                assert "sk-" not in error.response.text, f"the upstream's words came through: {error.response.text}"
            create(ACME, "hello")


def leaving_closes_the_upstream():
    for lines in (["!say one two three", "!stall 4"], ['!call ok_a {"a":1}', "!stall 4"]):
        forget()
        stream = ACME.messages.create(**body(lines), stream=True)
        next(iter(stream))
        stream.close()
        until(lambda: [hit["outcome"] for hit in seen()] == ["client_gone"], 2, "the upstream is left")


def requests_in_parallel_do_not_mix():
    wrong = []

    def ask(number):
        lines = [f"!say answer {number}", f'!call ok_a {{"number":{number}}}', f'!call no_b {{"v":"{HIDDEN}"}}', "!delay 1ms"]
        got = Messages.by_hand(ACME, body(lines))
        if got.parts[0]["text"] != f"answer {number}" or got.parts[1]["input"] != {"number": number}:
            wrong.append(got)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [], "answers of other requests")


ANYWHERE = [usage_is_the_mocks, an_agent_comes_to_an_end, leaving_closes_the_upstream]
GATEWAY_ONLY = [
    offered_tools_that_are_denied_never_arrive, hosted_tools_are_offered_by_rule, a_forced_tool_that_is_denied_is_refused_once,
    a_result_for_a_denied_call_is_refused, model_that_is_not_the_tenants_does_not_exist, credentials_are_one_answer,
    credentials_stay_on_their_side, failures_upstream_are_told_in_our_words, requests_in_parallel_do_not_mix,
]

run("anthropic_messages.py", [*answers.cases(Messages), *named(ANYWHERE + (GATEWAY_ONLY if GATEWAY else []))])
