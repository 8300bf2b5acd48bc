"""Turns of a conversation, from sound to `response.done`."""

import base64

import numpy as np
import pytest

from thinktalk.contracts import Heard, Text, TextDelta, ToolCall, UserError

from .conftest import Client, FakeOmni, chunk, done, spoken

pytestmark = pytest.mark.anyio

A_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
A_SPOKEN_REPLY = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


async def test_a_turn_is_heard_and_answered_in_order():
    client = Client()
    assert client.types == ["session.created"]
    client.forget()
    await client.turn()
    finished = await client.until("response.done")
    assert client.types == [*A_TURN, *A_SPOKEN_REPLY]

    started, stopped, committed = client.events[:3]
    assert abs(started["audio_start_ms"]) <= 40 and abs(stopped["audio_end_ms"] - 1500) <= 64
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    assert committed["previous_item_id"] is None
    (item,) = finished["response"]["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": "It is five."}]
    assert item["status"] == finished["response"]["status"] == "completed"
    added = client.of("conversation.item.added")[1]
    assert added["item"]["id"] == item["id"] and added["previous_item_id"] == committed["item_id"]
    assert added["item"]["status"] == "in_progress"

    ((messages, options),) = client.omni.asked
    assert [message.role for message in messages] == ["user"]
    (heard,) = messages[0].content
    assert isinstance(heard, Heard) and abs(float(heard.features[0, 0]) / 16_000 - 1.5) < 0.1
    assert options["speech"] is True and options["voice"] == "heart"  # for marin
    assert options["memory"] is client.omni.memories[0]


async def test_the_sound_of_a_reply_is_pcm_at_24_khz():
    client = Client()
    client.omni.script = [chunk(0, 0.5), done("")]
    await client.send("response.create")
    delta = await client.until("response.output_audio.delta")
    sound = np.frombuffer(base64.b64decode(delta["delta"]), "<i2")
    assert len(sound) == 1920 and set(sound) == {16384}


async def test_a_second_turn_gives_the_model_the_very_same_parts_again():
    client = Client()
    for _ in range(2):
        await client.turn()
        await client.until("response.done")
        client.clock.pass_by(10)  # the reply is played
    (first, _), (second, _) = client.omni.asked
    assert [message.role for message in second] == ["user", "assistant", "user"]
    assert second[0].content[0] is first[0].content[0]
    assert second[1].content == [Text("It is five.")]
    assert (
        client.of("input_audio_buffer.committed")[1]["previous_item_id"]
        == (client.of("response.done")[0]["response"]["output"][0]["id"])
    )


async def test_what_is_said_is_heard_and_read_while_it_is_spoken():
    client = Client(instructions="Be brief.")
    await client.append(8.5)
    await client.settle()
    assert not client.omni.asked
    ((system, user),) = client.omni.read_ahead
    assert system.content == "Be brief." and user.role == "user"
    assert len(user.content[0].features) == 8 * 13


async def test_what_is_read_ahead_is_what_the_reply_begins_with():
    client = Client()
    await client.append(8.5)
    await client.append(0.8, level=0)
    await client.until("response.done")
    (ahead,), ((told, _),) = client.omni.read_ahead, client.omni.asked
    assert [message.role for message in ahead] == [message.role for message in told] == ["user"]


async def test_by_hand_a_turn_ends_with_its_commit_and_waits_to_be_answered():
    client = Client()
    await client.listen_by_hand()
    client.forget()
    await client.turn(silence=2)
    assert client.types == []
    await client.send("input_audio_buffer.commit")
    assert client.types == A_TURN[2:]
    await client.settle()
    assert client.types == A_TURN[2:]
    await client.send("response.create")
    await client.until("response.done")
    heard = client.omni.asked[0][0][0].content[0]
    assert float(heard.features[0, 0]) == 3 * 16_000


async def test_nothing_is_not_committed():
    client = Client()
    await client.listen_by_hand()
    for seconds in (0.0, 0.05):
        await client.append(seconds)
        await client.send("input_audio_buffer.commit", event_id="mine")
        error = await client.until("error")
        assert error["error"]["code"] == "input_audio_buffer_commit_empty"
        assert error["error"]["event_id"] == "mine"


async def test_the_buffer_can_be_cleared():
    client = Client()
    await client.listen_by_hand()
    await client.append(1)
    await client.send("input_audio_buffer.clear")
    await client.until("input_audio_buffer.cleared")
    await client.send("input_audio_buffer.commit")
    await client.until("error")
    await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    await client.append(1)
    await client.until("input_audio_buffer.speech_started")
    await client.send("input_audio_buffer.clear")
    await client.append(1, level=0)
    assert not client.of("input_audio_buffer.speech_stopped")


async def test_a_turn_that_is_detected_may_be_committed_by_hand():
    client = Client()
    await client.append(1)
    await client.send("input_audio_buffer.commit")
    await client.until("input_audio_buffer.committed")
    await client.append(1)
    assert len(client.of("input_audio_buffer.speech_started")) == 2


@pytest.mark.parametrize("create", [True, False])
async def test_a_turn_is_answered_only_if_the_client_wants_it(create):
    client = Client(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": create}}})
    await client.turn()
    await client.settle()
    assert bool(client.of("response.created")) is create


async def test_text_alone_is_text():
    client = Client(output_modalities=["text"])
    client.omni.script = [TextDelta("It is"), TextDelta(" five."), done("It is five.")]
    client.forget()
    await client.send("response.create")
    finished = await client.until("response.done")
    assert client.types == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert client.of("response.content_part.added")[0]["part"] == {"type": "text", "text": ""}
    assert finished["response"]["output"][0]["content"] == [{"type": "output_text", "text": "It is five."}]
    assert finished["response"]["output_modalities"] == ["text"]
    assert client.omni.asked[0][1]["speech"] is False


async def test_usage_tells_sound_from_text():
    client = Client()
    await client.turn(1.0, 1.0)
    usage = (await client.until("response.done"))["response"]["usage"]
    heard = len(client.omni.asked[0][0][0].content[0].features)
    assert heard > 10
    assert usage["input_token_details"]["audio_tokens"] == heard
    assert usage["input_tokens"] == 20 and usage["input_token_details"]["text_tokens"] == 20 - heard
    assert usage["output_token_details"] == {"text_tokens": 5, "audio_tokens": 10}
    assert usage["total_tokens"] == 35


async def test_a_function_is_called_and_its_result_is_answered():
    tool = {
        "type": "function",
        "name": "weather",
        "description": "of a town",
        "parameters": {"type": "object"},
    }
    client = Client(tools=[tool])
    call = ToolCall("weather", {"town": "Köln"})
    client.omni.script = [done("", "tool_calls", (call,))]
    client.forget()
    await client.turn()
    finished = await client.until("response.done")
    assert client.types == [
        *A_TURN,
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    (item,) = finished["response"]["output"]
    assert (item["name"], item["arguments"], item["status"]) == ("weather", '{"town": "Köln"}', "completed")
    assert client.of("response.function_call_arguments.done")[0]["call_id"] == item["call_id"]
    (shown,) = client.omni.asked[0][1]["tools"]
    assert shown["function"]["name"] == "weather" and shown["function"]["description"] == "of a town"

    client.omni.script = spoken("It rains.", 3)
    output = {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
    await client.send("conversation.item.create", item=output)
    await client.send("response.create")
    await client.until("response.done")
    told = client.omni.asked[1][0]
    assert [message.role for message in told] == ["user", "assistant", "tool"]
    assert told[1].tool_calls == (call,) and told[2].content == "rain"


async def test_words_before_a_call_are_of_the_same_turn():
    client = Client()
    call = ToolCall("weather", {})
    client.omni.script = [TextDelta("Let me see."), chunk(), done("Let me see.", "tool_calls", (call,))]
    await client.send("response.create")
    finished = await client.until("response.done")
    assert [item["type"] for item in finished["response"]["output"]] == ["message", "function_call"]
    assert [event["output_index"] for event in client.of("response.output_item.added")] == [0, 1]
    client.omni.script = spoken("Rain.", 1)
    await client.send("response.create")
    await client.until("response.done")
    (told,) = client.omni.asked[1][0]
    assert told.content == [Text("Let me see.")] and told.tool_calls == (call,)


async def test_a_reply_that_is_too_long_is_incomplete():
    client = Client(max_output_tokens=7)
    client.omni.script = [TextDelta("one two"), chunk(), done("one two", "length")]
    await client.send("response.create")
    response = (await client.until("response.done"))["response"]
    assert response["status"] == "incomplete" and response["output"][0]["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["max_output_tokens"] == client.omni.asked[0][1]["max_tokens"] == 7


@pytest.mark.parametrize(
    "error, kind", [(UserError("too long"), "invalid_request_error"), (KeyError("x"), "server_error")]
)
async def test_a_reply_that_fails_says_so_and_the_session_goes_on(error, kind):
    client = Client()
    client.omni.script = [TextDelta("It"), error]
    await client.send("response.create")
    response = (await client.until("response.done"))["response"]
    assert response["status"] == "failed" and response["status_details"]["error"]["type"] == kind
    assert "'x'" not in response["status_details"]["error"]["message"]
    client.omni.script = spoken("Yes.", 1)
    await client.send("response.create")
    assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_a_conversation_may_be_begun_by_the_model():
    client = Client()
    await client.send("response.create")
    await client.until("response.done")
    (message,) = client.omni.asked[0][0]
    assert (message.role, message.content) == ("user", "")


async def test_a_response_may_depart_from_the_session():
    client = Client(instructions="Be brief.", tools=[{"type": "function", "name": "one"}])
    await client.send(
        "response.create",
        response={
            "instructions": "Be long.",
            "output_modalities": ["text"],
            "tools": [{"type": "function", "name": "two"}],
            "max_output_tokens": 9,
            "metadata": {"client_event_id": "abc"},
            "audio": {"output": {"voice": "heart"}},
        },
    )
    created = await client.until("response.created")
    finished = await client.until("response.done")
    for event in (created, finished):
        assert event["response"]["metadata"] == {"client_event_id": "abc"}
        assert event["response"]["audio"]["output"]["voice"] == "heart"
    messages, options = client.omni.asked[0]
    assert messages[0].content == "Be long."
    assert [tool["function"]["name"] for tool in options["tools"]] == ["two"]
    assert options["max_tokens"] == 9 and options["speech"] is False


async def test_out_of_band_a_response_leaves_the_conversation_alone():
    client = Client()
    await client.turn()
    await client.until("response.done")
    said = client.of("conversation.item.added")[0]["item"]["id"]
    client.omni.script = ["gate", *spoken("A question.", 2)]
    client.forget()
    question = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "What was it?"}],
    }
    await client.send(
        "response.create",
        response={"conversation": "none", "input": [{"type": "item_reference", "id": said}, question]},
    )
    await client.settle()
    client.omni.script = spoken("Meanwhile.", 2)
    await client.send("response.create")  # beside it
    await client.until("response.done")
    client.omni.gate.set()
    finished = await client.until("response.done")
    assert finished["response"]["conversation_id"] is None
    (aside, options), _ = client.omni.asked[1:]
    assert [message.role for message in aside] == ["user", "user"] and "memory" not in options
    assert len(client.of("conversation.item.added")) == len(client.of("conversation.item.done")) == 1
    assert len(client.session.conversation) == 3


async def test_there_is_one_response_at_a_time():
    client = Client()
    client.omni.script = ["gate", *spoken("It is five.", 2)]
    await client.send("response.create")
    await client.send("response.create", event_id="second")
    error = (await client.until("error"))["error"]
    assert error["code"] == "conversation_already_has_active_response" and error["event_id"] == "second"
    client.omni.gate.set()
    assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_without_a_voice_the_model_writes():
    omni = FakeOmni()
    omni.speaks, omni.voices = False, ()
    omni.script = [TextDelta("Yes."), done("Yes.")]
    client = Client(omni)
    assert client.events[0]["session"]["output_modalities"] == ["text"]
    await client.turn()
    await client.until("response.output_text.delta")
    await client.until("response.done")
