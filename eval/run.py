"""Asks a pipeline every question of a set, and sums up what came back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, Protocol, TypedDict

from xhqa.errors import InputError
from xhqa.script import tidy
from xhqa.types import Answer, Citation, Document, Hit, RefusalReason, Turn

from . import metrics
from .questions import Kind, Language, Question

Mode = Literal["fixed", "reader", "open"]
Progress = Callable[[int, int], None]

_DEPTH = 20
"""How many hits are ranked: as many as retrieval weighs whatever k is; and how many passages the
reader gets of a paragraph it is given."""


class Pipeline(Protocol):
    """What an evaluation needs of ``xhqa.Pipeline``."""

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer: ...

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 10,
        document_ids: Sequence[str] | None = None,
    ) -> tuple[Hit, ...]: ...

    def document(self, document_id: str) -> Document: ...


@dataclass(frozen=True, slots=True)
class Cited:
    """Where a citation points. ``exact``: the document has those very words there."""

    document_id: str
    text: str
    start: int
    end: int
    context_start: int
    context_end: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one question.

    ``em`` and ``f1`` are None for an unanswerable question. ``rank`` is that of the gold passage,
    None where it was not found; it says nothing unless ``ranked``. ``overlap``: whether the first
    citation overlaps a gold span; None where there is no gold span.
    """

    id: str
    kind: Kind
    language: Language
    question: str
    standalone_question: str
    history: tuple[Turn, ...]
    document_id: str | None
    gold_answers: tuple[str, ...]
    gold_spans: tuple[tuple[int, int], ...]
    answer: str | None
    confidence: float
    refusal_reason: RefusalReason | None
    em: float | None
    f1: float | None
    ranked: bool
    rank: int | None
    cited: tuple[Cited, ...]
    overlap: bool | None
    latency_ms: float

    @property
    def answerable(self) -> bool:
        return bool(self.gold_answers)

    @property
    def answered(self) -> bool:
        return self.answer is not None

    @property
    def citation_exact(self) -> bool | None:
        """Whether every citation is exact; None where there is none."""
        return all(cited.exact for cited in self.cited) if self.cited else None

    @property
    def sentence_overlap(self) -> bool | None:
        """Whether the sentence around the first citation overlaps a gold span."""
        if self.overlap is None or not self.cited:
            return self.overlap
        first = self.cited[0]
        sentence = first.context_start, first.context_end
        return first.document_id == self.document_id and metrics.overlaps(sentence, self.gold_spans)

    @property
    def right(self) -> bool:
        """An answer of F1 0.5 or more, or the refusal of a question without an answer."""
        return not self.answered if self.f1 is None else self.f1 >= metrics.RIGHT_F1


class Figures(TypedDict):
    """The measures of a set of results; None where one does not apply."""

    n: int
    n_answerable: int
    n_refused: int
    em: float | None
    f1: float | None
    recall_at_1: float | None
    recall_at_5: float | None
    recall_at_10: float | None
    mrr: float | None
    citation_exactness: float | None
    citation_overlap: float | None
    sentence_overlap: float | None
    refusal_precision: float | None
    refusal_recall: float | None
    wrongly_refused: float | None
    auroc: float | None
    ece: float | None
    p50_ms: float | None
    p95_ms: float | None


class Summary(Figures):
    """The measures of a run, and of each group where there is more than one."""

    groups: dict[str, Figures]


def evaluate(
    pipeline: Pipeline,
    questions: Sequence[Question],
    *,
    mode: Mode,
    on_progress: Progress | None = None,
) -> list[Result]:
    """Asks every question in turn; ``on_progress`` is told how many are done, of how many.

    ``fixed``: a document in many chunks, ranked by the first chunk that holds a gold span.
    ``open``: a document a paragraph, ranked by the document. ``reader``: the paragraph is given,
    and there is nothing to rank.
    """
    results: list[Result] = []
    for question in questions:
        results.append(_result(pipeline, question, mode))
        if on_progress is not None:
            on_progress(len(results), len(questions))
    return results


def _result(pipeline: Pipeline, question: Question, mode: Mode) -> Result:
    answer, latency_ms = _ask(pipeline, question, mode)
    if not 0 <= answer.confidence <= 1:
        raise ValueError(f"question {question.id}: not a probability: {answer.confidence}")
    ranked = mode != "reader" and question.answerable
    # after the question is asked: whatever is cached must not shorten the time of the answer
    rank = _rank(pipeline, question, mode) if ranked else None
    cited = tuple(_cited(pipeline, citation) for citation in answer.citations)
    golds = question.answers
    if mode == "fixed" and question.document_id is not None:
        text = pipeline.document(question.document_id).text
        golds += as_written(golds, text, question.spans)
    return Result(
        id=question.id,
        kind=question.kind,
        language=question.language,
        question=question.question,
        standalone_question=answer.standalone_question,
        history=question.history,
        document_id=question.document_id,
        gold_answers=golds,
        gold_spans=question.spans,
        answer=answer.text,
        confidence=float(answer.confidence),
        refusal_reason=answer.refusal_reason,
        em=metrics.exact_match(golds, answer.text),
        f1=metrics.f1_score(golds, answer.text),
        ranked=ranked,
        rank=rank,
        cited=cited,
        overlap=_overlap(cited, question),
        latency_ms=latency_ms,
    )


def as_written(
    answers: Sequence[str], text: str, spans: Iterable[tuple[int, int]]
) -> tuple[str, ...]:
    """The answers as the gold spans of ``text`` write them, where only white space differs: the
    document's "120 款" is a right answer where "120款" is asked for."""
    slices = [text[start:end] for start, end in spans]
    patterns = [r"\s*".join(map(re.escape, "".join(answer.split()))) for answer in answers]
    return tuple(
        tidy(match.group())
        for pattern in patterns
        for slice_ in slices
        if (match := re.search(pattern, slice_)) and tidy(match.group()) not in answers
    )


def _ask(pipeline: Pipeline, question: Question, mode: Mode) -> tuple[Answer, float]:
    if mode != "reader":
        started = perf_counter()
        answer = pipeline.ask(question.question, question.history)
        return answer, (perf_counter() - started) * 1000
    if question.document_id is None:
        raise InputError(f"question {question.id} names no document: mode 'reader' needs one")
    given = [question.document_id]
    started = perf_counter()
    answer = pipeline.ask(question.question, question.history, top_k=_DEPTH, document_ids=given)
    return answer, (perf_counter() - started) * 1000


def _rank(pipeline: Pipeline, question: Question, mode: Mode) -> int | None:
    hits = pipeline.search(question.question, question.history, top_k=_DEPTH)
    if mode == "open":
        return rank_of_document(hits, question.document_id)
    return rank_of_span(hits, question.document_id, question.spans)


def rank_of_document(hits: Iterable[Hit], document_id: str | None) -> int | None:
    """The place of a document, counted from 1, among the distinct documents in hit order."""
    distinct = dict.fromkeys(hit.chunk.document_id for hit in hits)
    return next((rank for rank, found in enumerate(distinct, 1) if found == document_id), None)


def rank_of_span(
    hits: Iterable[Hit], document_id: str | None, spans: Sequence[tuple[int, int]]
) -> int | None:
    """The place, counted from 1, of the first chunk that contains a whole gold span."""
    for rank, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        if chunk.document_id == document_id and any(
            chunk.start <= start and end <= chunk.end for start, end in spans
        ):
            return rank
    return None


def _cited(pipeline: Pipeline, citation: Citation) -> Cited:
    start, end = int(citation.start_char_index), int(citation.end_char_index)
    text = pipeline.document(citation.document_id).text
    context_start = int(citation.context_start_char_index)
    return Cited(
        document_id=citation.document_id,
        text=citation.cited_text,
        start=start,
        end=end,
        context_start=context_start,
        context_end=context_start + len(citation.context),
        exact=metrics.is_exact(text, start, end, citation.cited_text),
    )


def _overlap(cited: Sequence[Cited], question: Question) -> bool | None:
    if not question.spans:
        return None
    if not cited or cited[0].document_id != question.document_id:
        return False
    return metrics.overlaps((cited[0].start, cited[0].end), question.spans)


def summarise(results: Sequence[Result]) -> Summary:
    """The measures over all results and, where there is more than one group, over each."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(group_of(result), []).append(result)
    return {
        **_figures(results),
        "groups": {name: _figures(groups[name]) for name in sorted(groups)}
        if len(groups) > 1
        else {},
    }


def group_of(result: Result) -> str:
    """The group a result is reported in: factual questions go by language too."""
    return f"{result.kind}/{result.language}" if result.kind == "factual" else result.kind


def _figures(results: Sequence[Result]) -> Figures:
    refused = [not result.answered for result in results]
    unanswerable = [not result.answerable for result in results]
    ranks = [result.rank for result in results if result.ranked]
    answered = [result for result in results if result.answered]
    latencies = [result.latency_ms for result in results]
    return {
        "n": len(results),
        "n_answerable": unanswerable.count(False),
        "n_refused": refused.count(True),
        "em": metrics.mean(result.em for result in results),
        "f1": metrics.mean(result.f1 for result in results),
        "recall_at_1": metrics.mean(metrics.recall_at_k(rank, 1) for rank in ranks),
        "recall_at_5": metrics.mean(metrics.recall_at_k(rank, 5) for rank in ranks),
        "recall_at_10": metrics.mean(metrics.recall_at_k(rank, 10) for rank in ranks),
        "mrr": metrics.mean(metrics.reciprocal_rank(rank) for rank in ranks),
        "citation_exactness": metrics.mean(
            cited.exact for result in results for cited in result.cited
        ),
        "citation_overlap": metrics.mean(result.overlap for result in results),
        "sentence_overlap": metrics.mean(result.sentence_overlap for result in results),
        "refusal_precision": metrics.refusal_precision(refused, unanswerable),
        "refusal_recall": metrics.refusal_recall(refused, unanswerable),
        "wrongly_refused": metrics.wrongly_refused(refused, unanswerable),
        "auroc": metrics.auroc(
            [result.confidence for result in results], [result.answerable for result in results]
        ),
        "ece": metrics.expected_calibration_error(
            [result.confidence for result in answered], [result.right for result in answered]
        ),
        "p50_ms": metrics.percentile(latencies, 50),
        "p95_ms": metrics.percentile(latencies, 95),
    }
