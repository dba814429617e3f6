"""PDF: lines made whole, pages, headings, columns, tables; running heads left out."""

from __future__ import annotations

from typing import Any

import making
import pytest

from xhqa.errors import InputError
from xhqa.load import load, repair
from xhqa.split import sections
from xhqa.types import Document

WORDS = [
    "徐汇区",
    "人工智能",
    "产业园",
    "大模型",
    "企业数",
    "算力",
    "黄浦江",
    "实验室",
    "清华大学",
    "研究院",
]
NUMERALS = str.maketrans("0123456789", "〇一二三四五六七八九")


def prose(start: int, characters: int) -> str:
    """Full-width text in which every stretch is another."""
    numbers = range(start, start + characters)
    text = "".join(f"第{number}号{WORDS[number % len(WORDS)]}" for number in numbers)
    return text.translate(NUMERALS)[:characters]


def wrapped(text: str, x: float, y: float, per_line: int, size: float = 11) -> list[Any]:
    """Lines of a column with the first one two characters in."""
    text = "\0\0" + text
    lines = []
    for at in range(0, len(text), per_line):
        line = text[at : at + per_line]
        lines.append((x + size * line.count("\0"), y, size, line.replace("\0", "")))
        y -= 1.5 * size
    return lines


def heads(document: Document) -> list[tuple[int, str]]:
    return [(h.level, document.text[h.start : h.end]) for h in document.headings]


def on_page(document: Document, words: str) -> int | None:
    assert document.text.count(words) == 1, words
    return document.page(document.text.index(words))


FIRST = prose(0, 170) + "，甲公司有755家。"
SECOND = prose(40, 300) + "，乙公司有64家。"


@pytest.fixture(scope="module")
def report() -> Document:
    """Three pages; the second paragraph runs over two of them, and every page has a running head
    with a page number in its foot."""
    margin = [(72, 806, 9, "徐汇区人工智能年度报告")]
    second = wrapped(SECOND, 72, 560, 40)
    pages = [
        [
            *margin,
            (290, 30, 9, "第 1 页"),
            (72, 760, 20, "徐汇区年度报告"),
            (72, 720, 15, "总体情况"),
            *wrapped(FIRST, 72, 690, 40),
            *second[:4],
        ],
        [
            *margin,
            (290, 30, 9, "第 2 页"),
            *((x, y + 760 - second[4][1], size, line) for x, y, size, line in second[4:]),
            (72, 400, 15, "重点企业"),
            (72, 370, 11, "企业"), (200, 370, 11, "员工数"), (330, 370, 11, "地址"),
            (72, 352, 11, "甲公司"), (200, 352, 11, "120"), (330, 352, 11, "龙腾大道"),
            (72, 334, 11, "乙公司"), (200, 334, 11, "35"), (330, 334, 11, "宜山路"),
        ],
        [*margin, (290, 30, 9, "第 3 页"), (72, 760, 11, "结语只有这一句话。")],
    ]  # fmt: skip
    return load(making.pdf_lines(pages), "报告.pdf")


def test_paragraphs_are_whole_for_the_reader_and_broken_as_in_the_file(report: Document) -> None:
    assert report.media_type == "application/pdf"
    lines = repair(report).text.split("\n\n")
    assert lines == [
        "徐汇区年度报告",
        "总体情况",
        FIRST,
        SECOND,
        "重点企业",
        "企业：甲公司；员工数：120；地址：龙腾大道",
        "企业：乙公司；员工数：35；地址：宜山路",
        "结语只有这一句话。",
    ]
    assert FIRST[:38] + "\n" + FIRST[38:78] in report.text


def test_pages_headings_and_title(report: Document) -> None:
    assert report.title == "徐汇区年度报告"
    assert heads(report) == [(1, "徐汇区年度报告"), (2, "总体情况"), (2, "重点企业")]
    assert [section.path for section in sections(report, repair(report))] == [
        ("总体情况",),
        ("重点企业",),
    ]
    assert len(report.pages) == 3
    assert on_page(report, "甲公司有755家") == 1
    assert on_page(report, "乙公司有64家") == 2
    assert on_page(report, "宜山路") == 2
    assert on_page(report, "结语") == 3
    # The page begins where its first character stands, inside the sentence.
    cut = SECOND[: 38 + 3 * 40]
    assert report.text[: report.pages[1]].replace("\n", "").endswith(cut)
    assert report.page(report.pages[1] - 1) == 1


def test_running_heads_and_page_numbers_are_left_out(report: Document) -> None:
    assert "徐汇区人工智能年度报告" not in report.text
    assert "页" not in report.text


def test_what_is_alike_on_pages_but_no_running_head_stays() -> None:
    pages = [
        [(72, 760, 11, f"{name}区的桥有{count}座。"), (72, 600, 11, "全文完毕。")]
        for name, count in (("甲", 31), ("乙", 47), ("丙", 22))
    ]
    text = load(making.pdf_lines(pages), "a.pdf").text
    assert [f"有{count}座" in text for count in (31, 47, 22)] == [True] * 3
    assert text.count("全文完毕") == 3


def test_two_columns_are_read_one_after_the_other() -> None:
    left, right = prose(100, 330) + "，左栏结束。", prose(200, 300) + "，右栏结束。"
    lines = [
        (72, 780, 18, "两栏的文章在这里有一个很长很长的标题横跨两栏"),
        *wrapped(left, 60, 740, 20),
        *wrapped(right, 315, 740, 20),
    ]
    by_rows = sorted(lines, key=lambda line: (-line[1], line[0]))
    document = load(making.pdf_lines([by_rows]), "a.pdf")
    assert repair(document).text.split("\n\n") == [lines[0][3], left, right]


def test_a_sentence_goes_on_in_the_next_column() -> None:
    text = prose(300, 516)  # 13 lines of 20 (two of them empty) in each column
    lines = wrapped(text, 60, 740, 20)
    moved = [(315 + x - 60, y + 13 * 16.5, size, line) for x, y, size, line in lines[13:]]
    document = load(making.pdf_lines([[*lines[:13], *moved]]), "a.pdf")
    assert repair(document).text == text


def test_english_words_keep_their_spaces_and_lose_their_hyphens() -> None:
    def draw(canvas: Any) -> None:
        canvas.setFont("Helvetica", 11)
        for number, line in enumerate(
            [
                "The committee met in the old hall on the hill to talk about the inter-",
                "national treaty of 1952 and about the state of all the rivers in the",
                "country.",
            ]
        ):
            canvas.drawString(72, 700 - 14 * number, line)

    text = repair(load(making.pdf(draw), "a.pdf")).text
    assert text == (
        "The committee met in the old hall on the hill to talk about the international treaty of "
        "1952 and about the state of all the rivers in the country."
    )


def test_a_number_broken_by_a_line_is_whole() -> None:
    lines = [(72, 700, 11, prose(0, 38) + "共有75"), (72, 683, 11, "5家企业，都在这里。")]
    assert "共有755家企业" in load(making.pdf_lines([lines]), "a.pdf").text


def test_a_turned_page_reads_upright_and_a_watermark_is_left_out() -> None:
    def draw(canvas: Any) -> None:
        canvas.setPageRotation(90)
        canvas.saveState()
        canvas.translate(595, 0)
        canvas.rotate(90)
        canvas.drawString(72, 500, "横放的页面有三十座桥。")
        canvas.drawString(72, 400, "桥都很古老。")
        canvas.restoreState()
        canvas.saveState()
        canvas.translate(300, 400)
        canvas.rotate(45)
        canvas.drawString(0, 0, "内部资料")
        canvas.restoreState()

    assert load(making.pdf(draw), "a.pdf").text == "横放的页面有三十座桥。\n\n桥都很古老。"


def test_bookmarks_tell_the_headings() -> None:
    def draw(canvas: Any) -> None:
        for number, (name, level) in enumerate([("缘起", 0), ("经过", 1), ("结果", 0)]):
            canvas.bookmarkPage(name)
            canvas.addOutlineEntry(name, name, level)
            canvas.setFont(making.FONT, 11)
            canvas.drawString(72, 700, name)
            canvas.drawString(72, 650, f"{name}的正文说了第{number}件事。")
            canvas.showPage()

    document = load(making.pdf(draw), "a.pdf")
    assert heads(document) == [(1, "缘起"), (2, "经过"), (1, "结果")]
    # The first heading of all serves as the title.
    assert document.title == "缘起"
    assert [s.path for s in sections(document, repair(document))] == [(), ("经过",), ("结果",)]


def _scan(canvas: Any) -> None:
    canvas.rect(100, 100, 300, 300, fill=1)


def _numbered_scan(canvas: Any) -> None:
    for number in range(1, 4):
        canvas.drawString(290, 30, str(number))
        _scan(canvas)
        canvas.showPage()
        canvas.setFont(making.FONT, 11)


def _text(canvas: Any) -> None:
    canvas.drawString(72, 700, "甲镇有三十座桥。")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: making.pdf(_scan), "OCR"),
        (lambda: making.pdf(_numbered_scan), "OCR"),
        (lambda: making.pdf(_text, encrypt=_locked()), "protected with a password"),
        (lambda: making.pdf(_text)[:300], "is broken"),
        (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 40, "is broken"),
    ],
    ids=["scan", "numbered scan", "encrypted", "truncated", "random"],
)
def test_what_cannot_be_read_says_what_to_do(data: Any, says: str) -> None:
    with pytest.raises(InputError) as refused:
        load(data(), "合同.pdf")
    assert str(refused.value).startswith("合同.pdf ")
    assert says in str(refused.value)


def _locked() -> Any:
    from reportlab.lib.pdfencrypt import StandardEncryption

    return StandardEncryption("secret", ownerPassword="owner", strength=128)


def test_a_protected_pdf_that_opens_without_a_password_is_read() -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    locked = StandardEncryption("", ownerPassword="owner", canPrint=0, strength=128)
    assert load(making.pdf(_text, encrypt=locked), "a.pdf").text == "甲镇有三十座桥。"


def test_what_is_no_text_is_gone_before_pages_are_counted() -> None:
    document = load(
        making.pdf_lines([[(72, 700, 11, "甲\x7f镇。")], [(72, 700, 11, "乙村。")]]), "a.pdf"
    )
    assert document.text == "甲镇。\n\n乙村。"
    assert on_page(document, "乙村") == 2
    assert document.pages == (0, document.text.index("乙村"))


def test_pages_for_offsets() -> None:
    document = Document("a", "a", "一二三四五六", "a.pdf", "0", "application/pdf", (), (0, 2, 2, 4))
    assert [document.page(at) for at in range(6)] == [1, 1, 3, 3, 4, 4]
    assert Document("a", "a", "一", "a.txt", "0", "text/plain").page(0) is None
