"""The light reader: whole sentences by similarity and shared words, without a model of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from xhqa.kind import holds_kind
from xhqa.types import Chunk, Hit, Span

Similarity = Callable[[str, Chunk], npt.NDArray[np.float32]]
Overlap = Callable[[str, Sequence[str]], npt.NDArray[np.float32]]


class SentenceReader:
    """Returns whole sentences: those nearest to the question in meaning and in words.

    score = similarity + ``overlap_weight`` · share of the question's words + ``passage_weight`` ·
    score of the passage + ``kind_weight`` where the question asks for a number or a time and the
    sentence has one.
    """

    name = "sentence"

    def __init__(
        self,
        similarity: Similarity,
        overlap: Overlap,
        overlap_weight: float = 0.1,
        passage_weight: float = 0.3,
        kind_weight: float = 0.04,
    ) -> None:
        """``similarity`` gives float32[n] for a question and a chunk of n sentences, ``overlap``
        the weighted share float32[n] of the question's words that each of n texts holds."""
        self._similarity = similarity
        self._overlap = overlap
        self._overlap_weight = overlap_weight
        self._passage_weight = passage_weight
        self._kind_weight = kind_weight

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        spans = [
            Span(hit.chunk, start, end, float(score), support=float(score))
            for hit in hits
            for (start, end), score in zip(
                hit.chunk.sentences, self.scores(question, hit), strict=True
            )
        ]
        return sorted(spans, key=lambda span: -span.score)

    def prepare(self, chunk: Chunk) -> None:
        """Nothing: a sentence's vector is in the index."""

    def scores(self, question: str, hit: Hit) -> npt.NDArray[np.float32]:
        """float32[n]: what each of the hit's n sentences is worth."""
        texts = [hit.chunk.text[start:end] for start, end in hit.chunk.sentences]
        if not texts:
            return np.zeros(0, np.float32)
        scores: npt.NDArray[np.float32] = (
            self._similarity(question, hit.chunk)
            + self._overlap_weight * self._overlap(question, texts)
            + self._passage_weight * np.float32(hit.score)
            + self._kind_weight * np.array([holds_kind(question, t) for t in texts], np.float32)
        )
        return scores
