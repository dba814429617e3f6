from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from xhqa.api.workers import ClientLeftError, Workers
from xhqa.errors import DeadlineError, OverloadedError


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
