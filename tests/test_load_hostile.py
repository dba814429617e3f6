"""Files made to harm: each is refused by name or read, and nothing hangs or is written."""

from __future__ import annotations

import io
import random
import re
import zipfile
from pathlib import Path
from typing import Any

import making
import pytest
from support import HashEncoder

from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.ingest import build_index
from xhqa.load import files, load, repair
from xhqa.pipeline import Pipeline
from xhqa.split import split

TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Target="word/document.xml" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word(document: str | bytes, **more: str | bytes) -> bytes:
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATIONS,
        "word/document.xml": document,
    }
    return making.archive(parts | more)


def paragraph(text: str) -> str:
    return f"<w:document {W}><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"


def refusal(data: bytes, name: str) -> str:
    with pytest.raises(InputError) as refused:
        load(data, name)
    assert str(refused.value).startswith(name)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def outcome(data: bytes, name: str) -> str:
    """The text, or the message of a refusal, which names the file."""
    try:
        return load(data, name).text
    except InputError as error:
        message = str(error)
    assert message.startswith(name)
    return message


def test_a_word_file_by_hand_is_read() -> None:
    assert load(word(paragraph("三十座桥")), "a.docx").text == "三十座桥"


def test_zip_bombs_are_refused_before_they_unpack() -> None:
    padding = b" " * (64 * 2**20)
    assert "unpacks to far more" in refusal(word(paragraph("a"), **{"x.xml": padding}), "a.docx")
    many = {f"m{number}": b"" for number in range(20_001)}
    assert "unpacks to far more" in refusal(word(paragraph("a"), **many), "b.docx")


def test_a_bomb_in_another_compression_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("[Content_Types].xml", TYPES)
        made.writestr("word/document.xml", paragraph("a"))
    assert "unpacks" in refusal(data.getvalue(), "a.docx")


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c SYSTEM "file:///etc/passwd">]>'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_in_office_files_are_refused(encoding: str) -> None:
    document = (ENTITIES + paragraph("&b;&c;")).encode(encoding)
    assert "defines entities" in refusal(word(document), "a.docx")


def test_entities_in_a_book_are_not_expanded() -> None:
    chapter = making.page("<p>前&b;&c;后</p>").replace("<!DOCTYPE html>", ENTITIES)
    text = load(making.epub([chapter]), "a.epub").text
    assert text.startswith("前")
    assert text.endswith("后")
    assert "ha" not in text
    assert "root:" not in text


def test_deep_nesting() -> None:
    deep = "<div>" * 100_000 + "深处" + "</div>" * 100_000
    assert re.match(r"深处|a\.html", outcome(deep.encode(), "a.html"))
    nested = "<w:p>" * 5000 + "</w:p>" * 5000
    document = f"<w:document {W}><w:body>{nested}</w:body></w:document>"
    assert "broken" in refusal(word(document), "a.docx")


def test_a_part_whose_name_is_damaged_is_refused() -> None:
    data = making.epub([making.page("<p>文字。</p>")])
    at = data.index("OPS/text/章0.xhtml".encode())
    broken = data[: at - 4] + (200).to_bytes(2, "little") + data[at - 2 :]
    assert "is damaged" in refusal(broken, "a.epub")


def test_too_many_elements_are_refused() -> None:
    assert "too many elements" in refusal(b"<p>" + b"<b>" * 4_000_001, "a.html")


def test_spans_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xhqa.load.html._MAX_CELLS", 10_000)
    wide = "<tr>" + '<td colspan="1000" rowspan="1000">a</td>' * 11 + "</tr>"
    assert "too many cells" in refusal(f"<table>{wide}</table>".encode(), "a.html")


@pytest.mark.parametrize("encoding", ["foo", "rot13", "hex"])
def test_a_sheet_in_no_encoding_is_refused(encoding: str) -> None:
    made = zipfile.ZipFile(io.BytesIO(making.xlsx(lambda book: book.create_sheet("表"))))
    parts = {entry: made.read(entry) for entry in made.namelist()}
    (part,) = (name for name in parts if name.startswith("xl/worksheets/"))
    said = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    sheet = said + parts[part][parts[part].find(b"<worksheet") :]
    assert "a.xlsx is broken" in refusal(making.archive(parts | {part: sheet}), "a.xlsx")


def test_a_sheet_that_claims_to_be_endless_is_read() -> None:
    def fill(book: Any) -> None:
        sheet = book.create_sheet("表")
        sheet.append(["名", "值"])
        sheet.append(["桥", 30])

    data = making.xlsx(fill)
    made = zipfile.ZipFile(io.BytesIO(data))
    parts = {entry: made.read(entry) for entry in made.namelist()}
    (part,) = (name for name in parts if name.startswith("xl/worksheets/"))
    sheet = parts[part].replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    sheet = sheet.replace(
        b"</sheetData>",
        b'</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>',
    )
    assert sheet != parts[part]
    assert load(making.archive(parts | {part: sheet}), "a.xlsx").text == "名：桥；值：30"
    wild = sheet.replace(b'r="2"', b'r="999999999"')
    assert "more rows than Excel allows" in refusal(making.archive(parts | {part: wild}), "b.xlsx")


def test_a_very_long_line_is_cut_into_chunks() -> None:
    text = '他说"桥"，' * 5_000
    document = load(text.encode(), "a.txt")
    chunks = split(document, repair(document), lambda texts: [len(t) for t in texts], 256)
    assert max(len(chunk.text) for chunk in chunks) <= 256
    assert all(document.text[c.start : c.end] == c.text for c in chunks)
    assert {at for c in chunks for at in range(c.start, c.end)} >= set(range(0, len(text), 7))


def test_a_text_beyond_all_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xhqa.load.extracted.MAX_CHARACTERS", 1000)
    for name in ("a.txt", "a.md", "a.csv", "a.html"):
        assert load(b"a" * 1000, name).text == "a" * 1000
        assert "split it into smaller files" in refusal(b"a" * 1001, name)


@pytest.mark.parametrize("suffix", ["docx", "xlsx", "epub", "html", "csv"])
def test_damaged_files_are_refused_or_read(suffix: str) -> None:
    """Cut off, and with bytes changed at random: nothing but InputError comes of it."""
    whole = {
        "docx": lambda: word(paragraph("三十座桥")),
        "xlsx": lambda: making.xlsx(lambda book: book.create_sheet("表").append(["桥", 30])),
        "epub": lambda: making.epub([making.page("<p>三十座桥。</p>")]),
        "html": lambda: making.page("<table><tr><td>桥</td></tr></table>").encode(),
        "csv": lambda: "名,值\n桥,30\n".encode(),
    }[suffix]()
    chance = random.Random(suffix)
    name = f"损坏.{suffix}"
    for attempt in range(12):
        data = bytearray(whole[: chance.randrange(1, len(whole))] if attempt % 3 == 0 else whole)
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert outcome(bytes(data), name)


def test_names_that_no_database_holds() -> None:
    document = load("桥".encode(), "a\udcff\n/../b\0.txt")
    assert document.source_name.encode()
    assert "\n" not in document.source_name
    assert "\0" not in document.title


def test_the_rest_of_a_folder_is_indexed_and_pages_are_cited(
    tmp_path: Path, settings: Settings, encoder: HashEncoder
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    lines = ["甲镇有三十座桥，都很古老。", "乙村的学校建于1952年。"]
    pages = [[(72, 700, 11, line)] for line in lines]
    (folder / "好.pdf").write_bytes(making.pdf_lines(pages))
    (folder / "扫描.pdf").write_bytes(making.pdf(lambda canvas: canvas.rect(1, 1, 9, 9)))
    (folder / "坏.docx").write_bytes(word(paragraph("桥"))[:200])
    (folder / "旧.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    (folder / "~$好.docx").write_bytes(b"lock")
    assert "~$好.docx" not in [name for _, name in files([folder])]
    index, refused = build_index([folder], encoder, settings)
    assert sorted(message.split()[0] for message in refused) == ["坏.docx", "扫描.pdf", "旧.doc"]
    (info,) = index.documents()
    assert (info.source_name, info.media_type) == ("好.pdf", "application/pdf")
    assert index.document(info.id).pages == (0, len(lines[0]) + 2)
    assert [one.id for one in index.documents()] == [info.id]
    pipeline = Pipeline(index, encoder, settings)
    cited = pipeline.ask("乙村的学校建于哪年？").citations[0]
    assert (cited.cited_text, cited.page) == (lines[1], 2)
    assert pipeline.ask("甲镇有几座桥？").citations[0].page == 1


def test_headings_outlive_the_index(
    make_pipeline: Any,
) -> None:
    chapters = [making.page("<h1>第一章</h1><p>甲镇有三十座桥。</p>")]
    pipeline = make_pipeline({"书.epub": making.epub(chapters, "远行记")})
    document = pipeline.document("书")
    assert [(h.level, document.text[h.start : h.end]) for h in document.headings] == [(1, "第一章")]
    cited = pipeline.ask("甲镇有几座桥？").citations[0]
    assert (cited.section_path, cited.page) == (("第一章",), None)
