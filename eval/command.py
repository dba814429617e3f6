"""What ``xhqa eval`` does: ask a question set, print a table, write a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from xhqa.config import Settings
from xhqa.encode import encoder_of
from xhqa.errors import InputError, NotFoundError
from xhqa.feedback import FeedbackFile
from xhqa.index import corpus_of
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline
from xhqa.progress import Bar

from .feedback import questions_of, write_questions
from .open_index import index_paragraphs
from .questions import QUESTIONS, Question, load_questions
from .report import format_table, write_report
from .run import Mode, evaluate, summarise
from .squad import load_squad

Notify = Callable[[str], None]


def run_fixed(questions: Path | None, settings: Settings, out: Path | None, notify: Notify) -> str:
    """Ask the fixed set, or the one in ``questions``, of the index in use, which is built from
    ``corpus/`` where there is none. Returns the printed table."""
    path = questions or QUESTIONS
    asked = load_questions(path)
    encoder = encoder_of(settings, notify)
    corpus = corpus_of(settings)
    if not corpus.exists():
        notify(f"no index in {corpus.place} yet: building it from corpus/")
        build_index([Path("corpus")], encoder, settings)
    pipeline = Pipeline.open(settings=_fresh(settings), encoder=encoder)
    known = {info.id for info in pipeline.documents()}
    missing = {q.document_id for q in asked if q.document_id} - known
    if missing:
        raise NotFoundError(
            f"{path} asks about documents that are not in {corpus.place}: "
            f"{', '.join(sorted(missing))}; run `xhqa index` on them"
        )
    return _run(pipeline, asked, "fixed", path.name, out)


def run_feedback(settings: Settings, out: Path | None, notify: Notify) -> str:
    """Ask what users judged on the page of the index in use, and write it as a question set.
    Returns the printed table."""
    file = FeedbackFile(settings.feedback_file)
    pipeline = Pipeline.open(settings=_fresh(settings), encoder=encoder_of(settings, notify))
    asked, left_out = questions_of(file.all(), pipeline)
    for message in left_out:
        notify(f"left out: {message}")
    if not asked:
        raise InputError(f"no question can be made of the verdicts in {file.path}")
    folder = out or _new_folder()
    write_questions(folder / "questions.jsonl", asked)
    return _run(pipeline, asked, "fixed", "feedback", folder)


def run_squad(
    squad: Path,
    questions_from: Path | None,
    mode: Mode,
    limit: int | None,
    settings: Settings,
    out: Path | None,
    notify: Notify,
) -> str:
    """Ask a SQuAD-style file's questions of its own paragraphs, each a document, in an index of
    their own. Returns the printed table."""
    paragraphs, asked = load_squad(squad, questions_from, limit)
    if mode == "reader":
        wanted = {question.document_id for question in asked}
        paragraphs = [paragraph for paragraph in paragraphs if paragraph.id in wanted]
    encoder = encoder_of(settings, notify)
    with Bar() as progress:
        settings = index_paragraphs(squad, paragraphs, encoder, settings, progress)
    pipeline = Pipeline.open(settings=_fresh(settings), encoder=encoder)
    title = f"{squad.name}, {mode}"
    if questions_from:
        title += f", questions of {questions_from.name}"
    return _run(pipeline, asked, mode, title, out)


def _fresh(settings: Settings) -> Settings:
    """``settings`` with every question worked out, the same one asked again too."""
    return settings.model_copy(update={"kept_answers": 0})


def _run(
    pipeline: Pipeline, asked: Sequence[Question], mode: Mode, title: str, out: Path | None
) -> str:
    # The first question pays for lazy loading, which is not what latency means here, nor is what a
    # server does behind its start.
    pipeline.ask(asked[0].question)
    pipeline.prepare()
    with Bar() as progress:
        results = evaluate(
            pipeline,
            asked,
            mode=mode,
            on_progress=lambda done, total: progress("ask", done, total),
        )
    summary = summarise(results)
    report = write_report(out or _new_folder(), summary, results, title)
    return f"{format_table(summary)}\n\nreport: {report}"


def _new_folder() -> Path:
    return Path("eval/reports") / f"{datetime.now():%Y%m%d-%H%M%S}"
