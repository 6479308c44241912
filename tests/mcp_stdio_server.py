"""A small MCP server over stdio, for tests: mcp_stdio_server.py ERA [LOG], ERA one of modern, legacy, rude, mute, never.

rude ends when it is asked what it does not know, mute says nothing to it, never answers nothing at all. Each start and
each cancelled request is a line of LOG. Requests run at the same time; a tool's name says what it does.
"""

import json
import os
import sys
import threading
import time

ERA = sys.argv[1]
LOG = sys.argv[2] if len(sys.argv) > 2 else os.devnull
TOOLS = "echo pid environment crash twice half long large noise slow silent complain flood ask progress".split()
LOCK = threading.Lock()


def log(text):
    with open(LOG, "a", encoding="utf-8") as file:
        file.write(text + "\n")


def write(text):
    with LOCK:
        sys.stdout.write(text)
        sys.stdout.flush()


def send(message):
    write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")


def text(said):
    return {"content": [{"type": "text", "text": said}], "resultType": "complete"}


def answer(number, said):
    send({"id": number, "result": text(said)})


def call(number, params):
    name, arguments = params["name"], params["arguments"]
    match name:
        case "echo":
            answer(number, arguments["text"])
        case "pid":
            answer(number, str(os.getpid()))
        case "environment":
            answer(number, json.dumps({"names": sorted(os.environ), "token": os.environ.get("TOKEN"), "cwd": os.getcwd()}))
        case "crash":
            answer(number + 1000, "nobody asked")
            os._exit(3)
        case "twice":
            answer(number, "first")
            answer(number, "second")
        case "half":
            write('{"jsonrpc":"2.0","id":%d,"result":{"con' % number)
        case "long":
            answer(number, "x" * (20 << 20))
        case "large":
            answer(number, "x" * arguments["bytes"])
        case "noise":
            write("Server started!\n\n[1]\n{}\n")
            answer(number, "after noise")
        case "slow":
            time.sleep(float(arguments["seconds"]))
            answer(number, "slow")
        case "silent":
            pass
        case "complain":
            print("cannot log in with", arguments["text"], os.environ.get("TOKEN"), file=sys.stderr, flush=True)
            answer(number, "complained")
        case "flood":
            for line in range(1000):
                print("line", line, file=sys.stderr)
            sys.stderr.flush()
            answer(number, "flooded")
        case "ask":
            send({"id": "mine", "method": "sampling/createMessage", "params": {"messages": []}})
            ANSWERS.wait(5)
            answer(number, json.dumps(ANSWERED))
        case "progress":
            token = params.get("_meta", {}).get("progressToken")
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            send({"method": "notifications/message", "params": {"level": "info", "data": "working"}})
            answer(number, "done")


ANSWERS = threading.Event()
ANSWERED = []


def refuse(number, code, message):
    if ERA == "rude":
        os._exit(4)
    if ERA != "mute":
        send({"id": number, "error": {"code": code, "message": message}})


def serve(message):
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if method is None:
        ANSWERED.append(message.get("error", {}).get("code"))
        ANSWERS.set()
        return
    if method == "notifications/cancelled":
        log("cancelled")
    if number is None or ERA == "never":
        return
    modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {})
    if modern != (ERA == "modern"):
        refuse(number, -32601, "Method not found")
        return
    capabilities = {"capabilities": {"tools": {}}, "serverInfo": {"name": "test", "version": "1"}}
    match method:
        case "server/discover":
            send({"id": number, "result": {"supportedVersions": ["2026-07-28"], "resultType": "complete", **capabilities}})
        case "initialize":
            send({"id": number, "result": {"protocolVersion": "2025-06-18", **capabilities}})
        case "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
            send({"id": number, "result": {"tools": tools, "resultType": "complete"}})
        case "tools/call":
            threading.Thread(target=call, args=(number, params), daemon=True).start()
        case _:
            refuse(number, -32601, "Method not found")


log(f"started {os.getpid()}")
for line in sys.stdin:
    serve(json.loads(line))
log(f"ended {os.getpid()}")
