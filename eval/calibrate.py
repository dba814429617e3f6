"""Fits the probabilities of a reader: ``python -m xhqa_eval.calibrate ANSWERABLE UNANSWERABLE…``.

The paragraphs of the first SQuAD-style file are indexed. Its questions are asked, and so are those
of the other files and near misses made of its own, which these paragraphs do not answer. What is
printed goes into ``xhqa.answer``.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from xhqa.answer import Features, features, source_range
from xhqa.config import load_settings
from xhqa.encode import encoder_of
from xhqa.pipeline import Pipeline
from xhqa.script import fold, question_script
from xhqa.train.examples import read_squad
from xhqa.train.negatives import NegativeMaker

from .metrics import auroc, expected_calibration_error, f1_score
from .open_index import index_paragraphs
from .questions import Question
from .squad import load_squad

_SCRIPTS = ("han", "other")
_NAMES = [field.name for field in fields(Features)]
_MARGIN, _SUPPORT = _NAMES.index("null_margin"), _NAMES.index("support")


def _rows(
    pipeline: Pipeline, questions: Sequence[Question], by_overlap: bool
) -> tuple[list[tuple[float, ...]], list[bool]]:
    rows: list[tuple[float, ...]] = []
    right: list[bool] = []
    for question in tqdm(questions, disable=None):
        _, spans = pipeline.candidates(question.question)
        if not spans:
            continue
        best = spans[0]
        start, end = source_range(best)
        if by_overlap:
            good = best.chunk.document_id == question.document_id and any(
                start < b and a < end for a, b in question.spans
            )
        else:
            words = best.chunk.text[best.start : best.end]
            good = question.answerable and (f1_score(question.answers, words) or 0.0) >= 0.5
        found = features(fold(question.question), spans, pipeline.document, pipeline.gazetteer)
        rows.append(astuple(found))
        right.append(good)
    return rows, right


def near_misses(own: Sequence[Path], others: Sequence[Path], rng: random.Random) -> list[str]:
    """The questions of ``own`` with a name, number or thing swapped for another of its kind, out
    of any of the files, or asked after another quantity."""
    examples = [example for path in own for example in read_squad(path)]
    pool = [example for path in others for example in read_squad(path)]
    maker = NegativeMaker([*examples, *pool], {})
    made = (
        make(example, rng)
        for example in examples
        if example.answer
        for make in (maker.swapped, maker.measured)
    )
    return [example.question for example in made if example is not None]


def main() -> None:
    """Print, for questions in each script, the fitted weights, the threshold and what they come to
    on the same questions."""
    from sklearn.linear_model import LogisticRegression

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answerable", type=Path)
    parser.add_argument("unanswerable", type=Path, nargs="+")
    parser.add_argument(
        "--questions-from", type=Path, help="a file parallel to the first, whose questions join in"
    )
    parser.add_argument("--limit", type=int, default=400, help="questions of each kind and script")
    parser.add_argument("--wrongly-refused", type=float, default=0.05)
    parser.add_argument(
        "--features",
        nargs="+",
        choices=_NAMES,
        default=_NAMES,
        help="what to fit on; others weigh 0",
    )
    parser.add_argument(
        "--ratio",
        type=float,
        help="how many times as much as the null margin the support weighs; fitted unless given",
    )
    parser.add_argument(
        "--by-overlap", action="store_true", help="right is what overlaps a gold span (sentences)"
    )
    args = parser.parse_args()
    if args.ratio is not None and not (
        args.ratio > 0 and {"null_margin", "support"} <= set(args.features)
    ):
        parser.error("--ratio is above 0, and of two features: null_margin and support")
    settings = load_settings()
    encoder = encoder_of(settings)
    paragraphs, answerable = load_squad(args.answerable)
    own = [args.answerable]
    if args.questions_from:
        answerable = answerable + load_squad(args.answerable, args.questions_from)[1]
        own.append(args.questions_from)
    rng = random.Random(1)
    others = [q.question for path in args.unanswerable for q in load_squad(path)[1]]
    settings = index_paragraphs(args.answerable, paragraphs, encoder, settings)
    pipeline = Pipeline.open(settings=settings, encoder=encoder)
    near = near_misses(own, args.unanswerable, rng)
    for script in _SCRIPTS:
        asked = [q for q in answerable if question_script(q.question) == script]
        if not asked:
            continue
        absent = [
            _unanswerable(question)
            for pool in (others, near)
            for question in _some([q for q in pool if question_script(q) == script], args, rng)
        ]
        rows, right = _rows(pipeline, asked[: args.limit], args.by_overlap)
        absent_rows, _ = _rows(pipeline, absent, args.by_overlap)
        table = np.array(rows + absent_rows) * [name in args.features for name in _NAMES]
        labels = np.array(right + [False] * len(absent_rows))
        if args.ratio is not None:
            # One feature of two, so that one weight is fitted.
            table[:, _SUPPORT] += table[:, _MARGIN] / args.ratio
            table[:, _MARGIN] = 0
        spread = table.std(axis=0) + 1e-9
        # Hardly held back: what no right answer shows tells much, and is rare.
        model = LogisticRegression(C=10.0, max_iter=10_000).fit(table / spread, labels)
        probabilities = model.predict_proba(table / spread)[:, 1]
        of_answerable = probabilities[: len(rows)]
        threshold = float(np.quantile(of_answerable, args.wrongly_refused))
        fitted = model.coef_[0] / spread
        if args.ratio is not None:
            fitted[_MARGIN] = fitted[_SUPPORT] / args.ratio
        weights = ", ".join(
            f"{name}={weight:.3f}" for name, weight in zip(_NAMES, fitted, strict=True)
        )
        print(f"{script}: bias={model.intercept_[0]:.3f}, Features({weights}), {threshold=:.3f}")
        found = [True] * len(rows) + [False] * len(absent_rows)
        print(
            f"{len(rows)} answerable, {len(absent_rows)} not  right {np.mean(right):.3f}  "
            f"auroc {auroc(list(probabilities), found):.3f}  "
            f"ece {expected_calibration_error(list(probabilities), list(map(bool, labels))):.3f}  "
            f"unanswerable refused {np.mean(probabilities[len(rows) :] < threshold):.3f}"
        )


def _some(questions: list[str], args: argparse.Namespace, rng: random.Random) -> list[str]:
    return rng.sample(questions, min(args.limit // 2, len(questions)))


def _unanswerable(question: str) -> Question:
    return Question(
        id="",
        kind="absent",
        language="zh",
        question=question,
        history=(),
        answers=(),
        spans=(),
        document_id=None,
    )


if __name__ == "__main__":
    main()
