"""Runs a page's Python, in which `await` may stand at the top, as in a notebook."""

import ast
import asyncio
import inspect
import sys

with open(sys.argv[1]) as file:
    code = compile(file.read(), "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
found = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(found):

    async def whole():
        await found

    asyncio.run(whole())
