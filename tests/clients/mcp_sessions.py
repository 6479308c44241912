"""MCP with the official Python SDK of the revisions with sessions (`mcp` 1.30): list, call, be denied, and call again on
one session, against servers of both eras. This SDK gives its whole connection up where HTTP says 4xx.
"""

import asyncio
import json

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError
from mcp.types import PromptReference, ResourceTemplateReference

from harness import GATEWAY, key, named, run, same, seen

TOOLS = ["create_ticket", "get_weather"]


def text(result):
    return result.content[0].text, bool(result.isError)


async def refused(session, name):
    try:
        await session.call_tool(name, {"id": "7"})
    except McpError as error:
        return error.error.code, error.error.message
    raise AssertionError(f"{name} was called")


async def talk(path, prefix, tenant="acme"):
    headers = {"Authorization": f"Bearer {key(tenant)}"}
    async with streamablehttp_client(f"{GATEWAY}{path}", headers=headers) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            listed = [tool.name for tool in (await session.list_tools()).tools if tool.name.startswith(prefix)]
            same(listed, [prefix + tool for tool in TOOLS], "what is listed")
            for _ in range(2):
                result = await session.call_tool(prefix + "get_weather", {"city": "Bern"})
                same(text(result), ("Sunny and 21 degrees in Bern.", False), "an allowed call")
                result = await session.call_tool(prefix + "create_ticket", {"title": "bad"})
                same(text(result), ("Denied: no rule allows it with these arguments", True), "a denied call")
                for hidden in ("delete_ticket", "nothing"):
                    code = await refused(session, prefix + hidden)
                    same(code, (-32602, f"Unknown tool: {prefix}{hidden}"), "a tool that is not to be seen")
                result = await session.call_tool(prefix + "create_ticket", {"title": "ok"})
                same(text(result), ("Opened ticket T-1001: ok", False), "a call with a value forced into it")
            await session.send_ping()


async def denied(asking):
    try:
        await asking
    except McpError as error:
        return error.error.code, error.error.message
    raise AssertionError("it was answered")


async def beside_tools(path, prefix):
    headers = {"Authorization": f"Bearer {key('acme')}"}
    async with streamablehttp_client(f"{GATEWAY}{path}", headers=headers) as (read, write, _):
        async with ClientSession(read, write) as session:
            opened = await session.initialize()
            assert opened.capabilities.prompts and opened.capabilities.resources and opened.capabilities.completions
            assert "Tickets are opened with create_ticket." in opened.instructions
            listed = [prompt.name for prompt in (await session.list_prompts()).prompts if prompt.name.startswith(prefix)]
            same(listed, [prefix + "greet"], "the prompts")
            prompt = await session.get_prompt(prefix + "greet", {"name": "Ada"})
            same(prompt.messages[0].content.text, "Greet Ada.", "a prompt")
            same(await denied(session.get_prompt(prefix + "greet", {"name": "Bob"})),
                 (-32602, "Denied: no rule allows it with these arguments"), "a prompt that is denied")
            same(await denied(session.get_prompt(prefix + "fire", {"name": "Ada"})),
                 (-32602, f"Unknown prompt: {prefix}fire"), "a prompt that is not to be seen")
            completed = await session.complete(PromptReference(type="ref/prompt", name=prefix + "greet"),
                                               {"name": "name", "value": "A"})
            same(completed.completion.values, ["Ada", "Alan"], "suggestions")
            same(await denied(session.read_resource("note://secret")),
                 (-32002, "Resource not found: note://secret"), "a resource that is not to be seen")
            if not prefix:
                same([str(each.uri) for each in (await session.list_resources()).resources], ["note://welcome"], "the resources")
                templates = (await session.list_resource_templates()).resourceTemplates
                same([each.uriTemplate for each in templates], ["note://tickets/{id}"], "the templates")
                for uri, expected in (("note://welcome", "Welcome to the desk."), ("note://tickets/7", "Ticket 7: the printer is on fire.")):
                    same((await session.read_resource(uri)).contents[0].text, expected, "a resource")
                reference = ResourceTemplateReference(type="ref/resource", uri="note://tickets/{id}")
                completed = await session.complete(reference, {"name": "id", "value": "10"})
                same(completed.completion.values, ["1001", "1002"], "suggestions")


def prompts_and_resources():
    for server in ("crm", "old", "new"):
        asyncio.run(beside_tools(f"/mcp/{server}", ""))
        asyncio.run(beside_tools("/mcp", f"{server}__"))


def each_server_by_itself():
    for server in ("crm", "old", "new"):
        asyncio.run(talk(f"/mcp/{server}", ""))


def all_servers_at_once():
    for server in ("crm", "old", "new"):
        asyncio.run(talk("/mcp", f"{server}__"))


def values_are_forced_into_calls():
    calls = [json.loads(hit["body"]) for hit in seen() if "create_ticket" in hit["body"]]
    sent = [call["params"]["arguments"] for call in calls]
    assert sent, "nothing was sent"
    same({arguments.get("body") for arguments in sent}, {"forced"}, "what was sent")
    assert not any(arguments["title"] == "bad" for arguments in sent), "a denied call was sent"


def progress_arrives():
    async def ask():
        told = []

        async def on_progress(progress, total, message):
            told.append((progress, total))

        headers = {"Authorization": f"Bearer {key('acme')}"}
        async with streamablehttp_client(f"{GATEWAY}/mcp/live", headers=headers) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                result = await session.call_tool("get_weather", {"city": "Bern"}, progress_callback=on_progress)
                same(text(result), ("Sunny and 21 degrees in Bern.", False), "the answer")
        same(told, [(1.0, 2.0)], "the progress")

    asyncio.run(ask())


def a_tenant_without_tools_has_an_empty_list():
    async def ask():
        headers = {"Authorization": f"Bearer {key('globex')}"}
        async with streamablehttp_client(f"{GATEWAY}/mcp", headers=headers) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                same((await session.list_tools()).tools, [], "what globex sees")
                same((await refused(session, "crm__get_weather"))[0], -32602, "a call of globex's")

    asyncio.run(ask())


CHECKS = [each_server_by_itself, all_servers_at_once, prompts_and_resources, values_are_forced_into_calls, progress_arrives,
          a_tenant_without_tools_has_an_empty_list]

if __name__ == "__main__":
    run("mcp_sessions.py", named(CHECKS if GATEWAY else []))
