"""Word, Excel, CSV, HTML and EPUB: what was put in stands in the text, in its sections."""

from __future__ import annotations

import datetime
from typing import Any

import making
import pytest

from xhqa.errors import InputError
from xhqa.load import load, repair
from xhqa.split import sections
from xhqa.types import Document

OFFICE = "application/vnd.openxmlformats-officedocument."


def paths(document: Document) -> list[tuple[tuple[str, ...], str]]:
    """The sections: path and text, the heading line left out."""
    view = repair(document)
    found = []
    for section in sections(document, view):
        body = view.text[section.start : section.end].split("\n")
        found.append((section.path, [line for line in body if line][-1]))
    return found


def marked(document: Document) -> list[tuple[int, str]]:
    return [(h.level, document.text[h.start : h.end]) for h in document.headings]


def annual(document: Any) -> None:
    document.add_heading("徐汇区年度报告", 0)
    document.add_paragraph("本报告概述全年情况。")
    document.add_heading("总体 情况", 1)
    document.add_paragraph("全区有大模型企业755家，并且\n算力规模全市第一")
    document.add_heading("重点企业", 2)
    document.add_paragraph("名单如下")
    table = document.add_table(3, 3)
    rows = [("企业", "员工", "地址"), ("甲公司", "120", "龙腾大道"), ("乙公司", "", "宜山路")]
    for cells, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(cells.cells, texts, strict=True):
            cell.text = text
    document.add_heading("展望", 1)
    document.add_paragraph("明年建成新的产业园。")


def test_word() -> None:
    document = load(making.docx(annual), "年报.docx")
    assert document.media_type == f"{OFFICE}wordprocessingml.document"
    assert document.title == "徐汇区年度报告"
    assert document.pages == ()
    assert marked(document) == [
        (1, "徐汇区年度报告"),
        (1, "总体 情况"),
        (2, "重点企业"),
        (1, "展望"),
    ]
    assert "企业：甲公司；员工：120；地址：龙腾大道\n企业：乙公司；地址：宜山路" in document.text
    # The lines of a paragraph stay apart: its breaks were typed.
    assert paths(document) == [
        ((), "本报告概述全年情况。"),
        (("总体 情况",), "算力规模全市第一"),
        (("总体 情况", "重点企业"), "企业:乙公司；地址:宜山路".replace(":", "：")),
        (("展望",), "明年建成新的产业园。"),
    ]


def test_word_keeps_what_is_inserted_and_leaves_out_what_is_deleted() -> None:
    def fill(document: Any) -> None:
        from docx.oxml import parse_xml
        from docx.oxml.ns import nsdecls

        paragraph = document.add_paragraph("总数为")
        for change, text in (
            (f"<w:ins {nsdecls('w')}><w:r><w:t>755</w:t></w:r></w:ins>", None),
            (f"<w:del {nsdecls('w')}><w:r><w:delText>54</w:delText></w:r></w:del>", "家。"),
        ):
            paragraph._p.append(parse_xml(change))
            if text:
                paragraph.add_run(text)
        control = (
            f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>控件里的话。</w:t></w:r></w:p>"
            "</w:sdtContent></w:sdt>"
        )
        paragraph._p.addnext(parse_xml(control))

    assert load(making.docx(fill), "a.docx").text == "总数为755家。\n\n控件里的话。"


def test_word_leaves_out_how_words_are_read_aloud() -> None:
    def fill(document: Any) -> None:
        from docx.oxml import parse_xml
        from docx.oxml.ns import nsdecls

        ruby = (
            f"<w:r {nsdecls('w')}><w:ruby><w:rt><w:r><w:t>huì</w:t></w:r></w:rt>"
            "<w:rubyBase><w:r><w:t>汇</w:t></w:r></w:rubyBase></w:ruby></w:r>"
        )
        paragraph = document.add_paragraph("徐")
        paragraph._p.append(parse_xml(ruby))
        paragraph.add_run("区。")

    assert load(making.docx(fill), "a.docx").text == "徐汇区。"


def test_word_fills_merged_cells_downwards_and_reads_keys() -> None:
    def fill(document: Any) -> None:
        table = document.add_table(3, 2)
        for cells, texts in zip(
            table.rows, [("部门", "姓名"), ("研发", "张三"), ("", "李四")], strict=True
        ):
            for cell, text in zip(cells.cells, texts, strict=True):
                cell.text = text
        table.cell(1, 0).merge(table.cell(2, 0))
        document.add_paragraph("联系方式")
        keys = document.add_table(2, 2)
        for cells, texts in zip(
            keys.rows, [("电话：", "6487"), ("地址：", "漕溪北路")], strict=True
        ):
            for cell, text in zip(cells.cells, texts, strict=True):
                cell.text = text

    assert load(making.docx(fill), "a.docx").text == (
        "部门：研发；姓名：张三\n部门：研发；姓名：李四\n\n联系方式\n\n电话：6487\n地址：漕溪北路"
    )


def test_excel() -> None:
    def fill(book: Any) -> None:
        sheet = book.create_sheet("企业")
        sheet.append(["2024年徐汇区企业统计表"])
        sheet.merge_cells("A1:D1")
        sheet.append(["区域", "企业数", "增长率", "日期"])
        sheet.append(["徐汇", 755, 0.053, datetime.date(2024, 3, 5)])
        sheet["C3"].number_format = "0.0%"
        sheet.append([None, 0.1 + 0.2, None, datetime.datetime(2024, 3, 6, 8, 30)])
        sheet.merge_cells("A3:A4")
        book.create_sheet("算力").append(["规模", "1.2万P"])
        hidden = book.create_sheet("草稿")
        hidden.append(["不该出现"])
        hidden.sheet_state = "hidden"

    document = load(making.xlsx(fill), "统计.xlsx")
    assert document.media_type == f"{OFFICE}spreadsheetml.sheet"
    assert document.title == "统计"
    assert document.text == (
        "企业\n\n2024年徐汇区企业统计表\n"
        "区域：徐汇；企业数：755；增长率：5.3%；日期：2024-03-05\n"
        "区域：徐汇；企业数：0.3；日期：2024-03-06 08:30:00\n\n"
        "算力\n\n规模；1.2万P"
    )
    assert [path for path, _ in paths(document)] == [("企业",), ("算力",)]


def test_excel_escapes_control_characters() -> None:
    def fill(book: Any) -> None:
        book.create_sheet("Sheet1").append(["地址_x000D_\n电话", "甲_x000d_乙_x0007_", "a_x0041_b"])

    assert load(making.xlsx(fill), "a.xlsx").text == "地址 电话；甲 乙；a_x0041_b"


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("姓名,职务\n张三,局长\n李四,\n", "utf-8-sig", "姓名：张三；职务：局长\n姓名：李四"),
        ("姓名;职务\r\n张三;局长, 书记\r\n", "gb18030", "姓名：张三；职务：局长, 书记"),
        ('名称,说明\n甲,"第一行\n第二行，完"\n', "utf-8", "名称：甲；说明：第一行 第二行，完"),
        ("指标,2022,2023\n产值,1.5,2\n", "utf-8", "指标：产值；2022：1.5；2023：2"),
        (",2021,2022\n收入,1,2\n", "utf-8", "收入；2021：1；2022：2"),
        (",,2021,2022\n,收入,1,2\n", "utf-8", "收入；2021：1；2022：2"),
        (",2021,2022\n2020,1,2\n", "utf-8", "2021；2022\n2020；1；2"),
        ("1,2\n3,4\n", "utf-8", "1；2\n3；4"),
        ("地区\n徐汇\n黄浦\n", "utf-8", "地区\n徐汇\n黄浦"),
    ],
)
def test_csv(text: str, encoding: str, expected: str) -> None:
    document = load(text.encode(encoding), "名册.csv")
    assert (document.text, document.title, document.media_type) == (expected, "名册", "text/csv")
    # Rows stay apart, even where a word would run across them.
    assert repair(document).text.count("\n") == expected.count("\n")


HTML = """<!DOCTYPE html><html><head><meta charset="gb2312"><title>年度报告_徐汇区</title>
<style>p{}</style></head><body><nav><a href="/">首页导航</a></nav>
<h1>年度报告</h1><p>全区有<b>755</b>家
企业。<br>第二行。</p><script>var x = "不该出现";</script>
<h2>企&amp;业</h2><ul><li>甲公司</li><li>乙公司</li></ul>
<div>散文<p>段落&nbsp;一</p>尾巴</div>
<table><caption>表一</caption><tr><th rowspan="2">区域</th><th colspan="2">数量</th></tr>
<tr><th>企业</th><th>员工</th></tr><tr><td>徐汇</td><td>755</td><td>1.2万</td></tr></table>
<table><tr><th>电话</th><td>6487</td></tr><tr><th>地址</th><td>漕溪北路</td></tr></table>
<table><tr><td><h2>展望</h2><p>明年再来。</p></td></tr></table>
<p hidden>不该出现</p></body></html>"""


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-16"])
def test_html(encoding: str) -> None:
    document = load(HTML.encode(encoding), "a.html")
    assert document.media_type == "text/html"
    assert document.title == "年度报告"
    assert marked(document) == [(1, "年度报告"), (2, "企&业"), (2, "展望")]
    assert document.text == (
        "年度报告\n\n全区有755家 企业。\n第二行。\n\n企&业\n\n甲公司\n乙公司\n\n散文\n\n段落 一\n\n尾巴\n\n"
        "表一\n\n区域：徐汇；数量 企业：755；数量 员工：1.2万\n\n电话：6487\n地址：漕溪北路\n\n展望\n\n明年再来。"
    )
    assert [path for path, _ in paths(document)] == [(), ("企&业",), ("展望",)]


@pytest.mark.parametrize("declared", ["undefined", "utf-16", "UTF-16LE", "hex", "utf-8"])
def test_html_that_declares_what_it_is_not_in(declared: str) -> None:
    for words in ("全区有桥。", "全区有桥!!"):
        page = f'<meta charset="{declared}"><title>页</title><p>{words}</p>'
        assert load(page.encode(), "a.html").text == words


@pytest.mark.parametrize("declared", ["iso-8859-1", "latin1", "us-ascii", "windows-1252"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_html_that_declares_what_browsers_take_for_windows_1252(
    declared: str, encoding: str
) -> None:
    page = f'<meta charset="{declared}"><title>Page</title><p>It’s “Müllheim”.</p>'
    assert load(page.encode(encoding), "a.html").text == "It’s “Müllheim”."


def test_after_hidden_preformatted_text_lines_are_joined_as_before() -> None:
    page = "<pre hidden>不该\n出现</pre><p>one\ntwo</p><pre>three\nfour</pre><p>five\nsix</p>"
    assert load(page.encode(), "a.html").text == "one two\n\nthree\nfour\n\nfive six"


def test_a_span_of_thousands_of_digits_is_a_wide_one() -> None:
    page = f'<table><tr><td colspan="{"9" * 5000}">甲</td></tr></table><p>乙</p>'
    assert load(page.encode(), "a.html").text.endswith("乙")


def test_epub_is_read_in_the_order_of_its_spine() -> None:
    chapters = [
        making.page("<h1>第一章 起点</h1><p>主角生于1952年&#x3002;</p>"),
        making.page("<h1>第二章 远行</h1><p>他走了三十里&nbsp;路。</p><h2>夜</h2><p>天黑了。</p>"),
    ]
    document = load(making.epub(chapters, "远行记"), "book.epub")
    assert document.media_type == "application/epub+zip"
    assert document.title == "远行记"
    assert document.text == (
        "第一章 起点\n\n主角生于1952年。\n\n第二章 远行\n\n他走了三十里 路。\n\n夜\n\n天黑了。"
    )
    assert paths(document) == [
        (("第一章 起点",), "主角生于1952年。"),
        (("第二章 远行",), "他走了三十里路。"),
        (("第二章 远行", "夜"), "天黑了。"),
    ]


def test_the_content_tells_the_format_where_the_name_does_not() -> None:
    data = making.docx(annual)
    assert load(data, "upload").media_type == f"{OFFICE}wordprocessingml.document"
    for name in ("年报.pdf", "年报.txt", "年报.xlsx", "年报.doc"):
        with pytest.raises(InputError, match=rf"^{name} .*rename it to end in \.docx"):
            load(data, name)


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"plain words", "a.docx", "ends in .docx but is no Word file"),
        (b"<html><table></table></html>", "a.xlsx", "is no Excel file (it is HTML)"),
        (b"{\\rtf1 x}", "a.doc", "save it as .docx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.xls", "old format"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "a.docx",
            "protected with a password",
        ),
        (b"\x89PNG\r\n\x1a\n", "a.pdf", "PNG picture"),
        (b"", "a.pdf", "is empty"),
        (making.archive({"a.txt": "x"}), "a.docx", "unpack it and add its files"),
        (b"<html><body><script>1</script></body></html>", "a.html", "holds no text"),
        (making.docx(lambda document: None), "a.docx", "holds no text"),
        (making.xlsx(lambda book: book.create_sheet("空")), "a.xlsx", "holds no text"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, name: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        load(data, name)
    assert str(refused.value).startswith(name)
    assert says in str(refused.value)
