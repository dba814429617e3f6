"""Keys, roles and rates, asked of the whole application, the page's routes included."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from starlette.routing import Mount, Route

from xhqa.api import create_app
from xhqa.api.keys import parse_keys
from xhqa.api.page import LatePage
from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.pipeline import Pipeline

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]
ASK, MANAGE = "a-secret-for-asking", "a-secret-for-managing"
KEYS = f"ask:{ASK}, manage:sha256:{hashlib.sha256(MANAGE.encode()).hexdigest()}"
HTML = {"Accept": "text/html,*/*"}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def make_client(make_pipeline: MakePipeline) -> Callable[..., TestClient]:
    pipeline = make_pipeline({"甲.txt": "甲镇有三十座桥。"})

    def make(**settings: Any) -> TestClient:
        settings = {"api_keys": SecretStr(KEYS), "min_confidence": 0.0} | settings
        return TestClient(create_app(pipeline, settings=Settings(**settings)))

    return make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()


def test_keys_are_parsed_and_their_secrets_forgotten() -> None:
    ask, manage = parse_keys(f" {KEYS}\n")
    assert (ask.role, manage.role) == ("ask", "manage")
    assert manage.digest == hashlib.sha256(MANAGE.encode()).digest()
    assert ASK not in repr(ask)
    assert ask.name == f"ask-{hashlib.sha256(ASK.encode()).hexdigest()[:8]}"
    assert ask.token != manage.token
    assert parse_keys("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("owner:a-long-enough-secret", "entry 1 is not ask:SECRET or manage:SECRET"),
        (f"ask:{ASK},a-long-enough-secret", "entry 2 is not ask:SECRET"),
        ("ask:", "entry 1 is not ask:SECRET"),
        ("manage:too-short", "entry 1 has under 16 characters"),
        ("ask:sha256:abc", "entry 1: sha256: takes 64 digits"),
    ],
)
def test_keys_that_cannot_be_used(text: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)) as refused:
        parse_keys(text)
    assert "secret" not in str(refused.value).replace("the secret", "")


def test_only_health_answers_without_a_key(client: TestClient) -> None:
    paths = client.get("/openapi.json", headers=bearer(ASK)).json()["paths"]
    walked = 0
    for path, methods in paths.items():
        for method in methods:
            url = path.replace("{document_id}", "甲")
            answer = client.request(method, url)
            expected = 200 if path.startswith("/health/") else 401
            assert answer.status_code == expected, (method, path)
            walked += 1
    assert walked >= 10
    for path in ("/", "/docs", "/docs/assets/swagger-ui.css", "/nowhere", "//ask", "/ask/"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["status"] == 401


@pytest.mark.integration
def test_the_page_is_behind_the_same_door(make_pipeline: MakePipeline) -> None:
    import gradio
    from xhqa_ui import build_page, mount_options

    pipeline = make_pipeline({"甲.txt": "甲镇有三十座桥。"})
    app = create_app(
        pipeline,
        settings=Settings(api_keys=SecretStr(KEYS)),
        page=lambda asking: (build_page(asking), mount_options()),
    )
    (late,) = (r.app for r in app.routes if isinstance(r, Mount) and isinstance(r.app, LatePage))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/config", headers=bearer(ASK)).status_code == 200
        (page,) = (r.app for r in late.application.routes if isinstance(r, Mount))
        assert isinstance(page, gradio.routes.App)
        walked = 0
        for route in page.routes:
            if isinstance(route, Route | APIRoute):
                for method in route.methods or ():
                    path = re.sub(r"\{[^}]*\}", "x", route.path)
                    answer = client.request(method, path)
                    assert answer.status_code == 401, (method, path)
                    walked += 1
        assert walked > 20


def test_roles(client: TestClient) -> None:
    file = {"file": ("乙.txt", "乙村种植水稻。".encode())}
    assert client.get("/documents", headers=bearer(ASK)).status_code == 200
    asked = client.post("/ask", json={"question": "甲镇有几座桥？"}, headers=bearer(ASK))
    assert asked.json()["answer"] == "甲镇有三十座桥。"
    refused = client.post("/documents", files=file, headers=bearer(ASK))
    assert refused.status_code == 403
    assert "may ask but not change" in refused.json()["detail"]
    assert client.delete("/documents/甲", headers=bearer(ASK)).status_code == 403
    assert client.post("/documents", files=file, headers=bearer(MANAGE)).status_code == 201
    assert client.delete("/documents/乙", headers={"X-API-Key": MANAGE}).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        bearer("a-secret-for-askin"),
        bearer(""),
        {"Authorization": f"Basic {ASK}"},
        {"X-API-Key": "wrong"},
        {"X-API-Key": "\u00ff" * 20},
        {"Cookie": "xhqa-key=wrong"},
        {"Cookie": f"xhqa-key={ASK}"},
        {"Cookie": "xhqa-key=\u00ff; =;;"},
    ],
)
def test_wrong_keys(client: TestClient, headers: dict[str, str]) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    assert client.get("/documents", headers=sent).status_code == 401


def test_a_browser_is_asked_once(client: TestClient) -> None:
    asked = client.get("/docs", headers=HTML | {"Accept-Language": "en"})
    assert asked.status_code == 401
    assert 'action="/login"' in asked.text
    assert "This server wants a key." in asked.text
    assert 'value="/docs"' in asked.text
    for path in ("/", "/login"):
        assert f'value="{path}"' not in client.get(path, headers=HTML).text
    wrong = client.post("/login", data={"key": "no", "back": '"><script>'}, follow_redirects=False)
    assert wrong.status_code == 401
    assert "密钥不对" in wrong.text
    assert "<script>" not in wrong.text
    form = {"key": f" {ASK} ", "back": "/docs"}
    entered = client.post("/login", data=form, follow_redirects=False)
    assert entered.status_code == 303
    assert entered.headers["location"] == "/docs"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ASK not in cookie
    assert client.get("/documents").status_code == 200, "by the cookie"
    assert client.delete("/documents/甲").status_code == 403, "with the key's role"
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        form = {"key": ASK, "back": back}
        entered = client.post("/login", data=form, follow_redirects=False)
        assert entered.headers["location"] == "/", back
    assert client.post("/login", content=b"x" * 5000).status_code == 413


def test_the_rate_of_each_key(make_client: Callable[..., TestClient]) -> None:
    client = make_client(rate_limit=2)
    body = {"question": "甲镇有几座桥？"}
    statuses = [client.post("/ask", json=body, headers=bearer(ASK)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.post("/ask", json=body, headers=bearer(ASK))
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert client.post("/mcp", json={}, headers=bearer(ASK)).status_code == 429, "the tools too"
    assert client.post("/ask", json=body, headers=bearer(MANAGE)).status_code == 200
    assert client.get("/documents", headers=bearer(ASK)).status_code == 200


def test_pages_of_other_sites_give_no_orders(make_client: Callable[..., TestClient]) -> None:
    client = make_client(api_keys=SecretStr(""))
    other = {"Sec-Fetch-Site": "cross-site"}
    assert client.delete("/documents/甲", headers=other).status_code == 403
    assert client.get("/documents", headers=other).status_code == 200, "a link from elsewhere"
    body = {"question": "甲镇有几座桥？"}
    same = client.post("/ask", json=body, headers={"Sec-Fetch-Site": "same-origin"})
    assert same.status_code == 200


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "xhqa"):
        yield caplog


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("xhqa.localhost", 200),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example.", 403),
    ],
)
def test_without_keys_no_site_s_name_leads_here(
    make_client: Callable[..., TestClient], host: str, status: int
) -> None:
    client = make_client(api_keys=SecretStr(""))
    answer = client.get("/documents", headers={"Host": host})
    assert answer.status_code == status
    assert client.get("/health/live", headers={"Host": host}).status_code == 200
    if status == 403:
        assert "XHQA_API_KEYS" in answer.json()["detail"]
    with_key = make_client().get("/documents", headers={"Host": host, **bearer(ASK)})
    assert with_key.status_code == 200


def test_the_log_names_request_and_key_but_no_question(
    client: TestClient, log: pytest.LogCaptureFixture
) -> None:
    headers = bearer(ASK) | {"X-Request-ID": "from-a-proxy_1"}
    answer = client.post("/ask", json={"question": "甲镇有几座桥？"}, headers=headers)
    assert answer.headers["x-request-id"] == "from-a-proxy_1"
    line = next(vars(r) for r in log.records if r.message == "request")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/ask", 200)
    assert line["key"] == f"ask-{hashlib.sha256(ASK.encode()).hexdigest()[:8]}"
    assert any(r.message == "answered" for r in log.records)
    assert not any("甲镇" in str(vars(r)) for r in log.records if r.name.startswith("xhqa."))
    assert not any(ASK in str(vars(r)) for r in log.records)
    forged = client.get("/documents", headers=bearer(ASK) | {"X-Request-ID": "a b"})
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["x-request-id"])


def test_questions_are_logged_where_that_is_asked_for(
    make_client: Callable[..., TestClient], log: pytest.LogCaptureFixture
) -> None:
    client = make_client(log_questions=True)
    client.post("/ask", json={"question": "甲镇有几座桥？"}, headers=bearer(ASK))
    line = next(vars(r) for r in log.records if r.message == "answered")
    assert line["question"] == "甲镇有几座桥？"
    assert line["answer"] == "甲镇有三十座桥。"


def test_a_question_is_traced_by_stage(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    client.post("/ask", json={"question": "甲镇有几座桥？"}, headers=bearer(ASK))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans.keys() == {"question", "retrieve", "read"}
    question, retrieve, read = (spans[name] for name in ("question", "retrieve", "read"))
    assert question.attributes["xhqa.answerable"] is True
    assert question.start_time == retrieve.start_time
    assert retrieve.end_time == read.start_time <= read.end_time <= question.end_time
    assert {retrieve.parent.span_id, read.parent.span_id} == {question.context.span_id}
    assert "甲镇" not in str([span.to_json() for span in spans.values()])


@pytest.mark.parametrize("style", ["human", "json"])
def test_a_line_of_the_log(style: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from xhqa.api.logs import request_id, set_up_logging

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up_logging(style)
        token = request_id.set("abc")
        logging.getLogger("xhqa.x").info("request", extra={"route": "/ask\nforged", "status": 200})
        request_id.reset(token)
        line = capsys.readouterr().err
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert line.count("\n") == 1
    if style == "json":
        said = json.loads(line)
        assert (said["request_id"], said["message"], said["status"]) == ("abc", "request", 200)
    else:
        assert line.endswith(" INFO abc request route='/ask\\nforged' status=200\n")
