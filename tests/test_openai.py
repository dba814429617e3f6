"""The official client of OpenAI against a server of ours."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient
from pydantic import SecretStr

from xhqa.api import create_app
from xhqa.config import Settings
from xhqa.pipeline import Pipeline

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]
SECRET = "a-secret-for-asking"
TEXT = "甲镇\n\n甲镇有三十座桥。甲镇的人口是五千。"


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    return make_pipeline({"甲.txt": TEXT})


@pytest.fixture
def client(pipeline: Pipeline) -> Iterator[openai.OpenAI]:
    settings = Settings(api_keys=SecretStr(f"ask:{SECRET}"))
    app = create_app(pipeline, settings=settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.01)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            with openai.OpenAI(base_url=address, api_key=SECRET, max_retries=0) as made:
                yield made
        finally:
            server.should_exit = True
            thread.join(20)


def said(role: str, content: Any) -> Any:
    return {"role": role, "content": content}


def check(annotation: Any) -> None:
    """An annotation is an object in a message and a plain dict in a delta."""
    found = annotation if isinstance(annotation, dict) else annotation.model_dump()
    assert (found["type"], found["file_id"]) == ("file_citation", "甲")
    assert TEXT[found["start_char_index"] : found["end_char_index"]] == found["quote"]
    assert found["quote"] == "甲镇有三十座桥。"
    place = f"#char={found['start_char_index']},{found['end_char_index']}"
    assert found["url"] == f"/documents/%E7%94%B2/view{place}"


def test_plain(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["xhqa"]
    assert client.models.retrieve("xhqa").owned_by == "xhqa"
    parts = [{"type": "text", "text": "甲镇有几座桥？"}, {"type": "image_url", "image_url": {}}]
    done = client.chat.completions.create(
        model="whatever",
        messages=[said("system", "Be brief."), said("user", parts)],
        temperature=0.3,
        max_tokens=5,
    )
    (choice,) = done.choices
    assert done.model == "xhqa"
    assert choice.finish_reason == "stop"
    assert choice.message.content == "甲镇有三十座桥。"
    assert choice.message.refusal is None
    (annotation,) = choice.message.annotations or ()
    check(annotation)


def test_streaming(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="xhqa",
        messages=[said("user", "甲镇有几座桥？")],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "甲镇有三十座桥。"
    assert deltas[0].role == "assistant"
    (annotations,) = (d.annotations for d in deltas if hasattr(d, "annotations"))
    check(annotations[0])
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 0


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("火星上有图书馆吗？", "文档没有回答这个问题。"),
        ("Who wrote it?", "The documents do not answer this."),
    ],
)
def test_refusal(pipeline: Pipeline, question: str, sentence: str) -> None:
    with TestClient(create_app(pipeline, settings=Settings())) as client:
        pipeline._settings = Settings(min_confidence=1.0)
        body = {"messages": [said("user", question)]}
        (choice,) = client.post("/v1/chat/completions", json=body).json()["choices"]
    assert choice["message"]["content"] == choice["message"]["refusal"] == sentence
    assert choice["message"]["annotations"] == []


def test_history(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    ask = pipeline.ask

    def listen(*given: Any) -> Any:
        asked.append(given)
        return ask(*given)

    monkeypatch.setattr(pipeline, "ask", listen)
    messages = [
        said("user", "x" * 1001),
        said("assistant", "too long to be asked again"),
        *(said("user", f"第{n}问？") for n in range(25)),
        said("user", "甲镇有几座桥？"),
        said("assistant", "甲镇有三十座桥。"),
        said("user", "有机场吗？"),
        said("assistant", "文档没有回答这个问题。"),
        said("user", "y" * 1001),
        said("assistant", "not the answer to the airport"),
        said("user", " 人口呢？ "),
        said("assistant", None),
    ]
    with TestClient(create_app(pipeline, settings=Settings())) as client:
        assert client.post("/v1/chat/completions", json={"messages": messages}).status_code == 200
    question, history, *_ = asked[0]
    assert question == "人口呢？"
    assert len(history) == 20
    assert [(turn.question, turn.answer) for turn in history[-3:]] == [
        ("第24问？", None),
        ("甲镇有几座桥？", "甲镇有三十座桥。"),
        ("有机场吗？", None),
    ]


def test_errors(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.UnprocessableEntityError, match="the last user message"):
        create(model="xhqa", messages=[said("assistant", "?")])
    with pytest.raises(openai.UnprocessableEntityError, match="messages"):
        create(model="xhqa", messages=[])
    with pytest.raises(openai.NotFoundError, match="one model"):
        client.models.retrieve("gpt")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


def test_its_routes_are_routes_like_the_others(pipeline: Pipeline) -> None:
    with TestClient(create_app(pipeline, settings=Settings())) as client:
        for method, path, allowed in (
            ("TRACE", "/v1/models", "GET"),
            ("TRACE", "/v1/chat/completions", "POST"),
            ("GET", "/v1/chat/completions", "POST"),
        ):
            response = client.request(method, path)
            assert response.status_code == 405
            assert response.headers["allow"] == allowed
        client.get("/v1/models/xhqa")
        text = client.get("/metrics").text
        assert 'route="/v1/models/{model_id}",status="200"' in text
        paths = client.get("/openapi.json").json()["paths"]
        assert "/v1/models" in paths
        complete = paths["/v1/chat/completions"]["post"]["responses"]["200"]
        assert complete["content"].keys() == {"application/json", "text/event-stream"}
