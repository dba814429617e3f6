from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import uvicorn
from fastapi.testclient import TestClient

from xhqa.api import create_app
from xhqa.api.asking import Asking
from xhqa.api.metrics import Metrics
from xhqa.api.server import DrainingServer
from xhqa.api.workers import ClientLeftError, Workers
from xhqa.config import Settings
from xhqa.errors import DeadlineError, OverloadedError
from xhqa.types import Answer


class Gate:
    """A call that goes on when it is told to, and says when it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(20)
        return "done"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def wait_for(workers: Workers, taken: int) -> None:
    until = time.monotonic() + 20
    while workers.taken != taken:
        assert time.monotonic() < until
        time.sleep(0.002)


def test_results_and_errors_come_through() -> None:
    workers = Workers(1, 0, 20)
    assert workers.run(lambda: 7) == 7
    wait_for(workers, 0)
    with pytest.raises(KeyError, match="x"):
        workers.run(lambda: {}["x"])
    wait_for(workers, 0)

    def slow() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        workers.run(slow)


def test_a_queue_that_does_not_empty_is_kept_short(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xhqa.api.workers._BURST", 0.2)
    workers = Workers(1, 8, 20)
    with ThreadPoolExecutor(20) as pool:
        burst = [pool.submit(workers.run, gate) for _ in range(7)]
        wait_for(workers, 7)
        time.sleep(0.3)
        # Two places are left, and they are for bursts.
        with pytest.raises(OverloadedError):
            workers.run(gate)
        gate.open.set()
        assert [one.result() for one in burst] == ["done"] * 7
        wait_for(workers, 0)
        gate.open.clear()
        again = [pool.submit(workers.run, gate) for _ in range(9)]
        wait_for(workers, 9)
        gate.open.set()
        assert [one.result() for one in again] == ["done"] * 9


def test_a_lasting_queue_is_never_longer_than_one_of_a_burst(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xhqa.api.workers._BURST", 0.0)
    workers = Workers(3, 2, 20)
    with ThreadPoolExecutor(20) as pool:
        taken = [pool.submit(workers.run, gate) for _ in range(5)]
        wait_for(workers, 5)
        with pytest.raises(OverloadedError):
            workers.run(gate)
        gate.open.set()
        assert [one.result() for one in taken] == ["done"] * 5


def test_a_few_clients_at_once_are_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xhqa.api.workers._BURST", 0.05)
    workers = Workers(1, 32, 20)

    def ask_again_and_again() -> int:
        return sum(workers.run(lambda: time.sleep(0.005) or 1) for _ in range(40))

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask_again_and_again) for _ in range(4)]
        assert [client.result() for client in clients] == [40] * 4


def test_more_than_may_wait_are_refused_at_once(gate: Gate) -> None:
    workers = Workers(2, 1, 20)
    threads = [threading.Thread(target=workers.run, args=(gate,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(workers, 3)
    began = time.monotonic()
    with pytest.raises(OverloadedError, match="try again in") as refused:
        workers.run(gate)
    assert time.monotonic() - began < 5
    # A second each to begin with: three questions on two workers.
    assert refused.value.retry_after == 2
    gate.open.set()
    for thread in threads:
        thread.join()
    wait_for(workers, 0)
    assert workers.run(lambda: "again") == "again"


def test_a_deadline_ends_the_wait_but_not_the_work(gate: Gate) -> None:
    workers = Workers(1, 1, 0.2)
    with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
        workers.run(gate)
    assert workers.taken == 1, "a thread cannot be stopped"
    ran: list[int] = []
    with pytest.raises(DeadlineError):
        workers.run(lambda: ran.append(1))
    assert workers.taken == 1, "what had not begun is given up"
    gate.open.set()
    wait_for(workers, 0)
    assert ran == []


def test_a_client_that_leaves_gives_up_its_place(gate: Gate) -> None:
    workers = Workers(1, 1, 20)
    ran: list[int] = []

    async def leave_at_once() -> None:
        return

    async def stay() -> None:
        await asyncio.sleep(20)

    async def both() -> None:
        first = asyncio.ensure_future(workers.run_for(gate, stay))
        await asyncio.to_thread(gate.begun.wait)
        with pytest.raises(ClientLeftError):
            await workers.run_for(lambda: ran.append(1), leave_at_once)
        assert workers.taken == 1
        gate.open.set()
        assert await first == "done"

    asyncio.run(both())
    wait_for(workers, 0)
    assert ran == []


def test_a_deadline_on_the_event_loop(gate: Gate) -> None:
    workers = Workers(1, 0, 0.2)

    async def stay() -> None:
        await asyncio.sleep(20)

    with pytest.raises(DeadlineError):
        asyncio.run(workers.run_for(gate, stay))
    with pytest.raises(OverloadedError):
        asyncio.run(workers.run_for(gate, stay))


class Slow:
    """A service whose question "slow" waits at the gate."""

    ready = True
    progress = None
    document_count = passage_count = 0

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def ask(self, question: str, *rest: object) -> Answer:
        if question == "slow":
            self._gate()
        return Answer(question, question, None, 0.0, "no_evidence")


def test_over_http_more_is_429_and_later_is_504(gate: Gate) -> None:
    app = create_app(Slow(gate), settings=Settings(workers=1, queue=0, deadline_seconds=0.5))
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        late = pool.submit(client.post, "/ask", json={"question": "slow"})
        assert gate.begun.wait(20)
        refused = client.post("/ask", json={"question": "quick"})
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["content-type"] == "application/problem+json"
        assert client.get("/health/live").status_code == 200
        assert "xhqa_questions_taken 1.0" in client.get("/metrics").text
        assert late.result().status_code == 504
        assert "not answered within 0.5 s" in late.result().json()["detail"]
        gate.open.set()
        wait_for(app.state.workers, 0)
        assert client.post("/ask", json={"question": "quick"}).status_code == 200


def test_the_page_waits_for_a_place_until_the_deadline(gate: Gate) -> None:
    workers = Workers(1, 0, 1.5)
    asking = Asking(Slow(gate), workers, Metrics(workers), log_questions=False)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(asking.ask, "slow")
        assert gate.begun.wait(20)
        quick = pool.submit(asking.ask, "quick")
        time.sleep(0.3)
        assert not quick.done()
        gate.open.set()
        assert quick.result().question == "quick"
        assert slow.result().question == "slow"
        gate.open.clear()
        gate.begun.clear()
        pool.submit(asking.ask, "slow")
        assert gate.begun.wait(20)
        began = time.monotonic()
        with pytest.raises(OverloadedError):
            asking.ask("quick")
        assert 0.6 < time.monotonic() - began < 1.5
        gate.open.set()


def test_a_server_that_is_told_to_stop_answers_what_it_has_taken(gate: Gate) -> None:
    app = create_app(Slow(gate), settings=Settings())
    with socket.socket() as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        server = DrainingServer(config, app.state.workers, 20)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.01)
        answer = pool.submit(httpx2.post, f"{address}/ask", json={"question": "slow"}, timeout=20)
        assert gate.begun.wait(20)
        server.should_exit = True
        time.sleep(1.2)
        assert not answer.done(), "it waits longer than for streams"
        with pytest.raises(httpx2.ConnectError):
            httpx2.post(f"{address}/ask", json={"question": "slow"}, timeout=5)
        gate.open.set()
        assert answer.result().json()["refusal_reason"] == "no_evidence"
        thread.join(20)
        assert not thread.is_alive()
