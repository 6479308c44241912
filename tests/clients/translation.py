"""A model of one provider through the client of another: the OpenAI client asks `claude-opus` for chat completions and is
served by Messages, the Anthropic client asks `gpt-5` for messages and is served by Chat Completions.

What is expected is what the mock says when its own dialect is asked directly with the same words. Against the mock alone
there is no translation; then the two dialects have to say the same, or the comparison would be worth nothing.
"""

import collections
import json
import re

import anthropic
import openai

from harness import GATEWAY, HIDDEN, MOCK, TARGET, bodies, forget, key, named, run, same, seen

CHAT = openai.OpenAI(base_url=f"{TARGET}/v1", api_key=key("acme"), max_retries=0, timeout=20)
CLAUDE = anthropic.Anthropic(base_url=TARGET, api_key=key("acme"), max_retries=0, timeout=20)
DIRECT_CHAT = openai.OpenAI(base_url=f"{MOCK}/v1", api_key="none", max_retries=0)
DIRECT_CLAUDE = anthropic.Anthropic(base_url=MOCK, api_key="none", max_retries=0)
GLOBEX = {"chat": openai.OpenAI(base_url=f"{TARGET}/v1", api_key=key("globex"), max_retries=0),
          "claude": anthropic.Anthropic(base_url=TARGET, api_key=key("globex"), max_retries=0)}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"v": {"type": "string"}}}

# What both dialects can say. `calls` are pairs of a name and parsed arguments; usage is (input with what was cached,
# cached, output).
Said = collections.namedtuple("Said", "text calls end usage")
ENDS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def chat_tools(*names):
    return [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]


def claude_tools(*names):
    return [{"name": name, "input_schema": SCHEMA} for name in names]


# ---------------------------------------------------------------- asking, each in three ways

def chat_said(completion):
    choice, usage = completion.choices[0], completion.usage
    calls = [(call.function.name, json.loads(call.function.arguments or "{}")) for call in choice.message.tool_calls or []]
    details = usage and usage.prompt_tokens_details
    used = usage and (usage.prompt_tokens, (details and details.cached_tokens) or 0, usage.completion_tokens)
    return Said(choice.message.content or "", calls, choice.finish_reason, used)


def chat_whole(sdk, body):
    completion = sdk.chat.completions.create(**body)
    return chat_said(completion), completion.model_dump_json(warnings=False)


def chat_helped(sdk, body):
    with sdk.chat.completions.stream(**body, stream_options={"include_usage": True}) as stream:
        events = [event.model_dump_json(warnings=False) for event in stream]
        return chat_said(stream.get_final_completion()), "".join(events)


def chat_by_hand(sdk, body):
    text, calls, end, used, events = "", [], None, None, ""
    for chunk in sdk.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
        events += chunk.model_dump_json(warnings=False)
        if chunk.usage:
            details = chunk.usage.prompt_tokens_details
            used = (chunk.usage.prompt_tokens, (details and details.cached_tokens) or 0, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            assert end is None, "something after the finish"
            end, text = choice.finish_reason, text + (choice.delta.content or "")
            for call in choice.delta.tool_calls or []:
                assert call.index <= len(calls), f"index {call.index} after {len(calls)} calls"
                if call.index == len(calls):
                    calls.append([call.function.name, ""])
                calls[call.index][1] += call.function.arguments or ""
    return Said(text, [(name, json.loads(arguments or "{}")) for name, arguments in calls], end, used), events


def claude_said(message):
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    used = (usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), cached, usage.output_tokens)
    return Said(text, calls, ENDS[message.stop_reason], used)


def claude_whole(sdk, body):
    message = sdk.messages.create(**body)
    return claude_said(message), message.model_dump_json(warnings=False)


def claude_helped(sdk, body):
    with sdk.messages.stream(**body) as stream:
        events = [event.model_dump_json(warnings=False) for event in stream]
        return claude_said(stream.get_final_message()), "".join(events)


def claude_by_hand(sdk, body):
    blocks, message, events, kinds = [], None, "", []
    for event in sdk.messages.create(**body, stream=True):
        events += event.model_dump_json(warnings=False)
        kinds.append(event.type)
        if event.type == "message_start":
            message = event.message
        elif event.type == "content_block_start":
            same(event.index, len(blocks), "the index of a new block")
            blocks.append([event.content_block, ""])
        elif event.type == "content_block_delta":
            more = {"text_delta": "text", "input_json_delta": "partial_json"}.get(event.delta.type)
            blocks[event.index][1] += getattr(event.delta, more) if more else ""
        elif event.type == "message_delta":
            message.stop_reason = event.delta.stop_reason
            message.usage.output_tokens = event.usage.output_tokens
            for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
                if getattr(event.usage, name, None) is not None:
                    setattr(message.usage, name, getattr(event.usage, name))
    same((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]), "the first event and the last two")
    for block, said in blocks:
        if block.type == "text":
            block.text += said
        elif said:
            block.input = json.loads(said)
    message.content = [block for block, _ in blocks]
    return claude_said(message), events


class FromChat:
    """The OpenAI client, served by Messages."""
    name, client, globex = "OpenAI's client", CHAT, GLOBEX["chat"]
    ways = {"whole": chat_whole, ".stream()": chat_helped, "stream=True": chat_by_hand}
    error, bad, denied = openai.APIError, openai.BadRequestError, openai.PermissionDeniedError

    @staticmethod
    def body(lines, *names, model="claude-opus"):
        tools = chat_tools(*names)
        return {"model": model if GATEWAY else "gpt-5", "messages": [{"role": "user", "content": "\n".join(lines)}],
                **({"tools": tools} if tools else {})}

    @staticmethod
    def truth(lines):
        return claude_whole(DIRECT_CLAUDE, FromClaude.body(lines))


class FromClaude:
    """The Anthropic client, served by Chat Completions."""
    name, client, globex = "Anthropic's client", CLAUDE, GLOBEX["claude"]
    ways = {"whole": claude_whole, ".stream()": claude_helped, "stream=True": claude_by_hand}
    error, bad, denied = anthropic.APIError, anthropic.BadRequestError, anthropic.PermissionDeniedError

    @staticmethod
    def body(lines, *names, model="gpt-5"):
        tools = claude_tools(*names)
        return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "\n".join(lines)}],
                **({"tools": tools} if tools else {})}

    @staticmethod
    def truth(lines):
        return chat_whole(DIRECT_CHAT, FromChat.body(lines))


BOTH = (FromChat, FromClaude)
THREE = [[("ok_" if allowed >> at & 1 else "no_") + letter for at, letter in enumerate("abc")] for allowed in range(8)]


def lines_of(names):
    return [f'!call {name} {{"v": "{name if name.startswith("ok") else HIDDEN}"}}' for name in names]


def table():
    """Words for the mock; what the rules deny is told by the names of the tools."""
    texts = {"text": ["!say The quick brown fox."], "plain words": ["hello"], "text beyond ASCII": ["!say Grüße, 你好 👋🏽"],
             "cut by length": ["!say Half a sent", "!finish length"], "usage": ["!say Hi.", "!usage 1000 200 300"],
             "a call after text": ["!say Let me see.", '!call ok_a {"v": "Zürich", "n": [1.5, null, {"z": 1234567890123}]}'],
             "a call without arguments": ["!call ok_a {}"], "reasoning": ["!reasoning Hm.", "!say Yes."]}
    for name, lines in texts.items():
        yield name, lines
    for names in THREE:
        yield " ".join(names), ["!say Well.", *lines_of(names)]


def compared(dialect, lines, form):
    body = dialect.body([*lines, *form], *re.findall(r"!call (\S+)", "\n".join(lines)))
    truth, _ = dialect.truth([*lines, *form])
    gone = [name for name, _ in truth.calls if name.startswith("no_")] if GATEWAY else []
    calls = [(name, arguments) for name, arguments in truth.calls if name not in gone]
    end = truth.end if not gone or calls else "stop"
    for way, ask in dialect.ways.items():
        if "!finish length" in lines and dialect is FromChat and way == ".stream()":
            continue  # the helper raises, as it does without a gateway
        try:
            got, dump = ask(dialect.client, body)
        except dialect.error as error:
            # Anthropic's blocks never interleave: such a stream may be refused, but nothing of it may be told.
            assert GATEWAY and dialect is FromChat and "!interleave" in form and len(truth.calls) > 1, f"{way}: {error}"
            assert HIDDEN not in str(error), f"{way}: arguments of a denied call came through"
            continue
        same((got.calls, got.end), (calls, end), f"{way}: calls and end")
        assert not GATEWAY or got.usage == truth.usage, f"{way}: usage {got.usage}, expected {truth.usage}"
        assert got.text == truth.text if not gone else got.text.startswith(truth.text), f"{way}: text {got.text!r}"
        for name in gone:
            assert f"[The tool call `{name}` was denied: " in got.text, f"{way}: no notice of {name} in {got.text!r}"
        assert not GATEWAY or HIDDEN not in dump, f"{way}: arguments of a denied call came through"


def comparisons():
    for dialect in BOTH:
        for name, lines in table():
            for form in ([], ["!split 1", "!arg-chunk 3"], ["!interleave", "!split 7"]):
                yield (f"{dialect.name}: {name} {' '.join(form)}",
                       lambda dialect=dialect, lines=lines, form=form: compared(dialect, lines, form))


# ---------------------------------------------------------------- what needs code

def sent():
    """The one request that the upstream got: its path and its body."""
    [hit] = seen()
    return hit["path"].split("?")[0], json.loads(hit["body"])


def a_chat_becomes_messages():
    forget()
    content = [{"type": "text", "text": "!say Nice."},
               {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
    CHAT.chat.completions.create(
        model="claude-opus", max_tokens=77, temperature=0.5, top_p=0.9, stop=["END"], tools=chat_tools("ok_a", "no_b"),
        tool_choice="required", parallel_tool_calls=False,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}])
    path, body = sent()
    same(path, "/v1/messages", "where it went")
    same((body["max_tokens"], body["temperature"], body["top_p"], body["stop_sequences"]), (77, 0.5, 0.9, ["END"]), "parameters")
    assert "Be brief." in json.dumps(body["system"]), f"the system prompt: {body.get('system')}"
    same([(tool["name"], tool["input_schema"]) for tool in body["tools"]], [("ok_a", SCHEMA)], "tools")
    same((body["tool_choice"]["type"], body["tool_choice"].get("disable_parallel_tool_use")), ("any", True), "tool_choice")
    [message] = body["messages"]
    same([block["type"] for block in message["content"]], ["text", "image"], "blocks")
    same(message["content"][1]["source"], {"type": "base64", "media_type": "image/png", "data": PIXEL}, "the image")
    assert all(hit["headers"] for hit in seen()) and "x-api-key" in dict(seen()[0]["headers"]), "no x-api-key"
    assert "anthropic-version" in dict(seen()[0]["headers"]), "no anthropic-version"


def messages_become_a_chat():
    forget()
    content = [{"type": "text", "text": "!say Nice."},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]
    CLAUDE.messages.create(
        model="gpt-5", max_tokens=77, stop_sequences=["END"], system=[{"type": "text", "text": "Be brief."}],
        extra_body={"temperature": 0.5, "top_p": 0.9}, tools=claude_tools("ok_a", "no_b"),
        tool_choice={"type": "any", "disable_parallel_tool_use": True}, messages=[{"role": "user", "content": content}])
    path, body = sent()
    same(path, "/v1/chat/completions", "where it went")
    same((body.get("max_tokens", body.get("max_completion_tokens")), body["temperature"], body["top_p"]), (77, 0.5, 0.9), "parameters")
    assert body["stop"] in ("END", ["END"]), body["stop"]
    same([(tool["function"]["name"], tool["function"]["parameters"]) for tool in body["tools"]], [("ok_a", SCHEMA)], "tools")
    same((body["tool_choice"], body["parallel_tool_calls"]), ("required", False), "tool_choice")
    system, message = body["messages"]
    assert system["role"] in ("system", "developer") and "Be brief." in json.dumps(system["content"]), f"the system prompt: {system}"
    same([part["type"] for part in message["content"]], ["text", "image_url"], "parts")
    same(message["content"][1]["image_url"]["url"], f"data:image/png;base64,{PIXEL}", "the image")


def tool_choices_are_carried():
    for chat, claude in (("auto", {"type": "auto"}), ("required", {"type": "any"}), ("none", {"type": "none"}),
                         ({"type": "function", "function": {"name": "ok_a"}}, {"type": "tool", "name": "ok_a"})):
        forget()
        CHAT.chat.completions.create(**FromChat.body(["hello"], "ok_a"), tool_choice=chat)
        choice = sent()[1].get("tool_choice", {"type": "auto"})  # what it is without one
        same({name: choice[name] for name in ("type", "name") if name in choice}, claude, f"{chat} as Anthropic's")
        forget()
        CLAUDE.messages.create(**FromClaude.body(["hello"], "ok_a"), tool_choice=claude)
        same(sent()[1].get("tool_choice", "auto"), chat, f"{claude} as OpenAI's")
    for dialect, choice in ((FromChat, {"type": "function", "function": {"name": "no_b"}}), (FromClaude, {"type": "tool", "name": "no_b"})):
        forget()
        raises(dialect.denied, lambda: dialect.ways["whole"](dialect.client, {**dialect.body(["hello"], "ok_a", "no_b"), "tool_choice": choice}))
        same(seen(), [], "what reached the upstream")


def raises(kind, ask):
    try:
        answer = ask()
    except kind as error:
        return error
    raise AssertionError(f"answered: {str(answer)[:300]}")


def a_chat_agent_comes_to_an_end():
    lines = ["Use them.", '!call ok_a {"v":"1"}', '!call ok_c {"v":"2"}', '!call no_b {}']
    body, ran = FromChat.body(lines, "ok_a", "no_b", "ok_c"), []
    for _ in range(4):
        message = CHAT.chat.completions.create(**body).choices[0].message
        body["messages"].append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            ran.append((call.function.name, call.function.arguments))
            body["messages"].append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    names = [name for name, _ in ran]
    same((names, message.content), (["ok_a", "ok_c"] if GATEWAY else ["ok_a", "ok_c", "no_b"], "The tool answered: sunny"), "what ran")


def a_claude_agent_comes_to_an_end():
    lines = ["Use them.", '!call ok_a {"v":"1"}', '!call ok_c {"v":"2"}', '!call no_b {}']
    body, ran = FromClaude.body(lines, "ok_a", "no_b", "ok_c"), []
    for _ in range(4):
        message = CLAUDE.messages.create(**body)
        body["messages"].append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]})
        calls = [block for block in message.content if block.type == "tool_use"]
        if message.stop_reason != "tool_use":
            break
        ran += [call.name for call in calls]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]} for call in calls]
        body["messages"].append({"role": "user", "content": results})
    same((ran, message.content[-1].text), (["ok_a", "ok_c"] if GATEWAY else ["ok_a", "ok_c", "no_b"], "The tool answered: sunny"), "what ran")


def what_cannot_be_carried_is_refused():
    forget()
    for name, value in (("n", 2), ("logprobs", True), ("logit_bias", {"50256": -100})):
        error = raises(openai.BadRequestError, lambda: CHAT.chat.completions.create(**FromChat.body(["hello"]), extra_body={name: value}))
        assert name in f"{error.message} {error.param}", f"{name} is not named: {error.message}"
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    CHAT.chat.completions.create(model="claude-opus", messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}, picture]}])
    same(bodies()[-1]["messages"][0]["content"][1]["source"], {"type": "url", "url": "https://example.com/a.png"}, "an image by its address")
    forget()
    for name, value in (("top_k", 5), ("container", "c_1")):
        error = raises(anthropic.BadRequestError, lambda: CLAUDE.messages.create(**FromClaude.body(["hello"]), extra_body={name: value}))
        same(error.body["error"]["type"], "invalid_request_error", "the type of the error")
        assert name in error.body["error"]["message"], f"{name} is not named: {error.body}"
    same(seen(), [], "what reached the upstream")


def broken_streams_are_errors():
    for dialect in BOTH:
        for lines in (["!say one two three four", "!cut 4"], ["!say one two three four", "!error 4"], ["!say one two three", "!garbage"],
                      ['!say Well.', f'!call ok_a {{"v": "{HIDDEN}"}}', "!arg-chunk 2", "!cut 8"]):
            for way in (".stream()", "stream=True"):
                error = raises(dialect.error, lambda: dialect.ways[way](dialect.client, dialect.body(lines)))
                assert HIDDEN not in str(error), "arguments in the error"
                dialect.ways["whole"](dialect.client, dialect.body(["hello"]))


def failures_are_told_in_the_clients_words():
    for dialect in BOTH:
        for status, told in ((400, 400), (401, 502), (429, 429), (500, 502), (503, None)):
            error = raises(dialect.error, lambda: dialect.ways["whole"](dialect.client, dialect.body([f"!status {status}"])))
            assert told in (None, error.status_code), f"{dialect.name}: {status} became {error.status_code}"
            shape = {"message", "type", "param", "code"} if dialect is FromChat else {"type", "error", "request_id"}
            assert set(error.body) <= shape and "message" in json.dumps(error.body), f"{dialect.name}: {error.body}"
            assert "sk-" not in error.response.text, f"the upstream's words came through: {error.response.text}"
            dialect.ways["whole"](dialect.client, dialect.body(["hello"]))


def on_deny_error_is_an_error():
    """globex has its own models here: claude-raw is served by Messages, gpt-4o by Chat Completions."""
    for dialect, model in ((FromChat, "claude-raw"), (FromClaude, "gpt-4o")):
        body = dialect.body(["!say Well.", f'!call no_a {{"v": "{HIDDEN}"}}'], model=model)
        error = raises(dialect.denied, lambda: dialect.ways["whole"](dialect.globex, body))
        assert HIDDEN not in json.dumps(error.body), "arguments in the error"
        for way in (".stream()", "stream=True"):
            error = raises(dialect.error, lambda: dialect.ways[way](dialect.globex, body))
            assert HIDDEN not in str(error), "arguments in the error"


ANYWHERE = [a_chat_agent_comes_to_an_end, a_claude_agent_comes_to_an_end]
GATEWAY_ONLY = [
    a_chat_becomes_messages, messages_become_a_chat, tool_choices_are_carried, what_cannot_be_carried_is_refused,
    broken_streams_are_errors, failures_are_told_in_the_clients_words, on_deny_error_is_an_error,
]

run("translation.py", [*comparisons(), *named(ANYWHERE + (GATEWAY_ONLY if GATEWAY else []))])
