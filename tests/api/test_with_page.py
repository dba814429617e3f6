"""The API with a page on top of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from api_support import FakeService, assert_problem, settings
from fastapi import FastAPI
from fastapi.testclient import TestClient

from xhqa.api import create_app

if TYPE_CHECKING:
    import gradio


def assert_problem_status(response: Any) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert_problem(response, response.status_code)


def chat_page(asking: Any) -> gradio.Blocks:
    import gradio

    blocks = gradio.Blocks(title="徐汇")
    with blocks:
        asked = gradio.Textbox()
        answered = gradio.Textbox()
        asked.submit(str.upper, asked, answered, api_name="upper")
        asked.submit(str.lower, asked, answered, api_name="lower", queue=False)
    return blocks


@pytest.fixture(scope="module")
def paged() -> Iterator[TestClient]:
    app: FastAPI = create_app(
        FakeService(),
        settings=settings(0.01),
        page=lambda asking: (chat_page(asking), {"css": "body { --of-xhqa: 1 }"}),
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.integration
def test_the_page_is_at_the_root(paged: TestClient) -> None:
    page = paged.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "--of-xhqa" in page.text
    remote = re.findall(r'(?:src|href)="(https?:[^"]+)"', page.text)
    assert remote == []
    config = paged.get("/config").json()
    assert config["title"] == "徐汇"
    assert config["analytics_enabled"] is False


@pytest.mark.integration
def test_the_api_wins_over_the_page(paged: TestClient) -> None:
    assert paged.post("/ask", json={"question": "多少？"}).json()["answer"] == "755家"
    assert_problem(paged.get("/ask"), 405)
    assert_problem(paged.post("/ask", json={}), 422)
    assert paged.get("/documents").json()[0]["id"] == "五年-xuhui"
    assert_problem(paged.get("/documents/nowhere"), 404)
    assert paged.get("/openapi.json").json()["info"]["title"] == "xhqa"
    assert 'src="/docs/assets/' in paged.get("/docs").text


@pytest.mark.integration
@pytest.mark.parametrize("path", ["/nowhere", "/documents/", "/assets/x.js", "/gradio_api/x"])
def test_unknown_paths_below_the_page(paged: TestClient, path: str) -> None:
    response = paged.get(path)
    assert_problem(response, 404)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert_problem(paged.post("/"), 405)


@pytest.mark.integration
def test_the_page_runs_its_events(paged: TestClient) -> None:
    event = {"data": ["abc"], "fn_index": 0, "session_hash": "s1"}
    assert paged.post("/gradio_api/queue/join", json=event).status_code == 200
    stream = paged.get("/gradio_api/queue/data", params={"session_hash": "s1"}).text
    assert '"data":["ABC"]' in stream.replace(" ", "")
    event = {"data": ["ABC"], "fn_index": 1, "session_hash": "s1"}
    assert paged.post("/gradio_api/run/predict", json=event).json()["data"] == ["abc"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("queue/join", {"data": [1], "fn_index": 99, "session_hash": "x"}),
        ("queue/join", {"data": [1], "session_hash": "x"}),
        ("run/predict", {"data": [1], "fn_index": 99, "session_hash": "x"}),
        ("run/upper", {"data": []}),
        ("run/predict", {"data": [], "fn_index": 1}),
        ("run/lower", {"data": []}),
        ("call/nowhere", {"data": []}),
        ("call/v2/nowhere", {"data": []}),
        ("call/v2/upper", {"x": []}),
        ("cancel", {}),
        ("reset", {}),
        ("component_server", {}),
        ("upload", {}),
        ("stream/a", {}),
    ],
)
def test_hostile_requests_to_the_page_are_no_server_errors(
    paged: TestClient, path: str, event: dict[str, Any]
) -> None:
    assert_problem_status(paged.post(f"/gradio_api/{path}", json=event))


@pytest.mark.integration
def test_a_path_longer_than_the_file_system_takes(paged: TestClient) -> None:
    assert_problem_status(paged.get("/static/" + "a" * 300))


@pytest.mark.integration
def test_the_page_counts_as_one_route(paged: TestClient) -> None:
    paged.get("/theme.css")
    assert 'route="(page)",status="200"' in paged.get("/metrics").text
