from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from support import CharacterTokenizer

from xhqa.graph import SIFTED
from xhqa.load import load, repair
from xhqa.read.sentence import SentenceReader
from xhqa.read.span import (
    _TOKEN_COST,
    SpanReader,
    _decode,
    crossing,
    edge_costs,
    token_cost,
)
from xhqa.read.supported import SupportedReader
from xhqa.split import split
from xhqa.types import Chunk, Hit, Span, View


def chunk(text: str) -> Chunk:
    document = load(text.encode(), "a.txt")
    return split(document, repair(document), lambda texts: [len(t) for t in texts])[0]


TOWN = chunk("甲镇很老。那里有三十座桥。河从镇中流过。")


def test_the_sentence_reader_adds_up_its_parts() -> None:
    asked: list[list[str]] = []

    def similarity(question: str, chunk: Chunk) -> np.ndarray:
        assert chunk is TOWN
        return np.array([0.5, 0.75, 0.1], np.float32)

    def overlap(question: str, texts: Sequence[str]) -> np.ndarray:
        asked.append(list(texts))
        return np.array([1.0, 0.0, 0.0], np.float32)

    reader = SentenceReader(similarity, overlap, 0.1, 0.3, 0.04)
    spans = reader.read("甲镇有多少座桥？", [Hit(TOWN, 2.0, 0, 0)])
    assert asked == [["甲镇很老。", "那里有三十座桥。", "河从镇中流过。"]]
    assert [TOWN.text[s.start : s.end] for s in spans] == [
        "那里有三十座桥。",
        "甲镇很老。",
        "河从镇中流过。",
    ]
    # similarity + overlap + passage + the number that was asked for
    assert spans[0].score == pytest.approx(0.75 + 0.0 + 0.6 + 0.04)
    assert spans[1].score == pytest.approx(0.5 + 0.1 + 0.6)
    assert reader.read("?", []) == []


class Scored:
    """A span reader that gives these words these scores wherever they stand; remembers the
    passages it was given."""

    name = "span"

    def __init__(self, scores: dict[str, float], looked_at: dict[str, float] | None = None) -> None:
        self.scores = scores
        self.looked_at = looked_at or scores
        self.given: list[str] = []
        self.prepared: list[str] = []

    def alone(self, question: str, spans: Sequence[Span]) -> list[float]:
        words = [span.chunk.text[span.start : span.end] for span in spans]
        self.given.append("/".join(words))
        return [self.looked_at[each] for each in words]

    def prepare(self, chunk: Chunk) -> None:
        self.prepared.append(chunk.id)

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        self.given += [hit.chunk.id for hit in hits]
        return [
            Span(hit.chunk, at, at + len(words), score)
            for hit in hits
            for words, score in self.scores.items()
            if (at := hit.chunk.text.find(words)) >= 0
        ]


def no_overlap(question: str, texts: Sequence[str]) -> np.ndarray:
    return np.zeros(len(texts), np.float32)


def by_passage_score() -> SentenceReader:
    """Gives every sentence the score of its passage."""

    def similarity(question: str, chunk: Chunk) -> np.ndarray:
        return np.zeros(len(chunk.sentences), np.float32)

    return SentenceReader(similarity, no_overlap, 0.0, 1.0, 0.0)


def passage(name: str, text: str) -> Chunk:
    return replace(chunk(text), id=name)


def test_a_span_gains_what_its_sentence_is_worth() -> None:
    def similarity(question: str, chunk: Chunk) -> np.ndarray:
        return np.array(["河" in chunk.text[a:b] for a, b in chunk.sentences], np.float32)

    sentences = SentenceReader(similarity, no_overlap, 0.0, 0.0, 0.0)
    scored = Scored({"三十座桥": 3.0, "很老": 2.0, "河": -2.0})
    reader = SupportedReader(scored, sentences, weight=5.0, doubtful=0.25)
    spans = reader.read("什么从镇中流过？", [Hit(TOWN, 1.0, 0, 0)])
    assert [(TOWN.text[s.start : s.end], s.score, s.null_margin, s.support) for s in spans] == [
        ("河", 4.5, -2.0, 1.0),
        ("三十座桥", 3.0, 3.0, 0.0),
        ("很老", 2.0, 2.0, 0.0),
    ]
    assert reader.name == "span"
    reader.prepare(TOWN)
    assert scored.prepared == [TOWN.id]
    assert reader.read("什么从镇中流过？", []) == []


def test_a_number_of_another_kind_must_be_worth_more() -> None:
    both = passage("a", "装了1330台。花了四百元。")

    def best(question: str, machines: float) -> tuple[str, list[float | None]]:
        readers = Scored({"1330台": machines, "四百元": 5.0}), by_passage_score()
        spans = SupportedReader(*readers).read(question, [Hit(both, 0.5, 0, 0)])
        first = spans[0]
        return both.text[first.start : first.end], [span.null_margin for span in spans]

    assert best("花了多少？", 7.0) == ("1330台", [7.0, 5.0])
    assert best("花了多少钱？", 7.0) == ("四百元", [5.0, 7.0])
    assert best("花了多少钱？", 9.0) == ("1330台", [9.0, 5.0])


def test_reading_stops_where_the_next_passage_would_have_to_bring_too_much() -> None:
    hits = [
        Hit(passage("low", "乙镇有四座桥。"), 0.1, 0, 0),
        Hit(passage("high", "甲镇有三座桥。"), 0.9, 0, 0),
        Hit(passage("middle", "丙镇有五座桥。"), 0.6, 0, 0),
    ]
    # 3 logits and 9 of support against 6 of the next: ahead by 6.
    for headroom, given in ((5.9, ["high"]), (6.1, ["high", "middle"])):
        scored = Scored({"三座": 3.0, "五座": 4.0, "四座": 9.0})
        reader = SupportedReader(scored, by_passage_score(), weight=10.0, headroom=headroom)
        spans = reader.read("几座？", hits)
        assert scored.given == given
        assert spans[0].score == pytest.approx(12.0)
    # A better span raises what the ones after it would have to bring.
    scored = Scored({"三座": 3.0, "五座": 7.5, "四座": 9.0})
    spans = SupportedReader(scored, by_passage_score(), weight=10.0, headroom=6.1).read("?", hits)
    assert scored.given == ["high", "middle"]
    assert spans[0].chunk.id == "middle"
    assert spans[0].score == pytest.approx(13.5)


@pytest.mark.parametrize(("found", "given"), [(0.5, ["a", "b"]), (0.9, ["b", "a"])])
def test_of_passages_of_much_the_same_promise_the_better_found_is_read_first(
    found: float, given: list[str]
) -> None:
    def similarity(question: str, chunk: Chunk) -> np.ndarray:
        return np.full(len(chunk.sentences), {"a": 0.5, "b": 0.4}[chunk.id], np.float32)

    hits = [Hit(passage("a", "甲。"), 0.3, 0, 0), Hit(passage("b", "乙。"), found, 0, 0)]
    scored = Scored({})
    SupportedReader(scored, SentenceReader(similarity, no_overlap, 0.0, 0.0, 0.0)).read("?", hits)
    assert scored.given == given


def test_passages_that_hold_the_same_words_are_read_all_the_same() -> None:
    hits = [
        Hit(passage("one", "甲镇有三座桥。"), 0.9, 0, 0),
        Hit(passage("two", "乙镇有四座桥。"), 0.2, 0, 0),
        Hit(passage("three", "听说是三座。"), 0.1, 0, 0),
    ]
    # The last passage is worth 8 logits less than the first.
    for repeated, given in ((8.1, ["one", "three"]), (7.9, ["one"])):
        scored = Scored({"三座": 3.0})
        reader = SupportedReader(
            scored, by_passage_score(), weight=10.0, headroom=1.0, repeated=repeated
        )
        spans = reader.read("?", hits)
        assert scored.given == given
        assert [span.chunk.id for span in spans] == given


def test_after_so_many_passages_only_what_holds_the_same_words_is_read() -> None:
    texts = ["有三座桥。", "有四座桥。", "有五座桥。", "听说是三座。"]
    hits = [Hit(passage(str(n), text), 0.9 - n / 10, 0, 0) for n, text in enumerate(texts)]
    for most, given in ((4, "0123"), (3, "0123"), (2, "013"), (1, "03")):
        scored = Scored({"三座": 3.0, "四座": 2.0, "五座": 2.0})
        reader = SupportedReader(scored, by_passage_score(), weight=1.0, headroom=9.0, most=most)
        assert reader.read("?", hits)[0].chunk.id == "0"
        assert "".join(scored.given) == given


@pytest.mark.parametrize(
    ("scores", "alone", "given", "expected"),
    [
        # What scores 2 more there with half of it is ahead of what is 0.9 ahead here, not of 1.1.
        ({"三十座": 5.0, "四座": 4.1}, (1.0, 3.0), ["三十座/四座"], "四座"),
        ({"三十座": 5.0, "四座": 3.9}, (1.0, 3.0), ["三十座/四座"], "三十座"),
        # Too far behind, in another sentence or of another kind.
        ({"三十座": 5.0, "四座": 2.9}, (1.0, 9.0), [], "三十座"),
        ({"三十座": 5.0, "六座": 4.9}, (1.0, 9.0), [], "三十座"),
        ({"三十座": 5.0, "五千元": 7.5}, (1.0, 9.0), [], "三十座"),
    ],
)
def test_answers_of_one_sentence_that_are_near_are_looked_at_once_more(
    scores: dict[str, float], alone: tuple[float, float], given: list[str], expected: str
) -> None:
    town = passage("a", "三十座桥和四座塔，五千元。还有六座山。")
    scored = Scored(scores, dict(zip(scores, alone, strict=True)))
    reader = SupportedReader(scored, by_passage_score(), rival=2.0, alone=0.5)
    spans = reader.read("多少座？", [Hit(town, 0.1, 0, 0)])
    assert scored.given == ["a", *given]
    first, second = (town.text[span.start : span.end] for span in spans)
    assert first == expected
    assert spans[0].score > spans[1].score
    assert {first: spans[0].null_margin, second: spans[1].null_margin} == scores


def test_reading_ends_where_passages_bring_nothing_that_could_answer() -> None:
    names = ["one", "two", "three", "four"]
    hits = [Hit(passage(name, f"{name}镇有桥。"), 0.9, 0, 0) for name in names]
    for margin, given in ((-5.9, names), (-6.1, names[:3])):
        scored = Scored({"镇": -9.0, "two镇": margin})
        reader = SupportedReader(
            scored, by_passage_score(), weight=10.0, most=4, tries=3, hopeless=-6.0, rival=0.0
        )
        assert reader.read("?", hits)
        assert scored.given == given


def test_decoding_takes_start_and_end_together_and_never_backwards() -> None:
    text = TOWN.text
    offsets = [(n, n + 1) for n in range(len(text))]
    scores = np.full((len(text), 2), -9.0, np.float32)
    three = text.index("三")
    # The best start lies behind the best end; taken apart they would cross.
    scores[text.index("河"), 0] = 5.0
    scores[text.index("老"), 1] = 5.0
    scores[three, 0] = 4.0
    scores[text.index("桥"), 1] = 4.0
    spans = _decode(TOWN, offsets, scores, null=1.5)
    assert text[spans[0].start : spans[0].end] == "三十座桥"
    assert spans[0].score == pytest.approx(4.0 + 4.0 - 1.5 - 3 * _TOKEN_COST)
    for one in spans:
        assert one.start < one.end
        for other in spans:
            assert one is other or one.end <= other.start or other.end <= one.start


@pytest.mark.parametrize(("gain", "expected"), [(0.9, "三十座"), (1.1, "三十座桥。河从镇中流过")])
def test_a_longer_span_must_be_worth_its_tokens(gain: float, expected: str) -> None:
    text = TOWN.text
    scores = np.full((len(text), 2), -9.0, np.float32)
    scores[text.index("三"), 0] = 4.0
    scores[text.index("座"), 1] = 4.0
    far = text.rindex("过")
    scores[far, 1] = 4.0 + gain * _TOKEN_COST * (far - text.index("座"))
    spans = _decode(TOWN, [(n, n + 1) for n in range(len(text))], scores, null=0.0)
    assert text[spans[0].start : spans[0].end] == expected


@pytest.mark.parametrize(
    ("question", "cost"),
    [
        ("镇上有几座桥？", 0.1),
        ("哪年建成？", 0.1),
        ("镇上有哪些桥？", 0.03),
        ("哪两座桥最老？", 0.03),
        ("两座桥分别多长？", 0.03),
        ("How many bridges are there in 丙城?", 0.1),
    ],
)
def test_a_token_costs_less_in_lists(question: str, cost: float) -> None:
    assert token_cost(question) == cost


def test_edges_inside_words_and_at_particles_cost() -> None:
    # 人工智能 | 的 | 发展 | in | Asia
    text = "人工智能的发展in Asia"
    offsets = [(0, 0), (0, 1), (1, 2), (2, 4), (4, 5), (5, 7), (7, 9), (9, 12), (12, 14)]
    costs = edge_costs(text, offsets)
    assert costs[:, 0].tolist() == [0, 0, 1, 1, 3, 0, 0, 0, 1]
    assert costs[:, 1].tolist() == [0, 1, 1, 0, 0, 0, 0, 1, 0]
    assert edge_costs("", []).shape == (0, 2)


def test_leaving_out_a_part_of_a_list_costs_where_several_are_asked_for() -> None:
    text = "有甲、乙和 丙、丁。1、戊；二、己。"
    offsets = [(n, n + 1) for n in range(len(text))]
    free, listed = (edge_costs(text, offsets, several) for several in (False, True))
    assert np.argwhere(listed != free).tolist() == [[1, 1], [3, 0], [6, 1], [8, 0]]
    assert set((listed - free)[listed != free].tolist()) == {2.0}


@pytest.mark.parametrize(
    ("words", "crosses"),
    [
        ('甲"乙', True),
        ('乙丙"丁', True),
        ("乙丙", False),
        # What it ends or begins with may be left out.
        ('甲"', False),
        ('"乙丙', False),
        ('甲"乙丙"丁', False),
        ('"丁', False),
        ("戊“己", True),
        ("戊“己”庚", False),
        ("己”庚", True),
        ("己”庚》辛", True),
        ("《戊“己”庚》辛", False),
        # Never closed.
        ("辛（壬", False),
    ],
)
def test_a_span_that_holds_one_sign_of_a_pair_crosses_it(words: str, crosses: bool) -> None:
    text = '甲"乙丙"丁《戊“己”庚》辛（壬\n癸）'
    found = crossing(text, [(n, n + 1) for n in range(len(text))])
    at = text.index(words)
    assert found[at, at + len(words) - 1] == crosses
    assert crossing("", []).shape == (0, 0)


def test_of_an_odd_number_of_straight_quotation_marks_none_is_a_pair() -> None:
    text = '乙"，丙"丁"戊'
    assert not crossing(text, [(n, n + 1) for n in range(len(text))]).any()
    # White space in front of a word belongs to its token.
    found = crossing('a "b c" d', [(0, 1), (1, 4), (4, 7), (7, 9)])
    assert np.triu(found).tolist() == [
        [False, True, False, False],
        [False, False, False, False],
        [False, False, False, True],
        [False, False, False, False],
    ]


def test_an_answer_does_not_cut_through_a_pair_of_signs() -> None:
    shown = chunk("甲镇的“三十座桥”很老。")
    text = shown.text
    scores = np.full((len(text), 2), -9.0, np.float32)
    scores[text.index("甲"), 0], scores[text.index("座"), 1] = 5.0, 5.0
    scores[text.index("三"), 0] = 4.0
    (best, *_) = _decode(shown, [(n, n + 1) for n in range(len(text))], scores, null=0.0)
    assert text[best.start : best.end] == "三十座"


def test_an_answer_of_nearly_the_same_score_is_not_cut_out_of_a_word() -> None:
    class Near:
        def run(self, question: Sequence[int], passage: Sequence[int]) -> npt.NDArray[np.float32]:
            text = "".join(map(chr, [*question, *passage]))
            logits = np.full((len(text), 2), -5.0, np.float32)
            logits[text.index("权"), 0] = 3.5
            logits[text.index("三"), 0] = 3.0
            logits[text.index("立"), 1] = 3.0
            return logits

    reader = SpanReader(Near(), CharacterTokenizer())  # type: ignore[arg-type]
    (best, *_) = reader.read("几？", [Hit(chunk("国家讲三权分立。"), 1.0, 0, 0)])
    assert best.chunk.text[best.start : best.end] == "三权分立"


def test_decoding_has_a_span_of_every_sentence_however_low() -> None:
    text = TOWN.text
    scores = np.full((len(text), 2), -9.0, np.float32)
    high = text.index("三十座桥")
    # More good spans in one sentence than are kept of a passage.
    for at in range(high, high + 4):
        scores[at] = 6.0 - (at - high)
    low = text.index("河")
    scores[low] = -3.0
    spans = _decode(TOWN, [(n, n + 1) for n in range(len(text))], scores, null=0.0)
    for start, end in TOWN.sentences:
        assert any(start <= span.start < span.end <= end for span in spans)
    assert [s.score for s in spans if s.start == low] == [pytest.approx(-6.0)]


def test_what_was_sifted_out_is_no_edge_of_a_span() -> None:
    text = TOWN.text
    scores = np.full((len(text), 2), SIFTED, np.float32)
    start, end = text.index("三"), text.index("座")
    scores[start], scores[end] = [4.0, -2.0], [-2.0, 4.0]
    spans = _decode(TOWN, [(n, n + 1) for n in range(len(text))], scores, null=1.0)
    # 十 between them is gone, and the span is whole all the same.
    assert [(text[s.start : s.end], s.score) for s in spans] == [
        ("三十座", pytest.approx(7.0 - 2 * _TOKEN_COST))
    ]


def _around(span: Span) -> tuple[int, int]:
    return next(s for s in span.chunk.sentences if s[0] <= span.start < s[1])


class PointingNetwork:
    """Start at 三, end at 座; each scores 3, "no answer" 1 and anything else -5. Notes what it is
    given to read and to prepare."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[int], list[int]]] = []
        self.prepared: list[list[int]] = []

    def run(self, question: Sequence[int], passage: Sequence[int]) -> npt.NDArray[np.float32]:
        self.seen.append((list(question), list(passage)))
        ids = np.array([*question, *passage])
        logits = np.full((len(ids), 2), -5.0, np.float32)
        for kind, char in enumerate("三座"):
            logits[ids == ord(char), kind] = 3.0
        logits[0] = 1.0
        return logits

    def prepare(self, passage: Sequence[int]) -> None:
        self.prepared.append(list(passage))


def test_the_span_reader_scores_spans_over_no_answer() -> None:
    network = PointingNetwork()
    seen = network.seen
    reader = SpanReader(network, CharacterTokenizer())  # type: ignore[arg-type]
    other = chunk("别的镇没有桥。")
    spans = reader.read("几座？", [Hit(other, 1.0, 0, 0), Hit(TOWN, 0.5, 0, 0)])
    best = spans[0]
    assert best.chunk is TOWN
    assert TOWN.text[best.start : best.end] == "三十座"
    assert best.score == pytest.approx(3 + 3 - 2 - 2 * _TOKEN_COST)
    assert {other.sentences[0], TOWN.sentences[0]} <= {_around(span) for span in spans}
    # 别的 and 没有 are words of two tokens.
    assert min(span.score for span in spans) == pytest.approx(-5 - 5 - 2 - _TOKEN_COST)
    question, passage = ("".join(map(chr, side)) for side in seen[1])
    assert (question, passage) == ("\x00query:几座？\x02", f"\x02{TOWN.text}\x02")
    assert reader.read("几座？", []) == []
    (listed, *_) = reader.read("哪些？", [Hit(TOWN, 0.5, 0, 0)])
    assert listed.score == pytest.approx(3 + 3 - 2 - 2 * token_cost("哪些？"))


def test_the_span_reader_looks_at_answers_in_their_sentence_alone() -> None:
    network = PointingNetwork()
    reader = SpanReader(network, CharacterTokenizer())  # type: ignore[arg-type]
    twice = chunk("甲镇有三座桥。乙镇有三十座桥。")
    at = twice.text.index("三十座")
    whole, part, across = (Span(twice, at, at + size, 0.0) for size in (3, 2, 6))
    assert reader.alone("几座？", [whole, part, across]) == [6.0, -2.0, -2.0]
    ((question, passage),) = network.seen
    assert "".join(map(chr, question)) == "\x00query:几座？\x02"
    assert "".join(map(chr, passage)) == "\x02乙镇有三十座桥。\x02"
    # Where an edge was sifted out there is an end to it, and a span may stand before all sentences.
    scores = np.full((len(question) + len(passage), 2), SIFTED, np.float32)
    network.run = lambda *sides: scores  # type: ignore[method-assign]
    assert reader.alone("几座？", [whole]) == [-40.0]
    scores[:] = 1.0
    assert reader.alone("几座？", [Span(replace(twice, sentences=((7, 15),)), 0, 3, 0.0)]) == [2.0]


def test_long_passages_are_read_in_windows_that_overlap() -> None:
    network = PointingNetwork()
    seen = network.seen
    reader = SpanReader(network, CharacterTokenizer())  # type: ignore[arg-type]
    text = "河" * 500 + "三十座" + "河" * 300
    long = Chunk("a#0", "a", (), 0, len(text), View(text, range(len(text))), ((0, len(text)),))
    spans = reader.read("前面的话" * 30 + "几座？", [Hit(long, 1.0, 0, 0)])
    assert {text[s.start : s.end] for s in spans if s.score > 0} == {"三十座"}
    assert all(len(passage) <= 314 + 2 for _, passage in seen)
    question = "".join(map(chr, seen[0][0]))
    assert question.endswith("几座？\x02")
    assert len(question) == len("\x00query:") + 64 + 1
    covered = [0] * len(text)
    for number, (_, passage) in enumerate(seen):
        start = number * (314 - 128)
        for at in range(start, start + len(passage) - 2):
            covered[at] += 1
    assert min(covered) >= 1
    # What is prepared is what will be read.
    reader.prepare(long)
    assert network.prepared == [passage for _, passage in seen]
