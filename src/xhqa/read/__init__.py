"""Passages → candidate answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from xhqa.types import Chunk, Hit, Span


class Reader(Protocol):
    """``name`` tells which calibration belongs to its scores."""

    name: str

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        """Candidate answers from all passages, best first: a few a passage and at least
        one of every sentence that may hold one."""

    def prepare(self, chunk: Chunk) -> None:
        """Do now what reading this passage takes whatever the question, as far as it is kept."""


class CloseReader(Reader, Protocol):
    """One that can look at answers more closely."""

    def alone(self, question: str, spans: Sequence[Span]) -> list[float]:
        """What answers in one sentence score where nothing but it is read: higher is better, in
        the units of ``span.score``, but with no level of its own."""


def sentence_of(span: Span) -> int:
    """The number of the sentence that the span begins in, or of the last one before it."""
    begun = [n for n, (start, _) in enumerate(span.chunk.sentences) if start <= span.start]
    return begun[-1] if begun else 0
