"""A question that is not in Chinese, with what Chinese passages have for its words."""

from __future__ import annotations

import re

from xhqa.dictionary import Translator
from xhqa.lexical import query_tokens
from xhqa.script import question_script

# A translation is trusted from half a sense of a word on (united → 美国), and where it is longer
# than one character, which stand in too many words.
_TRUST = 0.5
_LENGTH = 2


class Hints:
    """Of a question's words that name something the translations; none where it is in Chinese."""

    def __init__(self, question: str, translator: Translator) -> None:
        self._question = question
        foreign = question_script(question) != "han"
        words = query_tokens(question) if foreign else ()
        self._chinese = [
            {
                chinese: trust
                for chinese, trust in alternatives.items()
                if chinese != word and trust >= _TRUST and len(chinese) >= _LENGTH
            }
            for word, alternatives in zip(words, translator.alternatives(words), strict=True)
        ]
        self._readings = [translator.romanised(word) for word in words]

    def __bool__(self) -> bool:
        return any(self._chinese) or any(self._readings)

    def before(self, text: str) -> str:
        """The question behind those of its words' translations that stand in ``text``, of each word
        the most trusted, then longest: which of a word's senses is meant the passage tells. A name
        in pinyin stands in it in characters that are read so."""
        found: dict[str, None] = {}
        for chinese, reading in zip(self._chinese, self._readings, strict=True):
            there = [(trust, len(word), word) for word, trust in chinese.items() if word in text]
            if there:
                found[max(there)[2]] = None
            elif reading and (name := re.search(reading, text)):
                found[name.group()] = None
        return " ".join([*found, self._question])
