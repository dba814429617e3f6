from __future__ import annotations

import subprocess
import sys

import jieba

from xhqa.segment import frequencies, segmenter, straddles, tagged


def test_straddles() -> None:
    assert straddles("转化为民生服", "务的具体实践")
    assert not straddles("核爆点", "2023年")
    assert not straddles("第一部分", "正文开始")


def test_the_dictionary_is_what_jieba_reads() -> None:
    words, total = jieba.Tokenizer.gen_pfdict(jieba.Tokenizer().get_dict_file())
    assert words == segmenter().FREQ
    assert segmenter().total == total
    assert frequencies().keys() == {word for word, count in words.items() if count}


def test_words_and_their_kinds_are_those_of_jieba() -> None:
    """In a process of its own: jieba's tagger is one for all."""
    text = "徐汇区的王小明在2023年参观了上海植物园和某芮澜公司"
    code = f"import jieba.posseg as p; print([tuple(x) for x in p.lcut({text!r})])"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert repr(tagged(text)) == run.stdout.strip()
    assert {("上海", "ns"), ("公司", "n"), ("芮澜", "nr")} < set(tagged(text))
