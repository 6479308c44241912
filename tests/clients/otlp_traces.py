"""What collectors on OpenTelemetry's own messages get of the gateway's traces: by HTTP, and by the official gRPC server."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from harness import GATEWAY, MOCK, named, receiver, run, same, seen, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ports import free_ports

BINARY = os.environ.get("TOLLGATE_BIN", "")
KEY = "test-key-of-acme"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONFIG = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
data_dir: {data}
telemetry: {{ otlp: "http://127.0.0.1:{collector}", protocol: {protocol}, genai_semconv: {names} }}
upstreams:
  mock: {{ kind: openai, url: "{mock}/v1", auth: {{ bearer: {upstream} }} }}
  mocka: {{ kind: anthropic, url: "{mock}/v1", auth: {{ header: {{ name: x-api-key, value: {upstream} }} }} }}
models: {{ gpt-5: {{ upstream: mock, price: {{ input: 1, output: 10 }} }}, claude: {{ upstream: mocka }} }}
tenants:
  acme: {{ keys: [{{ id: prod, sha256: {digest} }}], models: ["*"], tools: [{{ allow: "ok_*" }}, {{ deny: "delete_*" }}] }}
"""


class Collector:
    """Takes traces; `received` holds the requests."""

    def __init__(self, protocol):
        self.protocol, self.received, self.refuse = protocol, [], 0
        start = self.start_grpc if protocol == "grpc" else self.start_http
        self.port = start()

    def start_http(self):
        return receiver("/v1/traces", ExportTraceServiceRequest, ExportTraceServiceResponse, self.received)

    def start_grpc(self):
        collector = self

        class Service(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request, context):
                if collector.refuse > 0:
                    collector.refuse -= 1
                    context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
                collector.received.append(request)
                return ExportTraceServiceResponse()

        server = grpc.server(futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.server = server
        return port

    def spans(self):
        """Spans with their resource and the schema of their scope."""
        return [
            (plain(traces.resource.attributes), scope.schema_url, span)
            for request in list(self.received)
            for traces in request.resource_spans
            for scope in traces.scope_spans
            for span in scope.spans
        ]


class Gateway:
    def __init__(self, collector, names="classic"):
        self.dir = tempfile.TemporaryDirectory()
        self.port, admin = free_ports(2)
        path = f"{self.dir.name}/tollgate.yaml"
        with open(path, "w") as file:
            digest = hashlib.sha256(KEY.encode()).hexdigest()
            file.write(CONFIG.format(port=self.port, admin=admin, data=self.dir.name + "/data", collector=collector.port, protocol=collector.protocol, names=names, mock=MOCK, upstream="test-key-upstream", digest=digest))
        self.process = subprocess.Popen([BINARY, "serve", "--config", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.is_ready(admin), 30, "the gateway is ready")

    def is_ready(self, admin):
        assert self.process.poll() is None, "the gateway ended"
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz").status == 200
        except urllib.error.URLError:
            return False

    def post(self, path, body, **headers):
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            answer.read()
            return answer.headers["x-request-id"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        same(self.process.wait(20), 0, "the end")
        self.dir.cleanup()


def plain(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def chat(text, **more):
    return {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **more}


def one(spans, wanted):
    found = [found for found in spans if wanted(found[2])]
    same(len(found), 1, f"one of {[span.name for _, _, span in spans]}")
    return found[0]


def a_request_is_told_in_the_words_of_the_conventions(protocol, names, schema):
    collector = Collector(protocol)
    gateway = Gateway(collector, names)
    before = time.time_ns()
    tools = [{"type": "function", "function": {"name": name}} for name in ("ok_weather", "delete_all")]
    gateway.post("/v1/chat/completions", chat("hi", tools=tools, stream=True), traceparent=f"00-{TRACE}-{PARENT}-00", tracestate="a=b", baggage="c=d")
    sent = [dict(hit["headers"]) for hit in seen()][-1]
    gateway.stop()
    spans = collector.spans()
    for resource, told, span in spans:
        same((resource["service.name"], resource["tollgate.tenant"], told), ("tollgate", "acme", schema), "the resource and the schema")
        same((span.trace_id.hex(), len(span.span_id)), (TRACE, 8), "the trace")
        assert before <= span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns(), span
    same(len({span.span_id for _, _, span in spans}), len(spans), "each span has its own id")
    _, _, server = one(spans, lambda span: span.kind == Span.SPAN_KIND_SERVER)
    same((server.name, server.parent_span_id.hex()), ("POST /v1/chat/completions", PARENT), "the request")
    _, _, call = one(spans, lambda span: span.name == "chat gpt-5")
    same((call.kind, call.parent_span_id), (Span.SPAN_KIND_CLIENT, server.span_id), "the call")
    attributes = plain(call.attributes)
    same(attributes["gen_ai.operation.name"], "chat", "the operation")
    same(attributes["gen_ai.provider.name"], "openai", "the provider")
    same(attributes["gen_ai.request.stream"], True, "the stream")
    assert attributes["gen_ai.usage.input_tokens"] > 0 and attributes["gen_ai.response.time_to_first_chunk"] > 0, attributes
    _, _, attempt = one(spans, lambda span: span.parent_span_id == call.span_id)
    same(plain(attempt.attributes)["http.response.status_code"], 200, "the try")
    same(sent["traceparent"], f"00-{TRACE}-{attempt.span_id.hex()}-01", "what the upstream is told")
    assert "tracestate" not in sent and "baggage" not in sent, sent
    _, _, denied = one(spans, lambda span: span.status.code == Status.STATUS_CODE_ERROR)
    same((denied.name, denied.parent_span_id), ("decide delete_all", server.span_id), "the decision")
    same(plain(denied.attributes)["error.type"], "policy_denied", "why")
    return spans


def by_http_in_classic_names():
    a_request_is_told_in_the_words_of_the_conventions("http", "classic", "https://opentelemetry.io/schemas/1.41.0")


def by_grpc_in_the_latest_names():
    a_request_is_told_in_the_words_of_the_conventions("grpc", "latest", "https://opentelemetry.io/schemas/gen-ai/1.42.0")


def a_grpc_server_that_is_not_ready_is_tried_again():
    collector = Collector("grpc")
    collector.refuse = 2
    gateway = Gateway(collector)
    gateway.post("/v1/chat/completions", chat("hi"))
    until(lambda: len(collector.spans()) == 3, 20, "the spans are there")
    # And one whose connection went away is found again.
    collector.server.stop(0).wait()
    gateway.post("/v1/chat/completions", chat("hi"))
    gateway.stop()


def anthropic_is_told_apart():
    collector = Collector("http")
    gateway = Gateway(collector)
    gateway.post("/v1/messages", {"model": "claude", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}, **{"anthropic-version": "2023-06-01"})
    gateway.stop()
    _, _, call = one(collector.spans(), lambda span: span.name == "chat claude")
    same(plain(call.attributes)["gen_ai.provider.name"], "anthropic", "the provider")


if __name__ == "__main__":
    checks = [by_http_in_classic_names, by_grpc_in_the_latest_names, a_grpc_server_that_is_not_ready_is_tried_again, anthropic_is_told_apart]
    run("otlp_traces.py", named(checks) if GATEWAY else [])
