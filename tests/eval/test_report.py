"""The report is one file that needs no network, and hostile text stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from xhqa_eval.metrics import RiskPoint, reliability_bins
from xhqa_eval.plots import growth_plot, latency_plot, reliability_plot, risk_coverage_plot
from xhqa_eval.report import format_table, write_report
from xhqa_eval.run import Cited, Result, summarise

from xhqa.types import Turn

HOSTILE = """<script>alert("x")</script><img src=//e.example onerror='x'>&amp;\u202e\ud800"""
VOID = {"meta", "img", "br"}
CONTRACT = (
    "n",
    "n_answerable",
    "em",
    "f1",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "mrr",
    "citation_exactness",
    "citation_overlap",
    "refusal_precision",
    "refusal_recall",
    "auroc",
    "ece",
    "p50_ms",
    "p95_ms",
)


def _result(**change: object) -> Result:
    fields: dict[str, object] = {
        "id": "q1",
        "kind": "factual",
        "language": "zh",
        "question": "多少家？",
        "standalone_question": "多少家？",
        "history": (),
        "document_id": "d",
        "gold_answers": ("755家",),
        "gold_spans": ((3, 7),),
        "answer": "755家",
        "confidence": 0.9,
        "refusal_reason": None,
        "em": 1.0,
        "f1": 1.0,
        "ranked": True,
        "rank": 1,
        "cited": (Cited("d", "755家", 3, 7, 0, 19, True),),
        "overlap": True,
        "latency_ms": 12.5,
    }
    return Result(**{**fields, **change})  # type: ignore[arg-type]


RIGHT = _result()
NEAR = _result(id="q2", question="近的", answer="755", em=0.0, f1=0.667)
WRONG = _result(
    id="q3",
    question=HOSTILE,
    standalone_question=f"{HOSTILE}?",
    history=(Turn(HOSTILE, None),),
    gold_answers=(HOSTILE,),
    answer=HOSTILE,
    em=0.0,
    f1=0.0,
    rank=None,
)
ABSENT = _result(
    id="q4",
    kind="absent",
    question="没有的",
    gold_answers=(),
    gold_spans=(),
    answer=None,
    refusal_reason="low_confidence",
    em=None,
    f1=None,
    ranked=False,
    rank=None,
    cited=(),
    overlap=None,
)
RESULTS = [RIGHT, NEAR, WRONG, ABSENT]


class _Outline(HTMLParser):
    """The tags of a page, whether each is closed, and the text under each heading."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sections: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.sections[data] = ""
        elif self.sections:
            self.sections[list(self.sections)[-1]] += data


def _outline(page: Path) -> _Outline:
    outline = _Outline()
    outline.feed(page.read_text(encoding="utf-8"))
    outline.close()
    assert outline.open == []
    return outline


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_report(tmp_path / "a" / "b", summarise(RESULTS), RESULTS, f"Run {HOSTILE}")


def test_three_files(page: Path) -> None:
    assert page.name == "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "report.html",
        "results.jsonl",
        "summary.json",
    ]


def test_summary_has_every_key_of_the_contract(page: Path) -> None:
    summary = json.loads((page.parent / "summary.json").read_text(encoding="utf-8"))
    assert [key for key in CONTRACT if key not in summary] == []
    assert summary == summarise(RESULTS)


def test_results_read_back_as_they_were(page: Path) -> None:
    lines = (page.parent / "results.jsonl").read_text(encoding="utf-8").split("\n")
    records = [json.loads(line) for line in lines if line]
    assert [record["id"] for record in records] == ["q1", "q2", "q3", "q4"]
    assert records[2]["question"] == HOSTILE  # lone surrogate and all
    assert records[0]["cited"][0]["start"] == 3
    assert [record["right"] for record in records] == [True, True, False, True]
    assert [record["citation_exact"] for record in records] == [True, True, True, None]


def test_hostile_text_stays_text(page: Path) -> None:
    outline = _outline(page)
    assert not outline.tags & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not {name for name in outline.attributes if name.startswith("on")}
    assert not outline.attributes & {"src", "href", "style", "srcdoc"}


def test_nothing_is_fetched(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    bare = re.sub(r"&lt;.*?&gt;", "", html)
    assert "//" not in bare
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_wrong_results_are_listed_and_others_not(page: Path) -> None:
    sections = _outline(page).sections
    wrong = sections["Wrong: 1 of 4"]
    assert "q3" in wrong
    assert "<script>" in wrong
    assert "q1" not in wrong
    assert "q2" in sections["Right, but not word for word: 1"]
    assert "factual/zh" in sections["Groups"]


def test_an_inexact_citation_is_wrong_whatever_the_answer(tmp_path: Path) -> None:
    result = _result(cited=(Cited("d", "755家", 0, 4, 0, 19, False),))
    page = write_report(tmp_path, summarise([result]), [result], "t")
    assert "not the document's own words" in _outline(page).sections["Wrong: 1 of 1"]


def test_an_empty_run_has_a_report_too(tmp_path: Path) -> None:
    sections = _outline(write_report(tmp_path, summarise([]), [], "nothing")).sections
    assert "None." in sections["Wrong: 0 of 0"]
    assert "Groups" not in sections


def test_table_is_aligned_and_says_what_does_not_apply() -> None:
    table = format_table(summarise(RESULTS))
    answers, trust = table.split("\n\n")
    assert answers.splitlines() == [
        "            n  n_ans     em     f1    r@1    r@5   r@10    mrr",
        "all         4      3  0.333  0.556  0.667  0.667  0.667  0.667",
        "absent      1      0      —      —      —      —      —      —",
        "factual/zh  3      3  0.333  0.556  0.667  0.667  0.667  0.667",
    ]
    assert len({len(line) for line in trust.splitlines()}) == 1


def test_table_fits_a_terminal_at_its_widest() -> None:
    slow = [_result(language=language, latency_ms=1234.5) for language in ("zh", "zh-Hant")]
    assert max(map(len, format_table(summarise([*slow, ABSENT])).splitlines())) <= 88


def test_table_without_groups() -> None:
    answers, _ = format_table(summarise([RIGHT])).split("\n\n")
    assert len(answers.splitlines()) == 2


def test_reliability_plot_has_a_bar_for_each_bin_in_use() -> None:
    svg = reliability_plot(reliability_bins([0.95, 0.97, 0.2], [True, False, False]))
    assert svg.count('class="bar"') == svg.count('class="dot"') == 2
    assert svg.count('class="count"') == 2
    assert ">2</text>" in svg


def test_risk_coverage_plot_scales_to_the_risk() -> None:
    # the first answer being wrong (risk 1 at coverage 0.01) must not flatten the curve
    points = [RiskPoint(0.9, 0.01, 1.0), RiskPoint(0.5, 0.8, 0.04)]
    svg = risk_coverage_plot(points)
    assert ">0.05</text>" in svg
    assert ">1.00</text>" not in svg
    assert 'class="curve"' not in risk_coverage_plot([])


@pytest.mark.parametrize("latencies", [[], [0.0], [10.0], [10.0, 10.0], [3.0, 40.0, 1234.5]])
def test_latency_plot_takes_any_times(latencies: list[float]) -> None:
    svg = latency_plot(latencies)
    assert ("nan" in svg, "inf" in svg) == (False, False)
    assert svg.count('class="dot"') == (2 if latencies else 0)


def test_plots_are_well_formed() -> None:
    for svg in (
        reliability_plot(reliability_bins([0.5], [True])),
        risk_coverage_plot([RiskPoint(0.5, 1.0, 0.5)]),
        latency_plot([1.0, 2.0]),
    ):
        outline = _Outline()
        outline.feed(svg)
        assert outline.open == []
        assert "svg" in outline.tags


def test_growth_plot_places_points_by_decades() -> None:
    lines = {"a": [(10.0, 1.0), (1000.0, 100.0)], "b": [(10.0, 10.0), (1000.0, 10.0)]}
    svg = growth_plot("growth", ("n", "s"), lines)
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    dots = [(float(d.get("cx", "")), float(d.get("cy", ""))) for d in root.iter(f"{name}circle")]
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = dots
    assert (x1, x2) == (x3, x4)
    assert y3 == y4 == (y1 + y2) / 2
    assert [t.text for t in root.iter(f"{name}text")][:3] == ["1", "10", "100"]
    names = [t for t in root.iter(f"{name}text") if t.get("class") == "name"]
    assert [n.text for n in names] == ["a", "b"]
    assert float(names[1].get("y", "")) - float(names[0].get("y", "")) >= 10
    assert growth_plot("growth", ("n", "s"), {"a": [(10.0, 1.0)]}).count("<circle") == 1
