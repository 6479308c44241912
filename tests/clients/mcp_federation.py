"""Real MCP servers behind one endpoint: the official example server for JavaScript and two written with the official Python
SDKs, of both eras, at the same time. What they list and answer directly is what they list and answer through the gateway,
less what the rules deny.
"""

import asyncio
import os

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from harness import GATEWAY, key, named, run, same

SERVERS = {name: os.environ.get(f"{name.upper()}_URL") for name in ("every", "notes", "sums")}
HIDDEN = {"every__get-env"}
# The example server offers these to clients that it can ask, which a gateway may be where its client is not.
FOR_SOME = ("trigger-sampling", "trigger-elicitation", "trigger-url", "get-roots")
CALLS = [
    ("every__echo", {"message": "grüezi\n\"x\""}),
    ("every__get-sum", {"a": 1.5, "b": -2}),
    ("every__get-tiny-image", {}),
    ("every__get-structured-content", {"location": "Chicago"}),
    ("every__get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("every__get-resource-links", {"count": 3}),
    ("every__echo", {}),
    ("notes__count_words", {"text": "a b a"}),
    ("notes__tear", {"page": 7}),
    ("notes__count_words", {"text": 7}),
    ("sums__add", {"a": 2**53 + 1, "b": 1}),
    ("sums__divide", {"a": 1, "b": 3}),
    ("sums__convert", {"amount": 7, "currency": "CHF"}),
    ("sums__convert", {"amount": 7, "currency": " Fränkli "}),
]


def text(result):
    return result.content[0].text, bool(result.is_error)


def connection(url, mode, tenant="federation"):
    headers = {"Authorization": f"Bearer {key(tenant)}"} if tenant else {}
    http = httpx2.AsyncClient(headers=headers)
    return Client(streamable_http_client(url, http_client=http), mode=mode)


async def listed(client):
    names = [tool.name for tool in (await client.list_tools()).tools]
    return [name for name in names if not name.removeprefix("every__").startswith(FOR_SOME)]


async def outcome(client, name, arguments):
    """A result without what each answer has anew, or the error."""
    try:
        result = await client.call_tool(name, arguments)
    except Exception as error:
        return type(error).__name__, str(error)
    content = [part.model_dump(exclude={"meta"}, exclude_none=True) for part in result.content]
    return content, result.structured_content, bool(result.is_error)


def lists_are_those_of_the_servers(mode):
    async def check():
        expected = []
        for server, url in SERVERS.items():
            async with connection(url, "auto", None) as direct:
                names = [f"{server}__{name}" for name in await listed(direct)]
            names = sorted(set(names) - HIDDEN)
            expected += names
            assert len(names) >= 4, names
            async with connection(f"{GATEWAY}/mcp/{server}", mode) as client:
                same([f"{server}__{name}" for name in await listed(client)], names, f"the list of {server}")
        async with connection(f"{GATEWAY}/mcp", mode) as client:
            same(await listed(client), sorted(expected), "the list of all")

    asyncio.run(check())


def answers_are_those_of_the_servers(mode):
    async def check():
        async with connection(f"{GATEWAY}/mcp", mode) as client:
            for name, arguments in CALLS:
                server, own = name.split("__", 1)
                async with connection(SERVERS[server], "auto", None) as direct:
                    expected = await outcome(direct, own, arguments)
                same(await outcome(client, name, arguments), expected, f"{name} {arguments}")

    asyncio.run(check())


def denials_leave_the_connection_as_it_is(mode):
    async def check():
        async with connection(f"{GATEWAY}/mcp", mode) as client:
            for _ in range(2):
                denied = await client.call_tool("sums__divide", {"a": 1, "b": 0})
                same(text(denied), ("Denied: Nobody divides by zero.", True), "a denied call")
                denied = await client.call_tool("notes__tear", {"page": 101})
                same(text(denied), ("Denied: There are not so many pages.", True), "a denied call")
                for unknown in ("every__get-env", "sums__nothing", "nothing__add"):
                    _, error = await outcome(client, unknown, {})
                    same(error, f"Unknown tool: {unknown}", "a tool that is not to be seen")
                same(text(await client.call_tool("sums__add", {"a": 1, "b": 2})), ("3", False), "an allowed call")

    asyncio.run(check())


def progress_arrives_from_each(mode):
    calls = [("every__trigger-long-running-operation", {"duration": 0.1, "steps": 3}), ("notes__copy", {"pages": 3}),
             ("sums__series", {"length": 3})]

    async def check():
        async with connection(f"{GATEWAY}/mcp", mode) as client:

            async def call(name, arguments):
                told = []

                async def on_progress(progress, total, message):
                    told.append((progress, total))

                result = await client.call_tool(name, arguments, progress_callback=on_progress)
                same((bool(result.is_error), told), (False, [(1, 3), (2, 3), (3, 3)]), f"the progress of {name}")

            # All at once: each hears of its own.
            await asyncio.gather(*(call(name, arguments) for name, arguments in calls))

    asyncio.run(check())


def another_tenant_sees_none_of_it(mode):
    async def check():
        async with connection(f"{GATEWAY}/mcp", mode, "globex") as client:
            same(await listed(client), [], "what globex sees")
            same((await outcome(client, "sums__add", {"a": 1, "b": 2}))[1], "Unknown tool: sums__add", "a call of globex's")

    asyncio.run(check())


def in_mode(check, mode):
    def checked():
        check(mode)

    checked.__name__ = f"{check.__name__}, mode {mode}"
    return checked


CHECKS = [lists_are_those_of_the_servers, answers_are_those_of_the_servers, denials_leave_the_connection_as_it_is,
          progress_arrives_from_each, another_tenant_sees_none_of_it]

if __name__ == "__main__":
    modes = ("legacy", "2026-07-28") if GATEWAY else ()
    run("mcp_federation.py", named([in_mode(check, mode) for mode in modes for check in CHECKS]))
