"""The span reader with a second opinion: what the sentence around a span is worth on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from xhqa.kind import misses_kind
from xhqa.read import CloseReader, sentence_of
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
# How near the best answer others in its sentence must be for a second look, and what that counts.
_RIVAL = 1.5
_ALONE = 0.6


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

    Where others in the best one's sentence are less than ``rival`` behind, all of these are looked
    at once more in that sentence alone. One that scores best with ``alone`` · what it scores there
    changes places with the best.
    """

    def __init__(
        self,
        reader: CloseReader,
        sentences: SentenceReader,
        weight: float = _WEIGHT,
        doubtful: float = _DOUBTFUL,
        headroom: float = _HEADROOM,
        repeated: float = _REPEATED,
        tries: int = _TRIES,
        most: int = _MOST,
        hopeless: float = _HOPELESS,
        rival: float = _RIVAL,
        alone: float = _ALONE,
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
        self._rival = rival
        self._alone = alone

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
        return self._looked_at_again(question, sorted(spans, key=lambda span: -span.score))

    def _looked_at_again(self, question: str, spans: list[Span]) -> list[Span]:
        """The spans, best first, after the second look at the best one and its rivals."""
        near = [
            n
            for n, span in enumerate(spans)
            if spans[0].score - span.score < self._rival
            and _same_sentence(span, spans[0])
            # What is of another kind stays behind, whatever else speaks for it.
            and misses_kind(question, _words(span)) <= misses_kind(question, _words(spans[0]))
        ]
        if len(near) < 2:
            return spans
        alone = self._reader.alone(question, [spans[n] for n in near])
        weighed = {
            n: spans[n].score + self._alone * value for n, value in zip(near, alone, strict=True)
        }
        won = max(near, key=weighed.__getitem__)
        best, winner = spans[0], spans[won]
        spans[won] = replace(best, score=winner.score)
        spans[0] = replace(winner, score=best.score)
        return spans

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
        value = support[sentence_of(span)]
        own = span.score if span.score > 0 else self._doubtful * span.score
        cost = _MISMATCH * misses_kind(question, _words(span))
        return replace(
            span, score=own + self._weight * value - cost, null_margin=span.score, support=value
        )


def _same_sentence(a: Span, b: Span) -> bool:
    return a.chunk.id == b.chunk.id and sentence_of(a) == sentence_of(b)


def _words(span: Span) -> str:
    return span.chunk.text[span.start : span.end]
