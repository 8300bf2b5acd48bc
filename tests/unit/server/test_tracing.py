"""The spans of replies, caught in memory."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.server.realtime.conftest import done
from thinktalk.server import tracing

ASKED = {"messages": [{"role": "user", "content": "a secret"}], "modalities": ["text", "audio"]}


@pytest.fixture
def spans(monkeypatch) -> InMemorySpanExporter:
    """All that has ended. The provider is the tests' own: a process's can be set once alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


def test_a_reply_is_traced_within_what_is_under_way(spans):
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(7, 7, False, trace.TraceFlags(1)))):
        tracing.trace_reply(done("hello"))
    text, audio, reply = spans.get_finished_spans()
    assert [span.name for span in (text, audio, reply)] == ["first text", "first audio", "reply"]
    assert reply.context.trace_id == 7 and reply.parent.span_id == 7
    assert {text.parent.span_id, audio.parent.span_id} == {reply.context.span_id}
    lengths = [(span.end_time - span.start_time) / 1e9 for span in (text, audio, reply)]
    assert lengths == pytest.approx([0.1, 0.2, 0.5], abs=0.05)


@pytest.mark.parametrize("stream", [False, True])
def test_replies_of_the_server_leave_spans_without_content(client, spans, stream):
    assert client().post("/v1/chat/completions", json={**ASKED, "stream": stream}).status_code == 200
    *_, reply = spans.get_finished_spans()
    assert reply.name == "reply" and reply.attributes["thinktalk.prompt_tokens"] == 7
    assert reply.attributes["thinktalk.finish_reason"] == "stop"
    assert not any(
        "secret" in span.to_json() or "Hello" in span.to_json() for span in spans.get_finished_spans()
    )


def test_without_an_sdk_nothing_is_recorded():
    assert not tracing.tracer.start_span("reply").is_recording()
