"""Law 1: ``document.text[start:end] == cited_text``, over generated documents."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support import HashEncoder, only

from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.index import Entry, build
from xhqa.load import load, repair
from xhqa.pipeline import Pipeline
from xhqa.script import fold
from xhqa.types import Document

_PIECES = st.sampled_from(
    [
        "徐汇区有四十三台电梯", "清华大学交叉", "信息研究院", "全方位 跃升", "民生服", "务的具体实践", "臺灣的發展",
        "Xuhui has ", "43 lifts", "AI Tower", "inter-", "national", "３５００", "ＡＢＣ", "😀👩‍👩‍👧", "é", "e\u0301",
        "カタカナ", "한국어", "𠀀𠮷", "。", "！", "？", "，", ", ", ". ", "……", "——", '"', "“", "”", "(", "）", "%", "：",
        "\n", "\r\n", "\n\n", "\r\n\r\n\r\n", "\x0c", "\u2028", " ", "  ", "\t", "\u3000", "\u200b", "\ufeff", "\u00ad",
        "\n\n“核爆点”\n\n", "\n\n第一章 总则\n\n", "\n# 标题\n", "\n## 小节\n", "\n- 项\n", "\n一、范围\n", "\n```\n",
    ]
)  # fmt: skip
_TEXTS = st.one_of(
    st.lists(_PIECES, max_size=60).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200),
)


def _document(text: str, name: str) -> Document | None:
    try:
        return load(text.encode("utf-8"), name)
    except InputError:
        return None


@given(_TEXTS, st.sampled_from(["a.txt", "a.md"]))
@settings(max_examples=400, deadline=None)
def test_the_view_leads_back_to_the_text(text: str, name: str) -> None:
    document = _document(text, name)
    if document is None:
        return
    view = repair(document)
    assert len(view.origin) == len(view.text)
    assert list(view.origin) == sorted(view.origin)
    for char, at in zip(view.text, view.origin, strict=True):
        if not char.isspace():
            assert char == fold(document.text[at])
    # Nothing that is not white space, a control, a zero-width character or a hyphen at a line's
    # end is lost.
    kept = {at for char, at in zip(view.text, view.origin, strict=True) if not char.isspace()}
    for at, char in enumerate(document.text):
        if char.isalnum():
            assert at in kept


@given(st.lists(_TEXTS, min_size=1, max_size=3), st.data())
@settings(max_examples=60, deadline=None)
def test_citations_quote_the_text(texts: list[str], data: st.DataObject) -> None:
    documents = [d for n, text in enumerate(texts) if (d := _document(text, f"d{n}.txt"))]
    encoder = HashEncoder()
    with tempfile.TemporaryDirectory() as folder:
        chosen = Settings(index_dir=Path(folder), min_confidence=0.0)
        index = build(Path(folder), only(list(map(Entry, documents))), encoder)
        pipeline = Pipeline(index, encoder, chosen)
        words = [d.text[:20].strip() for d in documents if d.text[:20].strip()]
        question = data.draw(st.sampled_from([*words, "有几台电梯？", "How many lifts?"]))
        answer = pipeline.ask(question)
        assert answer.answerable == bool(len(index))
        for citation in answer.citations:
            text = pipeline.document(citation.document_id).text
            start, end = citation.start_char_index, citation.end_char_index
            assert text[start:end] == citation.cited_text
            assert start < end
            at = citation.context_start_char_index
            assert text[at : at + len(citation.context)] == citation.context
            assert at <= start
            assert end <= at + len(citation.context)
        for passage in answer.passages:
            text = pipeline.document(passage.document_id).text
            assert text[passage.start_char_index : passage.end_char_index] == passage.text
