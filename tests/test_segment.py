from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jieba
import pytest

from xhqa import segment
from xhqa.segment import _dictionary, frequencies, is_apart, segmenter, straddles, tagged


def test_a_part_stands_apart_where_no_word_runs_across_its_edges() -> None:
    for text, part, apart in (
        ("自由、平等、公正", "等", False),
        ("甲镇、乙村等都在", "等", True),
        ("酒吧有几家", "吧", False),
        ("几内亚在哪", "几", False),
    ):
        start = text.index(part)
        assert is_apart(text, start, start + len(part)) is apart, text


def test_straddles() -> None:
    assert straddles("转化为民生服", "务的具体实践")
    assert not straddles("核爆点", "2023年")
    assert not straddles("第一部分", "正文开始")


def test_the_dictionary_is_what_jieba_reads() -> None:
    words, total = jieba.Tokenizer.gen_pfdict(jieba.Tokenizer().get_dict_file())
    assert words == segmenter().FREQ
    assert segmenter().total == total
    assert frequencies().keys() == {word for word, count in words.items() if count}


def test_a_cache_that_cannot_be_used_is_told_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = {"桥梁": 3, "桥": 0}, {"桥梁": "n"}, 3
    monkeypatch.setattr(segment, "_read", lambda: expected)
    monkeypatch.setenv("XHQA_CACHE_DIR", str(tmp_path))
    _dictionary.cache_clear()
    try:
        assert _dictionary() == expected
        (words,) = tmp_path.glob("jieba-*/words")
        kept = words.stat().st_size
        for content in (b"N" + bytes(kept - 1), b"\xff" * kept):
            words.write_bytes(content)
            _dictionary.cache_clear()
            assert _dictionary() == expected
            assert "without the cache" in caplog.text
            caplog.clear()
        (tmp_path / "file").touch()
        monkeypatch.setenv("XHQA_CACHE_DIR", str(tmp_path / "file"))
        _dictionary.cache_clear()
        assert _dictionary() == expected
        assert "cannot write the cache" in caplog.text
    finally:
        _dictionary.cache_clear()


def test_words_and_their_kinds_are_those_of_jieba() -> None:
    """In a process of its own: jieba's tagger is one for all."""
    text = "徐汇区的王小明在2023年参观了上海植物园和某芮澜公司"
    code = f"import jieba.posseg as p; print([tuple(x) for x in p.lcut({text!r})])"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert repr(tagged(text)) == run.stdout.strip()
    assert {("上海", "ns"), ("公司", "n"), ("芮澜", "nr")} < set(tagged(text))
