"""What a store that reads OTLP with OpenTelemetry's own messages gets of the gateway's records."""

import json
import os
import urllib.request

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from harness import GATEWAY, key, named, receiver, run, same, until

received = []


def plain(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def records(tenant):
    """Log records of a tenant with their resources."""
    found = []
    for request in received:
        for logs in request.resource_logs:
            resource = plain(logs.resource.attributes)
            if resource["tollgate.tenant"] == tenant:
                found += [(resource, record) for scope in logs.scope_logs for record in scope.log_records]
    return found


def chat(tenant, text, model="gpt-5", tools=()):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in tools]
    headers = {"authorization": f"Bearer {key(tenant)}", "content-type": "application/json"}
    request = urllib.request.Request(f"{GATEWAY}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.headers["x-request-id"]


def of(tenant, event, request_id):
    def wanted(record):
        return record.event_name == event and plain(record.attributes).get("tollgate.request_id") == request_id

    return [(resource, record) for resource, record in records(tenant) if wanted(record)]


def a_request_is_a_log_record_of_its_tenant():
    request_id = chat("acme", "write to jane.doe@example.com")
    until(lambda: of("acme", "tollgate.request", request_id), 40, "the record is exported")
    [(resource, record)] = of("acme", "tollgate.request", request_id)
    same(resource["service.name"], "tollgate", "the service")
    line = json.loads(record.body.string_value)
    assert "jane.doe" not in record.body.string_value and "[EMAIL_ADDRESS:" in line["prompt"], line
    attributes = plain(record.attributes)
    same(attributes["tollgate.model"], "gpt-5", "the model")
    same(attributes["tollgate.status"], 200, "the status, as a number")
    assert "tollgate.prompt" not in attributes
    same(record.severity_number, SeverityNumber.SEVERITY_NUMBER_INFO, "the severity")
    assert 0 < record.time_unix_nano <= record.observed_time_unix_nano


def a_decision_is_one_too_and_a_denied_one_stands_out():
    request_id = chat("acme", "again", tools=["ok_weather", "delete_everything"])
    until(lambda: of("acme", "tollgate.request", request_id), 40, "the record is exported")
    denied = [record for _, record in of("acme", "tollgate.decision", request_id) if plain(record.attributes)["tollgate.decision"] == "deny"]
    assert denied, "a denied offer is exported"
    for record in denied:
        same(record.severity_number, SeverityNumber.SEVERITY_NUMBER_WARN, "the severity")
        same(len(json.loads(record.body.string_value)["hash"]), 64, "the chain's hash is in the body")


def no_resource_holds_two_tenants():
    request_id = chat("globex", "hello", model="gpt-4o")
    until(lambda: of("globex", "tollgate.request", request_id), 40, "the record is exported")
    for tenant in ["acme", "globex"]:
        for _, record in records(tenant):
            same(json.loads(record.body.string_value)["tenant"], tenant, "a line's tenant")


if __name__ == "__main__":
    if GATEWAY:
        receiver("/v1/logs", ExportLogsServiceRequest, ExportLogsServiceResponse, received, int(os.environ["OTLP_PORT"]))
        checks = [a_request_is_a_log_record_of_its_tenant, a_decision_is_one_too_and_a_denied_one_stands_out, no_resource_holds_two_tenants]
        run("otlp_logs.py", named(checks))
    else:
        run("otlp_logs.py", [])
