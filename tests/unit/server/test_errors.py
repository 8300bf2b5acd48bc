"""What a stranger is told of a request that is wrong: which part, and what to do."""

import pytest

from tests.unit.server.fakes import error_of

CHAT, SECRETS = "/v1/chat/completions", "/v1/realtime/client_secrets"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    "path, sent, param, code, message",
    [
        (
            CHAT,
            {"content": b"{bad", "headers": {"content-type": "application/json"}},
            None,
            "invalid_json",
            "not JSON: Expecting property name",
        ),
        (CHAT, {"data": {"messages": "hi"}}, None, "invalid_value", "send one, as application/json"),
        (CHAT, {"json": [1]}, None, "invalid_value", "a JSON object"),
        (CHAT, {"json": {"messages": []}}, "messages", "invalid_value", "at least 1 item"),
        (
            CHAT,
            {"json": {"messages": HELLO, "modalities": ["audio"], "audio": {"voice": "nobody"}}},
            "audio.voice",
            "invalid_value",
            "the voices are: anna, bert",
        ),
        ("/v1/audio/speech", {"json": {"input": "hi", "voice": "x"}}, "voice", "invalid_value", "anna, bert"),
        (
            "/v1/audio/transcriptions",
            {"files": {"file": ("a.wav", b"no sound")}},
            "file",
            "invalid_value",
            "not a sound or video file",
        ),
        (
            SECRETS,
            {"json": {"session": {"audio": {"output": {"speed": 99}}}}},
            "session.audio.output.speed",
            "invalid_value",
            "less than or equal to 1.5",
        ),
    ],
)
def test_it_is_told_what_is_wrong_and_where(client, path, sent, param, code, message):
    error = error_of(client().post(path, **sent), 400)
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert message in error["message"]


def test_who_comes_without_a_websocket_is_told(client):
    answer = client().get("/v1/realtime")
    assert "ws:" in error_of(answer, 426)["message"] and answer.headers["upgrade"] == "websocket"
