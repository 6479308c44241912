"""Qdrant's REST API over the in-memory mode of its official client: what tenants share in vector_qdrant.py."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qdrant_client import QdrantClient, models
from qdrant_client.http.models import models as all_models

STORE = QdrantClient(":memory:")
LOCK = threading.Lock()


def shown(value):
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    return value


def parsed(kind, body):
    return getattr(all_models, kind).model_validate(body)


def done(_):
    return {"operation_id": 0, "status": "completed"}


def query(name, body):
    search = parsed("QueryRequest", body)
    return STORE.query_points(
        name,
        query=search.query,
        using=search.using,
        prefetch=search.prefetch,
        query_filter=search.filter,
        limit=search.limit or 10,
        offset=search.offset,
        with_payload=search.with_payload or False,
        with_vectors=search.with_vector or False,
        score_threshold=search.score_threshold,
    )


def groups(name, body):
    search = parsed("QueryGroupsRequest", body)
    return STORE.query_points_groups(
        name,
        search.group_by,
        query=search.query,
        prefetch=search.prefetch,
        query_filter=search.filter,
        limit=search.limit or 10,
        group_size=search.group_size or 3,
        with_payload=search.with_payload or False,
    )


def scroll(name, body):
    page = parsed("ScrollRequest", body)
    points, offset = STORE.scroll(
        name,
        scroll_filter=page.filter,
        limit=page.limit or 10,
        offset=page.offset,
        with_payload=True if page.with_payload is None else page.with_payload,
        with_vectors=page.with_vector or False,
    )
    return {"points": shown(points), "next_page_offset": offset}


def retrieve(name, body):
    wanted = parsed("PointRequest", body)
    payload = True if wanted.with_payload is None else wanted.with_payload
    return STORE.retrieve(name, wanted.ids, with_payload=payload, with_vectors=wanted.with_vector or False)


def selector(body):
    kind = "PointIdsList" if "points" in body else "FilterSelector"
    return parsed(kind, body)


def change(name, kind, body):
    if kind == "upsert":
        points = parsed("PointsList" if "points" in body else "PointsBatch", body)
        return STORE.upsert(name, getattr(points, "points", None) or points.batch, update_filter=points.update_filter)
    if kind == "update_vectors":
        vectors = parsed("UpdateVectors", body)
        return STORE.update_vectors(name, vectors.points, update_filter=vectors.update_filter)
    if kind == "delete":
        return STORE.delete(name, selector(body))
    if kind == "clear_payload":
        return STORE.clear_payload(name, selector(body))
    if kind == "delete_vectors":
        vectors = parsed("DeleteVectors", body)
        return STORE.delete_vectors(name, vectors.vector, vectors.filter or vectors.points)
    if kind == "delete_payload":
        keys = parsed("DeletePayload", body)
        return STORE.delete_payload(name, keys.keys, keys.filter or keys.points)
    payload = parsed("SetPayload", body)
    points = payload.filter or payload.points
    if kind == "set_payload":
        return STORE.set_payload(name, payload.payload, points, key=payload.key)
    return STORE.overwrite_payload(name, payload.payload, points)


def batch(name, body):
    for operation in body["operations"]:
        for kind, each in operation.items():
            change(name, kind, each)
    return [done(None)]


CHANGES = {
    ("PUT", "points"): "upsert",
    ("POST", "points/delete"): "delete",
    ("POST", "points/payload"): "set_payload",
    ("PUT", "points/payload"): "overwrite_payload",
    ("POST", "points/payload/delete"): "delete_payload",
    ("POST", "points/payload/clear"): "clear_payload",
    ("PUT", "points/vectors"): "update_vectors",
    ("POST", "points/vectors/delete"): "delete_vectors",
}


def answer(method, path, body):
    if path == "/":
        return {"title": "qdrant", "version": "1.20.0"}
    parts = path.strip("/").split("/")
    if parts == ["collections"]:
        return shown(STORE.get_collections())
    name, rest = parts[1], "/".join(parts[2:])
    if rest == "exists":
        return {"exists": STORE.collection_exists(name)}
    if not rest and method == "PUT":
        return STORE.create_collection(name, vectors_config=parsed("CreateCollection", body).vectors)
    if not rest and method == "DELETE":
        return STORE.delete_collection(name)
    if not rest:
        return shown(STORE.get_collection(name))
    if (method, rest) in CHANGES:
        return done(change(name, CHANGES[method, rest], body))
    if rest == "points/query":
        return shown(query(name, body))
    if rest == "points/query/batch":
        return [shown(query(name, search)) for search in body["searches"]]
    if rest == "points/query/groups":
        return shown(groups(name, body))
    if rest == "points/scroll":
        return scroll(name, body)
    if rest == "points/count":
        counted = parsed("CountRequest", body)
        return shown(STORE.count(name, count_filter=counted.filter, exact=True))
    if rest == "facet":
        facet = parsed("FacetRequest", body)
        return shown(STORE.facet(name, facet.key, facet_filter=facet.filter, limit=facet.limit or 10))
    if rest in ("points/search/matrix/pairs", "points/search/matrix/offsets"):
        wanted = parsed("SearchMatrixRequest", body)
        ask = STORE.search_matrix_pairs if rest.endswith("pairs") else STORE.search_matrix_offsets
        return shown(ask(name, query_filter=wanted.filter, limit=wanted.limit or 3, sample=wanted.sample or 10))
    if rest == "points/batch":
        return batch(name, body)
    if rest == "points":
        return shown(retrieve(name, body))
    raise KeyError(path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        try:
            with LOCK:
                result = answer(self.command, path, json.loads(body) if body else None)
            status, told = 200, {"result": result, "status": "ok", "time": 0}
            if path == "/":
                told = result
        except Exception as error:
            status = 404 if "not found" in str(error).lower() else 400
            told = {"status": {"error": str(error)[:300]}, "time": 0}
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = serve

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
