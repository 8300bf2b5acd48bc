"""What an operator wants to know, for Prometheus."""

from collections.abc import AsyncIterator, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from thinktalk.contracts import Done, Event
from thinktalk.server.tracing import trace_reply

WAITS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)  # seconds
FACTORS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1, 1.25, 1.5, 2, 4)


class Metrics:
    """The figures of one server; each server has its own registry."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "thinktalk_requests", "Answers, by route and status.", ["route", "status"], registry=registry
        )
        self.replies = Counter(
            "thinktalk_replies", "Replies made, by how they ended.", ["finish_reason"], registry=registry
        )
        self.sessions = Gauge("thinktalk_sessions", "Real-time sessions now open.", registry=registry)
        self.first_text = Histogram(
            "thinktalk_first_text_seconds", "Until the first text.", buckets=WAITS, registry=registry
        )
        self.first_audio = Histogram(
            "thinktalk_first_audio_seconds", "Until the first sound.", buckets=WAITS, registry=registry
        )
        self.real_time_factor = Histogram(
            "thinktalk_real_time_factor",
            "Seconds of work for one second of speech.",
            buckets=FACTORS,
            registry=registry,
        )

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Report `value()`, looked up whenever somebody asks."""
        Gauge(f"thinktalk_{name}", what, registry=self.registry).set_function(value)

    async def counted(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The same events; their end is counted."""
        async for event in events:
            if isinstance(event, Done):
                self.replied(event)
            yield event

    def replied(self, done: Done) -> None:
        """Count and trace a reply, spoken or not, that came to its end."""
        trace_reply(done)
        self.replies.labels(done.finish_reason).inc()
        for histogram, value in (
            (self.first_text, done.timings.first_text),
            (self.first_audio, done.timings.first_audio),
            (self.real_time_factor, done.timings.real_time_factor),
        ):
            if value is not None:
                histogram.observe(value)

    def page(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry)
