"""Pinecone's official client, behind the gateway: three tenants in one index, each in namespaces of its own."""

from harness import GATEWAY, key, named, run, same
from pinecone import Pinecone
from pinecone.errors import ApiError


def index(tenant):
    return Pinecone(api_key=key(tenant)).Index(host=f"{GATEWAY}/tools/pine")


def refused(call, status):
    try:
        told = call()
    except ApiError as error:
        same(error.status_code, status, error)
        return
    raise AssertionError(f"not refused: {told}")


def fresh():
    a, b = index("VECTORA"), index("VECTORB")
    for client, tag in ((a, "mine"), (b, "theirs")):
        for namespace in ("", "notes"):
            client.delete(delete_all=True, namespace=namespace)
        client.upsert(vectors=[{"id": f"v{at}", "values": [at / 10], "metadata": {"n": at, "tag": tag}} for at in range(1, 6)])
        client.upsert(vectors=[{"id": "note", "values": [0.5], "metadata": {"tag": tag, "tenant_id": "vectorb"}}], namespace="notes")
    return a, b


def each_reads_its_own():
    a, b = fresh()
    found = a.query(vector=[0.1], top_k=3, include_metadata=True)
    same([(match.id, match.metadata["tag"]) for match in found.matches], [("v1", "mine"), ("v2", "mine"), ("v3", "mine")], "by similarity")
    same(found.matches[0].metadata["tenant_id"], "vectora", "stamped")
    same(a.query(vector=[0.1], top_k=1).matches[0].metadata, None, "as asked")
    hostile = {"$or": [{"tenant_id": {"$eq": "vectorb"}}, {"tag": "theirs"}]}
    same(a.query(vector=[0.1], top_k=3, filter=hostile).matches, [], "filtered")
    same(a.query(vector=[0.1], top_k=3, namespace="vectorb").matches, [], "another's namespace")
    same(sorted(a.fetch(ids=["v1", "v2", "v9"]).vectors), ["v1", "v2"], "by id")
    same(a.fetch(ids=["note"], namespace="notes").vectors["note"].metadata, {"tag": "mine", "tenant_id": "vectora"}, "in its namespace")
    same([item.id for page in a.list() for item in getattr(page, "vectors", page)], ["v1", "v2", "v3", "v4", "v5"], "page by page")


def what_is_written_is_its_own():
    a, b = fresh()
    a.update(id="v1", set_metadata={"tag": "new", "tenant_id": "vectorb"})
    same(a.fetch(ids=["v1"]).vectors["v1"].metadata, {"n": 1, "tag": "new", "tenant_id": "vectora"}, "changed")
    same(b.fetch(ids=["v1"]).vectors["v1"].metadata["tag"], "theirs", "the same id of another's")
    a.delete(ids=["v1"])
    a.delete(filter={"n": {"$in": [2, 3]}})
    stats = a.describe_index_stats()
    same({name: space.vector_count for name, space in stats.namespaces.items()}, {"__default__": 2, "notes": 1}, "its namespaces")
    same((stats.total_vector_count, stats.index_fullness), (3, 0), "its figures")
    same(sorted(space.name for page in a.list_namespaces() for space in page.namespaces), ["__default__", "notes"], "listed")
    a.delete(delete_all=True)
    same(b.describe_index_stats().total_vector_count, 6, "all there")


def the_rules_decide():
    a, _ = fresh()
    c = index("VECTORC")
    same(c.query(vector=[0.1], top_k=3).matches, [], "nothing is its own")
    refused(lambda: c.upsert(vectors=[{"id": "x", "values": [1.0]}]), 403)
    refused(lambda: a.query(vector=[0.1], top_k=51), 403)
    refused(lambda: a.start_import(uri="s3://bucket/x"), 403)


CHECKS = [each_reads_its_own, what_is_written_is_its_own, the_rules_decide]

if __name__ == "__main__":
    run("vector_pinecone.py", named(CHECKS if GATEWAY else []))
