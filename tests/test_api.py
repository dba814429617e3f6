"""The HTTP API over a service that needs no model."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from xhqa.api import AskResponse, create_app
from xhqa.config import Settings
from xhqa.errors import (
    BusyError,
    IndexDamagedError,
    InputError,
    ModelError,
    NotFoundError,
    XhqaError,
)
from xhqa.types import Answer, Citation, Document, DocumentInfo, OutlineEntry, Passage, Turn

if TYPE_CHECKING:
    import gradio

TEXT = "徐汇有755家大模型企业。😀"
PROBLEM = "application/problem+json"


class FakeService:
    """Finds 755 in every document whose text has it; counts code points."""

    def __init__(self) -> None:
        self.ready = True
        self.progress: tuple[str, int, int] | None = None
        self.failure: Exception | None = None
        self.asked: list[tuple[str, list[Turn], int, list[str] | None]] = []
        self.store: dict[str, Document] = {}
        self.add("五年-xuhui.txt", TEXT.encode())

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        self._fail()
        ids = None if document_ids is None else list(document_ids)
        self.asked.append((question, list(history), top_k, ids))
        for document_id in ids or ():
            self.document_or(document_id, NotFoundError)
        times = {"retrieve": 1.5, "read": 2.5, "total": 4.0}
        document = self.store.get("五年-xuhui")
        if document is None:
            return Answer(question, question, None, 0.0, refusal_reason="empty_index")
        passage = Passage(document.id, ("一", "二"), 0, len(TEXT), TEXT, 0.5, ("lexical",))
        if "?" not in question and "？" not in question:
            return Answer(
                question,
                question,
                None,
                0.125,
                refusal_reason="no_evidence",
                nearest=(passage,),
                passages=(passage,),
                timings_ms=times,
            )
        start = TEXT.index("755")
        citation = Citation(
            1, document.id, document.title, ("一",), None, "755家", start, start + 4, TEXT, 0, 0.97
        )
        return Answer(
            question,
            question,
            "755家",
            0.97,
            citations=(citation,),
            passages=(passage,),
            timings_ms=times,
        )

    def document_or(self, document_id: str, error: type[XhqaError]) -> Document:
        if document_id not in self.store:
            raise error(f"There is no document {document_id!r}: see GET /documents.")
        return self.store[document_id]

    @property
    def document_count(self) -> int:
        return len(self.store)

    @property
    def passage_count(self) -> int:
        return len(self.store)

    def documents(self) -> tuple[DocumentInfo, ...]:
        self._fail()
        return tuple(self.info(document_id) for document_id in self.store)

    def document(self, document_id: str) -> Document:
        self._fail()
        return self.document_or(document_id, NotFoundError)

    def outline(self, document_id: str) -> tuple[OutlineEntry, ...]:
        return (OutlineEntry("<b>节</b>", 1, 2),)

    def described(self, document_id: str) -> tuple[DocumentInfo, Document]:
        return self.info(document_id), self.document(document_id)

    def info(self, document_id: str) -> DocumentInfo:
        document = self.document(document_id)
        return DocumentInfo(
            document.id,
            document.title,
            document.source_name,
            document.sha256,
            len(document.text),
            1,
            document.media_type,
        )

    def add(self, name: str, data: bytes) -> DocumentInfo:
        self._fail()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not text: save it as UTF-8.") from error
        document_id = name.rpartition(".")[0]
        self.store[document_id] = Document(
            document_id, document_id, text, name, "0" * 64, "text/plain"
        )
        return self.info(document_id)

    def remove(self, document_id: str) -> None:
        self._fail()
        self.document_or(document_id, NotFoundError)
        del self.store[document_id]


def settings(max_upload_mb: float = 20) -> Settings:
    return Settings.model_validate({"max_upload_mb": max_upload_mb})


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Iterator[TestClient]:
    # The limit is 10.24 KB.
    with TestClient(create_app(service, settings=settings(0.01))) as client:
        yield client


def assert_problem(response: Any, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = response.json()
    assert set(problem) in ({"type", "title", "status", "detail"}, {*problem, "errors"})
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"]
    return problem


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


def test_documents_come_and_go(client: TestClient) -> None:
    response = client.post("/documents", files={"file": ("新 篇.v2.txt", "一二三".encode())})
    assert response.status_code == 201
    info = {
        "id": "新 篇.v2",
        "title": "新 篇.v2",
        "source_name": "新 篇.v2.txt",
        "sha256": "0" * 64,
        "characters": 3,
        "chunks": 1,
        "media_type": "text/plain",
    }
    assert response.json() == info
    place = response.headers["location"]
    assert place == "/documents/%E6%96%B0%20%E7%AF%87.v2"
    assert client.get(place).json() == {**info, "text": "一二三"}
    listed = client.get("/documents").json()
    assert [entry["id"] for entry in listed] == ["五年-xuhui", "新 篇.v2"]
    assert listed[1] == info
    response = client.delete(place)
    assert response.status_code == 204
    assert response.content == b""
    assert_problem(client.get(place), 404, "新 篇.v2")
    assert_problem(client.delete(place), 404, "新 篇.v2")


@pytest.mark.parametrize(
    "document_id", ["nowhere", "..%2f..%2fetc", "%00", "%ff", "%ed%a0%80", "a" * 5000, "{x}", "-_."]
)
def test_unknown_documents(client: TestClient, document_id: str) -> None:
    assert_problem(client.get(f"/documents/{document_id}"), 404)
    assert_problem(client.delete(f"/documents/{document_id}"), 404)


def upload(client: TestClient, name: bytes, parameters: str = "") -> Any:
    """Uploads without the client's escapes of what a file name should not hold."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"'
    headers = {"content-type": "multipart/form-data; boundary=x" + parameters}
    return client.post("/documents", content=head + b"\r\n\r\nhi\r\n--x--\r\n", headers=headers)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\texts\\一.txt", "一.txt"),
        ("a\x07b\u2028c.txt", "abc.txt"),
        ("全角\u3000名.txt", "全角\u3000名.txt"),
    ],
)
def test_uploaded_names_lose_their_folders(client: TestClient, name: str, stored: str) -> None:
    assert upload(client, name.encode()).json()["source_name"] == stored


@pytest.mark.parametrize("name", [" ", "a/..", "\x01", "x" * 201])
def test_uploads_need_a_name(client: TestClient, name: str) -> None:
    assert_problem(upload(client, name.encode()), 422, "name")


def test_a_name_in_a_strange_charset_cannot_break_the_response(client: TestClient) -> None:
    response = upload(client, b"+2AA-.txt", "; charset=utf-7")
    assert response.status_code == 201
    assert response.json()["source_name"] == "\ufffd.txt"


def test_upload_of_what_is_not_a_document(client: TestClient) -> None:
    response = client.post("/documents", files={"file": ("a.txt", b"\xff\xff")})
    assert_problem(response, 422, "a.txt")


def test_upload_while_busy(client: TestClient, service: FakeService) -> None:
    service.failure = BusyError("Another process is indexing: try again.")
    assert_problem(client.post("/documents", files={"file": ("a.txt", b"a")}), 409, "again")


def test_upload_limit(client: TestClient) -> None:
    limit = int(0.01 * 2**20)
    response = client.post("/documents", files={"file": ("a.txt", b"a" * limit)})
    assert response.status_code == 201
    response = client.post("/documents", files={"file": ("a.txt", b"a" * (limit + 1))})
    assert_problem(response, 413, "0.01 MB")
    response = client.post("/documents", files={"file": ("a.txt", b"a" * 10 * limit)})
    assert_problem(response, 413, "The file is over 0.01 MB, the limit of XHQA_MAX_UPLOAD_MB.")


MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("application/x-www-form-urlencoded", b"file=a", 415),
        ("text/plain", b"a", 415),
        ("", b"a", 415),
        ("multipart/form-data", b"a", 400),
        (MULTIPART, b"", 422),
        (MULTIPART, b"a", 400),
        (MULTIPART, b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", 400),
        (MULTIPART, b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\na\r\n--x--\r\n", 422),
        (MULTIPART, b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\na\r\n--x--\r\n", 422),
    ],
)
def test_hostile_uploads_are_problems(
    client: TestClient, content_type: str, body: bytes, status: int
) -> None:
    headers = {"content-type": content_type}
    assert_problem(client.post("/documents", content=body, headers=headers), status)


def test_what_is_stored_with_half_a_surrogate_is_served_with_its_offsets(
    client: TestClient, service: FakeService
) -> None:
    service.store["odd"] = Document("odd", "t\ud800", "a\ud800b", "odd", "0" * 64, "text/plain")
    body = client.get("/documents/odd").json()
    assert body["text"] == "a\ufffdb"
    assert body["title"] == "t\ufffd"
    assert body["characters"] == 3


@pytest.mark.parametrize("path", ["/", "/nowhere", "/documents/", "/ask/", "/redoc", "/docs/x"])
def test_unknown_paths(client: TestClient, path: str) -> None:
    problem = assert_problem(client.get(path), 404)
    assert problem["title"] == "Not Found"
    assert problem["detail"] == "There is nothing at this path; /docs lists what there is."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/ask", "POST"),
        ("PUT", "/documents", "GET, POST"),
        ("POST", "/documents/a", "DELETE, GET"),
        ("BREW", "/health/live", "GET"),
        ("OPTIONS", "/metrics", "GET"),
    ],
)
def test_wrong_methods(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    problem = assert_problem(response, 405)
    assert response.headers["allow"] == allowed
    assert problem["detail"] == f"{_template(path)} takes {allowed.replace(',', ' and')} only."


def _template(path: str) -> str:
    return re.sub("/documents/.+", "/documents/{document_id}", path)


def test_health(client: TestClient, service: FakeService) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    service.ready = False
    assert client.get("/health/live").status_code == 200
    assert_problem(client.get("/health/ready"), 503, "not loaded")


def test_progress(client: TestClient, service: FakeService) -> None:
    assert client.get("/progress").json() == {"stage": None, "done": 0, "total": 0}
    service.progress = ("embed", 32, 80)
    assert client.get("/progress").json() == {"stage": "embed", "done": 32, "total": 80}


@pytest.mark.parametrize(
    "path", ["/documents", "/nowhere", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"]
)
def test_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_dashboard_asks_for_what_is_counted(service: FakeService) -> None:
    app = create_app(service, settings=Settings(), load_seconds={"encoder": 1.5})
    with TestClient(app) as loaded:
        loaded.post("/ask", json={"question": "多少？"})
        text = loaded.get("/metrics").text
    assert 'xhqa_load_seconds{what="encoder"} 1.5' in text
    dashboard = json.loads(
        (Path(__file__).parent.parent / "docs" / "grafana.json").read_text("utf-8")
    )
    wanted = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expr in wanted for name in re.findall(r"\b(?:xhqa|process)_\w+", expr)}
    assert len(named) == 10
    counted = set(re.findall(r"^(\w+)", text, re.M))
    assert named <= counted
    # And the other way round: what is counted is shown.
    ours = {re.sub("_(total|bucket|sum|count|created)$", "", n) for n in counted if "xhqa" in n}
    assert ours == {re.sub("_(total|bucket)$", "", n) for n in named if "xhqa" in n}


def test_metrics(client: TestClient, service: FakeService) -> None:
    for _ in range(3):
        client.post("/ask", json={"question": "多少？"})
    client.post("/ask", json={"question": "你好"})
    client.post("/ask", json={})
    client.get("/documents/五年-xuhui")
    client.get("/documents/nowhere")
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    client.request("BREW", "/ask")
    service.failure = KeyError()
    client.get("/documents")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    values = dict(
        line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#")
    )

    def requests(route: str, method: str, status: int) -> float:
        labels = f'method="{method}",route="{route}",status="{status}"'
        return float(values[f"xhqa_http_requests_total{{{labels}}}"])

    assert requests("/ask", "POST", 200) == 4
    assert requests("/ask", "POST", 422) == 1
    assert requests("/ask", "other", 405) == 1
    assert requests("/documents/{document_id}", "GET", 200) == 1
    assert requests("/documents/{document_id}", "GET", 404) == 1
    assert requests("/documents", "GET", 500) == 1
    assert requests("(unknown)", "GET", 404) == 2
    assert float(values['xhqa_http_request_seconds_count{route="/ask"}']) == 6
    assert float(values['xhqa_answers_total{outcome="answered"}']) == 3
    assert float(values['xhqa_answers_total{outcome="refused"}']) == 1
    assert float(values['xhqa_stage_seconds_count{stage="read"}']) == 4
    assert float(values['xhqa_stage_seconds_sum{stage="read"}']) == pytest.approx(0.01)
    assert "nowhere" not in response.text


def test_two_applications_count_apart(service: FakeService) -> None:
    first, second = (TestClient(create_app(service, settings=settings())) for _ in range(2))
    first.post("/ask", json={"question": "你好"})
    line = 'xhqa_answers_total{outcome="refused"}'
    assert f"{line} 1.0" in first.get("/metrics").text
    assert f"{line} 0.0" in second.get("/metrics").text


def test_docs_need_no_network(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "//" not in re.sub(r"(?m)^\s*//.*|<!--.*?-->", "", page.text)
    assert '"validatorUrl": null' in page.text
    assert "url: '/openapi.json'" in page.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets == [
        "/docs/assets/swagger-ui.css",
        "/docs/assets/favicon.png",
        "/docs/assets/swagger-ui-bundle.js",
    ]
    for asset in assets:
        assert client.get(asset).status_code == 200
    assert "url(http" not in client.get(assets[0]).text


def test_openapi_documents_every_status(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    statuses = {
        (method.upper(), path): sorted(int(status) for status in operation["responses"])
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert statuses == {
        ("POST", "/ask"): [200, 400, 404, 413, 415, 422, 429, 500, 503, 504],
        ("GET", "/documents"): [200, 500, 503],
        ("POST", "/documents"): [201, 400, 409, 413, 415, 422, 500, 503, 507],
        ("GET", "/documents/{document_id}"): [200, 404, 422, 500, 503],
        ("DELETE", "/documents/{document_id}"): [204, 404, 409, 422, 500, 503, 507],
        ("GET", "/documents/{document_id}/view"): [200, 404, 422, 500, 503],
        ("GET", "/health/live"): [200, 500],
        ("GET", "/health/ready"): [200, 500, 503],
        ("GET", "/metrics"): [200, 500],
        ("GET", "/progress"): [200, 500],
        ("GET", "/v1/models"): [200, 500],
        ("GET", "/v1/models/{model_id}"): [200, 404, 422, 500],
        ("POST", "/v1/chat/completions"): [200, 400, 413, 415, 422, 429, 500, 503, 504],
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert response["content"] == {
                        PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}
                    }
    metrics = schema["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    assert list(metrics) == ["text/plain"]
    names = re.findall('"#/components/schemas/([^"]+)"', json.dumps(schema))
    assert set(names) <= set(schema["components"]["schemas"])
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert client.get("/openapi.json").json() == schema


def test_the_openapi_shapes_are_the_contract(client: TestClient) -> None:
    shapes = client.get("/openapi.json").json()["components"]["schemas"]
    assert list(shapes["AskRequest"]["properties"]) == [
        "question",
        "history",
        "top_k",
        "document_ids",
    ]
    assert shapes["AskRequest"]["required"] == ["question"]
    assert shapes["AskRequest"]["additionalProperties"] is False
    assert shapes["AskRequest"]["properties"]["top_k"]["maximum"] == 50
    assert shapes["AskRequest"]["properties"]["question"]["maxLength"] == 1000
    assert shapes["AskResponse"]["required"] == list(shapes["AskResponse"]["properties"])
    assert shapes["AskResponse"]["properties"]["offset_unit"]["const"] == "unicode_codepoint"
    assert shapes["Problem"]["required"] == ["type", "title", "status", "detail"]


def test_the_response_can_be_made_without_a_server(service: FakeService) -> None:
    response = AskResponse.of(service.ask("多少？"))
    assert json.loads(response.model_dump_json())["citations"][0]["cited_text"] == "755家"
    missing = Answer("q", "q", None, math.nan, refusal_reason="empty_index")
    body = json.loads(AskResponse.of(missing).model_dump_json())
    assert body["confidence"] is None
    assert body["timings_ms"] == {"retrieve": 0.0, "read": 0.0, "total": 0.0}


def assert_problem_status(response: Any) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert_problem(response, response.status_code)


# --- with a page -------------------------------------------------------------------------------


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
