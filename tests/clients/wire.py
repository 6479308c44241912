"""`redact.wire: mask` with the official SDKs: what the provider receives holds no value, what the client reads holds all.

The mock says what it is told to, so that every value in an answer came back through a placeholder. Against the mock alone
nothing is masked; then only the answers are compared, which has to be the same.
"""

import json

import anthropic
import openai

from harness import GATEWAY, TARGET, forget, key, named, run, same, seen

OPENAI = openai.OpenAI(base_url=f"{TARGET}/v1", api_key=key("masked"), max_retries=0, timeout=20)
CLAUDE = anthropic.Anthropic(base_url=TARGET, api_key=key("masked"), max_retries=0, timeout=20)
MAIL, CARD = "jane.roe@example.com", "4111 1111 1111 1111"
WORDS = f"write to {MAIL}, not to [EMAIL_ADDRESS:abcdefghijklmnop] or [2]"
ARGUMENTS = {"to": MAIL, "lines": [f"card {CARD}", "a \"quote\"\n"], MAIL: True}
# A model of each dialect's own upstream, and of the other's.
CHAT_MODELS, CLAUDE_MODELS = ("gpt-5", "claude-opus"), ("claude-opus", "gpt-5")
SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}}


def script(chunks=40):
    return "\n".join([f"!say {WORDS}", f"!call send_mail {json.dumps(ARGUMENTS)}", f"!chunks {chunks}", "!arg-chunk 2"])


def masked(check):
    """Nothing of a value went upstream."""
    forget()
    check()
    if GATEWAY:
        bodies = [hit["body"] for hit in seen()]
        assert bodies and all("[EMAIL_ADDRESS:" in body for body in bodies), bodies
        assert not any(value in body for body in bodies for value in ("jane.roe", "4111 1111")), bodies


def chat(model, stream):
    body = {"model": model, "messages": [{"role": "user", "content": script()}],
            "tools": [{"type": "function", "function": {"name": "send_mail", "parameters": SCHEMA}}]}
    if stream:
        with OPENAI.chat.completions.stream(**body) as events:
            for _ in events:
                pass
            completion = events.get_final_completion()
    else:
        completion = OPENAI.chat.completions.create(**body)
    message = completion.choices[0].message
    return message.content, [json.loads(call.function.arguments) for call in message.tool_calls]


def responses(model, stream):
    body = {"model": model, "input": script(),
            "tools": [{"type": "function", "name": "send_mail", "parameters": SCHEMA, "strict": False}]}
    if stream:
        with OPENAI.responses.stream(**body) as events:
            for _ in events:
                pass
            response = events.get_final_response()
    else:
        response = OPENAI.responses.create(**body)
    return response.output_text, [json.loads(item.arguments) for item in response.output if item.type == "function_call"]


def messages(model, stream):
    body = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": script()}],
            "tools": [{"name": "send_mail", "input_schema": SCHEMA}]}
    if stream:
        with CLAUDE.messages.stream(**body) as events:
            for _ in events:
                pass
            message = events.get_final_message()
    else:
        message = CLAUDE.messages.create(**body)
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, [block.input for block in message.content if block.type == "tool_use"]


def said_by(ask, models):
    def check():
        for model in models:
            for stream in (False, True):
                masked(lambda: same(ask(model, stream), (WORDS, [ARGUMENTS]), f"{model}, stream {stream}"))
    return check


def a_conversation_with_thinking_goes_on_as_it_was_signed():
    lines = f"!reasoning they are {MAIL}\n{script()}"
    body = {"model": "claude-opus", "max_tokens": 1000,
            "tools": [{"name": "send_mail", "input_schema": SCHEMA}]}
    with CLAUDE.messages.stream(**body, messages=[{"role": "user", "content": lines}]) as events:
        first = events.get_final_message()
    thinking = next(block for block in first.content if block.type == "thinking")
    same(thinking.thinking, f"they are {MAIL}", "the client reads the value")
    call = next(block for block in first.content if block.type == "tool_use")
    forget()
    history = [{"role": "user", "content": lines}, {"role": "assistant", "content": [block.model_dump() for block in first.content]},
               {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": f"sent to {MAIL}"}]}]
    CLAUDE.messages.create(**body, messages=history)
    if GATEWAY:
        sent = json.loads(seen()[-1]["body"])["messages"]
        mail = sent[2]["content"][0]["content"].removeprefix("sent to ")
        assert mail.startswith("[EMAIL_ADDRESS:"), mail
        block = next(block for block in sent[1]["content"] if block["type"] == "thinking")
        same((block["thinking"], block["signature"]), (f"they are {mail}", thinking.signature), "as the model wrote it")
        assert "jane.roe" not in json.dumps(sent)


def the_small_ones_are_masked_too():
    masked(lambda: OPENAI.embeddings.create(model="text-embedding-3-small", input=[MAIL]))
    masked(lambda: OPENAI.moderations.create(model="omni-moderation-latest", input=f"I am {MAIL}"))
    masked(lambda: CLAUDE.messages.count_tokens(model="claude-opus", messages=[{"role": "user", "content": MAIL}]))


run("wire.py", [("chat completions", said_by(chat, CHAT_MODELS)), ("responses", said_by(responses, CHAT_MODELS)),
                ("messages", said_by(messages, CLAUDE_MODELS)),
                *named([a_conversation_with_thinking_goes_on_as_it_was_signed, the_small_ones_are_masked_too])])
