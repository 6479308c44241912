"""A provider that asks for a key: provider.py ADDRESS PORT KEYS_FILE. Streams take a chunk each 100 ms."""

import http.server
import json
import pathlib
import sys
import time

address, port, keys = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers.get("authorization", "").removeprefix("Bearer ") not in keys.read_text().split():
            return self.answer(401, {"error": {"message": "no such key"}})
        answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        if not body.get("stream"):
            message, reason = {"role": "assistant", "content": "hello"}, "stop"
            asked = body["messages"][-1]["content"]
            if asked.startswith("call "):
                function = {"name": asked.removeprefix("call "), "arguments": "{}"}
                calls = [{"id": "call_1", "type": "function", "function": function}]
                message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
            choices = [{"index": 0, "message": message, "finish_reason": reason}]
            return self.answer(200, {**answer, "choices": choices, "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        count = int(body["messages"][-1]["content"])
        for number in range(count):
            delta = {"role": "assistant", "content": f"{number} "}
            self.event({**answer, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            time.sleep(0.1)
        self.event({**answer, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.event({**answer, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, data):
        self.wfile.write(b"data: " + json.dumps(data).encode() + b"\n\n")
        self.wfile.flush()

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


Server((address, port), Handler).serve_forever()
