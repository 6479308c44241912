"""An MCP server written with the official Python SDK of the revisions with sessions (`mcp` 1.30): notes.py PORT."""

import asyncio
import logging
import sys

from mcp.server.fastmcp import Context, FastMCP

logging.disable(logging.INFO)
server = FastMCP("notes", port=int(sys.argv[1]), log_level="WARNING")
notes = []


@server.tool()
def add_note(text: str, author: str = "nobody") -> str:
    """Keeps a note."""
    notes.append(f"{author}: {text}")
    return notes[-1]


@server.tool()
def count_words(text: str) -> dict[str, int]:
    """How often each word occurs."""
    words = text.split()
    return {word: words.count(word) for word in words}


@server.tool()
def tear(page: int) -> str:
    """Fails."""
    raise ValueError(f"page {page} does not tear")


@server.tool()
async def copy(pages: int, context: Context) -> str:
    """Takes its time."""
    for page in range(1, pages + 1):
        await asyncio.sleep(0.02)
        await context.report_progress(page, pages)
    return f"copied {pages}"


server.run("streamable-http")
