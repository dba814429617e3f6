from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from xhqa.lexical import LexicalIndex, overlap, query_tokens, tokenize


def test_tokens_are_folded_and_without_punctuation() -> None:
    assert tokenize("臺灣，GDP！") == ["台湾", "gdp"]
    assert "大学" in tokenize("清华大学")
    assert "清华大学" in tokenize("清华大学")


def test_query_tokens_leave_out_words_that_only_ask() -> None:
    assert query_tokens("徐汇有多少企业") == ("徐汇", "企业")
    assert query_tokens("什么") == ("什么",)


def test_share_is_bm25_over_the_most_there_could_be() -> None:
    index = LexicalIndex.build([["甲", "乙"], ["甲", "丙"], ["丁", "戊"]])
    # N = 3; 甲 stands in two, 丙 in one. Lengths are equal, so tf / (tf + k1) = 1 / 2.2.
    idf_a = math.log(1 + (3 - 2 + 0.5) / 2.5)
    idf_c = math.log(1 + (3 - 1 + 0.5) / 1.5)
    assert index.idf("甲") == pytest.approx(idf_a)
    shares = index.shares(["甲", "丙"])
    expected = [idf_a / 2.2 / (idf_a + idf_c), 1 / 2.2, 0.0]
    assert shares == pytest.approx(np.array(expected), abs=1e-6)


def test_unknown_words_lower_the_share() -> None:
    index = LexicalIndex.build([["甲", "乙"], ["丙", "丁"]])
    assert index.shares(["甲", "unknown"])[0] < 0.5 * index.shares(["甲"])[0]
    assert index.shares(["un", "known"]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("tokens", [[], [[]], [[], []]])
def test_a_corpus_without_words(tokens: list[list[str]], tmp_path: Path) -> None:
    LexicalIndex.build(tokens).save(tmp_path / "l")
    index = LexicalIndex.load(tmp_path / "l")
    assert index.shares(["甲"]).max(initial=0.0) == 0.0


def test_survives_disk(tmp_path: Path) -> None:
    index = LexicalIndex.build([["甲", "乙"], ["甲", "丙"]])
    index.save(tmp_path / "l")
    loaded = LexicalIndex.load(tmp_path / "l")
    assert loaded.shares(["丙"]).tolist() == index.shares(["丙"]).tolist()
    assert loaded.idf("甲") == index.idf("甲")


def test_a_word_is_held_by_its_best_alternative_and_as_rare_as_all_of_them() -> None:
    index = LexicalIndex.build([["公司", "企业"], ["企业", "南部"], ["公园"]])
    # N = 3; 公司 or 企业 stand in two passages, 南部 in one, 末梢 in none.
    any_firm = math.log(1 + (3 - 2 + 0.5) / 2.5)
    southern = math.log(1 + (3 - 1 + 0.5) / 1.5)
    unknown = math.log(1 + 3.5 / 0.5)
    words = [{"公司": 1.0, "企业": 0.5}, {"southern": 1.0, "南部": 0.5}, {"末梢": 1.0}]
    total = any_firm + southern + unknown
    expected = [any_firm / total, (0.5 * any_firm + 0.5 * southern) / total, 0.0]
    assert index.alternative_shares(words) == pytest.approx(np.array(expected), abs=1e-6)
    assert index.alternative_shares([]).tolist() == [0.0, 0.0, 0.0]


def test_overlap_is_weighted_by_rarity() -> None:
    index = LexicalIndex.build([["徐汇", "企业"], ["徐汇", "电梯"], ["徐汇", "公园"]])
    common, rare = index.idf("徐汇"), index.idf("企业")
    texts = ["徐汇的公园", "企业", "无关"]
    words = [{"徐汇": 1.0}, {"企业": 1.0}]
    found = overlap(words, index.word_weights(words), texts)
    assert found == pytest.approx([common / (common + rare), rare / (common + rare), 0.0])
    words = [{"徐汇": 1.0}, {"enterprise": 1.0, "企业": 0.5}]
    trusted_less = overlap(words, index.word_weights(words), texts)
    assert trusted_less[1] == pytest.approx(0.5 * rare / (common + rare))
    assert overlap([], index.word_weights([]), texts).tolist() == [0.0, 0.0, 0.0]
