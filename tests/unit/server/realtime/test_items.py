"""The items of a conversation, made and unmade by the client."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from thinktalk.contracts import Heard, Text
from thinktalk.contracts import Image as Picture
from thinktalk.server.realtime import conversation
from thinktalk.server.settings import Settings

from .conftest import Client, spoken

pytestmark = pytest.mark.anyio


def text(said: str, role: str = "user", **fields) -> dict:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": said}], **fields}


def said(*content: dict, role: str = "user") -> dict:
    return {"type": "message", "role": role, "content": list(content)}


def shown(url: str, role: str = "user") -> dict:
    return said({"type": "input_image", "image_url": url}, role=role)


def picture(width: int = 8, height: int = 8) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


async def test_items_keep_their_ids_and_their_order():
    client = Client()
    for id, previous, before in [
        ("b", None, None),
        ("d", None, "b"),
        ("a", "root", None),
        ("c", "b", "b"),
    ]:
        await client.send("conversation.item.create", item=text(id, id=id), previous_item_id=previous)
        added, finished = (
            await client.until("conversation.item.added"),
            await client.until("conversation.item.done"),
        )
        assert added["item"]["id"] == finished["item"]["id"] == id
        assert added["previous_item_id"] == finished["previous_item_id"] == before
        assert added["item"]["content"] == [{"type": "input_text", "text": id}]
    assert [entry.id for entry in client.session.conversation] == ["a", "b", "c", "d"]
    await client.send("conversation.item.delete", item_id="b")
    assert (await client.until("conversation.item.deleted"))["item_id"] == "b"
    await client.send("response.create")
    await client.until("response.done")
    assert [message.content[0].text for message in client.omni.asked[0][0]] == ["a", "c", "d"]


async def test_an_item_without_an_id_gets_one():
    client = Client()
    await client.send("conversation.item.create", item=text("hello"))
    assert (await client.until("conversation.item.added"))["item"]["id"].startswith("item_")


async def test_all_roles_are_told_to_the_model():
    client = Client(instructions="Be brief.")
    for item in (text("Speak of the sea.", "system"), text("Hello."), text("Good day.", "assistant")):
        await client.send("conversation.item.create", item=item)
    old_name = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "And?"}]}
    await client.send("conversation.item.create", item=old_name)
    await client.send("response.create")
    await client.until("response.done")
    told = client.omni.asked[0][0]
    assert [message.role for message in told] == ["system", "system", "user", "assistant", "assistant"]
    assert told[0].content == "Be brief." and told[4].content == [Text("And?")]


async def test_pictures_and_sound_are_shown_to_the_model():
    client = Client()
    sound = base64.b64encode(np.zeros(24_000, "<i2").tobytes()).decode()
    content = [
        {"type": "input_image", "image_url": picture()},
        {"type": "input_audio", "audio": sound, "transcript": "..."},
        {"type": "input_text", "text": "What is it?"},
    ]
    await client.send("conversation.item.create", item=said(*content))
    added = await client.until("conversation.item.added")
    assert added["item"]["content"][1] == {"type": "input_audio", "transcript": "..."}
    await client.send("response.create")
    await client.until("response.done")
    (message,) = client.omni.asked[0][0]
    shown, heard, asked = message.content
    assert isinstance(shown, Picture) and isinstance(heard, Heard) and asked == Text("What is it?")
    assert float(heard.features[0, 0]) == 16_000
    await client.send("conversation.item.retrieve", item_id=added["item"]["id"])
    retrieved = (await client.until("conversation.item.retrieved"))["item"]["content"][1]
    assert len(base64.b64decode(retrieved["audio"])) == 48_000


async def test_what_the_user_said_can_be_retrieved():
    client = Client()
    await client.listen_by_hand()
    await client.append(1.0)
    await client.send("input_audio_buffer.commit")
    item = (await client.until("input_audio_buffer.committed"))["item_id"]
    await client.send("conversation.item.retrieve", item_id=item)
    (part,) = (await client.until("conversation.item.retrieved"))["item"]["content"]
    sound = np.frombuffer(base64.b64decode(part["audio"]), "<i2") / 32767
    assert len(sound) == 24_000
    expected = 0.3 * np.sin(np.arange(24_000) * 0.1)
    assert np.abs(sound - expected)[1000:-1000].max() < 0.01


async def test_old_sound_is_forgotten_before_it_is_too_much(monkeypatch):
    monkeypatch.setattr(conversation, "KEPT_SECONDS", 1.5)
    client = Client()
    await client.listen_by_hand()
    items = []
    for _ in range(2):
        await client.append(1.0)
        await client.send("input_audio_buffer.commit")
        items.append((await client.until("input_audio_buffer.committed"))["item_id"])
    for item, kept in zip(items, (False, True), strict=True):
        await client.send("conversation.item.retrieve", item_id=item)
        (part,) = (await client.until("conversation.item.retrieved"))["item"]["content"]
        assert ("audio" in part) is kept


@pytest.mark.parametrize(
    "type, fields, code",
    [
        ("conversation.item.delete", {"item_id": "none"}, "item_delete_invalid_item_id"),
        ("conversation.item.retrieve", {"item_id": "none"}, "item_retrieve_invalid_item_id"),
        ("conversation.item.create", {"item": text("x", id="taken")}, "item_create_duplicate_item_id"),
        (
            "conversation.item.create",
            {"item": text("x"), "previous_item_id": "none"},
            "item_create_invalid_previous_item_id",
        ),
        ("conversation.item.create", {"item": text("x", "nobody")}, "invalid_value"),
        ("conversation.item.create", {"item": {"type": "mcp_call"}}, "invalid_value"),
        ("conversation.item.create", {"item": shown(picture(), role="system")}, "invalid_value"),
        ("conversation.item.create", {"item": shown("https://x.org/a.png")}, "invalid_value"),
        ("conversation.item.create", {"item": shown("data:image/png;base64,%")}, "invalid_value"),
        ("conversation.item.create", {"item": shown("data:image/png;base64,AAAA")}, "invalid_value"),
        ("conversation.item.create", {"item": shown(picture(20, 20))}, "invalid_value"),
        ("conversation.item.create", {"item": said({"type": "input_audio", "audio": "%"})}, "invalid_value"),
        (
            "conversation.item.create",
            {"item": {"type": "function_call", "name": "f", "arguments": "[]"}},
            "invalid_value",
        ),
        (
            "response.create",
            {"response": {"input": [{"type": "item_reference", "id": "none"}]}},
            "item_reference_not_found",
        ),
    ],
)
async def test_wrong_items_are_errors_and_change_nothing(type, fields, code):
    client = Client(settings=Settings(max_pixels=100))
    await client.send("conversation.item.create", item=text("taken", id="taken"))
    client.forget()
    await client.send(type, event_id="mine", **fields)
    assert client.types == ["error"]
    error = client.events[0]["error"]
    assert (error["code"], error["event_id"], error["type"]) == (code, "mine", "invalid_request_error")
    assert "\n" not in error["message"]
    assert [entry.id for entry in client.session.conversation] == ["taken"]


async def test_a_conversation_has_an_end(monkeypatch):
    monkeypatch.setattr(conversation, "MOST_ITEMS", 2)
    client = Client()
    for said in "abc":
        await client.send("conversation.item.create", item=text(said))
    assert (await client.until("error"))["error"]["code"] == "conversation_full"
    monkeypatch.setattr(conversation, "MOST_ITEMS", 20)
    monkeypatch.setattr(conversation, "MOST_BYTES", 1000)
    await client.send("conversation.item.create", item=text("a" * 1000))
    assert (await client.until("error"))["error"]["code"] == "conversation_full"


async def test_a_reply_may_be_deleted_while_it_goes_on():
    client = Client()
    *begun, end = spoken("one two", 2)
    client.omni.script = [*begun, "gate", end]
    await client.send("response.create")
    item = (await client.until("response.output_item.added"))["item"]["id"]
    await client.settle()
    await client.send("conversation.item.delete", item_id=item)
    client.omni.gate.set()
    await client.until("response.done")
    assert len(client.session.conversation) == 0
