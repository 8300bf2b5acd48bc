"""The modules that compute, by themselves, in the browser that runs them."""

import itertools

import pytest

from tests.page.stage import Stage, serve

RESAMPLED = """async ([module, from, hertz, cut]) => {
  const { Resampler } = await import(module);
  const resampler = new Resampler(from);
  const wave = Float32Array.from({ length: from }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / from));
  const out = [];
  for (let at = 0; at < wave.length; at += cut) out.push(...resampler.feed(wave.slice(at, at + cut)));
  return out;
}"""
WORDS = """async ([module, sound, words, moments, finish]) => {
  const { Pace } = await import(module);
  const pace = new Pace();
  const samples = sound.flatMap(([seconds, loud]) => Array(Math.round(seconds * 24000)).fill(loud));
  for (let at = 0; at < samples.length; at += 1920) pace.add(Float32Array.from(samples.slice(at, at + 1920)));
  if (finish) pace.finish();
  return moments.map((ms) => words[pace.word(words, ms)]);
}"""
ORDERED = """async ([module, events]) => {
  const { Conversation } = await import(module);
  const conversation = new Conversation();
  for (const event of events) conversation.apply(event);
  return conversation.entries.map(({ role, text, status }) => [role, text, status]);
}"""
CODED = """async ([module, samples]) => {
  const { encode, decode } = await import(module);
  const text = encode(Float32Array.from(samples));
  return [text, [...decode(text)]];
}"""


@pytest.fixture(scope="module")
def run(browsers):
    """Call a function with a module's address and what else it wants."""
    with serve(Stage().app()) as url:
        page = browsers(None).new_page()
        page.goto(url)
        yield lambda function, module, *rest: page.evaluate(function, [url + module, *rest])
        page.close()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_resampling_keeps_a_tone(run, rate):
    out = run(RESAMPLED, "pcm.js", rate, 1000, 441)
    assert len(out) == pytest.approx(24_000, abs=60)
    inner = out[1000:-1000]
    power = sum(sample**2 for sample in inner) / len(inner)
    assert power == pytest.approx(0.5, rel=0.02)
    rising = sum(a < 0 <= b for a, b in itertools.pairwise(inner))
    assert rising * 24_000 / len(inner) == pytest.approx(1000, abs=3)


def test_resampling_takes_away_what_does_not_fit(run):
    inner = run(RESAMPLED, "pcm.js", 48_000, 15_000, 512)[1000:-1000]
    assert max(map(abs, inner)) < 0.01


def test_resampling_does_not_depend_on_the_cuts(run):
    whole = run(RESAMPLED, "pcm.js", 44_100, 440, 44_100)
    for cut in (128, 1000):
        pieces = run(RESAMPLED, "pcm.js", 44_100, 440, cut)
        assert pieces == pytest.approx(whole[: len(pieces)], abs=1e-6)


def test_samples_become_the_wire_s_bytes_and_back(run):
    text, back = run(CODED, "pcm.js", [0, 0.5, -0.5, 1, -1, 2])
    assert text == "AAAAQAHA/38BgP9/"
    assert back == pytest.approx([0, 0.5, -0.5, 1, -1, 1], abs=1e-3)


def test_words_pass_while_there_is_voice(run):
    sound = [[1.0, 0.2], [2.0, 0.0], [1.0, 0.2]]
    words = ["One, ", "two; ", "six, ", "ten."]
    moments = [0, 400, 700, 950, 1500, 2900, 3400, 3700, 9999]
    heard = run(WORDS, "pace.js", sound, words, moments, True)
    assert heard == ["One, "] * 2 + ["two; "] * 2 + ["six, "] * 3 + ["ten."] * 2


def test_words_never_run_ahead_of_what_is_known(run):
    assert run(WORDS, "pace.js", [[0.4, 0.2]], ["One ", "two "], [0, 390], False) == ["One ", "two "]
    assert run(WORDS, "pace.js", [[5.0, 0.2]], ["One ", "two "], [4900], False) == ["two "]


def test_items_stand_where_the_server_puts_them(run):
    def item(id: str, role: str, text: str = "", **more: str) -> dict:
        part = {"type": "input_text" if role == "user" else "output_audio", "text": text}
        return {"id": id, "type": "message", "role": role, "status": "completed", "content": [part], **more}

    transcription = "conversation.item.input_audio_transcription"
    heard = {"type": f"{transcription}.delta", "item_id": "u1"}
    said = {"type": "response.output_audio_transcript.delta", "item_id": "a1"}
    events = [
        {"type": "input_audio_buffer.speech_started", "item_id": "u1"},
        {"type": "input_audio_buffer.committed", "item_id": "u1", "previous_item_id": None},
        {
            "type": "conversation.item.added",
            "item": item("a1", "assistant", status="in_progress"),
            "previous_item_id": "u1",
        },
        {**said, "delta": "Pa"},
        {**heard, "delta": "What "},  # late, and yet the first line
        {**said, "delta": "ris."},
        {"type": f"{transcription}.completed", "item_id": "u1", "transcript": "What is it? "},
        {
            "type": "conversation.item.added",
            "item": item("u2", "user", "And before?"),
            "previous_item_id": "a1",
        },
        {"type": "conversation.item.added", "item": item("u0", "user", "Mind."), "previous_item_id": "u1"},
        {"type": "conversation.item.truncated", "item_id": "a1"},
        {"type": "conversation.item.done", "item": item("a1", "assistant", "Paris.")},
        {"type": "conversation.item.added", "item": {"id": "f", "type": "function_call"}},
        {"type": "conversation.item.added", "item": item("s", "system", "Be kind.")},
        {"type": "conversation.item.deleted", "item_id": "u2"},
        {"type": "rate_limits.updated"},
    ]
    assert run(ORDERED, "conversation.js", events) == [
        ["user", "What is it?", "done"],
        ["user", "Mind.", "done"],
        ["assistant", "Paris.", "cut"],
    ]
