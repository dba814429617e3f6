"""Chinese words: jieba's segmenter and tagger.

Both read the same dictionary, one after the other, and keep it in the folder that all users share
for what is temporary. Here it is read once for both and kept in xhqa's own cache.
"""

from __future__ import annotations

import io
import logging
import marshal
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xhqa.errors import XhqaError
from xhqa.script import is_han

if TYPE_CHECKING:
    import jieba

_FILE = "words"
Words = tuple[dict[str, int], dict[str, str], int]
"""Word → frequency, 0 for what is only a word's beginning; word → part of speech; the sum of the
frequencies."""

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _dictionary() -> Words:
    """jieba's dictionary, out of the cache where that can be used: it saves half a second."""
    from xhqa.cache import cached
    from xhqa.config import load_settings

    def write(folder: Path) -> None:
        (folder / _FILE).write_bytes(marshal.dumps(_read()))

    name = f"jieba-{version('jieba')}-{sys.implementation.cache_tag}"
    try:
        folder = cached(load_settings().cache_dir / name, write)
        # Not marshal.load: it reads a file piece by piece, which takes four times as long.
        words: Words = marshal.loads((folder / _FILE).read_bytes())
        if list(map(type, words)) != [dict, dict, int]:
            raise ValueError(f"no word lists in {folder}")
    except (XhqaError, OSError, EOFError, TypeError, ValueError) as error:
        logger.warning("jieba's words are read without the cache: %s", error)
        return _read()
    return words


def _read() -> Words:
    import jieba

    with jieba.dt.get_dict_file() as file:
        fields = file.read().decode("utf-8").split()
    words, counts = fields[::3], list(map(int, fields[1::3]))
    frequencies = dict(zip(words, counts, strict=True))
    tags = dict(zip(words, map(sys.intern, fields[2::3]), strict=True))
    length = 1
    longer = [word for word in words if len(word) > length]
    while longer:
        for beginning in {word[:length] for word in longer}:
            frequencies.setdefault(beginning, 0)
        length += 1
        longer = [word for word in longer if len(word) > length]
    return frequencies, tags, sum(counts)


@lru_cache(maxsize=1)
def segmenter() -> jieba.Tokenizer:
    """jieba's default tokenizer."""
    import jieba

    segmenter = jieba.dt
    segmenter.FREQ, _, segmenter.total = _dictionary()
    segmenter.initialized = True
    return segmenter


@lru_cache(maxsize=1)
def _tagger() -> Any:
    # Importing the module reads the dictionary: it is given an empty one.
    segmenter().get_dict_file = io.BytesIO
    try:
        import jieba.posseg
    finally:
        vars(segmenter()).pop("get_dict_file", None)
    tagger = jieba.posseg.dt
    tagger.word_tag_tab = _dictionary()[1]
    return tagger


# For a character that it does not know the tagger tries all of its states, which takes 8 ms.
_LONG, _RARE = 200, 8


def tagged(text: str) -> list[tuple[str, str]]:
    """jieba's words of ``text`` with their part-of-speech flags. Words that its dictionary does not
    hold are found in texts of usual length and characters only."""
    return list(_tagged(text))


@lru_cache(maxsize=1024)
def _tagged(text: str) -> tuple[tuple[str, str], ...]:
    tagger = _tagger()
    from jieba.posseg import char_state_tab_P

    rare = sum(char not in char_state_tab_P for char in text if is_han(char))
    unusual = len(text) > _LONG or rare > _RARE
    return tuple((pair.word, pair.flag) for pair in tagger.lcut(text, HMM=not unusual))


def frequencies() -> Mapping[str, int]:
    """How often each word of jieba's dictionary was counted."""
    return {word: count for word, count in _dictionary()[0].items() if count}


def is_apart(text: str, start: int, end: int) -> bool:
    """Whether no dictionary word runs across either edge of [start, end): not so 等 in 平等."""
    return not (straddles(text[:start], text[start:]) or straddles(text[:end], text[end:]))


def straddles(before: str, after: str) -> bool:
    """Whether a dictionary word runs across the seam of the two texts (服 | 务)."""
    left, right = before[-6:], after[:6]
    if not left or not right or not (is_han(left[-1]) and is_han(right[0])):
        return False
    at = 0
    for word in segmenter().cut(left + right, HMM=False):
        if at < len(left) < at + len(word):
            return True
        at += len(word)
    return False
