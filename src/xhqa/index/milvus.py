"""An index in a Milvus, which many servers share: a cluster, or Milvus Lite in one process.

Three collections, whose names begin with the setting's prefix:

    …_documents   a header for each document, and one ("meta") that names the encoder
    …_contents    texts and passages, in parts that fit into a field
    …_chunks      what is searched: vectors, and the words for the engine's BM25

A document's contents and chunks carry a version. They are written first and its header, which
names the version, last: a document is there with its header and gone without it, whatever else
is still to be written or deleted. Nothing is ever changed in place, so what is kept in memory of
a version is never out of date.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from xhqa.config import Settings
from xhqa.encode import Encoder
from xhqa.errors import IndexDamagedError, InputError, ModelError, NotFoundError, StoreError
from xhqa.index.change import Changing, Entry, Held, Progress, silent
from xhqa.index.milvus_index import Headers, MilvusIndex
from xhqa.index.milvus_rows import (
    FORMAT,
    META,
    Header,
    Names,
    header_row,
    key_of,
    parts,
    passage_content,
    text_content,
    words_field,
)
from xhqa.index.passages import (
    chunks_of,
    embedding_text,
    encoded,
    question_means,
    sentences_in,
)
from xhqa.lexical import tokenize
from xhqa.types import Chunk

# Passages that are embedded and written together.
_BATCH = 64


class Milvus:
    """The corpus behind an address; safe for several processes at once, document by document."""

    def __init__(self, settings: Settings) -> None:
        """Raises InputError without an address, ModelError without the extra."""
        self.place = settings.milvus_uri
        if not self.place:
            raise InputError(
                "XHQA_STORE=milvus needs XHQA_MILVUS_URI: an address, or a path ending in .db"
            )
        self._names = Names(settings.milvus_prefix)
        self._token = settings.milvus_token.get_secret_value()
        self._opened: dict[str, MilvusIndex] = {}

    def exists(self) -> bool:
        return bool(self._client().has_collection(self._names.documents))

    def open(self, encoder: Encoder) -> MilvusIndex:
        if not self.exists():
            raise NotFoundError(f"there is no index in {self.place}: run `xhqa index`")
        meta = Headers(self._client(), self._names).meta()
        self._refuse_other(meta, encoder)
        # It is never out of date: what changes is looked up.
        if encoder.fingerprint not in self._opened:
            means = question_means(encoder)
            index = MilvusIndex(self._client(), self._names, self.place, means)
            self._opened[encoder.fingerprint] = index
        return self._opened[encoder.fingerprint]

    def change(
        self,
        change: Changing,
        encoder: Encoder,
        progress: Progress = silent,
        *,
        over_damage: bool = False,
    ) -> MilvusIndex:
        """Document after document: each is there as it was or as it is to be. Unchanged ones are
        left alone. With ``over_damage`` another encoder's index is embedded anew."""
        client = self._client()
        headers = Headers(client, self._names)
        anew = self._prepared(client, headers, encoder, over_damage)
        holdings = _Holdings(headers)
        wanted = change(holdings)
        writer = _Writer(client, self._names, encoder)
        put: set[str] = set()
        expected = max(1, wanted.expected)
        if anew or wanted.keep is not None:
            holdings.load()
        for done, entry in enumerate(wanted.put):
            progress("index", min(done, expected), expected)
            document = entry.document
            if document.id in put:
                raise InputError(
                    f"two files would both be document {document.id!r}: rename "
                    f"{document.source_name}"
                )
            put.add(document.id)
            header = holdings.header(document.id)
            if header is None or anew or not header.is_of(entry):
                writer.put(entry, header)
        others = holdings.loaded() or map(holdings.header, wanted.remove)
        for header in others:
            if header is None or header.info.id in put:
                continue
            if not wanted.keeps(header.held):
                writer.remove(header)
            elif anew:
                writer.put(Entry(headers.document(header), header.uploaded), header)
        writer.finish()
        if anew:
            # Last, so that an interrupted one is begun anew.
            client.upsert(self._names.documents, [header_row(META, "", _facts(encoder))])
        if wanted.keep is not None:
            # Many have come: what is sealed is searched by its indexes.
            client.flush(self._names.chunks)
        progress("index", expected, expected)
        return self.open(encoder)

    def _prepared(self, client: Any, headers: Headers, encoder: Encoder, over_damage: bool) -> bool:
        """Make the collections that are missing; whether everything must be embedded anew."""
        names = self._names
        meta = headers.meta() if client.has_collection(names.documents) else None
        if meta == _facts(encoder):
            return False
        if meta is not None and not over_damage:
            self._refuse_other(meta, encoder)
        if client.has_collection(names.chunks):
            client.drop_collection(names.chunks)
        names.create(client, encoder.dimension)
        return True

    def _refuse_other(self, meta: dict[str, Any] | None, encoder: Encoder) -> None:
        """Raises IndexDamagedError where the index is of another format or encoder."""
        if meta is None or meta.get("format") != FORMAT:
            raise IndexDamagedError(
                f"{self.place} has format {meta and meta.get('format')}, this xhqa reads "
                f"{FORMAT}: run `xhqa index` on the same files to rebuild it"
            )
        if meta != _facts(encoder):
            raise IndexDamagedError(
                f"the index was built with the encoder {meta['encoder']} "
                f"({meta['fingerprint']}), but {encoder.name} ({encoder.fingerprint}) is in "
                "use: run `xhqa index` on the same files to rebuild it, or set XHQA_ENCODER"
            )

    def _client(self) -> Any:
        return _connected(self.place, self._token)


def _facts(encoder: Encoder) -> dict[str, Any]:
    """What an index in a Milvus says of itself."""
    return {
        "format": FORMAT,
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "dimension": encoder.dimension,
    }


class _Holdings(Mapping[str, Held]):
    """What is there: looked up document by document, or all of it once it is loaded."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self._all: dict[str, Header] | None = None

    def load(self) -> None:
        if self._all is None:
            self._all = {header.info.id: header for header in self._headers.all()}

    def loaded(self) -> list[Header]:
        return list((self._all or {}).values())

    def header(self, document_id: str) -> Header | None:
        if self._all is not None:
            return self._all.get(document_id)
        key = key_of(document_id)
        return self._headers.of([key]).get(key)

    def __getitem__(self, document_id: str) -> Held:
        header = self.header(document_id)
        if header is None:
            raise KeyError(document_id)
        return header.held

    def __iter__(self) -> Iterator[str]:
        self.load()
        return iter(self._all or {})

    def __len__(self) -> int:
        self.load()
        return len(self._all or {})


class _Writer:
    """Writes documents, many small ones together, and takes away what they replace."""

    def __init__(self, client: Any, names: Names, encoder: Encoder) -> None:
        self._client = client
        self._names = names
        self._encoder = encoder
        self._waiting: list[tuple[Entry, Header | None, list[Chunk]]] = []

    def put(self, entry: Entry, before: Header | None) -> None:
        self._waiting.append((entry, before, chunks_of(entry.document, self._encoder)))
        if sum(len(chunks) for _, _, chunks in self._waiting) >= _BATCH:
            self.finish()

    def finish(self) -> None:
        """Write what waits."""
        texts, ranges = [], []
        for entry, _, chunks in self._waiting:
            for chunk in chunks:
                text = embedding_text(entry.document.title, chunk)
                texts.append(text)
                ranges.append(sentences_in(text, chunk))
        made = iter(zip(texts, encoded(self._encoder, texts, ranges), strict=True))
        contents: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        headers: list[dict[str, Any]] = []
        for entry, before, chunks in self._waiting:
            key, version = key_of(entry.document.id), uuid.uuid4().hex
            contents += parts(key, version, 0, text_content(entry.document))
            for number, chunk in enumerate(chunks, 1):
                text, (vector, sentences) = next(made)
                contents += parts(key, version, number, passage_content(chunk, sentences))
                rows.append(
                    {
                        "id": f"{key}.{version}.{number}",
                        "document": key,
                        "version": version,
                        "vector": vector,
                        "words": words_field(tokenize(text)),
                    }
                )
            added = before.added if before else time.time_ns()
            header = Header.of(entry, version, len(chunks), added)
            headers.append(header_row(key, version, header.facts()))
        for at in range(0, len(contents), _BATCH):
            self._client.insert(self._names.contents, contents[at : at + _BATCH])
        if rows:
            self._client.insert(self._names.chunks, rows)
        if headers:
            self._client.upsert(self._names.documents, headers)
        for _, before, _ in self._waiting:
            if before:
                self._forget(before)
        self._waiting.clear()

    def remove(self, header: Header) -> None:
        self._client.delete(self._names.documents, ids=[key_of(header.info.id)])
        self._forget(header)

    def _forget(self, header: Header) -> None:
        for name in (self._names.chunks, self._names.contents):
            self._client.delete(name, filter=f'version == "{header.version}"')


@cache
def _connected(uri: str, token: str) -> _Client:
    """One client for each address in a process: Milvus Lite has a folder to itself."""
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise ModelError(
            "XHQA_STORE=milvus needs an extra: in xhqa's folder, pip install '.[milvus]'"
        ) from error
    # It logs each failed call with a traceback, and the error is told anyway.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    # Milvus Lite takes the client's pings, one in ten seconds, for an attack.
    calm = {"grpc_options": {"grpc.keepalive_time_ms": 600_000}} if uri.endswith(".db") else {}
    with _told(uri):
        return _Client(MilvusClient(uri=uri, token=token, **calm), uri)


class _Client:
    """pymilvus's client, whose errors are ours."""

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self._place = place

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with _told(self._place):
                return method(*arguments, **named)

        return call


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Errors of the engine as StoreError."""
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        reason = json.dumps(str(error.message)[:200], ensure_ascii=False)
        raise StoreError(
            f"the Milvus at {place} does not do what is asked ({reason}): see that it runs and can "
            "be reached"
        ) from error
