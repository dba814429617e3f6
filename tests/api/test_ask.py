"""POST /ask: its shape, what it takes, and what it says of what it does not."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
from api_support import TEXT, FakeService, assert_problem
from fastapi.testclient import TestClient

from xhqa.api import AskResponse
from xhqa.errors import (
    BusyError,
    IndexDamagedError,
    InputError,
    ModelError,
    NotFoundError,
    XhqaError,
)
from xhqa.types import Answer, Turn


def test_ask_answers_in_the_shape_of_the_contract(client: TestClient) -> None:
    response = client.post("/ask", json={"question": " 徐汇有多少家大模型企业？\n"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    start = TEXT.index("755")
    assert response.json() == {
        "question": "徐汇有多少家大模型企业？",
        "standalone_question": "徐汇有多少家大模型企业？",
        "answerable": True,
        "answer": "755家",
        "confidence": 0.97,
        "refusal_reason": None,
        "citations": [
            {
                "index": 1,
                "document_id": "五年-xuhui",
                "document_title": "五年-xuhui",
                "section_path": ["一"],
                "page": None,
                "cited_text": "755家",
                "start_char_index": start,
                "end_char_index": start + 4,
                "context": TEXT,
                "context_start_char_index": 0,
                "score": 0.97,
            }
        ],
        "nearest": [],
        "passages": [
            {
                "document_id": "五年-xuhui",
                "section_path": ["一", "二"],
                "start_char_index": 0,
                "end_char_index": len(TEXT),
                "text": TEXT,
                "score": 0.5,
                "found_by": ["lexical"],
            }
        ],
        "offset_unit": "unicode_codepoint",
        "timings_ms": {"retrieve": 1.5, "read": 2.5, "total": 4.0},
    }


def test_ask_cites_the_text_that_the_document_route_returns(client: TestClient) -> None:
    citation = client.post("/ask", json={"question": "多少？"}).json()["citations"][0]
    text = client.get(f"/documents/{citation['document_id']}").json()["text"]
    assert text[citation["start_char_index"] : citation["end_char_index"]] == "755家"


def test_ask_refuses(client: TestClient) -> None:
    body = client.post("/ask", json={"question": "你好"}).json()
    assert body["answerable"] is False
    assert body["answer"] is None
    assert body["citations"] == []
    assert body["refusal_reason"] == "no_evidence"
    assert body["confidence"] == 0.125
    assert [passage["text"] for passage in body["nearest"]] == [TEXT]


def test_ask_hands_on_what_it_was_given(client: TestClient, service: FakeService) -> None:
    request = {
        "question": "那里呢？",
        "history": [{"question": "一？", "answer": "二"}, {"question": "三？", "answer": None}],
        "top_k": 50.0,
        "document_ids": ["五年-xuhui"],
    }
    assert client.post("/ask", json=request).status_code == 200
    history = [Turn("一？", "二"), Turn("三？", None)]
    assert service.asked == [("那里呢？", history, 50, ["五年-xuhui"])]


def test_ask_defaults(client: TestClient, service: FakeService) -> None:
    client.post("/ask", json={"question": "a", "document_ids": None})
    assert service.asked == [("a", [], 5, None)]


def test_ask_takes_a_question_at_the_limit(client: TestClient) -> None:
    assert client.post("/ask", json={"question": " " + "徐" * 1000 + "\t"}).status_code == 200


def test_ask_names_an_unknown_document(client: TestClient) -> None:
    response = client.post("/ask", json={"question": "a", "document_ids": ["nowhere"]})
    assert_problem(response, 404, "nowhere")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"question": ""}, "question"),
        ({"question": " \n\u3000\x1c"}, "question"),
        ({"question": "徐" * 1001}, "question"),
        ({"question": None}, "question"),
        ({"question": 5}, "question"),
        ({"question": ["a"]}, "question"),
        ({"question": "a\0b"}, "question"),
        ({"question": "a", "top_k": 0}, "top_k"),
        ({"question": "a", "top_k": 51}, "top_k"),
        ({"question": "a", "top_k": True}, "top_k"),
        ({"question": "a", "top_k": "5"}, "top_k"),
        ({"question": "a", "top_k": 1.5}, "top_k"),
        ({"question": "a", "top_k": None}, "top_k"),
        ({"question": "a", "top_k": 10**400}, "top_k"),
        ({"question": "a", "history": None}, "history"),
        ({"question": "a", "history": "a"}, "history"),
        ({"question": "a", "history": [{"question": "a"}] * 21}, "history"),
        ({"question": "a", "history": [{"answer": "a"}]}, "history[0].question"),
        ({"question": "a", "history": [{"question": "a", "answer": 1}]}, "history[0].answer"),
        ({"question": "a", "history": [{"question": "a", "by": 1}]}, "history[0].by"),
        ({"question": "a", "history": [None]}, "history[0]"),
        ({"question": "a", "document_ids": "a"}, "document_ids"),
        ({"question": "a", "document_ids": [1]}, "document_ids[0]"),
        ({"question": "a", "document_ids": ["a"] * 1001}, "document_ids"),
        ({"question": "a", "topk": 3}, "topk"),
        ({}, "question"),
    ],
)
def test_ask_names_the_field_at_fault(
    client: TestClient, fields: dict[str, Any], name: str
) -> None:
    problem = assert_problem(client.post("/ask", json=fields), 422)
    assert problem["detail"].startswith(f"{name}: ")
    assert problem["errors"][0]["field"] == name
    assert problem["title"] == "Unprocessable Content"


def test_validation_reads_well(client: TestClient) -> None:
    problem = assert_problem(client.post("/ask", json={"question": "a", "top_k": 51}), 422)
    assert problem["detail"] == "top_k: input should be less than or equal to 50."
    assert problem["errors"] == [
        {"field": "top_k", "message": "input should be less than or equal to 50"}
    ]
    problem = assert_problem(client.post("/ask", json={"x": 1, "top_k": 0}), 422)
    assert problem["detail"] == "question: is required (2 more)."
    assert [error["field"] for error in problem["errors"]] == ["question", "top_k", "x"]
    problem = assert_problem(client.post("/ask", json={"question": "x" * 1001}), 422)
    assert problem["detail"] == (
        "question: should be 1 to 1000 characters long without the space around it, not 1001."
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"question"', 422),
        (b"\xff\xfe", 400),
        (b"\x00", 400),
        (b'{"question": "a"} tail', 400),
        (b'{"question": "\\ud800"}', 422),
        (b'{"question": "a\\udc00b"}', 422),
        (b'{"question": "a", "history": [{"question": "a", "answer": "\\ud800"}]}', 422),
        (b'{"question": "a", "document_ids": ["\\udfff"]}', 422),
        (b'{"question": "a", "document_ids": ["\\u0000"]}', 422),
        (b'{"question": "a", "\\ud800": 1}', 422),
        (b'{"question": "a", "\\u0000": 1}', 422),
        (b'{"question": "a", "' + b"k" * 100_000 + b'": 1}', 422),
        (b'{"question": "a", "top_k": NaN}', 422),
        (b'{"question": "a", "top_k": -Infinity}', 422),
        (b'{"question": "a", "top_k": 1e999}', 422),
        (b'{"question": "a", "top_k": ' + b"9" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"question": ' * 50_000, 400),
        (b'{"question": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
        (b'{"question": "' + b"a" * 2**20 + b'"}', 413),
    ],
)
def test_hostile_bodies_are_problems(client: TestClient, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/ask", content=body, headers=headers)
    assert_problem(response, status)
    assert len(response.content) < 2000


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "{"]
)
def test_ask_wants_json(client: TestClient, content_type: str) -> None:
    body = b'{"question": "a"}'
    response = client.post("/ask", content=body, headers={"content-type": content_type})
    assert_problem(response, 415, "application/json")


def test_ask_takes_json_with_a_charset(client: TestClient) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/ask", content=b'{"question": "a"}', headers=headers).status_code == 200


def test_a_body_of_unknown_length_is_limited_too(client: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(1100):
            yield b" " * 1000

    headers = {"content-type": "application/json"}
    problem = assert_problem(client.post("/ask", content=pieces(), headers=headers), 413, "1 MB")
    assert problem["title"] == "Content Too Large"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (InputError("Say what you mean: 说清楚."), 422),
        (NotFoundError("Say what you mean: 说清楚."), 404),
        (BusyError("Say what you mean: 说清楚."), 409),
        (IndexDamagedError("Say what you mean: 说清楚."), 503),
        (ModelError("Say what you mean: 说清楚."), 503),
    ],
)
def test_errors_raised_on_purpose(
    client: TestClient, service: FakeService, failure: XhqaError, status: int
) -> None:
    service.failure = failure
    problem = assert_problem(client.post("/ask", json={"question": "a"}), status)
    assert problem["detail"] == "Say what you mean: 说清楚."


@pytest.mark.parametrize("failure", [KeyError("secret"), RecursionError("secret"), XhqaError("s")])
def test_an_unexpected_error_keeps_its_secrets(
    client: TestClient,
    service: FakeService,
    failure: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.failure = failure
    with caplog.at_level(logging.ERROR, logger="xhqa.api.edge"):
        response = client.post("/ask", json={"question": "a"})
    assert_problem(response, 500)
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert [record.getMessage() for record in caplog.records] == ["POST /ask failed"]
    assert caplog.records[0].exc_info is not None


def test_the_response_can_be_made_without_a_server(service: FakeService) -> None:
    response = AskResponse.of(service.ask("多少？"))
    assert json.loads(response.model_dump_json())["citations"][0]["cited_text"] == "755家"
    missing = Answer("q", "q", None, math.nan, refusal_reason="empty_index")
    body = json.loads(AskResponse.of(missing).model_dump_json())
    assert body["confidence"] is None
    assert body["timings_ms"] == {"retrieve": 0.0, "read": 0.0, "total": 0.0}
