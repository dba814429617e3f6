"""Where an answer begins and ends: without stray signs, numbers with their units, and without what
the question says already."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate

from xhqa.kind import asks_number, asks_several
from xhqa.script import is_han
from xhqa.segment import is_apart, segmenter, straddles

# Signs that open or close something, or stand between clauses: not an answer's first or last.
_LEADING = " \t\n,，.。;；:：、!！?？)）]】》>”’…—-·"
_TRAILING = " \t\n,，.。;；:：、!！?？(（[【《<“‘…—-·"
# Washington, D.C.
_ABBREVIATED = re.compile(r"\b[A-Za-z]\.[A-Za-z]\.$")
PAIRS = {
    "“": "”",
    "‘": "’",
    "「": "」",
    "『": "』",
    "《": "》",
    "（": "）",
    "(": ")",
    "【": "】",
    '"': '"',
}
# What a number is not cut from: scale words and units that stand right behind it.
_UNIT = re.compile(
    r"[余多]?(?:(?:[十百万亿兆]|千(?![克米瓦卡帕]))+[余多]?)?"
    r"(?: (?:hundred|thousand|million|billion|trillion)\b)?"
    r"(?P<unit>平方(?:公里|千米|米)|立方米|[公英]里|[厘毫]米|千[米克瓦卡]|公斤|毫[升克]|公顷|小时|分钟|"
    r"世纪|周年|个百分点|部分|层次|"
    # 2008年 | 代表
    r"(?<=[0十])年代|个月|"
    r"人次|美元|欧元|日元|港元|[%％‰℃]|[个家年月日号时分秒天岁元米亩吨斤台款户人座条层名倍次届位项所栋间"
    r"套件部张首本页种只头辆艘架度])?"
)
# After a sign of currency, or below zero, a number begins with it.
_SIGNED = re.compile(r"[$¥￥€£]|-(?=\d[\d.]*\s?[℃°度%％])")
# Units, whatever word they might begin with what follows: 30个 | 人, 2008年 | 代表.
_SURE_UNITS = tuple("个种年月日号时分秒天")

# 数百 | 家, but not 张大千 | 家里.
_NUMERIC = re.compile(
    r"\d$|(?:[\d\s零〇一二三四五六七八九十百千万亿两数几上近余多成半]|^)[百千万亿]$"
)

# 第 | 一: an ordinal is not cut. Of 22,491 training answers 192 begin with one, 9 behind its 第.
_ORDINAL = re.compile(r"\d+|[一二三四五六七八九十百千两]+")

# Numbers that share what they count: 一、二村.
_MORE = re.compile(
    r"(?<=[\d一二三四五六七八九十])(?:、(?:\d+|[一二三四五六七八九十]+))+(?=[\u4e00-\u9fff])"
)
# The last word in front of those is a numeral: not 品种单一、一次性投入大.
_NUMERALS = re.compile(r"(?:第|周|星期|[一二三四五六七八九十百千万\d])+")

# What leads from the subject to the answer, and what may stand among the words of the question in
# front of it: 产品 | 主要 | 包括 | 米果.
_LEADS = re.compile("[是为在于由如即]|包括|包含|分为|用于")
_AMONG = re.compile(
    "[的了都也则而其该这此他她它最曾已还又并就多均被可能共,，]|主要|通常|一般|大多|分别|可以|大约|他们|不仅"
)
# Where an answer begins or ends with one of these it is as good without; with 在 only where a place
# or a time is asked for: 在路上 may be a title.
_FIRST, _LAST = re.compile("[是指呈]|由于"), re.compile("[的起]")
_FIRST_OF_PLACE = re.compile("[是在指呈]|由于")
_ASKS_WHERE = re.compile(
    r"哪|何[时处地]|什么(?:地方|时候|位置)|几[点时月号日]|\b(?:where|when)\b", re.I
)
# Of what is to be done the last step often says what for.
_ASKS_HOW = re.compile(r"如何|怎|步骤|流程|手续|[方办]法|\bhow\b", re.I)
# 在哪座山, 最南的镇叫什么: where such a sign stands right behind the answer it is part of the name.
_KINDS = "镇区县市省州郡乡村路街站桥湖河江山岛国族队校系院馆寺庙塔楼厅线奖科属目"
_ASKS_KIND = (
    re.compile(f"(?:哪|什么|何)[一个座条所些两几]*([{_KINDS}])"),
    re.compile(f"([{_KINDS}])(?:(?:叫|叫做|名叫)(?:什么|啥)|是哪一?[个座条所]?[?？]?$)"),
)
# Who asks so already says 人.
_ASKS_ORIGIN = re.compile("(?:哪[里儿]|什么地方|何[处地])人")
# What is measured, in front of a number but for what belongs to that: 体长可达 | 约35公分.
_OF_NUMBER = (
    "大?约(?![有为])|将?近|[超逾最不第每负前两半数]|至[多少]|[多少高低大小]于|零下|"
    "[一二三四五六七八九十百千万亿]"
)
_MEASURED = re.compile(
    rf"(?:(?!{_OF_NUMBER})[\u4e00-\u9fff])*?(?:[达为有长高深宽重共：:]|相当于|总[量额数价值]|[均售]价|人口|(?<!人均)面积)"
    rf"(?=(?:{_OF_NUMBER})*过?[$¥￥€£]?\d)"
)
# 成人票为50元，儿童票为25元: each number with what it is of.
_ANOTHER = re.compile(r"(?:[，；;、和与及/ ]|,(?!\d)).*\d")

# What leads to a list, what joins its items, and what ends it.
_LISTS = re.compile(
    r"(?<![不未])包[括含](?:但不限于)?|分为|分别[为是]|例如|[，,]如|[，,]即|(?<!设)计有|(?<!建)设有(?!限)|(?<!显)著有|[：:](?!\d)|——"
)
_JOINS = re.compile("[、和与及]|》《")
_LIST_ENDS = re.compile(r"(?:[，。]|,(?!\d))(?!\s*(?:以及|还有|另有|[和与及并或也再另]|其中|最后))")
_STOPS = re.compile(r"[，。；;]|,(?!\d)")
# 甲、乙等 | 都能看到, but not 甲、乙等项目, and no 自由、平等的.
_AND_OTHERS = re.compile("等+(?=.*[的都也被])")

# Several lists, each with its kind behind it: 甲、乙等 | 学校,以及丙、丁等 | 医院.
_GROUP = re.compile(
    r"、[^，。；;,]*?(?<![高中初平同一二三特])等([^，。；;、,]{2,}?)(?:$|[，,、](?:以及|和)?|以及|[和与及])"
)
# Kinds of so many signs are hardly in a question by the way.
_LONG_KIND = 4

# A clause at the end of whose words the question has this share is no part of the answer.
_ECHO = 0.6


def tidy_edges(text: str, start: int, end: int) -> tuple[int, int] | None:
    """[start, end) less stray signs at its edges, with numbers, their units and ordinals made
    whole.

    None where nothing is left, or 第 alone, whose number the text does not have.
    """
    while start < end and _strays(text, start, end, leading=True):
        start += 1
    while end > start and _strays(text, start, end, leading=False):
        end -= 1
    if start >= end:
        return None
    if text[start].isdigit():
        while start > 0 and (text[start - 1].isdigit() or _is_point(text, start - 1)):
            start -= 1
        behind_word = start > 1 and text[start - 2].isascii() and text[start - 2].isalnum()
        start -= start > 0 and not behind_word and bool(_SIGNED.match(text, start - 1))
    if _NUMERIC.search(text[start:end].rstrip("余多")):
        while end < len(text) and (text[end].isdigit() or _is_point(text, end)):
            end += 1
        end = _past_unit(text, end)
    if text[end - 1] == "第" and (ordinal := _ORDINAL.match(text, end)):
        end = _past_unit(text, ordinal.end())
    if text[start:end] == "第":
        return None
    if text[start - 1 : start] == "第" and _ORDINAL.match(text, start):
        start -= 1
    more = _MORE.match(text, end)
    if more and _NUMERALS.fullmatch(_words(text[max(start, end - 4) : end])[-1]):
        end = _past_unit(text, more.end())
        # Of 一、三晚上 only the number.
        if end == more.end() and not straddles(text[: end + 1], text[end + 1 :]):
            end += 1
    return start, end


def concise(question: str, text: str, start: int, end: int) -> tuple[int, int]:
    """What of [start, end), tidy already, is left without what the question (folded) says itself
    and what leads on from there, 产品包括 where it asks 产品有哪些, without a copula, preposition
    or particle at its edges, without clauses at the end that repeat the question, and where a
    number or a list is asked for, without what stands in front of the number and around the list;
    of several lists the one whose kind the question names. Only a name of the kind that it asks
    for becomes longer, 华泾镇 where it asks for a 镇.

    What begins or ends inside quotation marks or brackets is a name, and stays there.
    """
    words, asked = _words(text[start:end]), {*_words(question)}
    low, high = 0, len(words)
    if text[start - 1 : start] not in PAIRS:
        low = _answer_from(words, question, asked)
        first_words = _FIRST_OF_PLACE if _ASKS_WHERE.search(question) else _FIRST
        # Of 是的 not 的 is to be left.
        while words[low + 1 : high] not in ((), ("的",)) and _leads(
            words, low, first_words, question
        ):
            low += 1
    if text[end : end + 1] not in PAIRS.values():
        # 理性的、进步的 are of one kind.
        while low < high - 1 and _LAST.fullmatch(words[high - 1]) and "的、" not in text[start:end]:
            high -= 1
    first = start + len("".join(words[:low]))
    last = start + len("".join(words[:high]))
    if asks_several(question):
        first, last = _list_in(text, *_group_in(question, text, first, last))
    elif not asks_number(question):
        last = _before_echo(question, text, first, last, asked)
        last -= bool(_ASKS_ORIGIN.search(question)) and text[last - 1] == "人"
    elif (measured := _MEASURED.match(text, first, last)) and not _ANOTHER.search(
        text, measured.end(), last
    ):
        first = measured.end()
    tidied = tidy_edges(text, first, last)
    return _whole_kind(question, text, *tidied) if tidied else (start, end)


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    return tuple(segmenter().cut(text, HMM=False))


def _group_in(question: str, text: str, start: int, end: int) -> tuple[int, int]:
    """Of several lists in [start, end) the one whose kind the question asks for, without the kind;
    all of it where there is none."""
    groups = list(_GROUP.finditer(text, start, end))
    asked = [number for number, group in enumerate(groups) if _asks_for(group[1], question)]
    if len(groups) < 2 or len(asked) != 1:
        return start, end
    group = groups[asked[0]]
    return groups[asked[0] - 1].end() if asked[0] else start, group.start(1)


def _asks_for(kind: str, question: str) -> bool:
    near = re.search(
        f"哪些{re.escape(kind)}|{re.escape(kind)}(?:都|分别|主要)*[有是]哪些", question
    )
    return near is not None or (len(kind) >= _LONG_KIND and kind in question)


def _list_in(text: str, start: int, end: int) -> tuple[int, int]:
    """The list in [start, end), or all of it where there is none."""
    first = start
    for lead in _LISTS.finditer(text, start, end):
        before = text[start : lead.start()]
        inside = any(before.count(sign) > before.count(PAIRS[sign]) for sign in "（(")
        # ，如 | 果
        cut = straddles(text[: lead.end()], text[lead.end() :])
        if inside or cut or not _JOINS.search(text, lead.end(), end):
            continue
        between = text[first : lead.start()]
        if first > start and _JOINS.search(between) and re.search("、.*[；;]|^[^、]*$", between):
            # Two lists: 主角：甲和乙；配角：丙和丁.
            return start, end
        if "、" not in before:
            first = lead.end()
    for stop in _LIST_ENDS.finditer(text, first, end):
        if "、" in text[first : stop.start()] and "、" not in text[stop.end() : end]:
            end = stop.start()
            break
    for others in _AND_OTHERS.finditer(text, first, end):
        if "、" in text[first : others.start()] and is_apart(text, *others.span()):
            return first, others.end()
    return first, end


def _whole_kind(question: str, text: str, start: int, end: int) -> tuple[int, int]:
    """华泾 | 镇 whole where the question asks for a 镇, but not 巴西 | 国旗."""
    bounds = {*accumulate(map(len, _words(question)))}
    for form in _ASKS_KIND:
        for asked in form.finditer(question):
            kind = asked[1]
            # 哪个国家队 asks for no 国.
            if asked.end(1) in bounds and text[end - 1] != kind:
                return start, end + (_words(text[end : end + 4])[:1] == (kind,))
    return start, end


def _before_echo(question: str, text: str, start: int, end: int, asked: Collection[str]) -> int:
    """Where the clauses begin that only repeat the question's words, or ``end``."""
    if _ASKS_HOW.search(question):
        return end
    for stop in _STOPS.finditer(text, start + 1, end):
        words = [word for word in _words(text[stop.end() : end]) if len(word) > 1]
        if words and sum(word in asked for word in words) >= _ECHO * len(words):
            return stop.start()
    return end


def _answer_from(words: Sequence[str], question: str, asked: Collection[str]) -> int:
    """How many words in front are the question's and what leads on from them."""
    found, shared = 0, False
    for number, word in enumerate(words[:-1]):
        if shared and _leads(words, number, _LEADS, question):
            found = number + 1
        if word in asked:
            shared = True
        elif not (_AMONG.fullmatch(word) or _LEADS.fullmatch(word)):
            break
    return found


def _leads(words: Sequence[str], at: int, which: re.Pattern[str], question: str) -> bool:
    """Whether the word is one of these, and not the beginning of a name that the question has."""
    return bool(which.fullmatch(words[at])) and words[at] + words[at + 1][0] not in question


def _strays(text: str, start: int, end: int, leading: bool) -> bool:
    """Whether the sign at this edge does not belong to the answer."""
    char = text[start] if leading else text[end - 1]
    inner = text[start:end]
    if char == '"':
        count = inner.count('"')
        return count % 2 == 1 or (count == 2 and inner[0] == inner[-1])
    for opening, closing in PAIRS.items():
        if char == opening:
            if not leading:
                return True
            whole = inner.find(closing) == len(inner) - 1 and opening in "“‘「『"
            return closing not in inner or whole
        if char == closing:
            if leading:
                return True
            whole = inner[0] == opening and inner.find(closing) == len(inner) - 1
            return opening not in inner or (whole and opening in "“‘「『")
    if not leading and char == "." and _ABBREVIATED.search(inner):
        return False
    return char in (_LEADING if leading else _TRAILING) and not (
        char == "-" and leading and inner[1:2].isdigit()
    )


def _is_point(text: str, at: int) -> bool:
    """A decimal point or a thousands comma: a digit on both sides."""
    return (
        text[at] in ".,"
        and 0 < at < len(text) - 1
        and text[at - 1].isdigit()
        and text[at + 1].isdigit()
    )


def _past_unit(text: str, end: int) -> int:
    at = end + 1 if text[end : end + 1] == " " and is_han(text[end + 1 : end + 2] or " ") else end
    match = _UNIT.match(text, at)
    if match is None or match.end() == at:
        return end
    # 30人 | 才公寓
    unit = match["unit"]
    if unit and unit not in _SURE_UNITS and straddles(text[: match.end()], text[match.end() :]):
        return match.start("unit") if match.start("unit") > at else end
    return match.end()
