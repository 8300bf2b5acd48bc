"""API keys and client secrets, for requests and for WebSockets."""

import pytest
from starlette.requests import HTTPConnection

from tests.unit.server.fakes import error_of
from thinktalk.server import access
from thinktalk.server.access import Access, key_of
from thinktalk.server.errors import ApiError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def request(key: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"authorization", f"Bearer {key}".encode())]})


def socket(*protocols: str) -> HTTPConnection:
    return HTTPConnection({"type": "websocket", "headers": [], "subprotocols": list(protocols)})


def test_a_browser_brings_its_key_as_a_subprotocol():
    assert key_of(socket("realtime", "openai-insecure-api-key.k1")) == "k1"
    assert key_of(socket("realtime")) is None
    assert key_of(request("k1")) == "k1"


def test_a_secret_opens_sessions_alone_and_until_it_expires():
    clock = Clock()
    access = Access(("k1",), clock)
    secret = access.issue(60, {"voice": "anna"})
    assert secret.value.startswith("ek_") and secret.expires_at == 1060
    for connection in (socket(f"openai-insecure-api-key.{secret.value}"), request(secret.value)):
        found = access.check_session(connection)
        assert found is not None and found.session == {"voice": "anna"}
        with pytest.raises(ApiError, match="not known"):
            access.check(connection)
    assert access.check_session(socket("openai-insecure-api-key.k1")) is None
    clock.now = 1060
    with pytest.raises(ApiError, match="expired"):
        access.check_session(request(secret.value))


def test_a_key_of_any_letters_is_compared():
    with pytest.raises(ApiError, match="not known"):
        Access(("k1",)).check(
            HTTPConnection({"type": "http", "headers": [(b"authorization", b"Bearer k\xe9")]})
        )


def test_secrets_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(access, "MOST_SECRETS", 2)
    clock = Clock()
    known = Access((), clock)
    known.issue(10, {})
    known.issue(20, {})
    with pytest.raises(ApiError, match="too many"):
        known.issue(10, {})
    clock.now += 10
    known.issue(10, {})


def test_a_secret_is_issued_to_who_has_a_key(client):
    asking = client(api_keys=("k1",))
    session = {"type": "realtime", "audio": {"output": {"voice": "anna"}}}
    body = {"expires_after": {"anchor": "created_at", "seconds": 30}, "session": session}
    assert error_of(asking.post("/v1/realtime/client_secrets", json=body), 401)
    key = {"authorization": "Bearer k1"}
    issued = asking.post("/v1/realtime/client_secrets", json=body, headers=key).json()
    assert issued["value"].startswith("ek_") and issued["session"]["audio"] == session["audio"]
    secret = {"authorization": f"Bearer {issued['value']}"}
    assert error_of(asking.get("/v1/models", headers=secret), 401)
    assert error_of(asking.post("/v1/realtime/client_secrets", headers=secret), 401)
    assert asking.post("/v1/realtime/client_secrets", headers=key).status_code == 200
    body["expires_after"] = {"seconds": 5}
    refused = asking.post("/v1/realtime/client_secrets", json=body, headers=key)
    assert error_of(refused, 400)["param"] == "expires_after.seconds"
