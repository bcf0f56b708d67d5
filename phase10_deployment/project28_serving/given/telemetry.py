"""Traces, where they are wanted: OTEL_EXPORTER_OTLP_ENDPOINT says where they go, by OpenTelemetry's packages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def make_tracer(exporter: Any = None) -> Any:
    """What makes spans; None without an endpoint. `exporter` takes the place of the one that sends them there.

    Raises ValueError where an endpoint is set and the packages are missing: who asks for traces wants to know.
    """
    if exporter is None and not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError as missing:
        raise ValueError(f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {missing.name} is not installed") from None
    service = os.environ.get("OTEL_SERVICE_NAME", "llm-ladder")
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    sends = BatchSpanProcessor(OTLPSpanExporter()) if exporter is None else SimpleSpanProcessor(exporter)
    provider.add_span_processor(sends)
    return provider.get_tracer("llm_ladder.serving")


@contextmanager
def span(tracer: Any, scope: Any, headers: dict[bytes, bytes]) -> Iterator[None]:
    """A span around a request, a child of the client's where it sent a traceparent. It has counts, and never texts.

    After the block it has what the request's log line has: model, tokens of the prompt, status.
    """
    if tracer is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    context = TraceContextTextMapPropagator().extract(sent)
    name = f"{scope['method']} {scope['path'][:100]}"
    with tracer.start_as_current_span(name, context=context, record_exception=False) as current:
        current.set_attribute("request.id", scope["state"]["request"])
        yield
        current.set_attribute("http.response.status_code", scope["state"].get("status", 499))
        for key, value in scope["state"].get("log", {}).items():
            if key != "prompts":
                current.set_attribute(f"gen_ai.{key}", value)
