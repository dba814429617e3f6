"""Searching and reading an index in a Milvus."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from xhqa.errors import BusyError, NotFoundError
from xhqa.index.milvus_rows import (
    K1,
    META,
    B,
    Header,
    Names,
    any_of,
    document_of,
    header_of,
    joined,
    key_of,
    passage_of,
    words_field,
)
from xhqa.index.protocol import Candidates
from xhqa.store import Vectors
from xhqa.types import Chunk, Document, DocumentInfo

# Contents that are kept in memory: passages and texts.
_KEPT_PASSAGES = 2048
_KEPT_TEXTS = 256
_AT_ONCE = 500
# Rows that the engine gives at most for one query.
_MOST = 16_384
# How long a word's frequency is taken for what it is, in seconds.
_FREQUENCY_AGE = 300.0
_KEPT_WORDS = 50_000


class Headers:
    """The headers of an index and the contents they name."""

    def __init__(self, client: Any, names: Names) -> None:
        self._client = client
        self._names = names
        self._lock = threading.Lock()
        self._texts: OrderedDict[str, Document] = OrderedDict()
        self._passages: OrderedDict[str, tuple[Chunk, Vectors]] = OrderedDict()

    def meta(self) -> dict[str, Any] | None:
        rows = self._client.get(self._names.documents, ids=[META], output_fields=["data"])
        return json.loads(rows[0]["data"]) if rows else None

    def all(self) -> list[Header]:
        """In the order in which they were added."""
        return sorted(map(header_of, self._under("")), key=lambda header: header.added)

    def _under(self, prefix: str) -> list[dict[str, Any]]:
        """The rows whose keys begin so; by the next digit where the engine gives no more at once.
        (Its own iterator is not there in Milvus Lite.)"""
        rows: list[dict[str, Any]] = self._client.query(
            self._names.documents,
            filter=f'id like "{prefix}%"' if prefix else f'id != "{META}"',
            limit=_MOST,
            output_fields=["id", "version", "data"],
        )
        if len(rows) < _MOST:
            return rows
        return [row for digit in "0123456789abcdef" for row in self._under(prefix + digit)]

    def of(self, keys: Iterable[str]) -> dict[str, Header]:
        """The headers under these keys, of those that are there."""
        wanted = sorted(set(keys))
        found: dict[str, Header] = {}
        for at in range(0, len(wanted), _AT_ONCE):
            rows = self._client.query(
                self._names.documents,
                filter=any_of("id", wanted[at : at + _AT_ONCE]),
                output_fields=["id", "version", "data"],
            )
            found |= {row["id"]: header_of(row) for row in rows}
        return found

    def document(self, header: Header) -> Document:
        """Raises BusyError where it was taken away in the meantime."""
        place = f"{key_of(header.info.id)}.{header.version}.0"
        document: Document = _kept(
            self._texts,
            self._lock,
            [place],
            _KEPT_TEXTS,
            lambda places: [document_of(header.info, c) for c in self._contents(places)],
        )[0]
        return document

    def passages(self, places: Sequence[str]) -> list[tuple[Chunk, Vectors]]:
        """The passages at these places and their sentences' vectors; BusyError likewise."""
        return _kept(
            self._passages,
            self._lock,
            places,
            _KEPT_PASSAGES,
            lambda missing: [
                passage_of(place, content)
                for place, content in zip(missing, self._contents(missing), strict=True)
            ],
        )

    def _contents(self, places: Sequence[str]) -> list[bytes]:
        first = self._parts([f"{place}.0" for place in places])
        more = [
            f"{place}.{n}"
            for place in places
            for n in range(1, int(first[f"{place}.0"].partition(" ")[0]))
        ]
        pieces = first | self._parts(more)
        return [
            joined(
                [pieces[f"{place}.{n}"] for n in range(int(first[f"{place}.0"].partition(" ")[0]))]
            )
            for place in places
        ]

    def _parts(self, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for at in range(0, len(ids), _AT_ONCE):
            rows = self._client.query(
                self._names.contents,
                filter=any_of("id", ids[at : at + _AT_ONCE]),
                output_fields=["id", "data"],
            )
            found |= {row["id"]: row["data"] for row in rows}
        if len(found) < len(set(ids)):
            raise BusyError("the documents are being changed: ask again")
        return found


def _kept(store: Any, lock: Any, places: Sequence[str], most: int, read: Any) -> list[Any]:
    """What is at ``places``, out of ``store`` where it is there; the last ``most`` are kept."""
    with lock:
        found = {place: store[place] for place in places if place in store}
    missing = [place for place in dict.fromkeys(places) if place not in found]
    if missing:
        found |= dict(zip(missing, read(missing), strict=True))
    with lock:
        for place, value in found.items():
            store[place] = value
            store.move_to_end(place)
        while len(store) > most:
            store.popitem(last=False)
    return [found[place] for place in places]


class MilvusIndex:
    """As ``xhqa.index.Index``; what is found is checked against the headers, so that nothing of a
    removed or replaced document is."""

    def __init__(
        self, client: Any, names: Names, place: str, question_means: dict[str, Vectors]
    ) -> None:
        self.question_means = question_means
        self._client = client
        self._names = names
        self._place = place
        self._headers = Headers(client, names)
        self._frequencies: dict[str, tuple[float, float]] = {}
        self._pinned: dict[str, Header] | None = None

    def __len__(self) -> int:
        return self._count(self._names.chunks)

    def describe(self) -> str:
        return f"{self._place}: {self.document_count} documents, {len(self)} passages"

    @property
    def document_count(self) -> int:
        # The header that names the encoder is no document's.
        return self._count(self._names.documents) - 1

    def view(self) -> MilvusIndex:
        seen = copy(self)
        seen._pinned = {}
        return seen

    def documents(self) -> tuple[DocumentInfo, ...]:
        return tuple(header.info for header in self._headers.all())

    def info(self, document_id: str) -> DocumentInfo:
        return self._header(document_id).info

    def document(self, document_id: str) -> Document:
        return self._headers.document(self._header(document_id))

    def holds(self, document_id: str) -> bool:
        return bool(self._headers.of([key_of(document_id)]))

    def chunks(self, document_id: str) -> list[Chunk]:
        header = self._header(document_id)
        name = f"{key_of(document_id)}.{header.version}"
        places = [f"{name}.{n}" for n in range(1, header.info.chunks + 1)]
        return [chunk for chunk, _ in self._headers.passages(places)]

    def chunk(self, place: str) -> Chunk:
        ((chunk, _),) = self._headers.passages([place])
        # So that it is at hand when it is cited, even if it is removed meanwhile.
        self.document(chunk.document_id)
        return chunk

    def sentence_vectors(self, chunk: Chunk) -> Vectors:
        ((_, vectors),) = self._headers.passages([chunk.id])
        return vectors

    def nearest_sentences(self, places: Sequence[str], vector: Vectors) -> Vectors:
        """As ``Index.nearest_sentences``; BusyError where one was taken away in the meantime."""
        found = self._headers.passages(places)
        return np.array([(vectors @ vector).max() for _, vectors in found], np.float32)

    def candidates(
        self,
        vector: Vectors,
        tokens: Sequence[str],
        translated: Sequence[Mapping[str, float]],
        weights: tuple[float, float],
        count: int,
        among: Sequence[str] | None = None,
    ) -> Candidates:
        """As ``Index.candidates``; places are the passages' ids.

        The engine proposes, its BM25 for all words together; the shares are worked out here, as
        the index on disk does, so that both rank alike.
        """
        chosen = "" if among is None else any_of("document", map(key_of, among))
        words = list(dict.fromkeys([*tokens, *(a for word in translated for a in word)]))
        near = self._search("vector", [np.asarray(vector, np.float32)], count, chosen)[0]
        matching = self._search("bm25", [words_field(words)], count, chosen)[0] if words else []
        headers = self._headers.of(hit["document"] for hit in (*near, *matching))
        if self._pinned is not None:
            self._pinned |= {header.info.id: header for header in headers.values()}
        places = sorted(
            {
                hit["id"]
                for hit in (*near, *matching)
                if hit["document"] in headers and headers[hit["document"]].version == hit["version"]
            }
        )
        rows = self._rows(places)
        places = [place for place in places if place in rows]
        held = [Counter(rows[place]["words"].split()) for place in places]
        idfs = self.idfs(words)
        stored = [rows[place]["vector"] for place in places]
        return Candidates(
            places=places,
            dense=np.asarray(stored, np.float32).reshape(len(places), len(vector)) @ vector,
            direct=_shares(held, tokens, idfs),
            translated=_alternative_shares(held, translated, idfs),
            near=np.isin(places, [hit["id"] for hit in near]),
            matching=np.isin(places, [hit["id"] for hit in matching]),
        )

    def idfs(self, tokens: Iterable[str]) -> dict[str, float]:
        """Worked out from what the engine's BM25 gives the best passage for each word alone:
        idf = score · (tf + k1 (1 - b + b · length / mean length)) / (tf · (k1 + 1))."""
        wanted = list(dict.fromkeys(tokens))
        now = time.monotonic()
        kept = {token: self._frequencies.get(token, (-math.inf, 0.0)) for token in wanted}
        known = {token: idf for token, (at, idf) in kept.items() if now - at < _FREQUENCY_AGE}
        missing = [token for token in wanted if token not in known]
        if missing:
            unknown = math.log1p((len(self) + 0.5) / 0.5)
            for at in range(0, len(missing), _AT_ONCE):
                asked = missing[at : at + _AT_ONCE]
                written = [words_field([token]) for token in asked]
                hits = self._search("bm25", written, 1, "", ["words"])
                found = {
                    token: (word, Counter(hit[0]["words"].split()), abs(hit[0]["distance"]))
                    for token, word, hit in zip(asked, written, hits, strict=True)
                    if hit
                }
                lengths = [sum(held.values()) for _, held, _ in found.values()]
                mean = sum(lengths) / max(1, len(lengths))
                for token in asked:
                    known[token] = unknown
                    if token in found:
                        word, held, score = found[token]
                        known[token] = score / (
                            (K1 + 1) * _saturation(held[word], sum(held.values()) / mean)
                        )
            if len(self._frequencies) > _KEPT_WORDS:
                self._frequencies.clear()
            self._frequencies |= {token: (now, known[token]) for token in missing}
        return known

    def word_weights(self, words: Sequence[Mapping[str, float]]) -> Vectors:
        return _word_weights(words, self.idfs(token for word in words for token in word))

    def _header(self, document_id: str) -> Header:
        if self._pinned and document_id in self._pinned:
            return self._pinned[document_id]
        headers = self._headers.of([key_of(document_id)])
        if not headers:
            raise NotFoundError(f"there is no document {document_id!r}: see GET /documents")
        (header,) = headers.values()
        return header

    def _search(
        self, field: str, data: list[Any], count: int, chosen: str, output: Sequence[str] = ()
    ) -> list[list[dict[str, Any]]]:
        found = self._client.search(
            self._names.chunks,
            data=data,
            anns_field=field,
            limit=count,
            filter=chosen,
            output_fields=["document", "version", *output],
        )
        return [
            [{"id": hit["id"], "distance": hit["distance"], **hit["entity"]} for hit in hits]
            for hits in found
        ]

    def _count(self, name: str) -> int:
        (row,) = self._client.query(name, filter="", output_fields=["count(*)"])
        return int(row["count(*)"])

    def _rows(self, places: Sequence[str]) -> dict[str, Any]:
        if not places:
            return {}
        rows = self._client.query(
            self._names.chunks,
            filter=any_of("id", places),
            output_fields=["id", "vector", "words"],
        )
        return {row["id"]: row for row in rows}


def _saturation(frequency: int, length: float) -> float:
    """BM25's share of the most that a word can give, for its frequency in a passage and the
    passage's length over the mean."""
    return frequency / (frequency + K1 * (1 - B + B * length)) if frequency else 0.0


def _shares(
    held: Sequence[Counter[str]], tokens: Sequence[str], idfs: Mapping[str, float]
) -> Vectors:
    """As ``LexicalIndex.shares``, of passages given by the words they hold. The mean length is
    that of these passages."""
    most = sum(idfs[token] for token in tokens)
    lengths = [sum(one.values()) for one in held]
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    written = {token: words_field([token]) for token in tokens}
    scores = [
        sum(idfs[token] * _saturation(one[written[token]], length / mean) for token in tokens)
        for one, length in zip(held, lengths, strict=True)
    ]
    return np.array(scores, np.float32) / np.float32(most or 1.0)


def _alternative_shares(
    held: Sequence[Counter[str]],
    words: Sequence[Mapping[str, float]],
    idfs: Mapping[str, float],
) -> Vectors:
    """As ``LexicalIndex.alternative_shares``."""
    weights = _word_weights(words, idfs)
    written = [{words_field([token]): trust for token, trust in word.items()} for word in words]
    best = np.array(
        [
            [max((trust for t, trust in word.items() if t in one), default=0.0) for word in written]
            for one in held
        ],
        np.float32,
    ).reshape(len(held), len(words))
    total = weights.sum()
    return best @ weights / total if total else np.zeros(len(held), np.float32)


def _word_weights(words: Sequence[Mapping[str, float]], idfs: Mapping[str, float]) -> Vectors:
    """Passages with any alternative are at least as many as those with the most frequent one."""
    return np.array([min(idfs[token] for token in word) for word in words], np.float32)
