"""A folder of reports in all formats, made by the formats' own libraries, with known facts."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from making import FONT, docx, pdf, xlsx

# Embedded where it is installed (fonts-wqy-zenhei); otherwise the reader's own font.
DEBIAN_FONT = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
TOWNS = [
    "青石",
    "白马",
    "柳河",
    "东岭",
    "西塘",
    "南屏",
    "北桥",
    "金沙",
    "银湖",
    "铜山",
    "铁坪",
    "木兰",
    "水口",
    "火星",
    "土桥",
    "石门",
    "云台",
    "雨花",
    "雪峰",
    "霜田",
    "春溪",
    "夏坊",
    "秋浦",
    "冬青",
    "梅林",
    "兰亭",
    "竹山",
    "菊园",
    "松岗",
    "柏树",
    "桃源",
    "李村",
    "杏花",
    "枣庄",
    "梨园",
    "橘洲",
]
_NAMES = [
    "赵文博",
    "钱思远",
    "孙丽华",
    "李国强",
    "周晓梅",
    "吴建平",
    "郑海燕",
    "王志刚",
    "冯玉兰",
    "陈立新",
    "褚春生",
    "卫东明",
]
_PAGE_LINES = 30


@dataclass(frozen=True, slots=True)
class Fact:
    """``question`` is answered in ``file`` by the words ``answer``, on ``page`` if it has pages."""

    file: str
    question: str
    answer: str
    page: int | None = None


def write(folder: Path) -> list[Fact]:
    """36 files in nine kinds, four of each; the facts in them, two or three a file."""
    rng = random.Random(7)
    facts: list[Fact] = []
    for number, town in enumerate(TOWNS):
        suffix, make = _KINDS[number % len(_KINDS)]
        name = f"{2015 + number // len(_KINDS)}/{town}镇年度报告.{suffix}"
        report = _Report(town, rng)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data, pages = make(report)
        path.write_bytes(data)
        facts += [Fact(name, q, a, pages.get(a)) for q, a in report.facts]
    return facts


class _Report:
    """Sections of sentences; the facts stand in different ones."""

    def __init__(self, town: str, rng: random.Random) -> None:
        books, visitors = rng.randrange(2_0000, 9_0000), rng.randrange(200, 900)
        mayor, hall = rng.sample(_NAMES, 2)
        self.title = f"{town}镇年度报告"
        self.town = town
        self.facts = [
            (f"{town}镇的图书馆有多少册藏书？", f"{books}册"),
            (f"{town}镇的镇长是谁？", mayor),
            (f"{town}镇的博物馆一年接待多少万人次？", f"{visitors}万人次"),
        ]
        self.rows = [
            ("图书馆藏书", f"{books}册"),
            ("镇长", mayor),
            ("博物馆年接待", f"{visitors}万人次"),
            ("文化站站长", hall),
        ]
        self.sections = [
            (
                "组织",
                [*_filler(rng, 5), f"{town}镇的镇长是{mayor}，上任已有三年。", *_filler(rng, 4)],
            ),
            ("文化", [*_filler(rng, 6), f"{town}镇的图书馆现有藏书{books}册。", *_filler(rng, 5)]),
            (
                "旅游",
                [
                    *_filler(rng, 7),
                    f"{town}镇的博物馆去年接待参观者{visitors}万人次。",
                    *_filler(rng, 3),
                ],
            ),
        ]


def _filler(rng: random.Random, count: int) -> list[str]:
    made = (
        "全年新修道路{}公里，改造管网{}公里。",
        "春季植树{}株，成活率在九成以上，{}户居民参加。",
        "社区食堂增加到{}家，每天供应{}份午餐。",
        "中小学共有{}个班级，新聘教师{}名。",
        "完成{}栋老楼的加装电梯工作，惠及{}户。",
        "垃圾分类站点{}处，志愿者{}人轮流值守。",
    )
    return [
        rng.choice(made).format(rng.randrange(2, 99), rng.randrange(100, 999)) for _ in range(count)
    ]


Made = tuple[bytes, dict[str, int]]


def _text(report: _Report) -> Made:
    parts = [report.title]
    for number, (heading, sentences) in enumerate(report.sections):
        parts += [f"{'一二三'[number]}、{heading}", "".join(sentences)]
    return "\n\n".join(parts).encode("gb18030"), {}


def _markdown(report: _Report) -> Made:
    parts = [f"# {report.title}"]
    for heading, sentences in report.sections:
        parts += [f"## {heading}", "".join(sentences)]
    return "\n\n".join(parts).encode(), {}


def _html(report: _Report) -> Made:
    body = "".join(
        f"<h2>{heading}</h2><p>{''.join(sentences)}</p>" for heading, sentences in report.sections
    )
    page = f"<title>{report.title}</title><nav>首页 关于</nav><h1>{report.title}</h1>{body}"
    return f'<!DOCTYPE html><meta charset="utf-8">{page}'.encode(), {}


def _word(report: _Report) -> Made:
    def fill(document: Any) -> None:
        document.add_heading(report.title, 0)
        for heading, sentences in report.sections[:2]:
            document.add_heading(heading, 1)
            document.add_paragraph("".join(sentences))
        document.add_heading("数据", 1)
        table = document.add_table(rows=1, cols=2)
        for cell, text in zip(table.rows[0].cells, ("项目", "数值"), strict=True):
            cell.text = text
        for row in report.rows[2:]:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text if text != "博物馆年接待" else f"{report.town}镇的博物馆年接待"

    return docx(fill), {}


def _book(report: _Report) -> Made:
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_identifier(report.title)
    book.set_title(report.title)
    book.set_language("zh")
    chapters = []
    for number, (heading, sentences) in enumerate(report.sections):
        chapter = epub.EpubHtml(title=heading, file_name=f"{number}.xhtml", lang="zh")
        chapter.content = f"<h1>{heading}</h1><p>{''.join(sentences)}</p>"
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = chapters
    book.add_item(epub.EpubNcx())
    book.add_item(epub.EpubNav())
    book.spine = ["nav", *chapters]
    data = io.BytesIO()
    epub.write_epub(data, book)
    return data.getvalue(), {}


def _sheet(report: _Report) -> Made:
    def fill(book: Any) -> None:
        sheet = book.create_sheet(report.title)
        sheet.append(["乡镇", *(name for name, _ in report.rows)])
        sheet.append([f"{report.town}镇", *(value for _, value in report.rows)])

    return xlsx(fill), {}


def _table(report: _Report) -> Made:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(["乡镇", *(name for name, _ in report.rows)])
    writer.writerow([f"{report.town}镇", *(value for _, value in report.rows)])
    return made.getvalue().encode("utf-8-sig"), {}


def _paper(report: _Report) -> Made:
    """A section a page, hard line breaks, the same header and footer on each."""
    pages: dict[str, int] = {}

    def draw(canvas: Any) -> None:
        for number, (heading, sentences) in enumerate(report.sections, 1):
            canvas.setFont(_font(), 9)
            canvas.drawString(70, 810, f"{report.title}　内部资料")
            canvas.drawString(280, 30, f"第{number}页")
            canvas.setFont(_font(), 16)
            canvas.drawString(70, 770, f"{number}. {heading}")
            canvas.setFont(_font(), 11)
            _lines(canvas, "".join(sentences), 70, 740, 36)
            canvas.showPage()
            pages.update({a: number for _, a in report.facts if a in "".join(sentences)})

    return pdf(draw), pages


def _columns(report: _Report) -> Made:
    """Two columns on the first page, the rest on a second one."""
    pages: dict[str, int] = {}

    def draw(canvas: Any) -> None:
        canvas.setFont(_font(), 16)
        canvas.drawString(200, 790, report.title)
        for left, (heading, sentences) in zip((60, 310), report.sections[:2], strict=True):
            canvas.setFont(_font(), 13)
            canvas.drawString(left, 750, heading)
            canvas.setFont(_font(), 10)
            _lines(canvas, "".join(sentences), left, 725, 21)
        canvas.showPage()
        heading, sentences = report.sections[2]
        canvas.setFont(_font(), 13)
        canvas.drawString(60, 750, heading)
        canvas.setFont(_font(), 11)
        _lines(canvas, "".join(sentences), 60, 725, 40)
        canvas.showPage()
        for number, part in ((1, report.sections[:2]), (2, report.sections[2:])):
            text = "".join(sentence for _, sentences in part for sentence in sentences)
            pages.update({a: number for _, a in report.facts if a in text})

    return pdf(draw), pages


def _lines(canvas: Any, text: str, x: float, y: float, width: int) -> None:
    for number, at in enumerate(range(0, len(text), width)):
        canvas.drawString(x, y - 18 * number, text[at : at + width])


def _font() -> str:
    if not DEBIAN_FONT.exists():
        return FONT
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if "WenQuanYi" not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont("WenQuanYi", DEBIAN_FONT))
    return "WenQuanYi"


_KINDS: Sequence[tuple[str, Callable[[_Report], Made]]] = (
    ("txt", _text),
    ("md", _markdown),
    ("html", _html),
    ("docx", _word),
    ("epub", _book),
    ("xlsx", _sheet),
    ("csv", _table),
    ("pdf", _paper),
    ("pdf", _columns),
)
