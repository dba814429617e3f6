from __future__ import annotations

import pytest

from xhqa.numerals import numbers, stated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1330台", {1330}),
        ("1,330台，约3.5%", {1330, 3.5, 3, 5}),
        ("10万张", {100000}),
        ("1.2万亿元", {1.2e12}),
        ("10多万人", {100000}),
        ("一千三百三十台", {1330}),
        ("一亿二千万", {1.2e8}),
        ("二百五十万零六", {2500006}),
        ("千亿级", {1e11}),
        ("一九九八年", {1998}),
        ("十五", {15}),
        ("六十", {60}),
        ("两座", {2}),
        ("三成", {3, 30}),
        ("百分之三十", {100, 30}),
        ("15 million people", {1.5e7, 15}),
        # A decade is the same with and without its century.
        ("上世纪七十年代", {70}),
        ("20世纪70年代", {70}),
        ("1970年代", {70}),
        ("in the 1970s", {70}),
        ("1970年", {1970}),
        ("3万5千元", {35000}),
        ("1亿5000万元", {1.5e8}),
        ("3万，5千", {30000, 5000}),
        ("9:00开门", {9}),
        ("10:30开门", {10, 30}),
        ("没有数字", set()),
    ],
)
def test_numbers_are_known_by_their_values(text: str, expected: set[float]) -> None:
    assert stated(text) == expected


def test_a_question_s_numbers_are_those_in_digits() -> None:
    assert numbers("2024年有100,000张卡和3.50亿元，三号楼") == (2024, 100000, 3.5e8)


def test_numbers_without_end_are_no_trouble() -> None:
    assert numbers("9" * 5000) == (float("inf"),)
    assert len(stated("亿" * 5000)) == 1
