"""Whatever our OpenAPI document allows, and much that it does not, is answered as the document says.

A short form of it is run with every change; THINKTALK_EXAMPLES=5000 asks each endpoint as often as that.
"""

import os

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.unit.server.fakes import FakeOmni
from thinktalk.server.app import create_app
from thinktalk.server.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,  # "4XX" has the shape of an error
    response_schema_conformance,
    content_type_conformance,
    response_headers_conformance,
    allow_header_conformance,
    unsupported_method,
]
EXAMPLES = int(os.environ.get("THINKTALK_EXAMPLES", "10"))

app = create_app(FakeOmni(), Settings(media_urls=False))  # type: ignore[arg-type]
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_we_document(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


def test_no_answer_is_left_undocumented():
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            assert {"200", "4XX", "5XX"} <= operation["responses"].keys(), f"{method} {path}"
            assert "422" not in operation["responses"]
