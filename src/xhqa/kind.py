"""What kind of thing a question asks for, and whether a text has it or an answer is it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from xhqa.script import fold
from xhqa.segment import straddles

_ASKS_TIME = re.compile(
    r"哪一?[年天月]|何时|什么时[候间]|几[月号日]|when\b|(?:what|which) (?:year|month|date|day)",
    re.I,
)
_ASKS_NUMBER = re.compile(
    r"多少|第?几[个家年台款户人座条号层名]|多[大长高久远重]|比例|百分|面积|占比|"
    r"how (?:many|much|big|large|long|old|tall|far)|"
    r"(?:what|which) (?:share|percent|number|proportion)",
    re.I,
)
_TIME = re.compile(r"\d\s*[年月日号]|[一二三四五六七八九十]+[年月日]|\b(?:1\d|20)\d\d\b|年代|世纪")
_NUMBER = re.compile(r"\d|[一二三四五六七八九十百千万亿两]+[余多]?[个家年月日台款户人座条层名倍平]")

# Units by what they measure, the first that fits counts: 个月 before 个.
_UNITS = (
    r"(?P<share>[%％‰]|percent\b|成|个百分点)"
    r"|(?P<money>[美欧日港澳韩台]?[元币圆]|美金|人民币|英?镑|法郎|卢[布比]|比索|块(?=[钱\W]|$)|钱|(?:dollar|euro|pound|yuan|cent)s?\b)"
    r"|(?P<area>平方(?:公里|[千分厘毫]?米)?|公顷|亩|(?:square|hectare|acre)s?\b)"
    r"|(?P<volume>立方(?:[分厘毫]?米)?|毫?升)"
    r"|(?P<length>公里|千米|[厘毫分海]?米|英[里尺寸]|里|(?:kilo|centi|milli)?met(?:er|re)s?\b|[kcm]?m\b|"
    r"(?:mile|inch|yard)s?\b|f(?:ee|oo)t\b)"
    r"|(?P<weight>吨|[公千毫]?[斤克]|(?:tonne|ton|kilogram|gram)s?\b|k?g\b)"
    r"|(?P<time>个?[半多]?(?:工作日|小时|月|世纪|星期|季度|学期|赛季)|年|日|天|周(?!岁)|分钟?(?![比之])|秒|(?:year|month|week|day|hour|minute)s?\b)"
    r"|(?P<age>周?岁)"
    r"|(?P<people>[名位]|人[口员次士]?)"
    r"|(?P<households>户|个?家庭|(?:households?|famil(?:y|ies))\b)"
    r"|(?P<firms>家)"
    r"|(?P<count>[个台座条层部张首本页种只头辆艘架所项场届次栋间套件款例])"
)
# Possessive, and begun only where a number begins: a long one is gone through once.
_MEASURED = re.compile(
    r"(?:(?<!\d)(?<!\d[,.])\d[\d,.]*+|(?<![一二三四五六七八九十百千两万亿数])"
    r"[一二三四五六七八九十百千两万亿数]++)\s*+[余多几]?(?:个(?=[万亿]))?+[十百千万亿兆]*+[余多]?\s*+"
    # 3个亿 may be of anything.
    rf"(?:thousand|million|billion)?\s*+(?:{_UNITS}|(?P<any>(?<=[万亿])))",
    re.I,
)
_ASKS_UNIT = re.compile(rf"(?:多少|几|how many)\s*[十百千万亿]*(?:{_UNITS})", re.I)
_ASKS_COUNT = re.compile(
    rf"多少|百分之几|(?<![第哪这那近前后些过举列出])几(?!月)\s*[十百千万亿]*(?:{_UNITS})|"
    r"how (?:many|much)\b",
    re.I,
)
# What a size is stated in; other things that are counted say less of it.
_SIZES = "area", "volume", "length", "weight", "age", "time", "money", "share", "people"
_COUNTS = frozenset({"count", "firms", "households"})
_SIZE = re.compile(r"多大(?![学比份程])|how (?:big|large)\b", re.I)
# The same where no unit stands behind the number. What is asked for so may be answered without one
# unless _ASKS_COUNT says otherwise: 次子, 永久.
_ASKS_BEFORE = (
    (
        "share",
        re.compile(r"百分之[几多]|多少百分|比例|(?:what|which) (?:share|percent|proportion)", re.I),
    ),
    ("money", re.compile(r"how much money", re.I)),
    ("time", re.compile(r"多久|多长时间|how long\b", re.I)),
    ("length", re.compile(r"多久|how long\b", re.I)),
    ("age", re.compile(r"多久|how long\b", re.I)),
    *((kind, re.compile(r"第几")) for kind in ("count", "people")),
    *((kind, _SIZE) for kind in _SIZES),
)
_BEFORE = (
    ("share", re.compile("百分之")),
    ("money", re.compile(r"[$¥￥€£]\s*\d")),
    # 每月一次 is an answer to 多久一次.
    ("time", re.compile(r"每个?(?:[年月周日天]|季度?|星期|小时|学期)")),
)
# With a unit of time in front these are words (年底, 日前), and it is a unit all the same.
_ABOUT_TIMES = tuple("来前后内底间初末中以")
# What is counted may be counted in other words: 几个人, 11位. Households go by 户 and 家 alone.
_ALSO = {
    "count": {"people", "households", "firms"},
    "firms": {"count", "people", "households"},
    "people": {"count", "firms", "households"},
    "households": {"firms"},
}
# What asks for a list.
_ASKS_SEVERAL = re.compile(r"哪些|哪[几两二三四五六七八九十]|分别")
# What asks for things or people by name, and a bare number: 九大 for 哪几家.
_ASKS_NAME = re.compile(
    r"哪[几一些两二三四五六七八九十]?[个些家位所座名种类项款支部本](?![年月天日]|世纪|版本|数|号码)|谁"
)
# What asks for a way to do something, and a number with its unit, which is none.
_ASKS_WAY = re.compile(
    r"\bhow (?:to|(?:do|can|could|should|would|may|might) (?:i|you|we|one|people))\b", re.I
)
_ONE_NUMBER = re.compile(r"(?!\d+$)(?:[约近逾]|超过?)?\d[\d,.]*[百千万亿]*[余多]?[^\W\d]{0,3}")
# Digits alone may be a name: 12345.
_BARE_NUMBER = re.compile(
    r"(?!\d+$)[约近超]?(?=[\d一二两三四五六七八九十])(?:\d[\d,.]*)?(?:[一二两三四五六七八九]?[十百千万亿])*"
    r"[一二两三四五六七八九]?[余多]?[大个家位名所座种类项款支部本]?"
)
# What asks how long something takes, and a date, which is no answer to that. Of 546 training
# questions that ask so none is answered with one.
_LASTS = re.compile(r"多久(?!以?前)|多长时间|how long\b", re.I)
_DATE = re.compile(r"(?:1\d|20)\d\d年(?:\d\d?月)?(?:\d\d?[日号])?|\d\d?月\d\d?[日号]")
# What asks for a year or a month, and what an answer has of it.
_DATES = (
    (
        re.compile(r"(?:哪一?|何)年(?![级代])|(?:what|which) year\b", re.I),
        re.compile(
            r"年|世纪|[代朝初末期]|十[一二三四五六]五|\d{2,4}(?!\s*[月日号\d])|"
            r"\b(?:year|century)\b",
            re.I,
        ),
    ),
    (
        re.compile(r"几月|哪一?个?月|(?:what|which) month\b", re.I),
        re.compile(
            r"月|\d{4}[-./]\d{1,2}|\d{1,2}/\d{4}|"
            r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
            re.I,
        ),
    ),
)
# With one of these a question is not after the number in it.
_ASKS_OTHERWISE = re.compile(
    "什么|哪|谁|为何|何[时处地年月日人]|几时|怎|如何|"
    "(?:[号码址箱级型]|(?:默认|缺省|初始|推荐)值|参数|车牌|版本)(?:是|为)?多少"
)
# Nor with one of these after the date in it alone.
_ASKS_BESIDES = re.compile("什么|哪[里个些几位种]|谁|为何|何[处地人]|怎|如何|多少|几(?!月)")
# Words of closed classes that say how many without a numeral are among them: 全部, 免费, once.
_NUMERAL = re.compile(
    r"[\d一二三四五六七八九十百千万亿两零〇半首无壹贰叁肆伍陆柒捌玖拾廿俩仨双单全每各]|所有|[大多少]数|"
    r"大?部分|[多数][家名位个种人次项条]|若干|没有|免费|分文|翻番|满分|"
    r"\b(?:once|twice|thrice|every|each|majority|minority|doubled|tripled|free|pair|couple|quarter|"
    r"third|an? (?:decade|century|year|month|week|day|hour)|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|"
    r"eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|"
    r"(?:m|b|tr)illions?|dozens?|half|several|many|few|most|all|none|both|no)\b",
    re.I,
)


def holds_kind(question: str, text: str) -> bool:
    """Whether the question asks for a time or a number and ``text`` has one."""
    question = fold(question)
    if _ASKS_TIME.search(question):
        return bool(_TIME.search(text))
    return bool(_ASKS_NUMBER.search(question) and _NUMBER.search(text))


def misses_kind(question: str, answer: str) -> float:
    """1 where a question after a number has an answer without any, or with numbers of nothing but
    other kinds of units, 1330台 for 多少钱, one after a duration a date, one after a year or a
    month an answer without it, one after things by name a bare number, one in English after a way
    to do something a number with its unit. 0.5 where things are counted that a size is asked of,
    40个 for 多大, or a share is given of what is counted, 52% for 多少人. Else 0."""
    asked = _asked(question)
    answer = fold(answer).strip()
    if asked is None:
        return float(bool(_ASKS_WAY.search(question) and _ONE_NUMBER.fullmatch(answer)))
    if asked.name:
        return float(bool(_BARE_NUMBER.fullmatch(answer)))
    if asked.number and not _NUMERAL.search(answer):
        return 1.0
    if _LASTS.search(question) and _DATE.fullmatch(answer):
        return 1.0
    given = _kinds(answer, _MEASURED, _BEFORE)
    if asked.dates:
        other = given and "time" not in given
        return float(bool(other) or not any(date.search(answer) for date in asked.dates))
    if not asked.kinds or not given or given & (asked.kinds | {"any"}):
        return 0.0
    of_counted = given == {"share"} and not asked.kinds.isdisjoint({*_COUNTS, "people"})
    return 0.5 if of_counted or (asked.size and given <= _COUNTS) else 1.0


def asks_number(question: str) -> bool:
    """Whether the question asks how many or how large."""
    asked = _asked(question)
    return asked is not None and bool(asked.number or asked.kinds)


def asks_several(question: str) -> bool:
    """Whether the question (folded) asks for more than one thing."""
    return bool(_ASKS_SEVERAL.search(question))


class _Asked(NamedTuple):
    """What a question is after: whether a number, the kinds of units as far as it says, what an
    answer must hold one of, whether things by name, and whether a size."""

    number: bool
    kinds: frozenset[str]
    dates: tuple[re.Pattern[str], ...] = ()
    name: bool = False
    size: bool = False


@lru_cache(maxsize=256)
def _asked(question: str) -> _Asked | None:
    """None if it is after none of these."""
    question = fold(question)
    number = bool(_ASKS_COUNT.search(question))
    if not _ASKS_OTHERWISE.search(question):
        units = _kinds(question, _ASKS_UNIT, ())
        kinds = _kinds(question, _ASKS_UNIT, _ASKS_BEFORE).union(*(_ALSO.get(u, ()) for u in units))
        if number or any(pattern.search(question) for _, pattern in _ASKS_BEFORE):
            return _Asked(number, kinds, size=bool(_SIZE.search(question)))
    if _ASKS_NAME.search(question) and not number and not _ASKS_TIME.search(question):
        return _Asked(False, frozenset(), name=True)
    if _ASKS_BESIDES.search(question):
        return None
    dates = tuple(held for asks, held in _DATES if asks.search(question))
    return _Asked(False, frozenset(), dates) if dates else None


def _kinds(
    text: str, with_unit: re.Pattern[str], before: tuple[tuple[str, re.Pattern[str]], ...]
) -> frozenset[str]:
    units = {
        match.lastgroup
        for match in with_unit.finditer(text)
        if match.lastgroup and _is_unit(text[: match.end()], text[match.end() :])
    }
    return frozenset(units | {kind for kind, pattern in before if pattern.search(text)})


def _is_unit(before: str, after: str) -> bool:
    """Whether what ``before`` ends with is no beginning of a longer word: 12家 | 分公司."""
    return after.startswith(_ABOUT_TIMES) or not straddles(before, after)
