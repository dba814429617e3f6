"""Questions on their way to the service: bounded, counted and logged, whoever asks them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from opentelemetry import trace
from starlette.requests import Request

from xhqa.api.metrics import Metrics
from xhqa.api.workers import Workers
from xhqa.errors import OverloadedError
from xhqa.types import Answer, Turn

logger = logging.getLogger(__name__)


class Asked(Protocol):
    """What can be asked; ``xhqa.Pipeline`` can."""

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        """An answer or a refusal; NotFoundError where a document id is unknown."""
        ...


class Asking:
    """``service`` with its questions bounded by ``workers``; all else of it as it is.

    ``log_questions``: whether what was asked may stand in the log.
    """

    def __init__(
        self, service: Asked, workers: Workers, metrics: Metrics, log_questions: bool
    ) -> None:
        self._service = service
        self._workers = workers
        self._metrics = metrics
        self._log_questions = log_questions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        """As the service's, for a thread that can wait: where there is no place, it tries again
        until the deadline. Raises OverloadedError, DeadlineError."""
        until = time.monotonic() + self._workers.deadline
        while True:
            try:
                answer = self._workers.run(
                    lambda: self._service.ask(question, history, top_k, document_ids)
                )
                return self._noted(answer)
            except OverloadedError as error:
                if time.monotonic() + error.retry_after > until:
                    raise
                time.sleep(error.retry_after)

    async def ask_for(
        self,
        request: Request,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        """The same for a request whose body was read; ClientLeftError once its client is gone."""

        async def left() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        answer = await self._workers.run_for(
            lambda: self._service.ask(question, history, top_k, document_ids), left
        )
        return self._noted(answer)

    def _noted(self, answer: Answer) -> Answer:
        self._metrics.answer(answer)
        _trace(answer)
        facts: dict[str, Any] = {
            "answerable": answer.answerable,
            "confidence": round(answer.confidence, 3),
            "milliseconds": round(answer.timings_ms.get("total", 0.0), 1),
        }
        if self._log_questions:
            facts |= {"question": answer.question, "answer": answer.text}
        logger.info("answered" if answer.answerable else "refused", extra=facts)
        return answer


def _trace(answer: Answer) -> None:
    """A span for the question and one for each stage in it, for whoever collects them."""
    tracer = trace.get_tracer("xhqa")
    milliseconds = dict(answer.timings_ms)
    end = time.time_ns()
    at = end - _nanoseconds(milliseconds.pop("total", 0.0))
    facts = {"xhqa.answerable": answer.answerable, "xhqa.confidence": answer.confidence}
    span = tracer.start_span("question", start_time=at, attributes=facts)
    inside = trace.set_span_in_context(span)
    for stage, spent in milliseconds.items():
        part = tracer.start_span(stage, context=inside, start_time=at)
        at += _nanoseconds(spent)
        part.end(at)
    span.end(end)


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1e6)
