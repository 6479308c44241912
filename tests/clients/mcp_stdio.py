"""Real MCP servers over stdio, which the gateway runs (mcp-server-time, mcp-server-git, server-everything), with the
official Python SDK as the client.
"""

import asyncio
import os
import subprocess
import tempfile

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from harness import GATEWAY, key, named, run, same

MODES = ("auto", "legacy", "2026-07-28")


def text(result):
    return result.content[0].text, bool(result.is_error)


def connected(server, mode, use):
    async def connect():
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key('stdio')}"}, timeout=60)
        path = f"{GATEWAY}/mcp/{server}" if server else f"{GATEWAY}/mcp"
        async with http, Client(streamable_http_client(path, http_client=http), mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            await use(client, names)

    asyncio.run(connect())


def time_tells_the_time_and_what_is_denied_is_denied():
    async def use(client, names):
        same(names, ["convert_time", "get_current_time"], "what is listed")
        told, is_error = text(await client.call_tool("get_current_time", {"timezone": "Europe/Zurich"}))
        assert "Europe/Zurich" in told and not is_error, told
        conversion = {"source_timezone": "Etc/UTC", "time": "12:00"}
        told, is_error = text(await client.call_tool("convert_time", {**conversion, "target_timezone": "Asia/Kolkata"}))
        assert "17:30" in told and not is_error, told
        denied = await client.call_tool("convert_time", {**conversion, "target_timezone": "Asia/Tokyo"})
        same(text(denied), ("Denied: Not that one.", True), "a denied call")

    for mode in MODES:
        connected("time", mode, use)


def git_reads_a_repository_and_cannot_write_to_it():
    with tempfile.TemporaryDirectory() as repository:
        def git(*arguments):
            who = ["-c", "user.name=Ada", "-c", "user.email=ada@acme.example"]
            subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True)

        git("init", "--quiet")
        git("commit", "--allow-empty", "--message", "The first of all")

        async def use(client, names):
            same(names, ["git_log", "git_status"], "what is listed")
            told, is_error = text(await client.call_tool("git_log", {"repo_path": repository}))
            assert "The first of all" in told and not is_error, told
            try:
                await client.call_tool("git_commit", {"repo_path": repository, "message": "no"})
            except Exception as error:
                same(str(error), "Unknown tool: git_commit", "a tool that is not to be seen")
            else:
                raise AssertionError("git_commit was called")

        for mode in MODES:
            connected("git", mode, use)


def everything_answers_with_progress_and_knows_nothing_of_the_gateways():
    async def use(client, names):
        assert "echo" in names and len(names) > 5, names
        same(text(await client.call_tool("echo", {"message": "héllo"})), ("Echo: héllo", False), "an echo")
        told, _ = text(await client.call_tool("get-env", {}))
        assert '"GIVEN"' in told and "[API_KEY]" in told, "what it was given, concealed"
        assert os.environ["UPSTREAM_KEY"] not in told, "what it repeats of it"
        for hidden in ("UPSTREAM_KEY\"", "KEY_ACME", os.environ["KEY_STDIO"], "GATEWAY_URL"):
            assert hidden not in told, hidden
        heard = []

        async def progress(done, total, message):
            heard.append(done)

        long = await client.call_tool("trigger-long-running-operation", {"duration": 1, "steps": 3}, progress_callback=progress)
        assert not long.is_error and heard == [1, 2, 3], (heard, long)

    for mode in MODES:
        connected("everything", mode, use)


def all_of_them_at_once():
    async def use(client, names):
        for server, tool in (("time", "get_current_time"), ("git", "git_log"), ("everything", "echo")):
            assert f"{server}__{tool}" in names, names
        asked = [client.call_tool("everything__echo", {"message": str(at)}) for at in range(20)]
        told = [text(result) for result in await asyncio.gather(*asked)]
        same(told, [(f"Echo: {at}", False) for at in range(20)], "answers to calls at the same time")

    connected("", "auto", use)


CHECKS = [
    time_tells_the_time_and_what_is_denied_is_denied,
    git_reads_a_repository_and_cannot_write_to_it,
    everything_answers_with_progress_and_knows_nothing_of_the_gateways,
    all_of_them_at_once,
]

if __name__ == "__main__":
    run("mcp_stdio.py", named(CHECKS if GATEWAY else []))
