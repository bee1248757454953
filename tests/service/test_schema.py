"""The running service against its own OpenAPI document: whatever is sent, no 5xx, and every answer fits its schema."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.service.conftest import Service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    unsupported_method,
]


def _hold(service: Service, examples: int) -> int:
    schema = schemathesis.openapi.from_url(f"{service.api.base_url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def hold(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {service.key}"}, checks=CHECKS)

        hold()
    return len(operations)


def test_every_answer_fits_the_document(service: Service) -> None:
    assert _hold(service, examples=20) >= 7


@pytest.mark.slow
def test_every_answer_fits_the_document_at_full_size(service: Service) -> None:
    assert _hold(service, examples=1000) >= 7
