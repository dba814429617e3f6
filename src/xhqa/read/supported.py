"""The span reader with a second opinion: what the sentence around a span is worth on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xhqa.read import Reader
from xhqa.read.sentence import SentenceReader
from xhqa.types import Hit, Span

# Chosen on the validation halves of CMRC 2018 and XQuAD (docs/quality.md).
_WEIGHT = 60.0
_DOUBTFUL = 0.2
_HEADROOM = 4.0


class SupportedReader:
    """Adds ``weight`` · the sentence reader's score of its sentence to each span's score.

    The two err differently: the span reader mistakes a neighbouring fact, the sentence reader
    knows no edges. A score below zero says more that there is no answer than where it would be,
    so it counts ``doubtful`` times. ``weight`` is in units of logits.

    Passages are read one at a time, the one with the best sentence first, until the best span is
    ahead of the next passage's best sentence by ``headroom`` logits: that is more than a span
    there would have to bring. After that only passages that hold the same words are read, since
    they may state the answer too.
    """

    def __init__(
        self,
        reader: Reader,
        sentences: SentenceReader,
        weight: float = _WEIGHT,
        doubtful: float = _DOUBTFUL,
        headroom: float = _HEADROOM,
    ) -> None:
        self.name = reader.name
        self._reader = reader
        self._sentences = sentences
        self._weight = weight
        self._doubtful = doubtful
        self._headroom = headroom

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        support = [self._sentences.scores(question, hit).tolist() for hit in hits]
        promise = [max(values, default=0.0) for values in support]
        order = sorted(range(len(hits)), key=lambda number: -promise[number])
        spans: list[Span] = []
        for number in order:
            if spans:
                best = max(spans, key=lambda span: span.score)
                ahead = best.score - self._weight * promise[number] >= self._headroom
                if ahead and _words(best) not in hits[number].chunk.text:
                    continue
            found = self._reader.read(question, [hits[number]])
            spans += [self._weighed(span, support[number]) for span in found]
        return sorted(spans, key=lambda span: -span.score)

    def _weighed(self, span: Span, support: Sequence[float]) -> Span:
        value = support[_sentence(span)]
        own = span.score if span.score > 0 else self._doubtful * span.score
        return replace(
            span, score=own + self._weight * value, null_margin=span.score, support=value
        )


def _words(span: Span) -> str:
    return span.chunk.text[span.start : span.end]


def _sentence(span: Span) -> int:
    """The number of the sentence that the span begins in, or of the last one before it."""
    begun = [n for n, (start, _) in enumerate(span.chunk.sentences) if start <= span.start]
    return begun[-1] if begun else 0
