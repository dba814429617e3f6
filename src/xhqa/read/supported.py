"""The span reader with a second opinion: what the sentence around a span is worth on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xhqa.read import Reader
from xhqa.read.sentence import SentenceReader
from xhqa.types import Hit, Span

# Chosen on the validation halves of CMRC 2018 and XQuAD (docs/quality.md).
_WEIGHT = 40.0
_DOUBTFUL = 1 / 3


class SupportedReader:
    """Adds ``weight`` · the sentence reader's score of its sentence to each span's score.

    The two err differently: the span reader mistakes a neighbouring fact, the sentence reader
    knows no edges. A score below zero says more that there is no answer than where it would be,
    so it counts ``doubtful`` times. ``weight`` is in units of logits.
    """

    def __init__(
        self,
        reader: Reader,
        sentences: SentenceReader,
        weight: float = _WEIGHT,
        doubtful: float = _DOUBTFUL,
    ) -> None:
        self.name = reader.name
        self._reader = reader
        self._sentences = sentences
        self._weight = weight
        self._doubtful = doubtful

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        spans = self._reader.read(question, hits)
        hit_of = {hit.chunk.id: hit for hit in hits}
        places = [(hit_of[span.chunk.id], _sentence(span)) for span in spans]
        support = self._sentences.scores(question, places)
        weighed = [
            replace(span, score=self._weighed(span.score, float(value)), support=float(value))
            for span, value in zip(spans, support, strict=True)
        ]
        return sorted(weighed, key=lambda span: -span.score)

    def _weighed(self, score: float, support: float) -> float:
        return (score if score > 0 else self._doubtful * score) + self._weight * support


def _sentence(span: Span) -> int:
    """The number of the sentence that the span begins in, or of the last one before it."""
    begun = [n for n, (start, _) in enumerate(span.chunk.sentences) if start <= span.start]
    return begun[-1] if begun else 0
