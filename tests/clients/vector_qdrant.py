"""Qdrant's official client, against its own in-memory mode behind the gateway: three tenants in one collection."""

import os
from urllib.parse import urlsplit

from harness import GATEWAY, key, named, run, same
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

DIRECT = os.environ.get("QDRANT_URL")


def client(tenant, upstream="points"):
    return QdrantClient(url=GATEWAY, prefix=f"tools/{upstream}", api_key=key(tenant), check_compatibility=False)


def direct():
    return QdrantClient(url=DIRECT, check_compatibility=False)


def refused(call, status, *texts):
    try:
        told = call()
    except UnexpectedResponse as error:
        same(error.status_code, status, error.content)
        for text in texts:
            assert text in str(error), error
        return
    raise AssertionError(f"not refused: {told}")


def field(name, **match):
    return models.FieldCondition(key=name, match=models.MatchValue(**match))


def fresh():
    a = client("VECTORA")
    if a.collection_exists("shared"):
        a.delete_collection("shared")
    a.create_collection("shared", vectors_config=models.VectorParams(size=2, distance=models.Distance.EUCLID))
    b = client("VECTORB")
    points = [models.PointStruct(id=id, vector=[id, 0], payload={"n": id, "tag": "x" if id % 2 else "y"}) for id in range(1, 5)]
    a.upsert("shared", points)
    b.upsert("shared", [models.PointStruct(id=id + 10, vector=[id, 0], payload={"n": id, "tag": "x", "text": "secret"}) for id in range(1, 5)])
    return a, b, client("VECTORC")


def ids(points):
    return [point.id for point in points]


def all_of_them():
    return sorted((point.id, str(sorted(point.payload.items())), point.vector) for point in direct().scroll("shared", limit=100, with_vectors=True)[0])


def each_reads_its_own():
    a, b, c = fresh()
    assert "shared" in [each.name for each in a.get_collections().collections]
    same(a.get_collection("shared").points_count, None, "whose figures?")
    near = a.query_points("shared", query=[1.0, 0.0], limit=10)
    same((ids(near.points), near.points[0].payload), ([1, 2, 3, 4], {"n": 1, "tag": "x", "tenant_id": "vectora"}), "by similarity")
    bare = a.query_points("shared", query=[1.0, 0.0], limit=1, with_payload=False).points[0]
    assert not bare.payload, bare
    same(a.query_points("shared", query=[1.0, 0.0], limit=1, with_payload=["n"]).points[0].payload, {"n": 1}, "as asked")
    same([len(c.query_points("shared", query=[1.0, 0.0]).points), a.count("shared").count, b.count("shared").count], [0, 4, 4], "counts")
    for hostile in (
        models.Filter(should=[field("tenant_id", value="vectorb"), field("n", value=1)]),
        models.Filter(must_not=[field("tenant_id", value="vectora")]),
        models.Filter(must=[models.Filter(should=[field("tenant_id", value="vectorb"), models.HasIdCondition(has_id=[11, 1])])]),
        models.Filter(min_should=models.MinShould(conditions=[field("tag", value="x")], min_count=1)),
    ):
        found = ids(a.query_points("shared", query=[1.0, 0.0], query_filter=hostile, limit=10).points)
        assert set(found) <= {1, 2, 3, 4}, (hostile, found)
        assert set(ids(a.scroll("shared", scroll_filter=hostile, limit=100)[0])) <= {1, 2, 3, 4}
    branches = [models.Prefetch(query=[4.0, 0.0], limit=10), models.Prefetch(query=[1.0, 0.0], filter=models.Filter(must=[field("tenant_id", value="vectorb")]), limit=10)]
    fused = a.query_points("shared", prefetch=branches, query=models.FusionQuery(fusion=models.Fusion.RRF), limit=20)
    same(set(ids(fused.points)), {1, 2, 3, 4}, "fused")
    batch = a.query_batch_points("shared", [models.QueryRequest(query=[1.0, 0.0], limit=2), models.QueryRequest(query=[4.0, 0.0], limit=1, with_payload=True)])
    same([ids(each.points) for each in batch], [[1, 2], [4]], "a batch")
    grouped = a.query_points_groups("shared", "tag", query=[1.0, 0.0], limit=5, group_size=5, with_payload=True)
    same(sorted((group.id, sorted(ids(group.hits))) for group in grouped.groups), [("x", [1, 3]), ("y", [2, 4])], "groups")
    same([(hit.value, hit.count) for hit in b.facet("shared", "tag").hits], [("x", 4)], "facets")
    pairs = a.search_matrix_pairs("shared", limit=2, sample=10).pairs
    assert pairs and {id for pair in pairs for id in (pair.a, pair.b)} <= {1, 2, 3, 4}, pairs


def pages_go_on_with_its_own():
    a, _, _ = fresh()
    first, offset = a.scroll("shared", limit=3)
    same((ids(first), offset), ([1, 2, 3], 4), "a page")
    last, offset = a.scroll("shared", limit=3, offset=offset)
    same((ids(last), offset), ([4], None), "the last")
    same(ids(a.scroll("shared", limit=10, offset=11)[0]), [], "an offset of another's")


def anothers_ids_are_nobodys():
    a, _, _ = fresh()
    same(ids(a.retrieve("shared", [1, 11, 99], with_vectors=True)), [1], "by id")
    for missing in (11, 99):
        example = {"limit": 3}
        for query in (
            missing,
            models.RecommendQuery(recommend=models.RecommendInput(positive=[1, missing])),
            models.DiscoverQuery(discover=models.DiscoverInput(target=[1.0, 0.0], context=[models.ContextPair(positive=1, negative=missing)])),
        ):
            refused(lambda: a.query_points("shared", query=query, **example), 404, f"No point with id {missing} found")
        nested = models.Prefetch(prefetch=[models.Prefetch(query=missing)], query=[1.0, 0.0])
        refused(lambda: a.query_points("shared", prefetch=nested, query=[1.0, 0.0]), 404, f"No point with id {missing} found")
    same(ids(a.query_points("shared", query=1, limit=2).points), [2, 3], "its own is an example")
    lookup = models.LookupLocation(collection="shared")
    refused(lambda: a.query_points("shared", query=1, lookup_from=lookup), 403, "lookup_from")


def nobody_writes_what_is_anothers():
    a, b, _ = fresh()
    before = all_of_them()
    one = [models.PointStruct(id=11, vector=[9, 9], payload={})]
    for write in (
        lambda: a.upsert("shared", one + [models.PointStruct(id=50, vector=[1, 1])]),
        lambda: a.delete("shared", [1, 11]),
        lambda: a.set_payload("shared", {"tenant_id": "vectora"}, points=[11]),
        lambda: a.overwrite_payload("shared", {"x": 1}, points=[1, 11]),
        lambda: a.delete_payload("shared", ["text"], points=[11]),
        lambda: a.clear_payload("shared", [11]),
        lambda: a.update_vectors("shared", [models.PointVectors(id=11, vector=[9, 9])]),
        lambda: a.delete_vectors("shared", [""], points=[11]),
        lambda: a.batch_update_points("shared", [models.UpsertOperation(upsert=models.PointsList(points=one))]),
    ):
        refused(write, 403, "nothing was changed")
    refused(lambda: a.delete_payload("shared", ["tenant_id"], points=[1]), 403)
    same(all_of_them(), before, "nothing changed")
    foreign = models.Filter(must=[field("text", value="secret")])
    a.delete("shared", models.FilterSelector(filter=foreign))
    a.set_payload("shared", {"n": 0}, points=foreign)
    a.clear_payload("shared", models.FilterSelector(filter=foreign))
    same(all_of_them(), before, "filters reach its own alone")
    a.upsert("shared", [models.PointStruct(id=1, vector=[7, 0], payload={"tenant_id": "vectorb"}), models.PointStruct(id=50, vector=[8, 0])])
    same([point.payload["tenant_id"] for point in a.retrieve("shared", [1, 50])], ["vectora"] * 2, "stamped")
    a.set_payload("shared", {"k": 1, "tenant_id": "vectorb"}, points=[2])
    a.overwrite_payload("shared", {"only": 1}, points=[3])
    a.clear_payload("shared", [4])
    payloads = {point.id: point.payload for point in a.scroll("shared", limit=100)[0]}
    same((payloads[2]["k"], payloads[3], payloads[4]), (1, {"only": 1, "tenant_id": "vectora"}, {"tenant_id": "vectora"}), "payloads")
    a.batch_update_points("shared", [models.SetPayloadOperation(set_payload=models.SetPayload(payload={"b": 1}, points=[1])), models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[2]))])
    same(a.retrieve("shared", [2])[0].payload, {"tenant_id": "vectora"}, "in a batch")
    a.delete("shared", [1, 2, 999])
    same(sorted(ids(a.scroll("shared", limit=100)[0])), [3, 4, 50], "deleted")
    same(b.count("shared").count, 4, "all there")


def the_rules_decide():
    _, _, c = fresh()
    refused(lambda: c.upsert("shared", [models.PointStruct(id=70, vector=[1, 1])]), 403, "tool_not_allowed")
    refused(lambda: c.delete_collection("shared"), 403, "tool_not_allowed")
    refused(lambda: client("VECTORA").query_points("shared", query=[1.0, 0.0], limit=51), 403, "tool_not_allowed")
    refused(lambda: client("VECTORA").get_aliases(), 403)
    refused(lambda: client("VECTORA").create_snapshot("shared"), 403)
    refused(lambda: client("VECTORA").query_points("nothing", query=[1.0, 0.0]), 404, "not found")


CHECKS = [
    each_reads_its_own,
    pages_go_on_with_its_own,
    anothers_ids_are_nobodys,
    nobody_writes_what_is_anothers,
    the_rules_decide,
]

if __name__ == "__main__":
    assert not GATEWAY or urlsplit(GATEWAY).hostname
    run("vector_qdrant.py", named(CHECKS if GATEWAY else []))
