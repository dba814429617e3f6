"""The measures: one small pure function each, with where it comes from.

Fractions run from 0 to 1. A measure that does not apply to what it is given is None, never 0.
Ranges are half-open.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Range = tuple[int, int]

RIGHT_F1 = 0.5
"""From this F1 on an answer counts as right where right or wrong is all that is asked."""

# The official list also has '……', which is two characters and so never equals the one character
# it is compared with: an ellipsis is not removed.
_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_HAN = re.compile(r"[\u4e00-\u9fa5]")

_CLITIC = r"(?:'(?:s|m|d|ll|re|ve)|n't)(?!\w)"
_APART = r"""[;@#$%&?!()\[\]{}<>"«»‘„\u2012-\u2015]"""
_LAST_DOT = r"""\.(?=[\])}>"'»]*\s*\Z)"""
_WORD = re.compile(
    rf"{_CLITIC}|{_APART}|\.{{2,}}|{_LAST_DOT}|,(?!\d)"
    rf"|(?:(?!{_CLITIC}|{_APART}|\.\.|{_LAST_DOT}|,(?!\d))\S)+"
)


def mean(values: Iterable[float | None]) -> float | None:
    """The arithmetic mean of the values that apply; None where none does."""
    given = [value for value in values if value is not None]
    return math.fsum(given) / len(given) if given else None


def remove_punctuation(text: str) -> str:
    """Lower-cased text without the listed punctuation; other spaces and marks stay.

    ``remove_punctuation`` of cmrc2018_evaluate.py (Cui et al. 2019, "A Span-Extraction Dataset
    for Chinese Machine Reading Comprehension", github.com/ymcui/cmrc2018).
    """
    return "".join(char for char in text.lower().strip() if char not in _PUNCTUATION)


def mixed_segmentation(text: str) -> list[str]:
    """Han characters one by one, and the words between them.

    ``mixed_segmentation(rm_punc=True)`` of cmrc2018_evaluate.py. As there, listed punctuation is
    dropped before words are cut, so "c-61" is the one word "c61". The official script cuts words
    by ``nltk.word_tokenize``; a regular expression approximates it here: white space, brackets,
    quotes, ``;@#$%&?!``, a comma before no digit, a final full stop and English clitics stand
    apart. It does not find sentence ends inside a run, nor split "cannot" or "gonna".
    """
    segments: list[str] = []
    run: list[str] = []

    def flush() -> None:
        segments.extend(_WORD.findall("".join(run)))
        run.clear()

    for char in text.lower().strip():
        if char in _PUNCTUATION:
            continue
        if _HAN.match(char):
            flush()
            segments.append(char)
        else:
            run.append(char)
    flush()
    return segments


def longest_common_run(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest run of segments that stands in both, without gaps.

    ``find_lcs`` of cmrc2018_evaluate.py: a longest common substring, not a subsequence.
    """
    longest = 0
    above = [0] * (len(right) + 1)
    for segment in left:
        row = [0] * (len(right) + 1)
        for j, other in enumerate(right):
            if segment == other:
                row[j + 1] = above[j] + 1
                longest = max(longest, row[j + 1])
        above = row
    return longest


def exact_match(golds: Sequence[str], prediction: str | None) -> float | None:
    """1 where the prediction equals a gold answer but for case and listed punctuation, else 0.

    ``calc_em_score`` of cmrc2018_evaluate.py. A missing prediction is 0; without gold answers
    (an unanswerable question) it does not apply.
    """
    if not golds:
        return None
    if prediction is None:
        return 0.0
    wanted = remove_punctuation(prediction)
    return float(any(remove_punctuation(gold) == wanted for gold in golds))


def f1_score(golds: Sequence[str], prediction: str | None) -> float | None:
    """The best 2pr / (p + r) over the gold answers, by the longest common run of segments.

    ``calc_f1_score`` of cmrc2018_evaluate.py. A missing prediction is 0; without gold answers
    (an unanswerable question) it does not apply.
    """
    if not golds:
        return None
    if prediction is None:
        return 0.0
    return max(_f1(mixed_segmentation(gold), mixed_segmentation(prediction)) for gold in golds)


def _f1(gold: Sequence[str], prediction: Sequence[str]) -> float:
    common = longest_common_run(gold, prediction)
    if common == 0:
        return 0.0
    precision = common / len(prediction)
    recall = common / len(gold)
    return 2 * precision * recall / (precision + recall)


def recall_at_k(rank: int | None, k: int) -> float:
    """1 where the gold passage is among the first k; ``rank`` counts from 1, None: not found.

    Success@k, as a query with one relevant passage has it (Manning, Raghavan & Schütze 2008,
    "Introduction to Information Retrieval", ch. 8).
    """
    return float(rank is not None and rank <= k)


def reciprocal_rank(rank: int | None) -> float:
    """1 / rank, and 0 where the gold passage was not found (Voorhees 1999, TREC-8 QA track)."""
    return 0.0 if rank is None else 1 / rank


def is_exact(document_text: str, start: int, end: int, cited_text: str) -> bool:
    """Whether a citation is the document's own words: law 1 of this project's architecture."""
    return 0 <= start < end <= len(document_text) and document_text[start:end] == cited_text


def overlaps(cited: Range, golds: Iterable[Range]) -> bool:
    """Whether a range shares at least one character with a gold range.

    The condition for two half-open ranges to meet (Allen 1983, "Maintaining knowledge about
    temporal intervals", all relations but before, meets and their inverses).
    """
    return any(max(cited[0], gold[0]) < min(cited[1], gold[1]) for gold in golds)


def refusal_precision(refused: Sequence[bool], unanswerable: Sequence[bool]) -> float | None:
    """The share of refusals that were due: precision (van Rijsbergen 1979, ch. 7), positive class
    unanswerable. None where nothing was refused, or where no question called for a refusal."""
    if not any(refused) or not any(unanswerable):
        return None
    return mean(due for no, due in zip(refused, unanswerable, strict=True) if no)


def refusal_recall(refused: Sequence[bool], unanswerable: Sequence[bool]) -> float | None:
    """The share of unanswerable questions that were refused: recall (van Rijsbergen 1979, ch. 7).
    None where every question has an answer."""
    return mean(no for no, due in zip(refused, unanswerable, strict=True) if due)


def wrongly_refused(refused: Sequence[bool], unanswerable: Sequence[bool]) -> float | None:
    """The share of answerable questions that were refused: the false positive rate of refusal.
    None where no question has an answer."""
    return mean(no for no, due in zip(refused, unanswerable, strict=True) if not due)


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """The chance that a positive scores above a negative, a tie counting one half.

    The Mann-Whitney U statistic over the number of pairs (Hanley & McNeil 1982, "The meaning and
    use of the area under a ROC curve"). None where either class is missing.
    """
    above = [score for score, yes in zip(scores, positive, strict=True) if yes]
    below = sorted(score for score, yes in zip(scores, positive, strict=True) if not yes)
    if not above or not below:
        return None
    wins = math.fsum((bisect_left(below, s) + bisect_right(below, s)) / 2 for s in above)
    return wins / (len(above) * len(below))


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence lies in (lower, upper]; the means are None where none does."""

    lower: float
    upper: float
    n: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(
    confidences: Sequence[float], right: Sequence[bool], bins: int = 10
) -> tuple[Bin, ...]:
    """Mean confidence and share of right answers in equal-width bins ((m-1)/M, m/M].

    Guo et al. 2017, "On Calibration of Modern Neural Networks", sec. 2; 0 joins the first bin.
    """
    edges = [m / bins for m in range(1, bins + 1)]
    filled: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for confidence, yes in zip(confidences, right, strict=True):
        if not 0 <= confidence <= 1:
            raise ValueError(f"not a probability: {confidence}")
        # bisect against the edges themselves: 0.7 * 10 is above 7 in floating point
        filled[bisect_left(edges, confidence)].append((confidence, yes))
    return tuple(
        Bin(
            lower=m / bins,
            upper=edges[m],
            n=len(members),
            confidence=mean(confidence for confidence, _ in members),
            accuracy=mean(yes for _, yes in members),
        )
        for m, members in enumerate(filled)
    )


def expected_calibration_error(
    confidences: Sequence[float], right: Sequence[bool], bins: int = 10
) -> float | None:
    """The gap between confidence and accuracy, averaged over the answers, bin by bin.

    Guo et al. 2017, eq. 3. Give it the answered questions alone: the candidate that a refusal
    turned down is not shown, so nobody can say whether it was right.
    """
    if not confidences:
        return None
    return math.fsum(
        b.n / len(confidences) * abs(b.accuracy - b.confidence)
        for b in reliability_bins(confidences, right, bins)
        if b.accuracy is not None and b.confidence is not None
    )


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Were only answers of at least ``threshold`` given: their share and how many are wrong."""

    threshold: float
    coverage: float
    risk: float


def risk_coverage(
    confidences: Sequence[float], right: Sequence[bool], total: int | None = None
) -> tuple[RiskPoint, ...]:
    """The points of the risk-coverage curve, the highest threshold first.

    El-Yaniv & Wiener 2010, "On the Foundations of Noise-free Selective Classification". Answers
    of one confidence enter together. ``total``: how many questions coverage is a share of (all
    that were asked); by default, those given.
    """
    ordered = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    asked = len(ordered) if total is None else total
    points: list[RiskPoint] = []
    wrong = 0
    for given, (confidence, yes) in enumerate(ordered, start=1):
        wrong += not yes
        if given == len(ordered) or ordered[given][0] != confidence:
            points.append(RiskPoint(confidence, given / asked, wrong / given))
    return tuple(points)


def percentile(values: Sequence[float], q: float) -> float | None:
    """The q-th percentile (q from 0 to 100), linear between neighbours; None without values.

    Hyndman & Fan 1996, "Sample Quantiles in Statistical Packages", definition 7 (numpy's own).
    """
    if not 0 <= q <= 100:
        raise ValueError(f"not a percentage: {q}")
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * q / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
