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
