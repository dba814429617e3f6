from __future__ import annotations

import math
from dataclasses import replace

import pytest

from xhqa.answer import Calibration, Features, compose, features, places
from xhqa.dictionary import Dictionary
from xhqa.errors import IndexDamagedError
from xhqa.load import load, repair
from xhqa.split import split
from xhqa.types import Answer, Chunk, Document, Hit, Span, View

TEXT = (
    "甲镇\r\n\r\n甲镇有三十 座桥。桥都很老。\r\n\r\n后来\r\n\r\n有人说是三十座桥,不多不少,刚刚好。"
)
GAZETTEER = Dictionary(dict, tuple, lambda: ["上海"])
DOCUMENT = load(TEXT.encode(), "甲.txt")
CHUNKS = split(DOCUMENT, repair(DOCUMENT), lambda texts: [len(t) for t in texts])


def span(words: str, chunk: Chunk, score: float) -> Span:
    start = chunk.text.index(words)
    return Span(chunk, start, start + len(words), score)


def hit(chunk: Chunk, score: float = 1.0) -> Hit:
    return Hit(chunk, score, dense=score / 2, lexical=score / 4)


def composed(spans: list[Span], confidence: float = 0.8, threshold: float = 0.5) -> Answer:
    return compose(
        "几座桥？",
        "甲镇有几座桥？",
        spans,
        [hit(CHUNKS[0]), hit(CHUNKS[1], 0.5)],
        confidence,
        threshold,
        lambda _: DOCUMENT,
        lambda span: span.score / 4,
        {"total": 1.0},
    )


def test_the_answer_is_the_first_quotation_without_layout() -> None:
    first, second = span("三十座桥", CHUNKS[0], 3.0), span("三十座桥", CHUNKS[1], 2.0)
    answer = composed([first, second, span("桥都很老", CHUNKS[0], 1.0)])
    assert answer.text == "三十座桥"
    assert answer.standalone_question == "甲镇有几座桥？"
    assert [c.cited_text for c in answer.citations] == ["三十 座桥", "三十座桥"]
    assert [c.index for c in answer.citations] == [1, 2]
    one, two = answer.citations
    assert TEXT[one.start_char_index : one.end_char_index] == "三十 座桥"
    assert one.context == "甲镇有三十 座桥。"
    assert TEXT.startswith(one.context, one.context_start_char_index)
    assert one.section_path == ()
    assert two.section_path == ("后来",)
    assert two.document_title == "甲镇"
    assert answer.passages[0].text == "甲镇\r\n\r\n甲镇有三十 座桥。桥都很老。"


def test_other_places_must_be_likely_too() -> None:
    first, second = span("三十座桥", CHUNKS[0], 3.0), span("三十座桥", CHUNKS[1], 1.9)
    answer = composed([first, second])
    assert [c.score for c in answer.citations] == [0.8]
    second = span("三十座桥", CHUNKS[1], 2.4)
    assert [c.score for c in composed([first, second]).citations] == [0.8, 0.6]


def test_a_span_over_two_sentences_has_both_as_context() -> None:
    answer = composed([span("座桥。桥都", CHUNKS[0], 1.0)])
    assert answer.citations[0].context == "甲镇有三十 座桥。桥都很老。"


@pytest.mark.parametrize(
    ("confidence", "reason"),
    [(0.49, "low_confidence"), (0.13, "low_confidence"), (0.12, "no_evidence")],
)
def test_refuses_below_the_threshold(confidence: float, reason: str) -> None:
    answer = composed([span("桥", CHUNKS[0], 1.0)], confidence)
    assert answer.text is None
    assert not answer.answerable
    assert answer.refusal_reason == reason
    assert answer.citations == ()
    assert answer.confidence == confidence
    assert [p.section_path for p in answer.nearest] == [(), ("后来",)]


def test_a_threshold_of_zero_refuses_nothing_that_was_found() -> None:
    assert composed([span("桥", CHUNKS[0], 1.0)], 0.0, 0.0).answerable
    assert composed([], 0.0, 0.0).refusal_reason == "no_evidence"


def test_places_merge_what_overlaps() -> None:
    a = span("三十座桥", CHUNKS[0], 3.0)
    assert places([a, Span(a.chunk, a.start, a.end, 2.0), span("桥都很老", CHUNKS[0], 1.0)]) == [a]


def test_another_number_is_another_answer() -> None:
    text = "增长3.5%。去年35%，前年3.5%，共4,000家，就是4000家，降到-5度，不是5度。"
    document = load(text.encode(), "数.txt")
    (chunk,) = split(document, repair(document), lambda texts: [len(t) for t in texts])

    def found(words: str, other: str) -> list[str]:
        spans = [span(words, chunk, 2.0), span(other, chunk, 1.0)]
        return [chunk.text[place.start : place.end] for place in places(spans)]

    assert found("3.5%", "35%") == ["3.5%"]
    assert found("4,000家", "4000家") == ["4,000家", "4000家"]
    assert found("-5度", "5度，不") == ["-5度"]


def test_a_name_may_stand_in_another_passage_that_holds_the_place() -> None:
    text = "上海有家店。店里有九张桌子。"
    document = load(text.encode(), "乙.txt")
    seam = text.index("店里")
    long, short = (
        Chunk(
            f"乙#{n}", "乙", (), start, len(text), View(text[start:], range(start, len(text))), ()
        )
        for n, start in enumerate((0, seam))
    )

    def found(*spans: Span) -> Features:
        return features("上海的店有几张桌子？", spans, lambda _: document, GAZETTEER)

    best, again = span("九张", short, 2.0), span("九张", long, 1.0)
    assert found(best).missing == 1
    assert found(best, again).missing == 0
    assert found(best, again).lead == 0
    # Only where it holds the same place.
    assert found(best, span("家店", long, 1.0)).missing == 1


def test_features_look_past_the_same_answer_for_a_rival() -> None:
    spans = [
        span("三十座桥", CHUNKS[0], 3.0),
        span("三十座桥", CHUNKS[1], 2.5),
        span("桥都很老", CHUNKS[0], 1.0),
    ]
    spans[0] = replace(spans[0], null_margin=4.0, support=0.7)
    found = features("甲镇在1952年有几座桥？", spans, lambda _: DOCUMENT, GAZETTEER)
    assert found == Features(
        null_margin=4.0, support=0.7, lead=2.0, missing=1, absent=1, mismatch=0
    )
    spans[0] = replace(spans[0], null_margin=-4.0)
    found = features("有几座桥？", spans[:2], lambda _: DOCUMENT, GAZETTEER)
    assert found == Features(
        null_margin=-4.0, support=0.7, lead=0.0, missing=0, absent=0, mismatch=0
    )
    found = features("花了多少钱？", spans[:2], lambda _: DOCUMENT, GAZETTEER)
    assert found == Features(
        null_margin=-4.0, support=0.7, lead=0.0, missing=0, absent=0, mismatch=1
    )


def test_names_are_looked_for_in_the_passage_its_headings_and_the_title() -> None:
    def missing(question: str) -> float:
        chosen = [span("三十座桥", CHUNKS[1], 1.0)]
        return features(question, chosen, lambda _: DOCUMENT, GAZETTEER).missing

    assert missing("有几座桥？") == 0.0
    assert missing("上海有几座桥？") == 1.0
    # The name stands in the document's title only.
    titled = replace(DOCUMENT, title="上海的桥")
    found = features(
        "上海有几座桥？", [span("三十座桥", CHUNKS[1], 1.0)], lambda _: titled, GAZETTEER
    )
    assert found.missing == 0


def test_calibration_is_a_logistic() -> None:
    weights = Features(null_margin=1, support=4, lead=0.5, missing=-3, absent=-2, mismatch=0)
    calibration = Calibration(bias=-1, weights=weights, threshold=0.5)
    best = replace(span("三十座桥", CHUNKS[0], 0.25), null_margin=-0.5, support=0.75)
    spans = [best, span("桥都很老", CHUNKS[0], -1.75)]
    expected = 1 / (1 + math.exp(-(-1 - 0.5 + 3 + 1 - 3 - 2)))
    found = calibration.probability("1952年有几座桥？", spans, lambda _: DOCUMENT, GAZETTEER)
    assert found == pytest.approx(expected)
    assert calibration.probability("有几座桥？", [], lambda _: DOCUMENT, GAZETTEER) == 0.0


def test_an_index_that_disagrees_with_its_text_is_an_error() -> None:
    other = Document("甲", "甲镇", "别" * len(TEXT), "甲.txt", "0", "text/plain")
    with pytest.raises(IndexDamagedError, match="disagree"):
        compose(
            "?",
            "?",
            [span("三十座桥", CHUNKS[0], 1.0)],
            [],
            1.0,
            0.0,
            lambda _: other,
            lambda _: 1.0,
            {},
        )
