"""A deterministic encoder: the unit suite needs no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xhqa.index import Change, Changing, Entry
from xhqa.lexical import tokenize
from xhqa.tokenizer import Encoding


def only(entries: Sequence[Entry]) -> Changing:
    """What makes an index hold these documents and no other."""
    return lambda held: Change(entries, keep=lambda one: False)


class CharacterTokenizer:
    """A token a character. Its id is its code point, or 4 and more by its place in ``characters``,
    3 where it is none of them."""

    def __init__(self, characters: str = "") -> None:
        self.characters = characters

    def encode(self, text: str) -> Encoding:
        offsets = [(n, n + 1) for n in range(len(text))]
        return Encoding([self.id_of(char) for char in text], offsets)

    def count(self, text: str) -> int:
        return len(text)

    def id_of(self, char: str) -> int:
        return self.characters.find(char) + 4 if self.characters else ord(char)


class HashEncoder:
    """A bag of hashed words as a unit vector: near texts share words. Counts what it embeds."""

    name = "hash"
    fingerprint = "hash-1"
    dimension = 256
    max_tokens = 512

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._encode(texts)

    def encode_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.embedded.extend(texts)
        return self._encode(texts)

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
        alone = [
            self._encode([text[start:end] for start, end in ranges])
            for text, ranges in zip(texts, parts, strict=True)
        ]
        return self.encode_passages(texts), alone

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    def _encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            row[0] = 0.1
            for word in tokenize(text):
                digest = hashlib.sha256(word.encode()).digest()
                row[1 + digest[0] % (self.dimension - 1)] += 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
