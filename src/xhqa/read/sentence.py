"""The light reader: whole sentences by similarity and shared words, without a model of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from xhqa.script import fold
from xhqa.types import Chunk, Hit, Span

Similarity = Callable[[str, Sequence[str]], npt.NDArray[np.float32]]
Overlap = Callable[[str, Sequence[str]], npt.NDArray[np.float32]]


class SentenceReader:
    """Returns whole sentences: those nearest to the question in meaning and in words.

    score = similarity + ``overlap_weight`` · share of the question's words + ``passage_weight`` ·
    score of the passage + ``kind_weight`` where the question asks for a number or a time and the
    sentence has one. The similarity is the mean of that of the sentence and that of the sentence
    with the one before it, since many sentences name their subject only there.
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
        """``similarity`` gives float32[n] for a question and n texts, ``overlap`` the weighted
        share float32[n] of the question's words that each text holds."""
        self._similarity = similarity
        self._overlap = overlap
        self._overlap_weight = overlap_weight
        self._passage_weight = passage_weight
        self._kind_weight = kind_weight

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        places = [(hit, number) for hit in hits for number in range(len(hit.chunk.sentences))]
        spans = [
            Span(hit.chunk, *hit.chunk.sentences[n], float(score), support=float(score))
            for (hit, n), score in zip(places, self.scores(question, places), strict=True)
        ]
        return sorted(spans, key=lambda span: -span.score)

    def scores(self, question: str, places: Sequence[tuple[Hit, int]]) -> npt.NDArray[np.float32]:
        """float32[len(places)]: what the sentence of that number in the hit's chunk is worth."""
        if not places:
            return np.zeros(0, np.float32)
        alone = [_between(hit.chunk, n, n) for hit, n in places]
        joined = [_between(hit.chunk, max(0, n - 1), n) for hit, n in places]
        scores: npt.NDArray[np.float32] = (
            0.5 * (self._similarity(question, alone) + self._similarity(question, joined))
            + self._overlap_weight * self._overlap(question, alone)
            + self._passage_weight * np.array([hit.score for hit, _ in places], np.float32)
            + self._kind_weight * np.array([holds_kind(question, text) for text in alone])
        )
        return scores


def _between(chunk: Chunk, first: int, last: int) -> str:
    return chunk.text[chunk.sentences[first][0] : chunk.sentences[last][1]]


_ASKS_TIME = re.compile(
    r"哪一?[年天月]|何时|什么时[候间]|几[月号日]|when\b|(?:what|which) (?:year|month|date|day)",
    re.I,
)
_ASKS_NUMBER = re.compile(
    r"多少|第?几[个家年台款户人座条号层名]|多[大长高久远重]|比例|百分|面积|占比|"
    r"how (?:many|much|big|large|long|old|tall|far)|"
    r"(?:what|which) (?:share|percent|number|proportion)",
    re.I,
)
_TIME = re.compile(r"\d\s*[年月日号]|[一二三四五六七八九十]+[年月日]|\b(?:1\d|20)\d\d\b|年代|世纪")
_NUMBER = re.compile(r"\d|[一二三四五六七八九十百千万亿两]+[余多]?[个家年月日台款户人座条层名倍平]")


def holds_kind(question: str, text: str) -> bool:
    """Whether the question asks for a time or a number and ``text`` has one."""
    question = fold(question)
    if _ASKS_TIME.search(question):
        return bool(_TIME.search(text))
    return bool(_ASKS_NUMBER.search(question) and _NUMBER.search(text))
