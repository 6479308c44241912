"""As much of Weaviate's REST API and GraphQL as vector_weaviate.py asks for, in memory: the server cannot be had from a
package. What of the API matters is held by laws beside the code; here it is its client that is checked."""

import json
import re
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

LOCK = threading.Lock()
CLASSES, OBJECTS = {}, {}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w.+-]+|[{}()\[\]:]')


def parsed(text):
    """A question as nested lists and dictionaries: root, class, arguments, fields."""
    tokens = TOKEN.findall(text)
    at = 0

    def take(expected=None):
        nonlocal at
        at += 1
        assert expected in (None, tokens[at - 1]), (expected, tokens[at - 1])
        return tokens[at - 1]

    def members(end):
        found = {}
        while tokens[at] != end:
            name = take()
            take(":")
            found[name] = value()
        take(end)
        return found

    def value():
        token = take()
        if token == "{":
            return members("}")
        if token == "[":
            items = []
            while tokens[at] != "]":
                items.append(value())
            take("]")
            return items
        try:
            return json.loads(token)
        except ValueError:
            return token

    def fields():
        take("{")
        found = {}
        while tokens[at] != "}":
            name = take()
            found[name] = fields() if tokens[at] == "{" else None
        take("}")
        return found

    take("{")
    root = take()
    take("{")
    name = take()
    arguments = members(")") if tokens[at] == "(" and take() else {}
    return root, name, arguments, fields()


def holds(where, id, properties):
    if where is None:
        return True
    operator = where["operator"]
    if operator in ("And", "Or"):
        each = (holds(one, id, properties) for one in where["operands"])
        return all(each) if operator == "And" else any(each)
    (operand,) = (value for name, value in where.items() if name.startswith("value"))
    found = id if where["path"] == ["id"] else properties.get(where["path"][0])
    if operator == "ContainsAny":
        return found in operand
    if operator == "LessThan":
        return found is not None and found < operand
    return (found == operand) == (operator == "Equal")


def graphql(text):
    root, name, arguments, fields = parsed(text)
    if name not in CLASSES:
        return {"data": {root: None}, "errors": [{"message": f'Cannot query field "{name}"'}]}
    found = [one for key, one in OBJECTS.items() if key[0] == name and holds(arguments.get("where"), key[1], one["properties"])]
    if root == "Aggregate":
        return {"data": {root: {name: [{"meta": {"count": len(found)}}]}}}
    near = arguments.get("nearVector", {}).get("vector")
    if "nearObject" in arguments:
        near = OBJECTS[name, arguments["nearObject"]["id"]]["vector"]
    far = lambda one: abs(one["vector"][0] - near[0]) if near else 0
    rows = []
    for one in sorted(found, key=lambda one: (far(one), one["id"]))[: arguments.get("limit", 10)]:
        row = {field: one["properties"].get(field) for field in fields if field != "_additional"}
        if "_additional" in fields:
            shown = {"id": one["id"], "distance": far(one), "vector": one["vector"]}
            row["_additional"] = {field: shown[field] for field in fields["_additional"]}
        rows.append(row)
    return {"data": {root: {name: rows}}}


def put(one):
    record = {"class": one["class"], "id": one.get("id") or str(uuid.uuid4()), "properties": one.get("properties", {}), "vector": one.get("vector", [0.0])}
    OBJECTS[record["class"], record["id"]] = record
    return record


def weaviate(method, parts, body):
    match method, parts:
        case "GET", ["meta"]:
            return 200, {"hostname": "http://[::]:8080", "version": "1.24.1", "modules": {}}
        case "GET", [".well-known", "ready" | "live"]:
            return 200, None
        case "POST", ["graphql"]:
            return 200, graphql(body["query"])
        case "GET", ["schema"]:
            return 200, {"classes": list(CLASSES.values())}
        case "POST", ["schema"]:
            CLASSES[body["class"]] = body
            return 200, body
        case "GET", ["schema", name]:
            return (200, CLASSES[name]) if name in CLASSES else (404, None)
        case "DELETE", ["schema", name]:
            CLASSES.pop(name, None)
            for key in [key for key in OBJECTS if key[0] == name]:
                del OBJECTS[key]
            return 200, None
        case "POST", ["objects"]:
            if (body["class"], body.get("id")) in OBJECTS:
                return 422, {"error": [{"message": f"id '{body['id']}' already exists"}]}
            return 200, put(body)
        case "POST", ["batch", "objects"]:
            return 200, [{**put(one), "result": {"status": "SUCCESS"}} for one in body["objects"]]
        case "DELETE", ["batch", "objects"]:
            name, where = body["match"]["class"], body["match"]["where"]
            gone = [key for key, one in OBJECTS.items() if key[0] == name and holds(where, key[1], one["properties"])]
            for key in [] if body["dryRun"] else gone:
                del OBJECTS[key]
            return 200, {**body, "results": {"matches": len(gone), "successful": len(gone), "failed": 0, "limit": 10000, "objects": None}}
        case _, ["objects", name, id] if (name, id) not in OBJECTS:
            return 404, None
        case "GET" | "HEAD", ["objects", name, id]:
            return (200, OBJECTS[name, id]) if method == "GET" else (204, None)
        case "PUT", ["objects", name, id]:
            return 200, put(body)
        case "PATCH", ["objects", name, id]:
            OBJECTS[name, id]["properties"] |= body["properties"]
            return 204, None
        case "DELETE", ["objects", name, id]:
            del OBJECTS[name, id]
            return 204, None
        case "POST", ["objects", name, id, "references", property]:
            OBJECTS[name, id]["properties"].setdefault(property, []).append(body)
            return 200, None
    return 404, {"error": [{"message": "nothing here"}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        _, *parts = [unquote(part) for part in url.path.split("/") if part]
        assert "tenant" not in dict(parse_qsl(url.query))
        text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        with LOCK:
            status, told = weaviate(self.command, parts, json.loads(text or "{}"))
        told = b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(told)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
