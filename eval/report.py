"""Puts a run on paper: summary.json, results.jsonl, report.html, and the table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Literal, cast

from .metrics import reliability_bins, risk_coverage
from .plots import latency_plot, reliability_plot, risk_coverage_plot
from .run import Figures, Result, Summary
from .style import CSS

_NONE = "—"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class _Measure:
    key: str
    short: str
    long: str
    unit: Literal["count", "share", "plain", "ms"]


_QUESTIONS = (
    _Measure("n", "n", "asked", "count"),
    _Measure("n_answerable", "n_ans", "answerable", "count"),
)
_ANSWERS = (_Measure("em", "em", "exact", "share"), _Measure("f1", "f1", "F1", "share"))
_PASSAGE = (
    _Measure("recall_at_1", "r@1", "first", "share"),
    _Measure("recall_at_5", "r@5", "in 5", "share"),
    _Measure("recall_at_10", "r@10", "in 10", "share"),
    _Measure("mrr", "mrr", "MRR", "plain"),
)
_CITATIONS = (
    _Measure("citation_exactness", "c.ex", "verbatim", "share"),
    _Measure("citation_overlap", "c.ov", "on gold", "share"),
    _Measure("sentence_overlap", "s.ov", "sentence on gold", "share"),
)
_REFUSALS = (
    _Measure("refusal_precision", "ref.p", "precision", "share"),
    _Measure("refusal_recall", "ref.r", "recall", "share"),
    _Measure("wrongly_refused", "ref.w", "wrongly", "share"),
)
_CONFIDENCE = (
    _Measure("auroc", "auroc", "AUROC", "plain"),
    _Measure("ece", "ece", "ECE", "plain"),
)
_P50 = _Measure("p50_ms", "p50", "median", "ms")
_P95 = _Measure("p95_ms", "p95", "95 %", "ms")
_HEADINGS = {
    "Questions": _QUESTIONS,
    "Answers": _ANSWERS,
    "Passage found": _PASSAGE,
    "Citations": _CITATIONS,
    "Refusals": _REFUSALS,
    "Confidence": _CONFIDENCE,
    "Latency": (_P50, _P95),
}
_UPPER = (*_QUESTIONS, *_ANSWERS, *_PASSAGE)
_LOWER = (*_CITATIONS, *_REFUSALS, *_CONFIDENCE, _P50, _P95)


_READING = (
    "Exact and F1 as in CMRC 2018, over the answerable questions; a refusal counts 0 there. "
    "Passage found: the passage that holds the answer is the first hit, or among so many. "
    "Verbatim: citations that are the document's own words where they point; on gold: the first "
    "citation meets the gold span. Refusals: how many were due, how many of those due were made, "
    "and the share of answerable questions refused. AUROC: confidence parts answerable from "
    "unanswerable questions. ECE: the gap between confidence and the share right, over the "
    "answers given. A dash: does not apply."
)


def format_table(summary: Summary) -> str:
    """Two plain-text tables under one another, each within 80 columns; fractions as in JSON."""
    rows = _rows(summary)
    return "\n\n".join(_columns(rows, measures) for measures in (_UPPER, _LOWER))


def _rows(summary: Summary) -> list[tuple[str, Figures]]:
    return [(_ALL, summary), *summary["groups"].items()]


def _value(figures: Figures, measure: _Measure) -> float | None:
    return cast(Mapping[str, float | None], figures)[measure.key]


def _columns(rows: Sequence[tuple[str, Figures]], measures: Sequence[_Measure]) -> str:
    cells = [["", *(measure.short for measure in measures)]]
    cells += [
        [name, *(_plain(_value(figures, measure), measure) for measure in measures)]
        for name, figures in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def _plain(value: float | None, measure: _Measure) -> str:
    if value is None:
        return _NONE
    return {"count": f"{value:.0f}", "ms": f"{value:.1f}"}.get(measure.unit, f"{value:.3f}")


def _fine(value: float | None, measure: _Measure) -> str:
    """The same for people: shares in percent."""
    if value is None or measure.unit in ("plain", "count"):
        return _plain(value, measure)
    if measure.unit == "ms":
        return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"
    return f"{value * 100:.1f} %"


def write_report(out_dir: Path, summary: Summary, results: Sequence[Result], title: str) -> Path:
    """Writes summary.json, results.jsonl and report.html; returns the path of the last."""
    out_dir.mkdir(parents=True, exist_ok=True)
    _write(out_dir / "summary.json", json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
    lines = (json.dumps(as_record(result), ensure_ascii=False) + "\n" for result in results)
    _write(out_dir / "results.jsonl", "".join(lines))
    page = out_dir / "report.html"
    # a lone surrogate is a legal part of a JSON string, but not of UTF-8
    page.write_text(
        _page(summary, results, title), encoding="utf-8", errors="xmlcharrefreplace", newline="\n"
    )
    return page


def _write(path: Path, text: str) -> None:
    # backslashreplace writes a lone surrogate as \udxxx, which JSON reads back as it was
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def as_record(result: Result) -> dict[str, object]:
    """A line of results.jsonl."""
    derived = {
        "answerable": result.answerable,
        "answered": result.answered,
        "right": result.right,
        "citation_exact": result.citation_exact,
    }
    return {**asdict(result), **derived}


def _page(summary: Summary, results: Sequence[Result], title: str) -> str:
    wrong = [result for result in results if not _flawless(result)]
    near = [result for result in results if _flawless(result) and result.em == 0]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{_headline(summary)}
<h2>Confidence and time</h2>
{_figures(summary, results)}
{_groups(summary)}
<p class="note">{_READING}</p>
<h2>Wrong: {len(wrong)} of {len(results)}</h2>
<p class="soft">Answers with an F1 under 0.5, refusals of questions that have an answer, answers to
questions that have none, and any citation that is not the document's own words.</p>
{_results(wrong)}
<h2>Right, but not word for word: {len(near)}</h2>
<p class="soft">An F1 of 0.5 or more, and no exact match.</p>
{_results(near)}
</body>
</html>
"""


def _flawless(result: Result) -> bool:
    return result.right and result.citation_exact is not False


def _headline(summary: Summary) -> str:
    def item(measure: _Measure) -> str:
        value = _fine(_value(summary, measure), measure)
        return f"<div><dt>{measure.long}</dt><dd>{value}</dd></div>"

    return '<div class="headline">\n{}\n</div>'.format(
        "\n".join(
            f"<section><h3>{heading}</h3><dl>{''.join(map(item, measures))}</dl></section>"
            for heading, measures in _HEADINGS.items()
        )
    )


def _figures(summary: Summary, results: Sequence[Result]) -> str:
    answered = [result for result in results if result.answered]
    confidences = [result.confidence for result in answered]
    right = [result.right for result in answered]
    plots = (
        (
            reliability_plot(reliability_bins(confidences, right)),
            f"Reliability of the {len(answered)} answers given. Bars: share that is right, with "
            "the number of answers; dots: mean confidence. On the dashed line, confidence is "
            "what it says.",
        ),
        (
            risk_coverage_plot(risk_coverage(confidences, right, len(results))),
            "Risk and coverage: how many answers would be wrong, were only the surest given. The "
            "dot is the threshold in use.",
        ),
        (
            latency_plot([result.latency_ms for result in results]),
            f"Share of questions answered within a time; dots: median "
            f"({_fine(summary['p50_ms'], _P50)}) and 95th percentile "
            f"({_fine(summary['p95_ms'], _P95)}).",
        ),
    )
    figures = "\n".join(
        f"<figure>{svg}<figcaption>{caption}</figcaption></figure>" for svg, caption in plots
    )
    return f'<div class="plots">\n{figures}\n</div>'


def _groups(summary: Summary) -> str:
    if not summary["groups"]:
        return ""
    measures = (*_UPPER, *_LOWER)
    over = "".join(
        f'<th scope="colgroup" colspan="{len(under)}">{heading}</th>'
        for heading, under in _HEADINGS.items()
    )
    head = "".join(f'<th scope="col" class="number">{measure.long}</th>' for measure in measures)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f'<td class="number">{_fine(_value(figures, measure), measure)}</td>'
            for measure in measures
        )
        + "</tr>"
        for name, figures in _rows(summary)
    )
    return f"""<h2>Groups</h2>
<div class="scroll" tabindex="0"><table class="groups">
<thead><tr><td></td>{over}</tr>
<tr><th scope="col">group</th>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>"""


def _results(results: Iterable[Result]) -> str:
    rows = "\n".join(_row(result) for result in results)
    if not rows:
        return "<p>None.</p>"
    return f"""<table class="results">
<thead><tr><th class="question">question</th><th>gold</th><th>given</th>
<th class="short number">confidence</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _row(result: Result) -> str:
    # the documents are Chinese, whatever the question is in: Han glyphs in their Chinese form
    lang = "zh" if result.language == "en" else escape(result.language)
    mark = "" if _flawless(result) else ' class="wrong"'
    notes = [f"{result.id} · {result.kind}"]
    notes += [f"after: {turn.question} → {turn.answer or _NONE}" for turn in result.history]
    if result.standalone_question != result.question:
        notes.append(f"read as: {result.standalone_question}")
    if result.citation_exact is False:
        notes.append("a citation is not the document's own words")
    given = result.answer if result.answer is not None else f"refused: {result.refusal_reason}"
    gold = " / ".join(result.gold_answers) or "no answer in the documents"
    f1 = "" if result.f1 is None else f"<small>F1 {result.f1:.2f}</small>"
    rank = f"<small>rank {result.rank or 'not found'}</small>" if result.ranked else ""
    small = "".join(f"<small>{escape(note)}</small>" for note in notes)
    return (
        f'<tr><td lang="{escape(result.language)}">{escape(result.question)}{small}</td>'
        f'<td lang="{lang}" data-label="gold">{escape(gold)}</td>'
        f'<td lang="{lang}" data-label="given"{mark}>{escape(given)}</td>'
        f'<td data-label="confidence" class="number">{result.confidence:.2f}{f1}{rank}</td></tr>'
    )
