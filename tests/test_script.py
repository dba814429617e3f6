from __future__ import annotations

import pytest

from xhqa.script import display_width, fold, question_script, tidy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("民生服\r\n\r\n务的", "民生服务的"),
        ("张家 弄", "张家弄"),
        ("500 平方米", "500 平方米"),
        ("AI\nTower", "AI Tower"),
        ("40\n台", "40台"),
        (" 40  台 ", "40  台"),
        ("他说 “好” 。", "他说“好”。"),
        ("He said “yes” — “no”", "He said “yes” — “no”"),
        ("he said\n“yes”", "he said “yes”"),
        ("서울 특별시", "서울 특별시"),
        ("inter-\nnational", "inter-national"),
        ("1999 -\nabc", "1999 - abc"),
        ("", ""),
    ],
)
def test_tidy(text: str, expected: str) -> None:
    assert tidy(text) == expected


def test_fold_is_one_for_one() -> None:
    text = "臺灣ＡＢ１２％，。𠀀😀ａ"
    assert fold(text) == "台湾AB12%，。𠀀😀a"
    assert len(fold(text)) == len(text)


def test_fold_knows_radicals_and_compatibility_ideographs() -> None:
    # Kangxi, radicals supplement, compatibility block; the last has no ordinary character.
    text = "⼈⼝⾼⻓⻔⻋⻅⻚⺟\uf9d8\ufa1c⺀"
    assert fold(text) == "人口高长门车见页母律靖⺀".replace("律", "律")
    assert len(fold(text)) == len(text)


def test_what_is_folded_stays_as_it_is() -> None:
    every = "".join(chr(code) for code in range(0x2E80, 0x2FFFF) if chr(code).isprintable())
    once = fold(every)
    assert fold("檸檬薴") == "柠檬苎"
    assert [a for a, b in zip(once, fold(once), strict=True) if a != b] == []


def test_display_width() -> None:
    assert display_width("徐汇AB。") == 8
    assert display_width("서울") == 4


@pytest.mark.parametrize(
    ("question", "script"),
    [
        ("徐汇有多少家企业？", "han"),
        ("DeepSeek和ChatGPT哪个好？", "han"),
        ("GDP多少？", "han"),
        ("How many?", "other"),
        ("Who leads the Qizhi Institute (期智研究院)?", "other"),
        ("", "other"),
    ],
)
def test_question_script(question: str, script: str) -> None:
    assert question_script(question) == script
