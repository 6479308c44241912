"""MCP with the official Python SDK of 2026-07-28 (`mcp` 2.3), which speaks the older revisions too: list, call, be denied,
and call again, against servers of both eras.
"""

import asyncio

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from harness import GATEWAY, key, named, run, same

TOOLS = ["create_ticket", "get_weather"]


def text(result):
    return result.content[0].text, bool(result.is_error)


async def refused(client, name):
    try:
        await client.call_tool(name, {"id": "7"})
    except Exception as error:
        return str(error)
    raise AssertionError(f"{name} was called")


async def talk(path, prefix, mode):
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key('acme')}"})
    async with http, Client(streamable_http_client(f"{GATEWAY}{path}", http_client=http), mode=mode) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools if tool.name.startswith(prefix)]
        same(listed, [prefix + tool for tool in TOOLS], "what is listed")
        for _ in range(2):
            result = await client.call_tool(prefix + "get_weather", {"city": "Bern"})
            same(text(result), ("Sunny and 21 degrees in Bern.", False), "an allowed call")
            result = await client.call_tool(prefix + "create_ticket", {"title": "bad"})
            same(text(result), ("Denied: no rule allows it with these arguments", True), "a denied call")
            for hidden in ("delete_ticket", "nothing"):
                same(await refused(client, prefix + hidden), f"Unknown tool: {prefix}{hidden}", "a tool that is not to be seen")


async def beside_tools(path, prefix, mode):
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key('acme')}"})
    async with http, Client(streamable_http_client(f"{GATEWAY}{path}", http_client=http), mode=mode) as client:
        listed = [prompt.name for prompt in (await client.list_prompts()).prompts if prompt.name.startswith(prefix)]
        same(listed, [prefix + "greet"], "the prompts")
        prompt = await client.get_prompt(prefix + "greet", {"name": "Ada"})
        same(prompt.messages[0].content.text, "Greet Ada.", "a prompt")
        if not prefix:
            same([str(each.uri) for each in (await client.list_resources()).resources], ["note://welcome"], "the resources")
            same((await client.read_resource("note://tickets/7")).contents[0].text, "Ticket 7: the printer is on fire.", "a resource")


def in_mode(mode):
    def check():
        for server in ("crm", "old", "new"):
            asyncio.run(talk(f"/mcp/{server}", "", mode))
            asyncio.run(talk("/mcp", f"{server}__", mode))
            asyncio.run(beside_tools(f"/mcp/{server}", "", mode))
            asyncio.run(beside_tools("/mcp", f"{server}__", mode))
    check.__name__ = f"mode_{mode}"
    return check


if __name__ == "__main__":
    run("mcp_modern.py", named([in_mode(mode) for mode in ("auto", "legacy", "2026-07-28")] if GATEWAY else []))
