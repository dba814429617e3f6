"""Runs over a pipeline that answers from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from xhqa_eval.questions import Question
from xhqa_eval.run import (
    Result,
    as_written,
    evaluate,
    rank_of_document,
    rank_of_span,
    summarise,
)

from xhqa.errors import InputError
from xhqa.types import Answer, Chunk, Citation, Document, Hit, Turn, View

TEXT = "徐汇有755家企业，西岸有12家。"
#       0123456789012345678


def _hit(document_id: str, start: int, end: int) -> Hit:
    text = TEXT[start:end]
    view = View(text, range(start, end))
    return Hit(Chunk(f"{document_id}-{start}", document_id, (), start, end, view, ()), 1, 1, 1)


def _citation(start: int, end: int, text: str | None = None, document_id: str = "d") -> Citation:
    return Citation(
        index=1,
        document_id=document_id,
        document_title="",
        section_path=(),
        page=None,
        cited_text=TEXT[start:end] if text is None else text,
        start_char_index=start,
        end_char_index=end,
        context=TEXT,
        context_start_char_index=0,
        score=1,
    )


def _answered(text: str, confidence: float, *citations: Citation) -> Answer:
    return Answer("", "", text, confidence, citations=citations)


def _refused(confidence: float) -> Answer:
    return Answer("", "", None, confidence, refusal_reason="low_confidence")


@dataclass
class FakePipeline:
    """Answers by question, and notes what it was asked."""

    answers: Mapping[str, Answer]
    hits: tuple[Hit, ...] = ()
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        self.calls.append(("ask", question, tuple(history), top_k, document_ids))
        answer = self.answers[question]
        return replace(answer, question=question, standalone_question=f"全：{question}")

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 10,
        document_ids: Sequence[str] | None = None,
    ) -> tuple[Hit, ...]:
        self.calls.append(("search", question, tuple(history), top_k, document_ids))
        return self.hits

    def document(self, document_id: str) -> Document:
        return Document(document_id, "", TEXT, "", "", "text/plain")


ASKED = Question(
    id="q1",
    kind="factual",
    language="zh",
    question="多少家？",
    history=(Turn("徐汇？", None),),
    answers=("755家",),
    spans=((3, 7),),
    document_id="d",
)
ABSENT = replace(ASKED, id="q2", kind="absent", question="谁？", answers=(), spans=())


def _one(answer: Answer, question: Question = ASKED, hits: tuple[Hit, ...] = ()) -> Result:
    pipeline = FakePipeline({question.question: answer}, hits)
    return evaluate(pipeline, [question], mode="fixed")[0]


def test_fixed_asks_the_whole_index_and_ranks_chunks() -> None:
    hits = (_hit("other", 0, 19), _hit("d", 4, 19), _hit("d", 0, 7))
    pipeline = FakePipeline({"多少家？": _answered("755家", 0.9, _citation(3, 7))}, hits)
    (result,) = evaluate(pipeline, [ASKED], mode="fixed")
    # first ask, then search: nothing cached may shorten the time of the answer
    assert pipeline.calls == [
        ("ask", "多少家？", ASKED.history, 5, None),
        ("search", "多少家？", ASKED.history, 20, None),
    ]
    assert (result.ranked, result.rank) == (True, 3)  # the second chunk cuts the span
    assert (result.em, result.f1, result.overlap, result.citation_exact) == (1, 1, True, True)
    assert result.standalone_question == "全：多少家？"
    assert result.latency_ms >= 0
    (cited,) = result.cited
    assert (cited.start, cited.end) == (3, 7)
    assert (cited.context_start, cited.context_end) == (0, len(TEXT))


def test_open_ranks_distinct_documents() -> None:
    hits = (_hit("a", 0, 5), _hit("a", 5, 9), _hit("d", 8, 9), _hit("d", 0, 7))
    pipeline = FakePipeline({"多少家？": _refused(0.2)}, hits)
    (result,) = evaluate(pipeline, [ASKED], mode="open")
    assert result.rank == 2
    assert pipeline.calls[0] == ("ask", "多少家？", ASKED.history, 5, None)


def test_reader_is_given_the_paragraph_and_ranks_nothing() -> None:
    pipeline = FakePipeline({"多少家？": _refused(0.2)})
    results = evaluate(pipeline, [ASKED], mode="reader")
    assert pipeline.calls == [("ask", "多少家？", ASKED.history, 20, ["d"])]
    summary = summarise(results)
    assert not results[0].ranked
    assert summary["recall_at_1"] is summary["recall_at_10"] is summary["mrr"] is None


def test_reader_needs_a_document() -> None:
    with pytest.raises(InputError, match="q1 names no document"):
        evaluate(FakePipeline({}), [replace(ASKED, document_id=None)], mode="reader")


def test_ranks_where_the_gold_is_not_found() -> None:
    assert rank_of_document([_hit("a", 0, 5)], "d") is None
    assert rank_of_span([_hit("d", 0, 5)], "d", [(3, 7), (13, 15)]) is None
    assert rank_of_span([_hit("d", 10, 19)], "d", [(3, 7), (13, 15)]) == 1
    assert rank_of_span([_hit("other", 0, 19)], "d", [(3, 7)]) is None


def test_the_documents_own_spacing_of_an_answer_is_a_gold_answer_too() -> None:
    text = "首批展出超过120 款产品，另有120款样品"
    assert as_written(("超过120款", "120款", "120"), text, [(4, 11)]) == ("超过120 款", "120 款")
    assert as_written(("120款",), text, [(15, 20)]) == ()  # as it is given
    assert as_written(("12款",), text, [(4, 11)]) == ()


def test_a_refused_answerable_question_scores_zero() -> None:
    result = _one(_refused(0.4))
    assert (result.em, result.f1, result.overlap) == (0, 0, False)
    assert result.citation_exact is None
    assert result.confidence == 0.4
    assert result.refusal_reason == "low_confidence"
    assert not result.right


def test_an_unanswerable_question_has_no_em_and_no_rank() -> None:
    refused, answered = _one(_refused(0.4), ABSENT), _one(_answered("755家", 0.9), ABSENT)
    assert (refused.em, refused.f1, refused.overlap, refused.ranked) == (None, None, None, False)
    assert refused.right
    assert not answered.right


@pytest.mark.parametrize(
    ("citation", "exact", "overlap"),
    [
        (_citation(3, 7), True, True),
        (_citation(3, 7, "755 家"), False, True),
        (_citation(7, 9), True, False),
        (_citation(3, 7, document_id="other"), True, False),
        (_citation(-16, -12, "755家"), False, False),
    ],
)
def test_citations_are_checked_against_the_document(
    citation: Citation, exact: bool, overlap: bool
) -> None:
    result = _one(_answered("755家", 0.9, citation))
    assert (result.citation_exact, result.overlap) == (exact, overlap)


def test_one_inexact_citation_spoils_the_result_but_not_the_share() -> None:
    result = _one(_answered("755家", 0.9, _citation(3, 7), _citation(13, 16, "十二家")))
    assert result.citation_exact is False
    assert summarise([result])["citation_exactness"] == 0.5


def test_a_confidence_that_is_no_probability_stops_the_run() -> None:
    with pytest.raises(ValueError, match=r"q1: not a probability: 1\.5"):
        _one(_answered("755家", 1.5))


def test_progress() -> None:
    told: list[tuple[int, int]] = []
    pipeline = FakePipeline({"多少家？": _refused(0.1), "谁？": _refused(0.1)})
    evaluate(pipeline, [ASKED, ABSENT], mode="fixed", on_progress=lambda *seen: told.append(seen))
    assert told == [(1, 2), (2, 2)]


def test_summary_by_hand() -> None:
    base = _one(_answered("755家", 0.9, _citation(3, 7)), hits=(_hit("d", 0, 9),))
    partly = replace(base, em=0.0, f1=0.4, rank=4, confidence=0.8, overlap=False, latency_ms=20)
    missed = replace(
        base, answer=None, em=0.0, f1=0.0, rank=None, confidence=0.3, cited=(), overlap=False
    )
    unasked = replace(_one(_refused(0.3), ABSENT), latency_ms=40)
    fooled = replace(unasked, answer="755家", confidence=0.6, kind="near_miss")
    results = [replace(base, latency_ms=10), partly, replace(missed, latency_ms=30)]
    summary = summarise([*results, unasked, replace(fooled, latency_ms=50)])
    assert (summary["n"], summary["n_answerable"], summary["n_refused"]) == (5, 3, 2)
    # over the three answerable questions alone
    assert summary["em"] == pytest.approx(1 / 3)
    assert summary["f1"] == pytest.approx(1.4 / 3)
    assert summary["recall_at_1"] == pytest.approx(1 / 3)
    assert summary["recall_at_5"] == summary["recall_at_10"] == pytest.approx(2 / 3)
    assert summary["mrr"] == pytest.approx(1.25 / 3)
    assert summary["citation_exactness"] == 1
    assert summary["citation_overlap"] == pytest.approx(1 / 3)
    # the sentence of the one beside the gold span holds it
    assert summary["sentence_overlap"] == pytest.approx(2 / 3)
    assert summary["refusal_precision"] == summary["refusal_recall"] == 0.5
    assert summary["wrongly_refused"] == pytest.approx(1 / 3)
    # answerable .9 .8 .3 against .3 .6: 2 + 2 + 1/2 of 6
    assert summary["auroc"] == pytest.approx(4.5 / 6)
    # the three answered: right .9, wrong .8 and .6, each in its own bin
    assert summary["ece"] == pytest.approx((0.1 + 0.8 + 0.6) / 3)
    assert (summary["p50_ms"], summary["p95_ms"]) == (30, 48)
    assert list(summary["groups"]) == ["absent", "factual/zh", "near_miss"]
    assert summary["groups"]["factual/zh"]["n"] == 3
    assert summary["groups"]["absent"]["em"] is None
    assert summary["groups"]["absent"]["refusal_recall"] == 1
    assert summary["groups"]["near_miss"]["refusal_recall"] == 0


def test_one_group_is_not_told_apart() -> None:
    assert summarise([_one(_refused(0.4))])["groups"] == {}


def test_nothing_asked() -> None:
    summary = summarise([])
    assert summary["n"] == 0
    assert summary["em"] is summary["auroc"] is summary["ece"] is summary["p95_ms"] is None
