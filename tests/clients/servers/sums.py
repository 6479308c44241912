"""An MCP server written with the official Python SDK of 2026-07-28 (`mcp` 2.3), which has sessions too: sums.py PORT."""

import asyncio
import logging
import sys
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

logging.disable(logging.INFO)
server = MCPServer("sums", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@server.tool()
def divide(a: float, b: float) -> float:
    """The quotient."""
    return a / b


@server.tool()
def convert(amount: int, currency: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Currency"})]) -> str:
    """Wants its currency repeated in a header."""
    return f"{amount} {currency}"


@server.tool()
async def series(length: int, context: Context) -> list[int]:
    """Takes its time."""
    for done in range(1, length + 1):
        await asyncio.sleep(0.02)
        await context.report_progress(done, length)
    return list(range(length))


server.run("streamable-http", port=int(sys.argv[1]))
