"""As much of OpenSearch's and of Pinecone's REST API as vector_opensearch.py and vector_pinecone.py ask for, in memory:
neither server can be had from a package. What of the APIs matters is held by laws beside the code; here it is their clients
that are checked."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LOCK = threading.Lock()
INDICES, SPACES, SCROLLS, WRITES = {}, {}, {}, [0]


def holds(query, id, source):
    ((kind, clause),) = (query or {"match_all": {}}).items()
    if kind == "match_all":
        return True
    if kind == "bool":
        each = lambda name: [clause[name]] if isinstance(clause.get(name), dict) else clause.get(name, [])
        fits = all(holds(one, id, source) for one in each("must") + each("filter"))
        some = not each("should") or bool(each("must") + each("filter")) or any(holds(one, id, source) for one in each("should"))
        return fits and some and not any(holds(one, id, source) for one in each("must_not"))
    if kind == "ids":
        return id in clause["values"]
    if kind == "knn":
        field, near = next(iter(clause.items())) if "field" not in clause else (clause["field"], clause)
        return holds(near.get("filter"), id, source)
    ((field, operand),) = clause.items()
    if kind == "range":
        return all({"gt": source.get(field, 0) > value, "gte": source.get(field, 0) >= value, "lt": source.get(field, 0) < value, "lte": source.get(field, 0) <= value}[name] for name, value in operand.items())
    wanted = operand if kind == "terms" else [operand.get("value", operand.get("query")) if isinstance(operand, dict) else operand]
    return source.get(field) in wanted


def shown(source, wanted):
    if wanted is False:
        return None
    wanted = {"includes": wanted} if isinstance(wanted, list) else wanted if isinstance(wanted, dict) else {}
    kept = {name: value for name, value in source.items() if not wanted.get("includes") or name in wanted["includes"]}
    return {name: value for name, value in kept.items() if name not in wanted.get("excludes", [])}


def hit(name, id, source, wanted):
    found = {"_index": name, "_id": id, "_score": 1.0}
    source = shown(source, wanted)
    return found if source is None else {**found, "_source": source}


def search(name, body):
    docs = INDICES[name]
    query = body.get("query")
    knn = body.get("knn")
    fits = lambda id, source: holds(query, id, source) if query or not knn else holds(knn.get("filter"), id, source)
    found = sorted(id for id, doc in docs.items() if fits(id, doc["source"]))
    total, found = len(found), found[body.get("from", 0) :][: body.get("size", 10)]
    hits = [hit(name, id, docs[id]["source"], body.get("_source")) for id in found]
    return {"took": 1, "timed_out": False, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}, "hits": {"total": {"value": total, "relation": "eq"}, "max_score": 1.0, "hits": hits}}


def change(name, action, id, body, query):
    docs = INDICES.setdefault(name, {})
    WRITES[0] += 1
    id = id or f"made{WRITES[0]}"
    there = docs.get(id)
    told = {"_index": name, "_id": id}
    number = query.get("if_seq_no")
    if (action == "create" and there) or (number is not None and (not there or there["number"] != int(number))):
        return 409, {**told, "error": {"type": "version_conflict_engine_exception", "reason": "changed"}, "status": 409}
    if action == "delete":
        docs.pop(id, None)
        return (200, {**told, "result": "deleted"}) if there else (404, {**told, "result": "not_found"})
    source = {**there["source"], **body["doc"]} if action == "update" else body
    docs[id] = {"source": source, "number": WRITES[0]}
    return (200 if there else 201), {**told, "result": "updated" if there else "created", "_seq_no": WRITES[0], "_primary_term": 1}


def mget(name, docs):
    for asked in docs:
        doc = INDICES.get(name, {}).get(asked["_id"])
        found = {"_index": name, "_id": asked["_id"], "found": bool(doc)}
        if doc:
            found |= {"_seq_no": doc["number"], "_primary_term": 1, "_source": shown(doc["source"], asked.get("_source"))}
        yield found


def bulk(name, lines):
    items, lines = [], iter(lines)
    for line in lines:
        ((action, target),) = line.items()
        body = None if action == "delete" else next(lines)
        status, told = change(target.get("_index", name), action, target.get("_id"), body, target)
        items.append({action: {**told, "status": status}})
    return {"took": 1, "errors": any("error" in next(iter(item.values())) for item in items), "items": items}


def opensearch(method, parts, query, body):
    if not parts:
        return 200, {"name": "n", "cluster_name": "c", "version": {"number": "9.5.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}
    if parts == ["_search", "scroll"] and method == "POST":
        name, asked, at = SCROLLS.pop(body["scroll_id"])
        SCROLLS[f"scroll{at}"] = (name, asked, at + 1)
        return 200, {**search(name, {**asked, "from": at * asked.get("size", 10)}), "_scroll_id": f"scroll{at}"}
    if parts == ["_search", "scroll"]:
        return 200, {"succeeded": True, "num_freed": 1}
    if parts[0] == "_bulk":
        return 200, bulk(None, body)
    if parts[0] == "_msearch":
        return 200, {"took": 1, "responses": [{**search(head["index"], each), "status": 200} for head, each in zip(body[::2], body[1::2])]}
    name, rest = parts[0], parts[1:]
    if rest == [] and method == "PUT":
        INDICES[name] = {}
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
    if name not in INDICES:
        return 404, {"error": {"type": "index_not_found_exception", "reason": f"no such index [{name}]", "root_cause": []}, "status": 404}
    if rest == [] and method == "DELETE":
        del INDICES[name]
        return 200, {"acknowledged": True}
    if rest in ([], ["_refresh"]):
        return 200, {"_shards": {"total": 1, "successful": 1, "failed": 0}}
    if rest == ["_search"]:
        told = search(name, body)
        if "scroll" in query:
            SCROLLS["scroll0"] = (name, body, 1)
            told["_scroll_id"] = "scroll0"
        return 200, told
    if rest == ["_count"]:
        count = sum(holds(body.get("query"), id, doc["source"]) for id, doc in INDICES[name].items())
        return 200, {"count": count, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}
    if rest == ["_mget"]:
        return 200, {"docs": list(mget(name, body["docs"]))}
    if rest == ["_bulk"]:
        return 200, bulk(name, body)
    if rest == ["_delete_by_query"]:
        gone = [id for id, doc in INDICES[name].items() if holds(body["query"], id, doc["source"])]
        for id in gone:
            del INDICES[name][id]
        return 200, {"took": 1, "deleted": len(gone), "total": len(gone), "failures": []}
    action = "delete" if method == "DELETE" else {"_doc": "index", "_create": "create", "_update": "update"}[rest[0]]
    return change(name, action, rest[1] if rest[1:] else None, body, query)


def fits(filter, metadata):
    def one(name, clause):
        if name == "$and":
            return all(fits(each, metadata) for each in clause)
        if name == "$or":
            return any(fits(each, metadata) for each in clause)
        found = metadata.get(name)
        operators = clause if isinstance(clause, dict) else {"$eq": clause}
        return all({"$eq": found == value, "$ne": found != value, "$in": isinstance(value, list) and found in value}[operator] for operator, value in operators.items())

    return all(one(name, clause) for name, clause in (filter or {}).items())


def pinecone(method, parts, query, body):
    body = body if isinstance(body, dict) else {}
    name = body.get("namespace") or query.get("namespace") or "__default__"
    space = SPACES.setdefault(name, {})
    path = "/".join(parts)
    if path == "query":
        found = [(abs(vector["values"][0] - body["vector"][0]), id) for id, vector in space.items() if fits(body.get("filter"), vector.get("metadata", {}))]
        matches = [{"id": id, "score": 1 - far, "metadata": space[id].get("metadata", {})} for far, id in sorted(found)[: body["topK"]]]
        return 200, {"matches": matches, "namespace": name, "usage": {"readUnits": 1}}
    if path == "vectors/upsert":
        space |= {vector["id"]: vector for vector in body["vectors"]}
        return 200, {"upsertedCount": len(body["vectors"])}
    if path == "vectors/fetch":
        return 200, {"vectors": {id: space[id] for id in query["ids"] if id in space}, "namespace": name, "usage": {"readUnits": 1}}
    if path == "vectors/list":
        ids = sorted(id for id in space if id > query.get("paginationToken", ""))
        page = {"vectors": [{"id": id} for id in ids[:2]], "namespace": name, "usage": {"readUnits": 1}}
        return 200, page | ({"pagination": {"next": ids[1]}} if ids[2:] else {})
    if path == "vectors/update":
        space[body["id"]].setdefault("metadata", {}).update(body.get("setMetadata", {}))
        return 200, {}
    if path == "vectors/delete":
        gone = [id for id, vector in space.items() if body.get("deleteAll") or id in body.get("ids", []) or ("filter" in body and fits(body["filter"], vector.get("metadata", {})))]
        for id in gone:
            del space[id]
        return 200, {}
    if path == "describe_index_stats":
        spaces = {name: {"vectorCount": len(space)} for name, space in SPACES.items() if space}
        return 200, {"namespaces": spaces, "dimension": 1, "indexFullness": 0.5, "totalVectorCount": sum(len(space) for space in SPACES.values())}
    if path == "namespaces":
        return 200, {"namespaces": [{"name": name, "record_count": len(space)} for name, space in SPACES.items() if space and name.startswith(query.get("prefix", ""))]}
    return 404, {"error": {"code": "NOT_FOUND", "message": "nothing here"}, "status": 404}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        api, *parts = [unquote(part) for part in url.path.split("/") if part]
        many = parse_qs(url.query, keep_blank_values=True)
        query = {name: values if name == "ids" else values[0] for name, values in many.items()}
        text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        lines = "ndjson" in (self.headers.get("content-type") or "")
        body = [json.loads(line) for line in text.splitlines() if line] if lines else json.loads(text or "{}")
        with LOCK:
            status, told = {"opensearch": opensearch, "pinecone": pinecone}[api](self.command, parts, query, body)
        told = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
