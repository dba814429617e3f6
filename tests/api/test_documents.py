"""Uploading, reading and deleting documents over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from api_support import FakeService, assert_problem
from fastapi.testclient import TestClient

from xhqa.errors import BusyError
from xhqa.types import Document


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
