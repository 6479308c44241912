"""An agent with MCP tools: OpenAI's Agents SDK, whose model wants a call that a rule denies by its argument, one of a tool
that does not exist for it, and one that is allowed. The agent hears of each, goes on, and comes to an end.

The model is the mock, asked directly: what is denied here is denied where the tool is called.
"""

import asyncio
import os

os.environ.update(OPENAI_AGENTS_DISABLE_TRACING="1")

import agents
import openai
from agents.mcp import MCPServerStreamableHttp

from harness import GATEWAY, MOCK, key, run, same


async def outputs(path, prompt):
    """What the tools of a run answered, and its last word."""
    params = {"url": f"{GATEWAY}{path}", "headers": {"Authorization": f"Bearer {key('federation')}"}}
    client = openai.AsyncOpenAI(base_url=f"{MOCK}/v1", api_key="none", max_retries=0, timeout=20)
    async with MCPServerStreamableHttp(params, name="gateway") as server, client:
        model = agents.OpenAIChatCompletionsModel(model="gpt-5", openai_client=client)
        agent = agents.Agent(name="a", instructions="Help.", model=model, mcp_servers=[server])
        result = await agents.Runner.run(agent, prompt, max_turns=5)
    return [str(item.output) for item in result.new_items if item.type == "tool_call_output_item"], result.final_output


def denied_by_argument():
    prompt = '!call sums__divide {"a": 1, "b": 0}\n!call sums__divide {"a": 1, "b": 4}'
    told, last = asyncio.run(outputs("/mcp", prompt))
    same(len(told), 2, "the answers")
    assert "Denied: Nobody divides by zero." in told[0], told
    assert "0.25" in told[1], told
    assert last, "no last word"


def only_a_denied_call():
    told, last = asyncio.run(outputs("/mcp/sums", '!call divide {"a": 1, "b": 0}'))
    assert len(told) == 1 and "Denied: Nobody divides by zero." in told[0], told
    assert last, "no last word"


def tools_of_several_servers():
    prompt = '!call notes__add_note {"text": "x", "author": "ada"}\n!call every__echo {"message": "hello"}'
    told, last = asyncio.run(outputs("/mcp", prompt))
    assert "ada: x" in told[0] and "Echo: hello" in told[1], told
    assert last, "no last word"


if __name__ == "__main__":
    checks = [denied_by_argument, only_a_denied_call, tools_of_several_servers] if GATEWAY else []
    run("mcp_agents.py", [(check.__name__.replace("_", " "), check) for check in checks])
