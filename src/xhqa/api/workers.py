"""A bounded number of questions at work, a short queue behind them, and a deadline for each."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from xhqa.errors import DeadlineError, OverloadedError

T = TypeVar("T")

# How much of the mean time at work the last question makes up.
_NEWEST = 0.2
# A queue that has not been empty for so many seconds is no burst any more ("controlled delay",
# Nichols and Jacobson 2012; as admission: Maurer 2015, "Fail at Scale").
_BURST = 0.5
# How many may then wait for each one at work.
_STANDING = 3


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class Workers:
    """Runs calls in ``at_work`` threads while at most ``queue`` more wait.

    More are refused at once: a queue that grows makes everybody wait for answers that nobody
    wants any more. The whole queue is for bursts; under lasting load it is kept short. A call that
    its client gave up before it began never runs; one that has begun keeps its place until it is
    done, since a thread cannot be stopped.
    """

    def __init__(self, at_work: int, queue: int, deadline: float) -> None:
        """``deadline`` in seconds, from the moment a call is taken."""
        self._pool = ThreadPoolExecutor(at_work, thread_name_prefix="question")
        self._at_work = at_work
        self._places = at_work + queue
        self._lasting = min(self._places, at_work * (1 + _STANDING))
        self._without_queue = time.monotonic()
        self.deadline = deadline
        self._lock = threading.Lock()
        self._taken = 0
        self._mean_seconds = 1.0

    @property
    def taken(self) -> int:
        """How many calls are at work or wait."""
        return self._taken

    def run(self, call: Callable[[], T]) -> T:
        """The call's result, for a thread that can wait. Raises OverloadedError, DeadlineError."""
        future = self._submit(call)
        try:
            return future.result(self.deadline)
        except FutureTimeoutError:
            if future.done():
                raise
            raise self._too_late(future) from None

    async def run_for(self, call: Callable[[], T], left: Callable[[], Awaitable[None]]) -> T:
        """The same without blocking the event loop; ClientLeftError once ``left()`` is done."""
        future = self._submit(call)
        result = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(left())
        try:
            either: set[asyncio.Future[Any]] = {result, gone}
            await asyncio.wait(
                either,
                timeout=self.deadline,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if result.done():
                return result.result()
            error = self._too_late(future)
            raise ClientLeftError if gone.done() else error
        finally:
            gone.cancel()
            if not result.done():
                result.cancel()

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._taken >= self._open_places():
                wait = max(1, math.ceil(self._mean_seconds * self._taken / self._at_work))
                raise OverloadedError(
                    f"Too many questions at once: try again in {wait} s.", retry_after=wait
                )
            self._taken += 1
        future = self._pool.submit(self._timed, call)
        future.add_done_callback(self._free)
        return future

    def _open_places(self) -> int:
        now = time.monotonic()
        if self._taken <= self._at_work:
            self._without_queue = now
        return self._places if now - self._without_queue < _BURST else self._lasting

    def _timed(self, call: Callable[[], T]) -> T:
        began = time.monotonic()
        try:
            return call()
        finally:
            spent = time.monotonic() - began
            self._mean_seconds += _NEWEST * (spent - self._mean_seconds)

    def _free(self, future: Future[T]) -> None:
        with self._lock:
            self._taken -= 1
            if self._taken <= self._at_work:
                self._without_queue = time.monotonic()

    def _too_late(self, future: Future[T]) -> DeadlineError:
        future.cancel()
        return DeadlineError(
            f"The question was not answered within {self.deadline:g} s: ask again, or a shorter "
            "one."
        )
