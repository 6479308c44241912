"""Chroma's official client, against a real Chroma server behind the gateway: three tenants in one collection."""

import os
import threading

import chromadb
from harness import GATEWAY, key, named, run, same

DIRECT = os.environ.get("CHROMA_URL")


def client(tenant, upstream="docs"):
    host = f"{GATEWAY}/tools/{upstream}"
    return chromadb.HttpClient(host=host, port=int(GATEWAY.rsplit(":", 1)[1]), headers={"x-api-key": key(tenant)})


def direct():
    return chromadb.HttpClient(host=DIRECT, port=int(DIRECT.rsplit(":", 1)[1]))


def fresh(name):
    """A collection with a record of each tenant's, made as they would."""
    owner = client("VECTORA")
    if name in [each.name for each in owner.list_collections()]:
        owner.delete_collection(name)
    owner.create_collection(name)
    return {tenant: client(tenant).get_collection(name) for tenant in ("VECTORA", "VECTORB", "VECTORC")}


def refused(call, *texts):
    try:
        told = call()
    except Exception as error:
        for text in texts:
            assert text in str(error), error
        return
    raise AssertionError(f"not refused: {told}")


def everything(name):
    return direct().get_collection(name).get(include=["metadatas", "documents", "embeddings"])


def a_client_connects_and_describes():
    a = client("VECTORA")
    assert a.heartbeat() > 0 and a.get_version()
    same(a.get_user_identity().tenant, "default_tenant", "Chroma's own tenant")
    a.get_or_create_collection("described")
    assert "described" in [each.name for each in a.list_collections()]
    assert a.count_collections() >= 1
    same(client("VECTORC").get_collection("described").name, "described", "told to whoever may use the store")
    refused(lambda: client("VECTORC").create_collection("mine"), "tool_not_allowed")
    refused(lambda: client("VECTORC").delete_collection("described"), "tool_not_allowed")


def each_reads_its_own():
    of = fresh("shared")
    of["VECTORA"].add(ids=["a1", "a2"], embeddings=[[1, 0], [0, 1]], documents=["one", "two"], metadatas=[{"n": 1}, {"n": 2}])
    of["VECTORB"].add(ids=["b1"], embeddings=[[1, 0]], documents=["secret"], metadatas=[{"n": 1}])
    same((of["VECTORA"].count(), of["VECTORB"].count(), of["VECTORC"].count()), (2, 1, 0), "counts")
    same(of["VECTORA"].get()["ids"], ["a1", "a2"], "all of its own")
    same(of["VECTORA"].get(ids=["a1", "b1"])["ids"], ["a1"], "by id")
    same(of["VECTORC"].get(ids=["a1", "b1"])["ids"], [], "nothing of others")
    found = of["VECTORA"].query(query_embeddings=[[1, 0], [0, 1]], n_results=9)
    same(found["ids"], [["a1", "a2"], ["a2", "a1"]], "by similarity")
    same(of["VECTORB"].query(query_embeddings=[[0, 1]], n_results=9)["documents"], [["secret"]], "its own alone")
    for where in (
        {"tenant_id": "vectorb"},
        {"tenant_id": {"$ne": "vectora"}},
        {"$or": [{"tenant_id": "vectorb"}, {"n": {"$gte": 0}}]},
        {"$and": [{"n": {"$in": [1, 2]}}, {"$or": [{"n": {"$lt": 9}}, {"tenant_id": {"$in": ["vectorb"]}}]}]},
    ):
        ids = of["VECTORA"].get(where=where)["ids"]
        assert set(ids) <= {"a1", "a2"}, (where, ids)
    same(of["VECTORA"].get(where={"n": 2}, where_document={"$contains": "two"}, include=[])["ids"], ["a2"], "filters")
    only = of["VECTORA"].get(include=["documents"])
    assert only["metadatas"] is None and only["documents"] == ["one", "two"], only
    same(of["VECTORA"].peek(1)["ids"], ["a1"], "a page")
    same(of["VECTORA"].get(limit=1, offset=1)["ids"], ["a2"], "another page")


def nobody_writes_what_is_anothers():
    of = fresh("shared")
    a, b = of["VECTORA"], of["VECTORB"]
    a.add(ids=["a1"], embeddings=[[1, 0]], documents=["one"])
    b.upsert(ids=["b1"], embeddings=[[0, 1]], documents=["secret"], metadatas=[{"tenant_id": "vectora"}])
    before = everything("shared")
    same([each["tenant_id"] for each in before["metadatas"]], ["vectora", "vectorb"], "stamped")
    for ids in (["b1"], ["new", "b1"], ["b1", "a1"]):
        vectors = [[9, 9]] * len(ids)
        for write in (
            lambda: a.add(ids=ids, embeddings=vectors),
            lambda: a.upsert(ids=ids, embeddings=vectors, documents=["x"] * len(ids)),
            lambda: a.update(ids=ids, metadatas=[{"tenant_id": "vectora"}] * len(ids)),
            lambda: a.delete(ids=ids),
        ):
            refused(write, "tool_not_allowed", "nothing was changed")
    same(str(everything("shared")), str(before), "nothing changed")
    a.delete(where={"tenant_id": "vectorb"})
    a.delete(where_document={"$contains": "secret"})
    same(str(everything("shared")), str(before), "filters reach its own alone")
    a.upsert(ids=["a1", "a2"], embeddings=[[5, 5], [6, 6]], documents=["changed", "new"])
    same(a.get()["documents"], ["changed", "new"], "its own, old and new")
    a.update(ids=["a1", "nothing"], embeddings=[[1, 0], [1, 0]], documents=["again", "x"])
    same(a.get()["documents"], ["again", "new"], "what is not there is not made")
    a.delete(ids=["a1", "nothing"])
    same((a.get()["ids"], b.get()["ids"]), (["a2"], ["b1"]), "deleted")
    refused(lambda: of["VECTORC"].add(ids=["c"], embeddings=[[1, 1]]), "tool_not_allowed")


def the_rules_speak_of_names():
    a = client("VECTORA").get_or_create_collection("locked")
    refused(lambda: a.add(ids=["x"], embeddings=[[1]]), "tool_not_allowed")
    refused(lambda: a.query(query_embeddings=[[1]], n_results=51), "tool_not_allowed")
    same(a.count(), 0, "nothing was written")


def writers_of_the_same_ids_do_not_meet():
    of = fresh("shared")
    won = {"VECTORA": set(), "VECTORB": set()}

    def write(tenant):
        collection = client(tenant).get_collection("shared")
        for number in range(25):
            try:
                collection.upsert(ids=[f"id{number}"], embeddings=[[1, number]], documents=[tenant])
                won[tenant].add(f"id{number}")
            except Exception as error:
                assert "tool_not_allowed" in str(error), error

    threads = [threading.Thread(target=write, args=(tenant,)) for tenant in won for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not won["VECTORA"] & won["VECTORB"], won
    all_of_them = everything("shared")
    for id, metadata, document in zip(all_of_them["ids"], all_of_them["metadatas"], all_of_them["documents"]):
        same(metadata["tenant_id"], document.lower(), id)
    same(len(all_of_them["ids"]), 25, "each id once")
    same(set(of["VECTORA"].get()["ids"]), won["VECTORA"], "who won has it")


def collections_of_ones_own():
    a, b = client("VECTORA", "own"), client("VECTORB", "own")
    mine, theirs = a.get_or_create_collection("notes"), b.get_or_create_collection("notes")
    mine.add(ids=["1"], embeddings=[[1, 2]], documents=["mine"])
    same((mine.count(), theirs.count()), (1, 0), "two collections of one name")
    same([each.name for each in a.list_collections()], ["notes"], "its own alone")
    names = {each.name for each in direct().list_collections()}
    assert {"vectora_notes", "vectorb_notes"} <= names, names
    # The id of another's collection is nobody's.
    theirs._model.id = mine.id
    refused(theirs.get, "was not found")
    refused(lambda: b.get_collection("vectora_notes"), "does not exist")
    b.delete_collection("notes")
    same(mine.count(), 1, "untouched")


def a_refusal_of_chromas_is_chromas():
    try:
        client("VECTORA").get_collection("nothing of this name")
    except chromadb.errors.NotFoundError:
        return
    raise AssertionError("found")


CHECKS = [
    a_client_connects_and_describes,
    each_reads_its_own,
    nobody_writes_what_is_anothers,
    the_rules_speak_of_names,
    writers_of_the_same_ids_do_not_meet,
    collections_of_ones_own,
    a_refusal_of_chromas_is_chromas,
]

if __name__ == "__main__":
    run("vector_chroma.py", named(CHECKS if GATEWAY else []))
