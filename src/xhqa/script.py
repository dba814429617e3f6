"""What characters are: Han, white space, full-width; Traditional folded to Simplified."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal

HAN = r"\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
CJK_PUNCTUATION = (
    r"\u3001-\u3004\u3006\u3008-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff65"
    r"\u2014\u2018\u2019\u201c\u201d\u2026"
)
KANA, HANGUL = r"\u3040-\u30ff\u31f0-\u31ff", r"\u1100-\u11ff\uac00-\ud7af"
# Marks of Chinese that Latin text has too.
_SHARED = "—‘’“”…"

SENTENCE_END = "。！？!?…；;"
CLOSERS = "”’」』）)】》〉\"'］]"

# Words of closed classes: they say nothing about what a question is about.
ENGLISH_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a an the this that these those it its he him his she her they them their we us our you your
        i my one ones who whom whose what which where when why how many much of in on at to for by
        with from into onto as than about over under between among during before after since until
        and or but nor not no if so is are was were be been being am do does did done has have had
        having can could will would shall should may might must there here then also too very only
        just such any some all each every both either neither other another own same
        """,
    )
)

_WIDE = re.compile(f"[{HAN}{CJK_PUNCTUATION}{KANA}]")
_TWO_COLUMNS = re.compile(f"[{HAN}{CJK_PUNCTUATION}{KANA}{HANGUL}]")
_HAN = re.compile(f"[{HAN}]")


def is_han(char: str) -> bool:
    return bool(_HAN.match(char))


def is_wide(char: str) -> bool:
    """Whether ``char`` belongs to a script written without spaces alone: Han, kana, CJK marks."""
    return bool(_WIDE.match(char)) and char not in _SHARED


def needs_no_space(before: str, after: str) -> bool:
    """Whether no space stands between these two: 说 “好, but not “yes” “no”."""
    either = is_wide(before), is_wide(after)
    return any(either) and all(map(_WIDE.match, (before, after)))


def has_han(text: str) -> bool:
    return bool(_HAN.search(text))


def question_script(text: str) -> Literal["han", "other"]:
    """The script a question is asked in; names quoted in another do not count for much."""
    words = re.findall(r"[^\W\d_]+", _HAN.sub(" ", text))
    return "han" if len(_HAN.findall(text)) > len(words) else "other"


# The radicals supplement, which PDFs have in place of the characters they look like. Unicode
# decomposes only two of these; the others are its equivalent ideographs.
_RADICALS = dict(
    zip(
        "⺁⺄⺈⺊⺌⺍⺎⺐⺒⺓⺔⺗⺘⺙⺛⺜⺝⺞⺠⺡⺢⺣⺥⺦⺧⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺶⺹⺺⺻⺼⺾⻀⻁⻂⻃⻄⻅⻆⻈⻉⻋⻌⻍⻏⻐⻑⻒⻓⻔⻖⻗⻘⻙⻚⻛⻜⻝⻟⻠⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲",
        "厂乙刀卜小小兀尢巳幺彑心手攴无日月歹民水氺火爪爿牛犬王疋目示礻竹糸纟网罒羊耂肀聿肉艹艹虎衤覀西见角讠贝车辶辶邑钅長镸长门阝雨青韦页风飞食飠饣马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀",
        strict=True,
    )
)


def language_of(accepted: str) -> Literal["zh", "en"]:
    """The first of these that an Accept-Language header names; Chinese where it names neither."""
    for entry in accepted.lower().split(","):
        primary = entry.split(";")[0].strip().split("-")[0]
        if primary == "zh":
            return "zh"
        if primary == "en":
            return "en"
    return "zh"


@lru_cache(maxsize=65536)
def fold_char(char: str) -> str:
    """Full-width letters, digits and signs to ASCII, radicals and compatibility ideographs to the
    ordinary character, Traditional to Simplified: one for one."""
    code = ord(char)
    if code < 0x80:
        return char
    if code == 0x3000:
        return " "
    if 0xFF10 <= code <= 0xFF19 or 0xFF21 <= code <= 0xFF3A or 0xFF41 <= code <= 0xFF5A:
        return chr(code - 0xFEE0)
    if char in "％．／＋－＄＆＃＠":
        return chr(code - 0xFEE0)
    if not is_han(char):
        return char
    char = _RADICALS.get(char) or unicodedata.normalize("NFKC", char)
    folded: str = _converter().convert(char)
    # 薴 becomes 苧, and that 苎.
    return char if len(folded) != 1 or folded == char else fold_char(folded)


def fold(text: str) -> str:
    """``fold_char`` on every character; the length stays."""
    return text if text.isascii() else "".join(map(fold_char, text))


def alphanumeric(text: str) -> str:
    """The folded letters, characters and digits of ``text`` in lower case, without all else."""
    return "".join(filter(str.isalnum, fold(text).lower()))


@lru_cache(maxsize=1)
def _converter():  # type: ignore[no-untyped-def]
    import opencc

    return opencc.OpenCC("t2s")


def display_width(text: str) -> int:
    """Columns: two for a wide character, one for any other."""
    return len(text) + len(_TWO_COLUMNS.findall(text))


def tidy(text: str) -> str:
    """``text`` without layout white space: line breaks beside wide characters, or in a word at its
    hyphen, and spaces between wide characters go; any other run with a line break becomes one
    space."""
    text = text.strip()
    return re.sub(r"\s+", lambda run: _tidied(text, *run.span()), text)


def _tidied(text: str, start: int, end: int) -> str:
    run, before, after = text[start:end], text[start - 1], text[end]
    if len(run.splitlines()) > 1 or run.splitlines()[0] != run:
        hyphen = before == "-" and text[start - 2 : start - 1].isalpha() and after.islower()
        return "" if hyphen or is_wide(before) or is_wide(after) else " "
    return "" if needs_no_space(before, after) else run
