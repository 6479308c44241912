"""Weaviate's official client, version 3 (REST and GraphQL), behind the gateway: three tenants in one class."""

import uuid
import warnings

from harness import GATEWAY, key, named, run, same

warnings.simplefilter("ignore")
import weaviate  # noqa: E402
from weaviate.exceptions import UnexpectedStatusCodeException  # noqa: E402

CLASS = {
    "class": "Article",
    "vectorizer": "none",
    "properties": [{"name": name, "dataType": [kind]} for name, kind in (("tag", "text"), ("n", "int"))],
}


def client(tenant):
    return weaviate.Client(f"{GATEWAY}/tools/weave", auth_client_secret=weaviate.AuthApiKey(key(tenant)))


def id_of(tag, at):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tag}/{at}"))


def refused(call, status):
    try:
        told = call()
    except UnexpectedStatusCodeException as error:
        same(error.status_code, status, error)
        return
    raise AssertionError(f"not refused: {told}")


def fresh():
    a, b = client("VECTORA"), client("VECTORB")
    if a.schema.exists("Article"):
        a.schema.delete_class("Article")
    a.schema.create_class(CLASS)
    for of, tag in ((a, "mine"), (b, "theirs")):
        of.batch.configure(batch_size=3, dynamic=False)
        with of.batch as batch:
            for at in range(1, 6):
                record = {"n": at, "tag": tag, "tenant_id": "vectorb"}
                batch.add_data_object(record, "Article", uuid=id_of(tag, at), vector=[at / 10])
    return a, b


def rows(asked):
    return asked.do()["data"]["Get"]["Article"]


def each_reads_its_own():
    a, _ = fresh()
    same(a.is_ready(), True, "ready")
    near = a.query.get("Article", ["tag", "n"]).with_near_vector({"vector": [0.1]}).with_limit(2)
    same(rows(near), [{"tag": "mine", "n": 1}, {"tag": "mine", "n": 2}], "by similarity")
    shown = rows(a.query.get("Article", ["tenant_id"]).with_additional(["id", "distance"]).with_near_vector({"vector": [0.1]}).with_limit(1))
    same(shown, [{"tenant_id": "vectora", "_additional": {"id": id_of("mine", 1), "distance": 0.0}}], "as asked")
    each = [{"path": ["tenant_id"], "operator": "Equal", "valueText": "vectorb"}, {"path": ["tag"], "operator": "ContainsAny", "valueText": ["theirs", "\"}}"]}]
    same(rows(a.query.get("Article", "tag").with_where({"operator": "Or", "operands": each})), [], "filtered")
    less = {"path": ["n"], "operator": "LessThan", "valueInt": 3}
    same(rows(a.query.get("Article", "n").with_where(less).with_near_object({"id": id_of("mine", 3)})), [{"n": 2}, {"n": 1}], "like one")
    refused(a.query.get("Article", "n").with_near_object({"id": id_of("theirs", 3)}).do, 422)
    same(a.query.aggregate("Article").with_meta_count().do()["data"]["Aggregate"]["Article"], [{"meta": {"count": 5}}], "counted")
    same(a.data_object.get_by_id(id_of("mine", 2), class_name="Article")["properties"]["tag"], "mine", "by id")
    same(a.data_object.get_by_id(id_of("theirs", 2), class_name="Article"), None, "another's")
    same([a.data_object.exists(id_of(tag, 2), class_name="Article") for tag in ("mine", "theirs")], [True, False], "there")


def what_is_written_is_its_own():
    a, b = fresh()
    read = lambda of, tag, at: of.data_object.get_by_id(id_of(tag, at), class_name="Article")
    made = a.data_object.create({"tag": "new"}, "Article", vector=[1.0])
    same(a.data_object.get_by_id(made, class_name="Article")["properties"], {"tag": "new", "tenant_id": "vectora"}, "stamped")
    a.data_object.update({"tag": "changed", "tenant_id": "vectorb"}, "Article", id_of("mine", 1))
    same(read(a, "mine", 1)["properties"], {"n": 1, "tag": "changed", "tenant_id": "vectora"}, "changed")
    a.data_object.replace({"tag": "replaced"}, "Article", id_of("mine", 1), vector=[0.1])
    same(read(a, "mine", 1)["properties"], {"tag": "replaced", "tenant_id": "vectora"}, "replaced")
    theirs = id_of("theirs", 1)
    refused(lambda: a.data_object.update({"tag": "x"}, "Article", theirs), 403)
    refused(lambda: a.data_object.replace({"tag": "x"}, "Article", theirs), 403)
    refused(lambda: a.data_object.delete(theirs, class_name="Article"), 403)
    a.data_object.reference.add(id_of("mine", 2), "like", id_of("mine", 1), from_class_name="Article", to_class_name="Article")
    refused(lambda: a.data_object.reference.add(id_of("mine", 2), "like", theirs, from_class_name="Article", to_class_name="Article"), 422)
    a.data_object.delete(id_of("mine", 1), class_name="Article")
    everything = {"path": ["n"], "operator": "LessThan", "valueInt": 4}
    same(a.batch.delete_objects("Article", everything, dry_run=True)["results"]["matches"], 2, "would be deleted")
    same(a.batch.delete_objects("Article", everything)["results"]["successful"], 2, "deleted")
    same(b.query.aggregate("Article").with_meta_count().do()["data"]["Aggregate"]["Article"], [{"meta": {"count": 5}}], "all there")
    same(read(b, "theirs", 1)["properties"]["tag"], "theirs", "as it was")


def the_rules_decide():
    a, _ = fresh()
    c = client("VECTORC")
    same(rows(c.query.get("Article", "tag")), [], "nothing is its own")
    refused(lambda: c.data_object.create({"tag": "x"}, "Article"), 403)
    refused(lambda: c.schema.delete_class("Article"), 403)
    refused(a.query.get("Article", "n").with_near_vector({"vector": [0.1]}).with_limit(51).do, 403)
    refused(lambda: a.cluster.get_nodes_status(), 403)
    refused(lambda: a.query.raw("{Get{Article{n} Other{n}}}"), 400)


CHECKS = [each_reads_its_own, what_is_written_is_its_own, the_rules_decide]

if __name__ == "__main__":
    run("vector_weaviate.py", named(CHECKS if GATEWAY else []))
