"""Fits the probabilities of a reader: ``python -m xhqa_eval.calibrate ANSWERABLE UNANSWERABLE…``.

The paragraphs of the first SQuAD-style file are indexed. Its questions are asked, and so are those
of the other files, which these paragraphs do not answer. The fitted ``Calibration`` is printed for
``xhqa.answer.CALIBRATIONS``.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xhqa.answer import features, source_range
from xhqa.config import load_settings
from xhqa.pipeline import Pipeline, encoder_of

from .metrics import auroc, expected_calibration_error, f1_score
from .open_index import index_paragraphs
from .questions import Question
from .squad import load_squad

_FEATURES = ("score", "margin", "dense", "lexical")


def _rows(
    pipeline: Pipeline, questions: Sequence[Question], by_overlap: bool
) -> tuple[list[tuple[float, ...]], list[bool]]:
    rows: list[tuple[float, ...]] = []
    right: list[bool] = []
    for number, question in enumerate(questions):
        hits, spans = pipeline.candidates(question.question)
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
        rows.append(features(spans, hits))
        right.append(good)
        if number % 50 == 0:
            print(f"{number}/{len(questions)}", file=sys.stderr)
    return rows, right


def main() -> None:
    """Print the fitted weights, the threshold and what they come to on the same questions."""
    from sklearn.linear_model import LogisticRegression

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answerable", type=Path)
    parser.add_argument("unanswerable", type=Path, nargs="+")
    parser.add_argument(
        "--questions-from", type=Path, help="a file parallel to the first, whose questions join in"
    )
    parser.add_argument("--use", nargs="+", choices=_FEATURES, default=_FEATURES)
    parser.add_argument("--limit", type=int, default=400, help="questions of each kind")
    parser.add_argument("--wrongly-refused", type=float, default=0.05)
    parser.add_argument(
        "--by-overlap", action="store_true", help="right is what overlaps a gold span (sentences)"
    )
    args = parser.parse_args()
    settings = load_settings()
    encoder = encoder_of(settings)
    paragraphs, answerable = load_squad(args.answerable)
    if args.questions_from:
        answerable = answerable + load_squad(args.answerable, args.questions_from)[1]
    absent = [q for path in args.unanswerable for q in load_squad(path)[1]]
    rng = random.Random(1)
    answerable = rng.sample(answerable, min(args.limit, len(answerable)))
    absent = rng.sample(absent, min(args.limit, len(absent)))
    settings = index_paragraphs(args.answerable, paragraphs, encoder, settings)
    pipeline = Pipeline.open(settings=settings, encoder=encoder)
    rows, right = _rows(pipeline, answerable, args.by_overlap)
    absent_rows, _ = _rows(pipeline, absent, args.by_overlap)
    table = np.array(rows + absent_rows)
    labels = np.array(right + [False] * len(absent_rows))
    table *= [name in args.use for name in _FEATURES]
    model = LogisticRegression(C=100.0, max_iter=10_000).fit(table, labels)
    probabilities = model.predict_proba(table)[:, 1]
    of_answerable = probabilities[: len(rows)]
    threshold = float(np.quantile(of_answerable, args.wrongly_refused))
    weights = ", ".join(f"{n}={w:.3f}" for n, w in zip(_FEATURES, model.coef_[0], strict=True))
    print(f"Calibration(bias={model.intercept_[0]:.3f}, {weights}, threshold={threshold:.3f})")
    print(
        f"right {np.mean(right):.3f}  "
        f"auroc {auroc(list(probabilities), [True] * len(rows) + [False] * len(absent_rows)):.3f}  "
        f"ece {expected_calibration_error(list(probabilities), list(map(bool, labels))):.3f}  "
        f"unanswerable refused {np.mean(probabilities[len(rows) :] < threshold):.3f}"
    )


if __name__ == "__main__":
    main()
