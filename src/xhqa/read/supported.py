"""The span reader with a second opinion: what the sentence around a span is worth on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from xhqa.kind import misses_kind
from xhqa.read import Reader
from xhqa.read.sentence import SentenceReader
from xhqa.types import Chunk, Hit, Span

# Chosen on the validation halves of CMRC 2018 and XQuAD (docs/quality.md).
_WEIGHT = 60.0
_DOUBTFUL = 0.5
_HEADROOM = 2.0
_REPEATED = 6.0
_TRIES = 2
_MOST = 3
# What retrieval's score of a passage adds to its promise.
_FOUND = 0.25
_HOPELESS = -6.0
# What a number of another kind than asked for costs.
_MISMATCH = 3.0


class SupportedReader:
    """Adds ``weight`` · the sentence reader's score of its sentence to each span's score.

    The two err differently: the span reader mistakes a neighbouring fact, the sentence reader
    knows no edges. A score below zero says more that there is no answer than where it would be,
    so it counts ``doubtful`` times. A number of another kind than the question is after costs a
    span some of its score. ``weight`` is in units of logits.

    Passages are read one at a time, in order of their best sentences and a little of retrieval's
    scores, until the best span is ahead of the next passage's best sentence by ``headroom`` logits,
    which is more than a span there would have to bring, or ``most`` were read. After that only
    passages that hold the same words are read, since they may state the answer too, and only those
    whose best sentence is worth at most ``repeated`` logits less than the answer's own. Where
    ``tries`` passages have brought nothing but spans whose null margin is below ``hopeless``, the
    documents do not answer.
    """

    def __init__(
        self,
        reader: Reader,
        sentences: SentenceReader,
        weight: float = _WEIGHT,
        doubtful: float = _DOUBTFUL,
        headroom: float = _HEADROOM,
        repeated: float = _REPEATED,
        tries: int = _TRIES,
        most: int = _MOST,
        hopeless: float = _HOPELESS,
    ) -> None:
        self.name = reader.name
        self._reader = reader
        self._sentences = sentences
        self._weight = weight
        self._doubtful = doubtful
        self._headroom = headroom
        self._repeated = repeated
        self._tries = tries
        self._most = most
        self._hopeless = hopeless

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        support = [self._sentences.scores(question, hit).tolist() for hit in hits]
        promise = [max(values, default=0.0) for values in support]
        order = sorted(range(len(hits)), key=lambda n: -promise[n] - _FOUND * hits[n].score)
        spans: list[Span] = []
        tried = 0
        for number in order:
            hopeless = all(span.null_margin < self._hopeless for span in spans)
            if hopeless and tried >= self._tries:
                break
            settled = tried >= self._most or self._ahead(spans, promise[number])
            if settled and not self._may_repeat(spans, hits[number], promise[number]):
                continue
            found = self._reader.read(question, [hits[number]])
            spans += [self._weighed(question, span, support[number]) for span in found]
            tried += 1
        return sorted(spans, key=lambda span: -span.score)

    def prepare(self, chunk: Chunk) -> None:
        self._reader.prepare(chunk)

    def _ahead(self, spans: Sequence[Span], promise: float) -> bool:
        """Whether a passage of this promise can hardly hold a better span than these."""
        best = max((span.score for span in spans), default=-math.inf)
        return best - self._weight * promise >= self._headroom

    def _may_repeat(self, spans: Sequence[Span], hit: Hit, promise: float) -> bool:
        """Whether the passage holds the best span's words and may state the answer too."""
        if not spans:
            return False
        best = max(spans, key=lambda span: span.score)
        worth = self._weight * (best.support - promise)
        return worth <= self._repeated and _words(best) in hit.chunk.text

    def _weighed(self, question: str, span: Span, support: Sequence[float]) -> Span:
        value = support[_sentence(span)]
        own = span.score if span.score > 0 else self._doubtful * span.score
        cost = _MISMATCH * misses_kind(question, _words(span))
        return replace(
            span, score=own + self._weight * value - cost, null_margin=span.score, support=value
        )


def _words(span: Span) -> str:
    return span.chunk.text[span.start : span.end]


def _sentence(span: Span) -> int:
    """The number of the sentence that the span begins in, or of the last one before it."""
    begun = [n for n, (start, _) in enumerate(span.chunk.sentences) if start <= span.start]
    return begun[-1] if begun else 0
