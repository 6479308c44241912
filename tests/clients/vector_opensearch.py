"""The official clients of OpenSearch and Elasticsearch, behind the gateway: three tenants in one index."""

import elasticsearch
import opensearchpy
from elasticsearch import Elasticsearch, helpers
from harness import GATEWAY, key, named, run, same
from opensearchpy import OpenSearch
from opensearchpy import helpers as opensearch_helpers


def opensearch(tenant):
    return OpenSearch(f"{GATEWAY}/tools/search", headers={"x-api-key": key(tenant)}, max_retries=0)


def elastic(tenant):
    return Elasticsearch(f"{GATEWAY}/tools/search", headers={"x-api-key": key(tenant)}, max_retries=0)


def refused(call, status):
    try:
        told = call()
    except opensearchpy.TransportError as error:
        same(error.status_code, status, error)
        return
    except elasticsearch.ApiError as error:
        same(error.status_code, status, error)
        return
    raise AssertionError(f"not refused: {told}")


def fresh():
    a, b = opensearch("VECTORA"), opensearch("VECTORB")
    if a.indices.exists(index="shared"):
        a.indices.delete(index="shared")
    a.indices.create(index="shared", body={"mappings": {"properties": {"v": {"type": "knn_vector", "dimension": 1}}}})
    for client, ids in ((a, range(1, 5)), (b, range(11, 15))):
        actions = [{"_index": "shared", "_id": str(id), "_source": {"n": id % 10, "tag": "x" if id % 2 else "y", "v": [id]}} for id in ids]
        same(opensearch_helpers.bulk(client, actions), (4, []), "written")
    a.indices.refresh(index="shared")
    return a, b


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


MINE = ["1", "2", "3", "4"]


def each_reads_its_own():
    a, b = fresh()
    e = elastic("VECTORA")
    same(e.info()["tagline"], "You Know, for Search", "who is it")
    for client in (a, e):
        found = client.search(index="shared", body={"query": {"terms": {"tenant_id": ["vectora", "vectorb"]}}}) if client is a else client.search(index="shared", query={"terms": {"tenant_id": ["vectora", "vectorb"]}})
        same((ids(found), found["hits"]["total"]["value"]), (MINE, 4), "by query")
        same(client.count(index="shared")["count"], 4, "counted")
    bare = e.search(index="shared", source=["n"], size=1)
    same(bare["hits"]["hits"][0]["_source"], {"n": 1}, "as asked")
    same(ids(a.search(index="shared", body={"query": {"knn": {"v": {"vector": [1], "k": 3}}}})), MINE, "nearest, as OpenSearch has it")
    same(ids(e.search(index="shared", knn={"field": "v", "query_vector": [1.0], "k": 3, "num_candidates": 5})), MINE, "nearest, as Elasticsearch has it")
    several = e.msearch(searches=[{"index": "shared"}, {"query": {"term": {"tag": "x"}}}, {"index": "shared"}, {"query": {"match_all": {}}, "size": 1}])
    same([ids(each) for each in several["responses"]], [["1", "3"], ["1"]], "several")
    same([hit["_id"] for hit in helpers.scan(e, index="shared", size=2)], MINE, "page by page")
    refused(lambda: e.scroll(scroll_id="scroll0"), 400)


def anothers_ids_are_nobodys():
    a, b = fresh()
    e = elastic("VECTORA")
    same(e.get(index="shared", id="1")["_source"]["n"], 1, "its own")
    for id in ("11", "999"):
        refused(lambda: e.get(index="shared", id=id), 404)
        same((e.exists(index="shared", id=id).body, a.exists(index="shared", id=id)), (False, False), id)
    same([doc["found"] for doc in e.mget(index="shared", ids=["1", "11", "999"])["docs"]], [True, False, False], "several")
    for client in (a, e):
        refused(lambda: client.index(index="shared", id="11", body={"n": 0}) if client is a else client.index(index="shared", id="11", document={"n": 0}), 403)
        refused(lambda: client.delete(index="shared", id="11"), 403)
        refused(lambda: client.update(index="shared", id="11", body={"doc": {"n": 0}}), 403)
    refused(lambda: helpers.bulk(e, [{"_index": "shared", "_id": "1", "n": 0}, {"_index": "shared", "_id": "11", "n": 0}]), 403)
    same(e.get(index="shared", id="1")["_source"]["n"], 1, "nothing was changed")
    same(b.get(index="shared", id="11")["_source"]["n"], 1, "nor there")


def writes_are_its_own():
    a, b = fresh()
    e = elastic("VECTORA")
    made = e.index(index="shared", document={"n": 7, "tenant_id": "vectorb"})["_id"]
    same(e.get(index="shared", id=made)["_source"]["tenant_id"], "vectora", "stamped")
    same(e.update(index="shared", id="1", doc={"n": 8, "tenant_id": "vectorb"})["result"], "updated", "changed")
    same(e.get(index="shared", id="1")["_source"], {"n": 8, "tag": "x", "v": [1], "tenant_id": "vectora"}, "still its own")
    refused(lambda: e.create(index="shared", id="1", document={}), 409)
    refused(lambda: e.delete(index="shared", id="999"), 404)
    same(a.delete(index="shared", id="2")["result"], "deleted", "deleted")
    same(e.delete_by_query(index="shared", query={"match_all": {}})["deleted"], 4, "all of its own")
    same((a.count(index="shared")["count"], b.count(index="shared")["count"]), (0, 4), "all there")


def the_rules_decide():
    a, b = fresh()
    refused(lambda: b.indices.delete(index="shared"), 403)
    refused(lambda: a.indices.get_mapping(index="shared"), 403)
    refused(lambda: a.search(index="shared,other"), 403)
    refused(lambda: a.search(index="*"), 403)
    refused(lambda: a.cat.indices(), 403)
    refused(lambda: a.search(index="shared", body={"query": {"script": {"script": "1"}}}), 403)
    refused(lambda: a.search(index="nothing"), 404)


CHECKS = [each_reads_its_own, anothers_ids_are_nobodys, writes_are_its_own, the_rules_decide]

if __name__ == "__main__":
    run("vector_opensearch.py", named(CHECKS if GATEWAY else []))
