"""Who may ask: API keys, and the short-lived client secrets that stand for one in a browser."""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from thinktalk.server.errors import ApiError

SUBPROTOCOL_KEY = "openai-insecure-api-key."  # a browser's WebSocket can send no header, so it sends this
MOST_SECRETS = 10_000  # of those that have not expired


@dataclass(frozen=True)
class Secret:
    """A key for one client to open real-time sessions with; `session` is what these begin with."""

    value: str
    expires_at: float  # seconds since 1970
    session: Mapping[str, Any] = field(default_factory=dict)


class Access:
    """Knows the keys. Without any, everybody may ask."""

    def __init__(self, api_keys: Sequence[str], now: Callable[[], float] = time.time):
        self._keys = [key.encode() for key in api_keys]
        self._secrets: dict[str, Secret] = {}
        self._now = now

    def check(self, connection: HTTPConnection) -> None:
        """Raise ApiError 401 unless a request, or a WebSocket, brings a key."""
        self._check_key(key_of(connection))

    def check_session(self, connection: HTTPConnection) -> Secret | None:
        """`check` for real-time sessions, where a client secret will do too: it is returned."""
        key = key_of(connection)
        secret = self._secrets.get(key or "")
        if secret is not None and secret.expires_at > self._now():
            return secret
        self._check_key(key)
        return None

    def issue(self, seconds: float, session: Mapping[str, Any]) -> Secret:
        """A new client secret. Raises ApiError 429 where too many are about."""
        now = self._now()
        self._secrets = {value: known for value, known in self._secrets.items() if known.expires_at > now}
        if len(self._secrets) >= MOST_SECRETS:
            raise ApiError(429, "too many client secrets are about; wait until some expire")
        secret = Secret(f"ek_{secrets.token_urlsafe(32)}", now + seconds, session)
        self._secrets[secret.value] = secret
        return secret

    def _check_key(self, key: str | None) -> None:
        if not self._keys:
            return
        if key is None:
            raise ApiError(401, "this server wants an API key: send Authorization: Bearer <key>")
        # Each key is compared, and each in constant time: how long it takes tells nothing.
        if not sum(hmac.compare_digest(key.encode(), known) for known in self._keys):
            raise ApiError(401, "this API key is not known here, or has expired", code="invalid_api_key")


def key_of(connection: HTTPConnection) -> str | None:
    """The key of an Authorization header, or of a WebSocket's subprotocols; None where there is neither."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    for protocol in connection.scope.get("subprotocols", ()):
        if protocol.startswith(SUBPROTOCOL_KEY):
            return protocol.removeprefix(SUBPROTOCOL_KEY)
    return None
