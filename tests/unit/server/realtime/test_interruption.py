"""Speaking over a reply: it stops at once, and what was not heard leaves the conversation."""

import pytest

from thinktalk.contracts import Text, TextDelta

from .conftest import Client, chunk, spoken

pytestmark = pytest.mark.anyio

LONG = "one two three four five six seven eight nine ten"


async def talking(client: Client, frames: int = 20) -> str:
    """A reply that has said something and goes on; the id of its item."""
    *begun, end = spoken(LONG, frames)
    client.omni.script = [*begun, "gate", chunk(), end]
    await client.send("response.create")
    item = await client.until("response.output_item.added")
    await client.settle()
    assert len(client.of("response.output_audio.delta")) == frames
    client.forget()
    return item["item"]["id"]


async def told(client: Client) -> list:
    """What the model is given for its next reply."""
    client.omni.script = spoken("Yes.", 1)
    client.forget()
    await client.send("response.create")
    await client.until("response.done")
    return [part for message in client.omni.asked[-1][0] for part in message.content]


async def test_speech_stops_the_reply_at_once():
    client = Client()
    item = await talking(client)
    await client.append(0.2)
    assert client.types == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    response = client.events[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete" and response["output"][0]["id"] == item
    client.omni.gate.set()
    await client.settle()
    assert client.omni.streams[0].cancelled
    assert not client.of("response.output_audio.delta")


async def test_speech_may_leave_the_reply_alone_and_is_then_answered_after_it():
    client = Client(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    await talking(client)
    await client.turn()
    await client.settle()
    assert not client.of("response.done") and client.of("input_audio_buffer.committed")
    client.omni.script = spoken("Yes.", 1)
    client.omni.gate.set()
    for _ in range(2):
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_what_cannot_have_been_played_leaves_the_conversation():
    client = Client()
    client.omni.script = spoken(LONG, 20)  # 1.6 s of sound, made at once
    await client.send("response.create")
    await client.until("response.done")
    client.clock.pass_by(0.8)
    await client.append(0.2)
    assert (await told(client))[0] == Text("one two three four five")


async def test_what_was_played_to_its_end_stays():
    client = Client()
    client.omni.script = spoken(LONG, 20)
    await client.send("response.create")
    await client.until("response.done")
    client.clock.pass_by(1.7)
    await client.append(0.2)
    assert (await told(client))[0] == Text(LONG)


@pytest.mark.parametrize(
    "end_ms, said, heard_ms",
    [
        (800, "one two three four five", 800),
        (480, "one two three", 480),
        (0, "", 0),
        (1600, LONG, 1600),
        (99_000, LONG, 1600),  # clamped
    ],
)
async def test_a_reply_is_cut_to_what_was_played(end_ms, said, heard_ms):
    client = Client()
    client.omni.script = spoken(LONG, 20)
    await client.send("response.create")
    item = (await client.until("response.done"))["response"]["output"][0]["id"]
    client.clock.pass_by(60)
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=end_ms)
    assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == heard_ms
    await client.send("conversation.item.retrieve", item_id=item)
    (part,) = (await client.until("conversation.item.retrieved"))["item"]["content"]
    assert part["transcript"] == said
    assert [part.text for part in await told(client) if isinstance(part, Text)] == ([said] if said else [])


async def test_silence_in_a_reply_says_nothing():
    client = Client()
    silence = [chunk(i, level=0.0) for i in range(10)]
    *words, end = spoken(LONG, 0)
    client.omni.script = [*words, *silence, *(chunk() for _ in range(10)), end]
    await client.send("response.create")
    item = (await client.until("response.done"))["response"]["output"][0]["id"]
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=1200)
    assert (await told(client))[0] == Text("one two three four five")


async def test_of_a_reply_that_was_stopped_the_pace_is_that_of_the_last_whole_one():
    client = Client()
    client.omni.script = spoken("ten words here", 10)  # 14 letters in 0.8 s
    await client.send("response.create")
    await client.until("response.done")
    client.clock.pass_by(60)
    client.forget()
    item = await talking(client, frames=20)
    client.clock.pass_by(0.8)
    await client.append(0.2)
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=800)
    await client.until("conversation.item.truncated")
    assert Text("one two three") in await told(client)


async def test_truncating_a_reply_that_goes_on_stops_it():
    client = Client()
    item = await talking(client)
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=400)
    assert client.types[-2:] == ["response.done", "conversation.item.truncated"]


async def test_a_reply_is_cancelled_by_the_client():
    client = Client()
    await talking(client)
    await client.send("response.cancel")
    response = (await client.until("response.done"))["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    await client.send("response.cancel", event_id="late")
    error = (await client.until("error"))["error"]
    assert error["code"] == "response_cancel_not_active" and error["event_id"] == "late"
    assert error["message"].startswith("Cancellation failed")


async def test_a_reply_that_has_not_begun_to_speak_is_cancelled_without_an_item():
    client = Client()
    client.omni.script = ["gate", TextDelta("It")]
    await client.send("response.create")
    await client.settle()
    await client.send("response.cancel")
    response = (await client.until("response.done"))["response"]
    assert response["status"] == "cancelled" and response["output"] == []


async def test_by_its_id_only_that_response_is_cancelled():
    client = Client()
    await talking(client)
    await client.send("response.cancel", response_id="resp_other")
    assert (await client.until("error"))["error"]["code"] == "response_cancel_not_active"
    assert not client.of("response.done")


async def test_only_what_the_assistant_said_is_truncated():
    client = Client()
    await client.turn()
    item = (await client.until("input_audio_buffer.committed"))["item_id"]
    for wrong in (item, "item_nowhere"):
        await client.send("conversation.item.truncate", item_id=wrong, content_index=0, audio_end_ms=0)
        assert (await client.until("error"))["error"]["code"] == "item_truncate_invalid_item_id"


async def test_a_text_reply_is_not_cut():
    client = Client(output_modalities=["text"])
    client.omni.script = spoken("It is five.", 0)
    await client.send("response.create")
    item = (await client.until("response.done"))["response"]["output"][0]["id"]
    await client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
    assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 0
    assert Text("It is five.") in await told(client)


async def test_clearing_the_output_forgets_what_was_not_played():
    client = Client()
    client.omni.script = spoken(LONG, 20)
    await client.send("response.create")
    await client.until("response.done")
    client.clock.pass_by(0.8)
    client.forget()
    await client.send("output_audio_buffer.clear")
    assert client.types == []
    assert (await told(client))[0] == Text("one two three four five")
