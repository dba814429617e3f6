"""The HTTP API over a service that needs no model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_support import FakeService, settings
from fastapi.testclient import TestClient

from xhqa.api import create_app


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Iterator[TestClient]:
    # The limit is 10.24 KB.
    with TestClient(create_app(service, settings=settings(0.01))) as client:
        yield client
