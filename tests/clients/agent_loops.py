"""Agent frameworks with two tools of which one is denied: OpenAI's Agents SDK and LangChain, over each dialect, whole and
streamed. The denied function runs never, the allowed one exactly once, and the agent comes to an end.

The model is told to call both (`!call`), or asked for both in words; then it calls what is still offered.
"""

import asyncio
import json
import os

os.environ.update(OPENAI_AGENTS_DISABLE_TRACING="1", LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

import agents
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from harness import GATEWAY, HIDDEN, TARGET, key, run, same

PROMPTS = {
    "told": f'!say Well.\n!call ok_a {{"city": "Bern"}}\n!call no_b {{"city": "{HIDDEN}"}}',
    "in words": "Use ok_a and no_b, please.",
    "only the denied one": f'!call no_b {{"city": "{HIDDEN}"}}',
    "with reasoning": f'!reasoning Hm.\n!call no_b {{"city": "{HIDDEN}"}}\n!call ok_a {{"city": "Bern"}}',
}


def check(prompt, ran, last):
    """`ran` lists the functions that ran, `last` is what the agent said in the end."""
    expected = [] if "ok_a" not in PROMPTS[prompt] else ["ok_a"]
    if not GATEWAY:
        expected = sorted({name for name in ("ok_a", "no_b") if name in PROMPTS[prompt]})
    same(sorted(ran), expected, "what ran")
    assert last, "no last word"
    if expected:
        assert "The tool answered: sunny" in last, f"the last word is {last!r}"
    elif GATEWAY:
        assert "`no_b` was denied" in last, f"the last word is {last!r}"


# ---------------------------------------------------------------- OpenAI's Agents SDK

LOOP = asyncio.new_event_loop()  # one for all: the client keeps connections
CLIENT = openai.AsyncOpenAI(base_url=f"{TARGET}/v1", api_key=key("acme"), max_retries=0, timeout=20)
MODELS = {"chat completions": lambda: agents.OpenAIChatCompletionsModel(model="gpt-5", openai_client=CLIENT),
          "responses": lambda: agents.OpenAIResponsesModel(model="gpt-5", openai_client=CLIENT),
          "translated": lambda: agents.OpenAIChatCompletionsModel(model="claude-opus" if GATEWAY else "gpt-5", openai_client=CLIENT)}


async def openai_agent(model, prompt, stream, **more):
    ran = []

    @agents.function_tool
    def ok_a(city: str) -> str:
        """A function that may run."""
        ran.append("ok_a")
        return "sunny"

    @agents.function_tool
    def no_b(city: str) -> str:
        """A function that may not."""
        ran.append("no_b")
        return "sunny"

    agent = agents.Agent(name="tester", instructions="Be brief.", model=MODELS[model](), tools=[ok_a, no_b])
    if stream:
        result = agents.Runner.run_streamed(agent, PROMPTS[prompt], max_turns=5, **more)
        async for _ in result.stream_events():
            pass
    else:
        result = await agents.Runner.run(agent, PROMPTS[prompt], max_turns=5, **more)
    check(prompt, ran, result.final_output)


# ---------------------------------------------------------------- LangChain

@tool
def ok_a(city: str) -> str:
    """A function that may run."""
    return "sunny"


@tool
def no_b(city: str) -> str:
    """A function that may not."""
    return "sunny"


CHAINS = {
    "langchain-openai, chat": lambda: ChatOpenAI(model="gpt-5", base_url=f"{TARGET}/v1", api_key=key("acme"), max_retries=0),
    "langchain-openai, responses": lambda: ChatOpenAI(
        model="gpt-5", base_url=f"{TARGET}/v1", api_key=key("acme"), max_retries=0, use_responses_api=True),
    "langchain-openai, responses, stored": lambda: ChatOpenAI(
        model="gpt-5", base_url=f"{TARGET}/v1", api_key=key("acme"), max_retries=0, use_responses_api=True, use_previous_response_id=True),
    "langchain-anthropic": lambda: ChatAnthropic(
        model="claude-raw", base_url=TARGET, api_key=key("acme"), max_retries=0, max_tokens=1000),
    "langchain-anthropic, translated": lambda: ChatAnthropic(
        model="gpt-5", base_url=TARGET, api_key=key("acme"), max_retries=0, max_tokens=1000),
}


def langchain_agent(chain, prompt, stream):
    model, ran, history = CHAINS[chain]().bind_tools([ok_a, no_b]), [], [HumanMessage(PROMPTS[prompt])]
    for _ in range(5):
        if stream:
            message = None
            for chunk in model.stream(history):
                message = chunk if message is None else message + chunk
        else:
            message = model.invoke(history)
        assert not message.invalid_tool_calls, f"calls that cannot be read: {message.invalid_tool_calls}"
        assert not GATEWAY or HIDDEN not in json.dumps(message.model_dump(mode="json")), "arguments of a denied call came through"
        history.append(message)
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            ran.append(call["name"])
            outcome = {"ok_a": ok_a, "no_b": no_b}[call["name"]].invoke(call["args"])
            history.append(ToolMessage(outcome, tool_call_id=call["id"]))
    check(prompt, ran, message.text)


def checks():
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        for prompt in PROMPTS:
            for model in MODELS:
                if model == "responses":  # the provider keeps the history
                    yield (f"openai-agents, responses, stored: {prompt}, {how}", lambda prompt=prompt, stream=stream: LOOP.run_until_complete(
                        openai_agent("responses", prompt, stream, auto_previous_response_id=True)))
                yield (f"openai-agents, {model}: {prompt}, {how}",
                       lambda model=model, prompt=prompt, stream=stream: LOOP.run_until_complete(openai_agent(model, prompt, stream)))
            for chain in CHAINS:
                yield f"{chain}: {prompt}, {how}", lambda chain=chain, prompt=prompt, stream=stream: langchain_agent(chain, prompt, stream)


run("agent_loops.py", checks())
