"""The page is made while the server already answers."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from xhqa.api.page import LatePage


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("answer")


def over(late: LatePage) -> Starlette:
    return Starlette(routes=[Route("/ask", answer), Mount("", late)], lifespan=late.lifespan)


def test_requests_for_the_page_wait_and_others_do_not() -> None:
    gate = threading.Event()
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        told.append("opened")
        yield
        told.append("closed")

    def make() -> Starlette:
        gate.wait(10)
        return Starlette(routes=[Route("/", hello)], lifespan=lifespan)

    with TestClient(over(LatePage(make))) as client, ThreadPoolExecutor(2) as pool:
        early = [pool.submit(client.get, "/") for _ in range(2)]
        assert client.get("/ask").text == "answer"
        assert not any(one.done() for one in early)
        assert told == []
        gate.set()
        assert [one.result(10).text for one in early] == ["page", "page"]
        assert client.get("/").text == "page"
        assert told == ["opened"]
    assert told == ["opened", "closed"]


def test_a_page_that_cannot_be_made_leaves_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    def make() -> Starlette:
        raise ImportError("no gradio here")

    with TestClient(over(LatePage(make)), raise_server_exceptions=False) as client:
        assert client.get("/").status_code == 500
        assert client.get("/ask").text == "answer"
    assert "the page cannot be shown" in caplog.text
    assert "no gradio here" in caplog.text


def test_a_page_that_cannot_be_opened_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise OSError("no queue")
        yield

    late = LatePage(lambda: Starlette(routes=[Route("/", hello)], lifespan=lifespan))
    with TestClient(over(late), raise_server_exceptions=False) as client:
        assert client.get("/").status_code == 500
        assert client.get("/ask").text == "answer"
    assert "no queue" in caplog.text


def test_the_same_application_can_be_served_again() -> None:
    app = over(LatePage(lambda: Starlette(routes=[Route("/", hello)])))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").text == "page"


def test_a_server_stopped_at_once_does_not_wait_for_its_page() -> None:
    gate = threading.Event()

    def make() -> Starlette:
        gate.wait(10)
        return Starlette()

    began = time.monotonic()
    with TestClient(over(LatePage(make))) as client:
        assert client.get("/ask").text == "answer"
    assert time.monotonic() - began < 5
    gate.set()
