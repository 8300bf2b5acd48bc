"""Who gets in, with how much; what is told of an error, and what is not."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.testclient import WebSocketDenialResponse

from tests.unit.server.fakes import error_of, in_loop
from thinktalk.server.log import JsonLines

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def test_without_keys_everybody_may_ask(client):
    assert client().get("/v1/models").json()["data"][0]["id"] == "nano"


@pytest.mark.parametrize(
    "header, code",
    [
        ({}, None),
        ({"authorization": "Bearer wrong"}, "invalid_api_key"),
        ({"authorization": "Basic k1"}, None),
    ],
)
def test_a_key_is_wanted_below_v1_alone(client, omni, header, code):
    asking = client(api_keys=("k1", "k2"))
    assert error_of(asking.get("/v1/models", headers=header), 401)["code"] == code
    assert error_of(asking.post("/v1/chat/completions", headers=header, json=HELLO), 401)["code"] == code
    assert asking.get("/health", headers=header).status_code == 200
    assert not omni.asked


@pytest.mark.parametrize("key", ["k1", "k2"])
def test_any_of_the_keys_opens(client, key):
    asking = client(api_keys=("k1", "k2"))
    assert asking.get("/v1/models", headers={"authorization": f"bearer {key}"}).status_code == 200


def test_a_page_from_elsewhere_does_not_reach_a_server_without_a_key(client):
    asking = client(hosts=("testserver",))
    assert error_of(asking.get("/v1/models", headers={"host": "rebound.example"}), 403)
    assert error_of(asking.get("/v1/models", headers={"origin": "https://elsewhere.example"}), 403)
    assert error_of(asking.get("/v1/models", headers={"origin": "null"}), 403)
    assert asking.get("/v1/models", headers={"origin": "http://testserver"}).status_code == 200


def test_a_page_from_elsewhere_may_ask_with_a_key_or_where_it_is_allowed(client):
    origin = {"origin": "https://elsewhere.example"}
    keyed = client(api_keys=("k",)).get("/v1/models", headers={**origin, "authorization": "Bearer k"})
    assert keyed.status_code == 200 and "access-control-allow-origin" not in keyed.headers
    allowed = client(cors_origins=("https://elsewhere.example",)).get("/v1/models", headers=origin)
    assert allowed.headers["access-control-allow-origin"] == "https://elsewhere.example"


def test_a_preflight_needs_no_key(client):
    asking = client(api_keys=("k",), cors_origins=("https://elsewhere.example",))
    headers = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    assert asking.options("/v1/chat/completions", headers=headers).status_code == 200
    assert error_of(client(api_keys=("k",)).options("/v1/chat/completions", headers=headers), 401)


def test_a_body_that_says_it_is_too_large_is_refused(client, omni):
    answer = client(max_body=100).post("/v1/chat/completions", content=b" " * 101)
    assert error_of(answer, 413)["code"] == "request_too_large"


def test_a_body_that_grows_too_large_is_refused(serve, omni):
    async def body() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 10

    async def post():
        async with in_loop(serve(max_body=100)) as asking:
            return await asking.post(
                "/v1/chat/completions", content=body(), headers={"content-type": "application/json"}
            )

    assert error_of(asyncio.run(post()), 413)
    assert not omni.asked


@pytest.mark.parametrize(
    "method, path, status, code",
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/models/other", 404, "model_not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions", 400, "invalid_value"),
    ],
)
def test_errors_have_the_one_shape(client, method, path, status, code):
    assert error_of(client().request(method, path), status)["code"] == code


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"messages": 1}', b"{}", b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(client, body):
    answer = client().post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert error_of(answer, 400)


def test_an_unforeseen_error_is_logged_and_not_told(client, omni, caplog):
    omni.fails_at = 0
    with caplog.at_level(logging.ERROR):
        answer = client().post("/v1/chat/completions", json=HELLO)
    error = error_of(answer, 500)
    assert error["type"] == "server_error" and "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info and str(record.exc_info[1]) == "a secret of the house"
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_request_keeps_its_id_if_that_is_one(client):
    asking = client()
    assert asking.get("/health", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert asking.get("/health", headers={"x-request-id": 'a"b'}).headers["x-request-id"].startswith("req_")


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the server logs, as it would stand on stderr."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("thinktalk")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_the_log_is_lines_of_json_without_what_was_said(client, omni, logged):
    answer = client().post("/v1/chat/completions", json=HELLO)
    (line,) = map(json.loads, logged.getvalue().splitlines())
    assert line["route"] == "/v1/chat/completions" and line["status"] == 200 and line["method"] == "POST"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "hello" not in logged.getvalue().lower()


def test_figures_count_requests_replies_and_their_times(client):
    asking = client()
    asking.post("/v1/chat/completions", json={**HELLO, "modalities": ["text", "audio"]}).raise_for_status()
    asking.get("/v1/nothing/at/all")
    page = asking.get("/metrics").text
    for line in (
        'thinktalk_requests_total{route="/v1/chat/completions",status="200"} 1.0',
        'thinktalk_requests_total{route="other",status="404"} 1.0',
        'thinktalk_replies_total{finish_reason="stop"} 1.0',
        "thinktalk_first_audio_seconds_sum 0.5",
        "thinktalk_real_time_factor_count 1.0",
        "thinktalk_running 0.0",
        "thinktalk_waiting 0.0",
        "thinktalk_sessions 0.0",
    ):
        assert line in page.splitlines()


def test_a_websocket_passes_the_same_guard(client):
    asking = client(hosts=("testserver",))
    for headers in ({"host": "rebound.example"}, {"origin": "https://elsewhere.example"}):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            asking.websocket_connect("/v1/realtime", headers=headers),
        ):
            pass
        assert error_of(refused.value, 403)
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client(api_keys=("k",)).websocket_connect("/v1/realtime"),
    ):
        pass
    assert error_of(refused.value, 401)


def test_the_page_is_there_and_nothing_beside_it(client):
    asking = client()
    assert "<html" in asking.get("/").text
    assert asking.get("/main.js").headers["content-type"].startswith("text/javascript")
    for path in ("/../settings.py", "/%2e%2e/settings.py", "/nothing.html"):
        assert error_of(asking.get(path), 404)
