"""Question + history → readings of the question with what it leaves out filled in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from xhqa.script import alphanumeric, fold, question_script
from xhqa.segment import is_apart, tagged
from xhqa.types import Span, Turn

_MARKS = "?？。！!，, "
_ASKING = re.compile(
    r"请问|为什么|为何|什么时候|什么样|什么|怎么样|怎么|怎样|如何|多少|多[大长高久]"
    r"|哪一?[年月日天个些里儿家位所座项条两]?|何[时地]|第?几[个家年月日台款户人]?|谁|吗|呢|吧"
)
_THEN = "那么?(?![里儿边个些年天时次种位座家场段不曲])"
_ELLIPSIS = re.compile(
    rf"(?:{_THEN}|还有|至于|而|然后)?[，,\s]*(?P<topic>.{{1,30}}?)\s*呢\s*[?？]?$"
)
_OPENING = re.compile(rf"(?:{_THEN}|还有(?!哪|什么|谁|多少)|然后)[，,\s]*(?=.)")
_PERSON = re.compile(r"(?<![其吉维利排])(?:他们|她们|他(?![们日山人乡杀国汀])|她(?!们))")
_THING = re.compile(r"它们|它|那里|那儿|这里|这儿")
_POINTING = re.compile(r"^(?:这|那(?!不|曲)|其(?!他|它|实)|该|此|上述|前者|后者|里面)")
_PERSON_FLAGS = frozenset({"nr", "nrt", "nrfg"})
_NAME_FLAGS = _PERSON_FLAGS | {"ns", "nt", "nz", "eng", "j"}
_NOUN_FLAGS = ("n", "t", "s", "j", "l", "i", "eng", "vn", "an", "f", "x")
_COUNTERS = frozenset("个家座台户款项所名位条种层张届部件")
_MEASURE = re.compile(
    r"[约近超过]*(?P<number>[\d一二三四五六七八九十百千万亿余多两.,%\s]+)(?P<unit>\S{0,4})"
)
# What numbers that stand for something are counted by: 2022年, 第3条.
_NUMBERED = frozenset("年月日号条章节期届")
# What stands behind a subject, or what somebody has.
_BEHIND_NOUNS = frozenset("是为的")
# What is left at the end of a question without its asking words, and says nothing.
_COPULAS = frozenset("是有在为叫达了由的")
# Who asks what something is goes on about that, not about what it was said to be.
_DEFINES = re.compile(
    r"(?:什么是(?P<thing>[^的]+)|(?P<such>[^的]+)是什么)|谁是(?P<who>[^的]+)|(?P<he>[^的]+)是谁"
)
# A question whose answer a pronoun may stand for: 它 for no place, 他 for somebody.
_NO_DATE = "(?!一?[年月日天])"
_ANSWERED = {
    "person": re.compile(r"谁|哪位|哪个人|什么人|\bwho\b", re.IGNORECASE),
    "place": re.compile(rf"哪{_NO_DATE}|什么地方|何[处地]|\b(?:where|which)\b", re.IGNORECASE),
    "thing": re.compile(
        rf"哪{_NO_DATE}(?![里儿位]|个人)|什么(?!时候|地方|人)|\bwhich\b", re.IGNORECASE
    ),
    "several": re.compile(
        rf"谁|哪{_NO_DATE}(?![里儿])|什么(?!时候|地方)|\b(?:who|which)\b", re.IGNORECASE
    ),
}
# A question that names nothing and has no more noun characters than this leans on the last one.
_BARE_NOUN_CHARACTERS = 4
_BARE_LENGTH = 14
_FRAGMENT_LENGTH = 8

_ENGLISH_ELLIPSIS = re.compile(
    r"(?:and|but|or|(?:and )?what about|(?:and )?how about)\b[\s,]*(?P<topic>.+?)[\s?]*$",
    re.IGNORECASE,
)
_ENGLISH_PRONOUN = re.compile(
    r"\b(?:[Ii]t|[Ii]ts|[Tt]hey|[Tt]hem|[Tt]heir|[Hh]e|[Hh]im|[Hh]is|[Ss]he|[Hh]er)\b"
    r"|(?<![Aa]re )(?<![Ii]s )(?<![Ww]as )(?<![Ww]ere )(?<![Hh]a[sd] )(?<![Hh]ave )(?<![Ww]ill )"
    r"\bthere\b(?! (?:is|are|was|were|will|ha[sd]|have)\b)"
)
# What a possessive behind it may belong to: how does | the company | protect its data.
_ENGLISH_OWN = re.compile(r"\b(?:the|an?|this|that|every|each|most|all) \w|(?<=\s)[A-Z]\w")
_ENGLISH_OWNED = re.compile(
    r"\s+(?!(?:in|on|at|by|to|for|from|with|after|before|when|about|as|and|or|during)\b)\w"
)
_ENGLISH_DUMMY = re.compile(
    r"\bit (?:is |was |will |does )?(?:rain|snow|take)|"
    r"\b(?:is|was|will) it (?:rain|snow|true|possible)",
    re.IGNORECASE,
)
_ENGLISH_POINTING = re.compile(r"^(?:this|that|these|those)\b", re.IGNORECASE)
_ENGLISH_ASKING = re.compile(
    r"\b(?:what|who|whom|whose|which|when|where|why|how (?:many|much|long|old|big|large)|how)\b",
    re.IGNORECASE,
)
_ENGLISH_LED = re.compile(
    r"[Ww]ho (?!is\b|are\b|was\b|were\b|did\b|has\b)[a-z]+ (?=(?:the|an?) |[A-Z])"
)
_ENGLISH_AUXILIARY = re.compile(r"\b(?:is|are|was|were|does|do|did|has|have|had)\b", re.IGNORECASE)
# What earlier turns may add: more would crowd out the question itself.
_REACH = 200
# A pronoun later than this many words usually stands for something in its own question.
_PRONOUN_REACH = 5
_BARE_ENGLISH_WORDS = 4
# What it costs a span, in logits, to say what was answered before, and the share of a question that
# is known from an earlier one where it asks the same again.
_SAID_COST = 6.0
_AGAIN = 0.8


def readings(question: str, history: Sequence[Turn]) -> tuple[str, ...]:
    """Standalone readings of ``question`` after ``history`` (oldest first), most likely first.

    Empty where the question stands alone. It may be generous: whoever asks them also asks the
    question as it stands and keeps the best supported.
    """
    return _readings(question, history)[0]


def leans(question: str, history: Sequence[Turn]) -> bool:
    """Whether the question's own words show that it leans on what was said (它, 那…呢, "And …?").

    One that is only short may as well stand alone.
    """
    return _readings(question, history)[1]


def standalone(question: str, history: Sequence[Turn]) -> str:
    """The most likely reading; ``question`` itself where it does not show that it leans."""
    found, leaning = _readings(question, history)
    return found[0] if found and leaning else question.strip()


def unsaid(question: str, spans: Sequence[Span], history: Sequence[Turn]) -> list[Span]:
    """The spans, best first, less a cost for those that an earlier turn was answered with: who asks
    on asks for something else, unless the question says little that the earlier one does not."""
    said = {
        alphanumeric(turn.answer)
        for turn in history
        if turn.answer and not _asks_again(question, turn.question)
    }
    weighed = (
        replace(
            span,
            score=span.score
            - _SAID_COST * (alphanumeric(span.chunk.text[span.start : span.end]) in said),
        )
        for span in spans
    )
    return sorted(weighed, key=lambda span: -span.score)


def _asks_again(question: str, before: str) -> bool:
    """Whether nearly all characters of the question's nouns are in the one before, or whether it
    has none and asks in the same words: 它有多少？"""
    question, before = fold(question).lower(), fold(before).lower()
    nouns = "".join(
        word for word, flag in tagged(_ASKING.sub(" ", question)) if flag.startswith(_NOUN_FLAGS)
    )
    nouns = "".join(filter(str.isalnum, nouns))
    if not nouns:
        return set(_ASKING.findall(question)) <= set(_ASKING.findall(before))
    return sum(char in before for char in nouns) >= _AGAIN * len(nouns)


def _readings(question: str, history: Sequence[Turn]) -> tuple[tuple[str, ...], bool]:
    if not history:
        return (), False
    question = " ".join(question.split())
    before = standalone(history[-1].question, history[:-1])
    find = _chinese if question_script(question) == "han" else _english
    found, leaning = find(question, before[-_REACH:], history)
    return tuple(reading for reading in dict.fromkeys(found) if reading != question), leaning


def _chinese(question: str, before: str, history: Sequence[Turn]) -> tuple[list[str], bool]:
    folded = fold(question)
    ellipsis = _ELLIPSIS.match(folded)
    if ellipsis and not _ASKING.search(ellipsis["topic"]) and len(ellipsis["topic"]) > 1:
        topic = question[slice(*ellipsis.span("topic"))]
        return [*_topic_readings(before, topic, history), f"{_topic(before)}，{topic}"], True
    opening = _OPENING.match(folded)
    rest = question[opening.end() :] if opening else question
    if found := _pronoun(rest):
        start, end, kind = found
        stand_in = _antecedent(history, before, kind)
        own = _PERSON_FLAGS if kind == "person" else _NAME_FLAGS
        # 李白为什么离开他的家乡: whom it stands for is named in front.
        named = any(flag in own for _, flag in tagged(fold(rest[:start])))
        replaced = rest[:start] + stand_in + rest[end:]
        return [replaced, f"{_topic(before)}，{rest}"], not named
    bare = _is_bare(folded)
    leaning = bool(opening or _POINTING.match(folded)) or (bare and _lacks_subject(folded))
    if leaning or bare:
        return [f"{_topic(before)}，{rest}", f"{_first_name(before)}，{rest}"], leaning
    return [], False


def _topic_readings(before: str, topic: str, history: Sequence[Turn]) -> list[str]:
    """Readings of what asks the same of ``topic``, or of something of what was spoken of."""
    found = _pronoun(topic)
    if found is None:
        return [_swap_topic(before, topic)]
    start, end, kind = found
    replaced = topic[:start] + _antecedent(history, before, kind) + topic[end:]
    owned = topic[end:].removeprefix("的")
    if not owned:
        return [_swap_topic(before, replaced)]
    # After 鲁迅的妻子是谁 his son may be 鲁迅's.
    return [f"{replaced}？", _swap_topic(before, owned)]


def _pronoun(text: str) -> tuple[int, int, str] | None:
    """Where the first pronoun stands that is a word of its own (not that of 犹他州), and of what
    kind it is."""
    text = fold(text)
    begins, at = set(), 0
    for word, _ in tagged(text):
        begins.add(at)
        at += len(word)
    for pattern in (_PERSON, _THING):
        for match in pattern.finditer(text):
            if match.start() in begins:
                return *match.span(), _kind_of(match.group())
    return None


def _kind_of(pronoun: str) -> str:
    """The key of ``_ANSWERED`` for a pronoun in lower case."""
    if _PERSON.fullmatch(pronoun) or pronoun in ("he", "him", "his", "she", "her"):
        return "person"
    if pronoun in ("那里", "那儿", "这里", "这儿", "there"):
        return "place"
    return "several" if pronoun in ("它们", "they", "them", "their") else "thing"


def _lacks_subject(question: str) -> bool:
    """Whether it is a few words that begin with no noun: 占全市多少？"""
    first, flag = next(iter(tagged(question)))
    named = flag.startswith(_NOUN_FLAGS) and not _ASKING.fullmatch(first)
    return len(question) <= _FRAGMENT_LENGTH and not named


def _is_bare(question: str) -> bool:
    if len(question) > _BARE_LENGTH or re.search(r"[\"“”「」《》]", question):
        return False
    if re.search(r"(?:是|指|叫)(?:什么|谁)|^什么是|^谁是", question):
        # Asks what a name means: the name is there, whatever the tagger makes of it.
        return False
    words = [(word, flag) for word, flag in tagged(question) if not _ASKING.fullmatch(word)]
    if any(flag in _NAME_FLAGS for _, flag in words):
        return False
    nouns = [word for word, flag in words if flag[0] in "nsil" or flag in ("vn", "an")]
    return sum(map(len, nouns)) <= _BARE_NOUN_CHARACTERS


def _antecedent(history: Sequence[Turn], before: str, kind: str) -> str:
    """What a pronoun stands for: the last answer that is a name (for persons: to a question that
    asked who), else what the last question is about."""
    for turn in reversed(history):
        asked = fold(turn.question)
        if defined := _defined(asked):
            return defined
        if (
            _ANSWERED[kind].search(asked)
            and turn.answer
            and len(turn.answer) <= 24
            and not re.search("[。！？!?；;]", turn.answer)
            and not _is_measure(turn.answer)
        ):
            return turn.answer
        if not (_PERSON if kind == "person" else _THING).search(asked):
            break
    return _first_name(before)


def _is_measure(answer: str) -> bool:
    """Whether an answer is a number with its unit, and not 百度 or 三一重工."""
    answer = fold(answer)
    found = _MEASURE.fullmatch(answer)
    if found is None or any(char.isdigit() for char in found["number"]):
        return found is not None
    words = tagged(answer[found.start("number") :])
    return words[0][1] == "m" and not (len(words[-1][0]) > 1 and words[-1][1].startswith("v"))


def _defined(asked: str) -> str | None:
    """What a question asks for a definition of, 区块链 in 什么是区块链; 谁是校长 asks for none."""
    found = _DEFINES.fullmatch(asked.strip(_MARKS))
    if found is None or _pronoun(asked):
        return None
    what = found[found.lastgroup or 0].strip()
    person = found.lastgroup in ("who", "he")
    if person and not all(flag in _PERSON_FLAGS for _, flag in tagged(what)):
        return None
    return what


def _first_name(before: str) -> str:
    """The first noun phrase of a question: mostly what it is about."""
    if question_script(before) != "han":
        # Who leads | the institute
        led = _ENGLISH_LED.match(before)
        return _english_topic(before[led.end() :] if led else before)
    phrases = [before[a:b] for a, b in _noun_runs(before)]
    return next((phrase for phrase in phrases if len(phrase) > 1), _topic(before))


def _topic(before: str) -> str:
    """The last question less its asking words."""
    if question_script(before) != "han":
        return _english_topic(before)
    asked = fold(before)
    # The one in 酒吧 asks nothing.
    spans = [match.span() for match in _ASKING.finditer(asked) if is_apart(asked, *match.span())]
    topic, at = "", 0
    for start, end in spans:
        topic += before[at:start]
        at = end
    topic = (topic + before[at:]).strip(_MARKS)
    words = [word for word, _ in tagged(topic)]
    while words and words[-1] in _COPULAS:
        words.pop()
    return "".join(words).strip("的" + _MARKS) or before


def _swap_topic(before: str, topic: str) -> str:
    """``before`` with the noun phrase most like ``topic``, or else its first, replaced by it."""
    if question_script(before) != "han":
        return f"{topic}：{before}"
    runs = [run for run in _noun_runs(before) if run[1] - run[0] > 1]
    if not runs:
        return f"{topic}，{before}"

    def likeness(run: tuple[int, int]) -> float:
        # 公司的 | 收入: the last is what is asked for.
        last = 0.1 * before[: run[0]].endswith("的")
        return _likeness(fold(before[slice(*run)]), fold(topic)) + last

    start, end = max(runs, key=likeness)
    # 多少家企业: 家 counts, it does not name.
    if fold(before[:start]).endswith(("多少", "几")) and before[start] in _COUNTERS:
        start += 1
    return before[:start] + topic + before[end:]


def _noun_runs(text: str) -> list[tuple[int, int]]:
    """Where nouns stand side by side, and numbers with what they are counted by."""
    runs: list[tuple[int, int]] = []
    at, numbered = 0, False
    text = fold(text)
    for word, flag in tagged(text):
        end = at + len(word)
        goes_on = bool(runs) and runs[-1][1] == at
        number = flag == "m" and word[0].isdigit()
        unit = word in _NUMBERED and goes_on and text[at - 1].isdigit()
        # 营业收入是多少: a verb to the tagger.
        named = flag == "v" and len(word) > 1 and text[end : end + 1] in _BEHIND_NOUNS
        noun = (flag.startswith(_NOUN_FLAGS) or number or named) and not _ASKING.fullmatch(word)
        # 徐汇区 | 2022年, 公司 | 上半年
        period = flag == "t" or (number and text[end : end + 1] in _NUMBERED)
        if unit or (noun and word.isalnum()):
            # 第3条 | 规定, but 5月1日.
            if goes_on and (unit or (period if numbered else not period) or (number and numbered)):
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((at - (number and text[:at].endswith("第")), end))
            numbered = unit or period
        at = end
    return runs


def _likeness(phrase: str, topic: str) -> float:
    """How much two phrases look like one kind of thing: last character, shared characters, both
    with a number, both names or both none."""
    score = 2.0 if phrase[-1] == topic[-1] else 0.0
    score += len(set(phrase) & set(topic)) / len(set(phrase) | set(topic))
    if any(c.isdigit() for c in phrase) and any(c.isdigit() for c in topic):
        score += 1.0
    names = [any(flag in _NAME_FLAGS for _, flag in tagged(text)) for text in (phrase, topic)]
    return score + 0.5 * (names[0] == names[1])


def _english(question: str, before: str, history: Sequence[Turn]) -> tuple[list[str], bool]:
    ellipsis = _ENGLISH_ELLIPSIS.match(question)
    rest = ellipsis["topic"] + "?" if ellipsis else question
    pronoun = None if _ENGLISH_DUMMY.search(rest) else _ENGLISH_PRONOUN.search(rest)
    if pronoun and len(rest[: pronoun.start()].split()) <= _PRONOUN_REACH:
        word, ahead = pronoun.group().lower(), rest[: pronoun.start()]
        stand_in = _antecedent(history, before, _kind_of(word))
        # 她 where nothing follows that could be hers.
        owns = word in ("its", "their", "his") or (
            word == "her" and bool(_ENGLISH_OWNED.match(rest, pronoun.end()))
        )
        if owns:
            stand_in += "'s"
        replaced = ahead + stand_in + rest[pronoun.end() :]
        # How does the company protect its data: whose it is, is said in front.
        named = owns and bool(_ENGLISH_OWN.search(ahead))
        return [replaced, f"{_topic(before)}: {rest}"], not named
    if ellipsis and not _ENGLISH_ASKING.match(rest):
        return [f"{rest.rstrip('?')}: {before}", f"{_topic(before)}: {rest}"], True
    words = re.findall(r"\w+", question)
    named = any(word[0].isupper() or word[0].isdigit() for word in words[1:])
    bare = len(words) <= _BARE_ENGLISH_WORDS and not named
    leaning = bool(ellipsis or _ENGLISH_POINTING.match(question))
    if leaning or bare:
        return [f"{_topic(before)}: {rest}"], leaning
    return [], False


def _english_topic(before: str) -> str:
    topic = _ENGLISH_AUXILIARY.sub(" ", _ENGLISH_ASKING.sub(" ", before))
    return " ".join(topic.replace("?", " ").split()) or before
