"""What ``GET /metrics`` counts. Each application has a registry of its own."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from xhqa.api.workers import Workers
from xhqa.types import Answer

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What one application counts and measures."""

    def __init__(self, workers: Workers) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "xhqa_http_requests",
            "Requests by route template, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "xhqa_http_request_seconds",
            "Time from request to the end of its response, by route template.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._answers = Counter(
            "xhqa_answers", "Questions by outcome.", ("outcome",), registry=self._registry
        )
        self._stages = Histogram(
            "xhqa_stage_seconds",
            "Time of each stage of answering.",
            ("stage",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._confidence = Histogram(
            "xhqa_confidence",
            "Probability that the best candidate is right, by outcome.",
            ("outcome",),
            buckets=[n / 10 for n in range(1, 11)],
            registry=self._registry,
        )
        Gauge(
            "xhqa_questions_taken",
            "Questions at work or waiting.",
            registry=self._registry,
        ).set_function(lambda: workers.taken)
        self._documents = Gauge(
            "xhqa_documents", "Documents in the index.", registry=self._registry
        )
        self._passages = Gauge("xhqa_passages", "Passages in the index.", registry=self._registry)
        self._loaded = Gauge(
            "xhqa_load_seconds",
            "Time that loading took at the start.",
            ("what",),
            registry=self._registry,
        )
        for outcome in ("answered", "refused"):
            self._answers.labels(outcome)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts a request; ``route`` is a template, so that labels stay few."""
        method = method if method in _METHODS else "other"
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Counts an answer or a refusal, and the time of its stages."""
        outcome = "answered" if answer.answerable else "refused"
        self._answers.labels(outcome).inc()
        self._confidence.labels(outcome).observe(answer.confidence)
        for stage, milliseconds in answer.timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def index(self, documents: int, passages: int) -> None:
        """What the index holds from now on."""
        self._documents.set(documents)
        self._passages.set(passages)

    def loaded(self, seconds: Mapping[str, float]) -> None:
        """How long loading took, by what was loaded."""
        for what, spent in seconds.items():
            self._loaded.labels(what).set(spent)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
