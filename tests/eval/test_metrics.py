"""Worked by hand, with values that the usual wrong implementations do not give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xhqa_eval import metrics
from xhqa_eval.metrics import RiskPoint


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  《核爆点》 ", "核爆点"),
        ("GPT-4", "gpt4"),
        # the list has no ASCII comma, full stop or bracket, and no space inside
        ("约1,200 家（2023年）(估)", "约1,200 家2023年(估)"),
        # '……' in the official list is two characters and never matches one
        ("等……", "等……"),
    ],
)
def test_remove_punctuation(text: str, kept: str) -> None:
    assert metrics.remove_punctuation(text) == kept


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("徐汇AI企业755家", ["徐", "汇", "ai", "企", "业", "755", "家"]),
        ("Meta AI的3.5亿", ["meta", "ai", "的", "3.5", "亿"]),
        # listed punctuation vanishes before words are cut, so it does not part them
        ("v2.0，C-61型", ["v2.0c61", "型"]),
        # beyond U+9FA5 the official script sees no Han character
        ("龦龦", ["龦龦"]),
        ("", []),
        ("。，", []),
        (
            "It's 1,200 (approx.) U.S. firms, really.",
            ["it", "'s", "1,200", "(", "approx.", ")", "u.s.", "firms", ",", "really", "."],
        ),
        ("don't pay 50%", ["do", "n't", "pay", "50", "%"]),
        ("wait...", ["wait", "..."]),
    ],
)
def test_mixed_segmentation(text: str, segments: list[str]) -> None:
    assert metrics.mixed_segmentation(text) == segments


@pytest.mark.parametrize(
    ("left", "right", "length"),
    [
        ("甲乙丙丁", "甲丙丁", 2),  # a subsequence would be 3
        ("上海徐汇", "徐汇上海", 2),  # a bag would be 4
        ("一一一", "一一", 2),
        ("甲乙", "丙丁", 0),
        ("", "甲", 0),
    ],
)
def test_longest_common_run(left: str, right: str, length: int) -> None:
    assert metrics.longest_common_run(left, right) == length
    assert metrics.longest_common_run(right, left) == length


@pytest.mark.parametrize(
    ("golds", "prediction", "em"),
    [
        (["《核爆点》"], "核爆点", 1),
        (["GPT-4"], "gpt4", 1),
        (["1,200家"], "1200家", 0),
        (["New York"], "newyork", 0),
        (["755", "755家"], "755家", 1),
        (["755家"], None, 0),
        (["。"], "", 1),
        ([], "755家", None),
        ([], None, None),
    ],
)
def test_exact_match(golds: list[str], prediction: str | None, em: float | None) -> None:
    assert metrics.exact_match(golds, prediction) == em


@pytest.mark.parametrize(
    ("golds", "prediction", "f1"),
    [
        # 大模型企业|755|家 is 7 segments, 2 are common: p = 1, r = 2/7; by characters it is 8/13
        (["大模型企业755家"], "755家", 4 / 9),
        (["上海徐汇"], "徐汇上海", 1 / 2),  # 1 as a bag of characters
        (["甲乙丙丁"], "甲丙丁", 4 / 7),  # 6/7 by the longest subsequence
        (["3.5亿"], "35亿", 1 / 2),  # 3.5 is one word
        (["1,200家"], "1200家", 1 / 2),
        (["Meta AI 公司"], "meta ai", 2 / 3),  # 2 of 4 segments
        (["西岸", "徐汇西岸"], "徐汇西岸", 1),  # the best gold, not the first or the mean
        (["二〇二三年"], "2023年", 2 / 7),  # 1 of 5 segments, 1 of 2
        (["徐汇"], "", 0),
        (["。"], "。", 0),  # nothing is left of either, and nothing is common
        (["徐汇"], None, 0),
        ([], "徐汇", None),
    ],
)
def test_f1(golds: list[str], prediction: str | None, f1: float | None) -> None:
    assert metrics.f1_score(golds, prediction) == (None if f1 is None else pytest.approx(f1))


def test_ranks() -> None:
    assert [metrics.recall_at_k(rank, 5) for rank in (1, 5, 6, None)] == [1, 1, 0, 0]
    assert [metrics.reciprocal_rank(rank) for rank in (1, 4, None)] == [1, 0.25, 0]


def test_mean_leaves_out_what_does_not_apply() -> None:
    assert metrics.mean([1, None, 0]) == 0.5
    assert metrics.mean([None]) is None
    assert metrics.mean([]) is None


def test_is_exact() -> None:
    text = "共755家。"
    assert metrics.is_exact(text, 1, 5, "755家")
    assert not metrics.is_exact(text, 1, 5, "755 家")
    assert not metrics.is_exact(text, -3, -1, "5家")  # what Python would slice all the same
    assert not metrics.is_exact(text, 4, 99, "家。")
    assert not metrics.is_exact(text, 2, 2, "")


@pytest.mark.parametrize(
    ("cited", "golds", "meets"),
    [
        ((3, 5), [(4, 9)], True),
        ((3, 5), [(5, 9)], False),  # half-open: they touch, and share nothing
        ((5, 9), [(3, 5)], False),
        ((0, 9), [(3, 4)], True),
        ((3, 5), [(0, 1), (4, 5)], True),
        ((3, 3), [(0, 9)], False),
        ((3, 5), [], False),
    ],
)
def test_overlaps(cited: tuple[int, int], golds: list[tuple[int, int]], meets: bool) -> None:
    assert metrics.overlaps(cited, golds) is meets


def test_refusals() -> None:
    refused = [True, True, False, False, False]
    unanswerable = [True, False, True, True, False]
    assert metrics.refusal_precision(refused, unanswerable) == 1 / 2
    assert metrics.refusal_recall(refused, unanswerable) == 1 / 3
    assert metrics.wrongly_refused(refused, unanswerable) == 1 / 2


def test_refusals_where_they_do_not_apply() -> None:
    assert metrics.refusal_precision([False, False], [True, False]) is None
    assert metrics.refusal_precision([True, False], [False, False]) is None
    assert metrics.refusal_recall([True], [False]) is None
    assert metrics.wrongly_refused([True], [True]) is None
    assert metrics.refusal_recall([], []) is None


def test_auroc_counts_a_tie_as_one_half() -> None:
    # pairs: .9 wins both; each .5 ties with .5 and beats .1: (2 + 1.5 + 1.5) / 6
    scores = [0.9, 0.5, 0.5, 0.5, 0.1]
    positive = [True, True, True, False, False]
    assert metrics.auroc(scores, positive) == pytest.approx(5 / 6)
    assert metrics.auroc([0.4, 0.4], [True, False]) == 0.5
    assert metrics.auroc([0.1, 0.9], [True, False]) == 0


def test_auroc_needs_both_classes() -> None:
    assert metrics.auroc([0.4, 0.5], [True, True]) is None
    assert metrics.auroc([], []) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=30))
def test_auroc_equals_all_pairs_compared(pairs: list[tuple[float, bool]]) -> None:
    above = [score for score, yes in pairs if yes]
    below = [score for score, yes in pairs if not yes]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in above for b in below]
    expected = sum(wins) / len(wins) if wins else None
    found = metrics.auroc([score for score, _ in pairs], [yes for _, yes in pairs])
    assert found == (None if expected is None else pytest.approx(expected))


def test_ece_by_hand() -> None:
    # each in its own bin: (.05 + .9 + .3 + .35 + 0) / 5. With bins closed on the left, .9 joins
    # .95 and it is .3; .7 * 10 > 7 in floating point, yet .7 belongs to (.6, .7].
    confidences = [0.95, 0.9, 0.7, 0.35, 0.0]
    right = [True, False, True, False, False]
    assert metrics.expected_calibration_error(confidences, right) == pytest.approx(0.32)


def test_ece_averages_within_a_bin_first() -> None:
    # accuracy 1/2, confidence .65; the mean of the single gaps would be .53
    assert metrics.expected_calibration_error([0.62, 0.68], [True, False]) == pytest.approx(0.15)
    assert metrics.expected_calibration_error([], []) is None


def test_reliability_bins_hold_their_upper_edge() -> None:
    confidences = [m / 10 for m in range(11)]
    bins = metrics.reliability_bins(confidences, [True] * 11)
    assert [b.n for b in bins] == [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]  # 0 joins the first
    assert bins[6].confidence == 0.7
    empty = metrics.reliability_bins([0.95], [True])[0]
    assert (empty.n, empty.confidence, empty.accuracy) == (0, None, None)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(ValueError, match="not a probability"):
        metrics.reliability_bins([confidence], [True])


def test_risk_coverage() -> None:
    # the two of .8 enter together: no threshold parts them
    points = metrics.risk_coverage([0.3, 0.8, 0.9, 0.8], [False, True, True, False], total=5)
    assert points == (
        RiskPoint(0.9, 1 / 5, 0.0),
        RiskPoint(0.8, 3 / 5, 1 / 3),
        RiskPoint(0.3, 4 / 5, 1 / 2),
    )
    assert metrics.risk_coverage([0.3], [True])[0].coverage == 1
    assert metrics.risk_coverage([], []) == ()


def test_percentile_is_linear_between_neighbours() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert metrics.percentile(values, 50) == 25
    assert metrics.percentile(values, 95) == pytest.approx(38.5)
    assert metrics.percentile(values, 100) == 40
    assert metrics.percentile([7.0], 95) == 7
    assert metrics.percentile([], 50) is None
    with pytest.raises(ValueError, match="not a percentage"):
        metrics.percentile(values, 101)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    st.floats(0, 100),
)
def test_percentile_is_numpys(values: list[float], q: float) -> None:
    assert metrics.percentile(values, q) == pytest.approx(float(np.percentile(values, q)))
