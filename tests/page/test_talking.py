"""Speaking, writing, interrupting: what the page does with sound."""

import base64
import time

import numpy as np
import pytest

from tests.serving import wait_until

LONG = "The capital of France is Paris, and it has been so for a very long time indeed."


def audio(events: list[dict]) -> np.ndarray:
    data = b"".join(base64.b64decode(event["audio"]) for event in events)
    return np.frombuffer(data, "<i2") / 32768


def test_a_spoken_question_is_heard_and_answered_aloud(visit, url, stage):
    stage.seconds = 5.0
    visited = visit(url)
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("hearing")
    assert visited.loudest("#your-meter", 0.4) > 10
    visited.state("speaking")
    visited.shows(stage.hears)
    first = visited.page.locator(".now").inner_text()
    assert visited.loudest("#its-meter", 1.0) > 10
    visited.has_said("Paris")
    assert first in ("The", "capital", "of")
    visited.state("listening")
    assert visited.page.locator("[data-role=assistant] .words").inner_text() == stage.says
    assert visited.page.locator(".ahead, .now").count() == 0
    seconds, unit = visited.page.locator("#latency").inner_text().split()
    assert 0 < float(seconds) < 5 and unit == "s"

    [update] = stage.sent("session.update")
    wanted = update["session"]["audio"]
    assert wanted["input"]["format"] == wanted["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert wanted["input"]["turn_detection"]["type"] == "server_vad" and wanted["input"]["transcription"]
    assert wanted["output"]["voice"] == "heart"
    assert np.abs(audio(stage.sent("input_audio_buffer.append"))).max() > 0.05


def test_what_is_sent_keeps_time(visit, url, stage):
    visited = visit(url)
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("hearing")
    begun, before = time.monotonic(), len(audio(stage.sent("input_audio_buffer.append")))
    visited.page.wait_for_timeout(1500)
    sent = len(audio(stage.sent("input_audio_buffer.append"))) - before
    assert sent / 24_000 == pytest.approx(time.monotonic() - begun, abs=0.25)
    assert all(len(event["audio"]) < 8000 for event in stage.sent("input_audio_buffer.append")), (
        "small chunks"
    )


def test_a_written_question_is_answered_aloud(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_label("Message").fill("What is two plus three?")
    visited.page.keyboard.press("Enter")
    visited.state("speaking")
    assert visited.loudest("#its-meter", 1.0) > 10
    visited.state("idle")
    visited.shows("What is two plus three?")
    [item] = stage.sent("conversation.item.create")
    assert item["item"]["content"] == [{"type": "input_text", "text": "What is two plus three?"}]
    assert len(stage.sent("response.create")) == 1


def test_speaking_over_a_reply_stops_it_and_says_what_was_heard(visit, url, stage):
    stage.says, stage.seconds = LONG, 12.0
    visited = visit(url, heard=(0.3, 5.0))
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("speaking")
    visited.page.wait_for_selector("[data-status=cut]")
    visited.page.wait_for_timeout(200)  # the meter looks every 80 ms
    assert visited.loudest("#its-meter", 0.3) == 0
    [cut] = stage.sent("conversation.item.truncate")
    assert cut["content_index"] == 0
    at = [(state, ms) for state, ms in visited.states() if state in ("speaking", "hearing")]
    [_, (_, began), (_, interrupted)] = at[:3]
    assert 500 < cut["audio_end_ms"] < interrupted - began
    heard = visited.page.locator("[data-status=cut] .said").all_inner_texts()
    assert 0 < len(heard) < len(LONG.split()) - 3
    assert not stage.sent("response.cancel"), "the server does that itself"
    visited.page.locator("[data-role=assistant]").nth(1).wait_for()


@pytest.mark.parametrize("way", ["button", "key", "writing"])
def test_a_reply_can_be_stopped_without_a_voice(visit, url, stage, way):
    stage.says, stage.seconds = LONG, 8.0
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="two plus three").click()
    visited.state("speaking")
    visited.has_said("capital")
    if way == "button":
        visited.page.get_by_role("button", name="Stop").click()
    elif way == "key":
        visited.page.keyboard.press("Escape")
    else:
        stage.says, stage.seconds = "Five.", 0.5
        visited.page.get_by_label("Message").fill("Be short.")
        visited.page.keyboard.press("Enter")
        visited.shows("Five.")
    visited.state("idle")
    wait_until(
        lambda: bool(stage.sent("conversation.item.truncate"))
    )  # it is on its way when the page is idle
    assert [
        event["type"] for event in stage.received if "cancel" in event["type"] or "trunc" in event["type"]
    ] == [
        "response.cancel",
        "conversation.item.truncate",
    ]
    visited.page.wait_for_timeout(200)  # the meter looks every 80 ms
    assert visited.loudest("#its-meter", 0.3) == 0


def test_hold_space_to_talk(visit, url, stage):
    visited = visit(url)
    visited.state("idle")
    visited.page.get_by_label("Push to talk").check()
    visited.page.wait_for_timeout(300)
    assert stage.sent("session.update")[-1]["session"]["audio"]["input"]["turn_detection"] is None
    visited.page.locator("h1").click()
    visited.page.keyboard.down("Space")
    visited.state("hearing")
    visited.page.wait_for_timeout(2200)
    visited.page.keyboard.up("Space")
    visited.shows(stage.hears)
    visited.state("speaking")
    said = len(stage.sent("input_audio_buffer.append"))
    assert len(audio(stage.sent("input_audio_buffer.append"))) > 1.8 * 24_000
    kinds = [event["type"] for event in stage.received]
    assert kinds[-2:] == ["input_audio_buffer.commit", "response.create"]
    visited.state("idle")
    assert len(stage.sent("input_audio_buffer.append")) == said, "nobody hears while the key is up"


def test_a_short_press_asks_nothing(visit, url, stage):
    visited = visit(url)
    visited.state("idle")
    visited.page.get_by_label("Push to talk").check()
    button = visited.page.get_by_role("button", name="Hold to talk")
    button.click()
    visited.page.get_by_role("alert").get_by_text("Hold the button").wait_for()
    assert not stage.sent("input_audio_buffer.commit") and not stage.sent("response.create")


def test_changing_the_way_forgets_what_was_half_said(visit, url, stage):
    visited = visit(url)
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("hearing")
    visited.page.get_by_label("Push to talk").check()
    visited.state("idle")
    visited.page.wait_for_timeout(200)
    kinds = [event["type"] for event in stage.received]
    assert kinds[-2:] == ["input_audio_buffer.clear", "session.update"]


def test_muting_lets_the_device_go(visit, url, stage):
    visited = visit(url, heard=(1.5,))
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("listening")
    visited.page.wait_for_timeout(300)
    visited.page.get_by_role("button", name="Mute").click()
    visited.state("idle")
    sent = len(stage.sent("input_audio_buffer.append"))
    visited.page.wait_for_timeout(300)
    assert len(stage.sent("input_audio_buffer.append")) == sent > 0


def test_without_a_microphone_one_writes(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.page.get_by_role("alert").get_by_text("You can type").wait_for()
    visited.page.get_by_label("Message").fill("Still there?")
    visited.page.get_by_role("button", name="Send").click()
    visited.shows(stage.says)


def test_replies_can_be_only_written(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="Aloud").click()
    visited.page.get_by_role("button", name="two plus three").click()
    visited.shows(stage.says)
    visited.state("idle")
    assert stage.sent("session.update")[-1]["session"]["output_modalities"] == ["text"]
    visited.page.wait_for_timeout(200)  # the meter looks every 80 ms
    assert visited.loudest("#its-meter", 0.3) == 0
    assert "first word" in visited.page.locator(".latency").inner_text()
    assert visited.page.locator("#announcer").inner_text() == f"thinktalk: {stage.says}"
