"""A document's own page, whose address can name a place."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from xhqa.api import create_app
from xhqa.api.view import POLICY
from xhqa.config import Settings
from xhqa.pipeline import Pipeline

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'& ${alert(3)}"
TEXT = f"甲镇\r\n\r\n  甲镇有三十座桥。😀\x0c{HOSTILE}\n\n河流\n\n大河从甲镇中间流过,向东入海。"


@pytest.fixture
def client(make_pipeline: MakePipeline) -> TestClient:
    pipeline = make_pipeline({"甲.txt": TEXT})
    return TestClient(create_app(pipeline, settings=Settings()))


def test_the_page_holds_the_text_and_nothing_that_runs(client: TestClient) -> None:
    page = client.get("/documents/甲/view")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    (text,) = re.findall(r'<div id="text"[^>]*>(.*?)</div>', page.text, re.S)
    assert "<" not in text
    assert "\r" not in text, "the HTML parser would drop it"
    assert html.unescape(text) == client.get("/documents/甲").json()["text"]
    assert re.findall(r"<(script|img)[^>]*", page.text) == ["script"]


def test_the_outline_leads_to_code_points(client: TestClient) -> None:
    page = client.get("/documents/甲/view").text
    text = client.get("/documents/甲").json()["text"]
    entries = re.findall(r'<a href="#char=(\d+)" data-start="\1">([^<]*)</a>', page)
    assert [name for _, name in entries][-1] == "河流"
    for start, name in entries:
        assert text[int(start) :].startswith(name)


def test_its_files_are_served(client: TestClient) -> None:
    page = client.get("/documents/甲/view").text
    files = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', page)
    assert sorted(files) == ["/documents-view/view.css", "/documents-view/view.js"]
    for file in files:
        assert client.get(file).status_code == 200


def test_below_another_path(make_pipeline: MakePipeline) -> None:
    app = create_app(make_pipeline({"甲.txt": TEXT}), settings=Settings())
    page = TestClient(app, root_path="/qa").get("/documents/甲/view").text
    assert 'src="/qa/documents-view/view.js"' in page
    assert 'href="/qa/"' in page


def test_an_unknown_document_is_a_problem(client: TestClient) -> None:
    assert client.get("/documents/乙/view").status_code == 404
    assert client.post("/documents/甲/view").status_code == 405


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "zh"), ("en-US,en;q=0.9", "en"), ("fr,zh-TW;q=0.8,en;q=0.5", "zh"), ("de", "zh")],
)
def test_language(accepted: str, language: str, client: TestClient) -> None:
    page = client.get("/documents/甲/view", headers={"Accept-Language": accepted}).text
    assert ("Copy quotation" in page) == (language == "en")
    assert page.startswith(f'<!doctype html><html lang="{"en" if language == "en" else "zh-CN"}">')
