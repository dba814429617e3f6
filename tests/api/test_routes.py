"""Which routes there are, what they say of themselves, and what is counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from api_support import PROBLEM, FakeService, assert_problem, settings
from fastapi.testclient import TestClient

from xhqa.api import create_app
from xhqa.config import Settings


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
    dashboard = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text("utf-8"))
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
