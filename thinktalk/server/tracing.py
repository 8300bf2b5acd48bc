"""Where the time of a reply went, as spans for OpenTelemetry; without its SDK they go nowhere and cost nothing.

FastAPI traces the request around it, which becomes their parent. No span has anything of what was said.
"""

import time

from opentelemetry import trace

from thinktalk.contracts import Done

NANO = 10**9

tracer = trace.get_tracer("thinktalk")


def trace_reply(done: Done) -> None:
    """A reply that has just ended: "reply", and in it "first text" and "first audio", from when the engine took it up."""
    timings, usage = done.timings, done.usage
    began = time.time_ns() - round(NANO * timings.total)
    attributes = {
        "thinktalk.finish_reason": done.finish_reason,
        "thinktalk.prompt_tokens": usage.prompt_tokens,
        "thinktalk.cached_tokens": usage.cached_tokens,
        "thinktalk.text_tokens": usage.text_tokens,
        "thinktalk.speech_frames": usage.speech_frames,
    }
    reply = tracer.start_span("reply", start_time=began, attributes=attributes)
    within = trace.set_span_in_context(reply)
    for name, seconds in (("first text", timings.first_text), ("first audio", timings.first_audio)):
        if seconds is not None:
            tracer.start_span(name, within, start_time=began).end(began + round(NANO * seconds))
    reply.end()
