"""Traces: one span a request, with counts and never with texts; none where nobody asked for them."""

from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from phase10_deployment.project28_serving.given.telemetry import make_tracer, span


def test_without_an_endpoint_there_is_none(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert make_tracer() is None
    with span(None, {}, {}):
        pass


@pytest.mark.parametrize("parent", [False, True])
def test_a_span_has_counts_and_no_texts(parent):
    exporter = InMemorySpanExporter()
    log = {"model": "tiny", "prompt_tokens": 5, "stream": True, "prompts": ["secret"]}
    scope = {
        "method": "POST",
        "path": "/v1/completions",
        "state": {"request": "abc", "status": 200, "log": log},
    }
    headers = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} if parent else {}
    with span(make_tracer(exporter), scope, headers):
        pass
    made: Any
    (made,) = exporter.get_finished_spans()
    assert made.name == "POST /v1/completions"
    assert dict(made.attributes) == {
        "request.id": "abc", "http.response.status_code": 200, "gen_ai.model": "tiny", "gen_ai.prompt_tokens": 5,
        "gen_ai.stream": True,
    }  # fmt: skip
    assert (f"{made.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c") == parent
