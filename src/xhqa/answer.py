"""Candidate spans → an answer with its citations, or an honest refusal."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

from xhqa.errors import IndexDamagedError
from xhqa.kind import misses_kind
from xhqa.named import Gazetteer, lacking
from xhqa.script import fold, question_script, tidy
from xhqa.types import Answer, Citation, Document, Hit, Passage, RefusalReason, Span

_MAX_CITATIONS = 5
_NEAREST = 3
# What two answers must share to be one: letters, and digits with the signs among them.
_WORDS = re.compile(r"[^\W_]|(?<=\d)[.:/-](?=\d)|(?<![\w%％])-(?=\d)")


@dataclass(frozen=True, slots=True)
class Features:
    """What the probability that the best span is right is made of: its null margin, its support,
    its lead in score over the next different answer, and, 0 or 1, whether a name or number of the
    question stands in no passage that holds it nor in a heading above (``missing``), whether it is
    a definite one (``absent``, ``xhqa.named``), and how far the question is after another kind of
    thing (``mismatch``, ``xhqa.kind``)."""

    null_margin: float
    support: float
    lead: float
    missing: float
    absent: float
    mismatch: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression from what reading found to the probability of being right (Platt 1999).

    ``threshold`` is the probability below which the reader refuses by default.
    """

    bias: float
    weights: Features
    threshold: float

    def probability(
        self,
        question: str,
        spans: Sequence[Span],
        document: Callable[[str], Document],
        gazetteer: Gazetteer,
    ) -> float:
        """The probability that ``spans[0]`` is right; 0 without a span."""
        if not spans:
            return 0.0
        found = astuple(features(question, spans, document, gazetteer))
        logit = self.bias + sum(w * x for w, x in zip(astuple(self.weights), found, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))


def features(
    question: str,
    spans: Sequence[Span],
    document: Callable[[str], Document],
    gazetteer: Gazetteer,
) -> Features:
    """The features of ``spans[0]``; ``spans`` are ordered, best first."""
    best = spans[0]
    rival = next(
        (s for s in spans[1:] if not _same_place(s, best) and not _same_words(s, best)), None
    )
    title = document(best.chunk.document_id).title
    # Passages overlap: the next one, which holds the same place, may have what the best one lacks.
    holding = [s.chunk.text for s in spans if s.chunk is best.chunk or _same_place(s, best)]
    around = " ".join([title, *best.chunk.section_path, *dict.fromkeys(holding)])
    lacks = lacking(question, around, gazetteer)
    return Features(
        null_margin=best.null_margin,
        support=best.support,
        lead=best.score - rival.score if rival else 0.0,
        missing=float(lacks.any),
        absent=float(lacks.definite),
        mismatch=float(misses_kind(question, best.chunk.text[best.start : best.end])),
    )


# Fitted on questions of XQuAD's validation half by `python -m xhqa_eval.calibrate`, for the span
# reader in Chinese with a chosen ratio of support to null margin and a chosen weight of a mismatch
# (docs/quality.md). In English none of these lacks what is definite: the weight of that is the
# Chinese one, both of the reader before. The lead of a span says nothing that its null margin does
# not.
_CALIBRATIONS = {
    ("span", "han"): Calibration(
        bias=-7.031,
        weights=Features(
            null_margin=0.303, support=9.099, lead=0, missing=-1.246, absent=-3.324, mismatch=-3.3
        ),
        threshold=0.10,
    ),
    ("span", "other"): Calibration(
        bias=-11.308,
        weights=Features(
            null_margin=0.225,
            support=17.305,
            lead=0,
            missing=-0.911,
            absent=-3.147,
            mismatch=-2.587,
        ),
        threshold=0.08,
    ),
    ("sentence", "han"): Calibration(
        bias=-14.634,
        weights=Features(
            null_margin=0, support=19.714, lead=26.154, missing=0, absent=0, mismatch=0
        ),
        threshold=0.110,
    ),
    ("sentence", "other"): Calibration(
        bias=-14.292,
        weights=Features(
            null_margin=0, support=24.476, lead=11.998, missing=0, absent=0, mismatch=0
        ),
        threshold=0.160,
    ),
}


def calibration_of(reader: str, question: str) -> Calibration:
    """The calibration of a reader's scores for questions in this question's script: questions in
    another language than the text lie further from it."""
    return _CALIBRATIONS[reader, question_script(question)]


def source_range(span: Span) -> tuple[int, int]:
    """Where a span stands in ``document.text``."""
    return span.chunk.view.to_source(span.start, span.end)


def _same_place(a: Span, b: Span) -> bool:
    if a.chunk.document_id != b.chunk.document_id:
        return False
    (a_start, a_end), (b_start, b_end) = source_range(a), source_range(b)
    return a_start < b_end and b_start < a_end


def _same_words(a: Span, b: Span) -> bool:
    return _words(a) == _words(b)


def _words(span: Span) -> str:
    # 3.5% is another answer than 35%, and 4,000 the same as 4000.
    return "".join(_WORDS.findall(span.chunk.text[span.start : span.end].lower()))


def places(spans: Sequence[Span]) -> list[Span]:
    """The best span, then other places that hold the same words, each once."""
    kept: list[Span] = []
    for span in spans:
        same = not kept or _same_words(span, kept[0])
        if same and not any(_same_place(span, other) for other in kept):
            kept.append(span)
    return kept[:_MAX_CITATIONS]


def compose(
    question: str,
    standalone_question: str,
    spans: Sequence[Span],
    hits: Sequence[Hit],
    confidence: float,
    threshold: float,
    document: Callable[[str], Document],
    probability: Callable[[Span], float],
    timings_ms: dict[str, float],
) -> Answer:
    """The answer in its final form; refuses below ``threshold``.

    ``document`` gives the document of an id, whose text the citations quote; ``probability`` that a
    span taken alone is right: further places must reach the threshold too.
    """
    passages = tuple(passage_of(hit, document(hit.chunk.document_id)) for hit in hits)
    if not spans or confidence < threshold:
        return Answer(
            question=question,
            standalone_question=standalone_question,
            text=None,
            confidence=confidence,
            refusal_reason=_reason(spans, confidence, threshold),
            nearest=passages[:_NEAREST],
            passages=passages,
            timings_ms=timings_ms,
        )
    best, *others = places(spans)
    scored = [(best, confidence)] + [
        (span, score) for span in others if (score := probability(span)) >= threshold
    ]
    citations = tuple(
        _citation(number, span, document(span.chunk.document_id), min(score, confidence))
        for number, (span, score) in enumerate(scored, 1)
    )
    return Answer(
        question=question,
        standalone_question=standalone_question,
        text=tidy(citations[0].cited_text),
        confidence=confidence,
        citations=citations,
        passages=passages,
        timings_ms=timings_ms,
    )


def _reason(spans: Sequence[Span], confidence: float, threshold: float) -> RefusalReason:
    """No evidence: nothing was found, or nothing near enough to come close to the threshold."""
    return "no_evidence" if not spans or confidence < threshold / 4 else "low_confidence"


def passage_of(hit: Hit, document: Document) -> Passage:
    """The passage as it stands in its document."""
    chunk = hit.chunk
    return Passage(
        document_id=chunk.document_id,
        section_path=chunk.section_path,
        start_char_index=chunk.start,
        end_char_index=chunk.end,
        text=document.text[chunk.start : chunk.end],
        score=hit.score,
        found_by=hit.found_by,
    )


def _citation(number: int, span: Span, document: Document, confidence: float) -> Citation:
    chunk = span.chunk
    start, end = source_range(span)
    around = [(a, b) for a, b in chunk.sentences if a < span.end and span.start < b]
    context_start, context_end = chunk.view.to_source(
        min([span.start, *(a for a, _ in around)]), max([span.end, *(b for _, b in around)])
    )
    cited = document.text[start:end]
    # Law 1 once more: the quotation is what was read, but for layout.
    if _bare(cited) != _bare(chunk.text[span.start : span.end]):
        raise IndexDamagedError(
            f"the index and the text of {document.id!r} disagree at {start}–{end}: "
            "run `xhqa index` on the same files to rebuild it"
        )
    return Citation(
        index=number,
        document_id=document.id,
        document_title=document.title,
        section_path=chunk.section_path,
        page=document.page(start),
        cited_text=cited,
        start_char_index=start,
        end_char_index=end,
        context=document.text[context_start:context_end],
        context_start_char_index=context_start,
        score=confidence,
    )


def _bare(text: str) -> str:
    return "".join(char for char in fold(text) if char.isalnum())
