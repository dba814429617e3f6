"""What is written to a Milvus: rows of its collections, and the way back."""

from __future__ import annotations

import array
import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xhqa.index.change import Entry, Held
from xhqa.index.passages import half, whole
from xhqa.store import Vectors
from xhqa.types import Chunk, Document, DocumentInfo, Heading, View

# Raised whenever what is written, or how text is repaired, split or tokenized, changes.
FORMAT = 2
META = "meta"
# A field holds 65,535 bytes; contents are written in ASCII.
_FIELD = 65_535
_PART = 60_000


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the collections of one index."""

    prefix: str

    @property
    def documents(self) -> str:
        return f"{self.prefix}_documents"

    @property
    def contents(self) -> str:
        return f"{self.prefix}_contents"

    @property
    def chunks(self) -> str:
        return f"{self.prefix}_chunks"

    def create(self, client: Any, dimension: int) -> None:
        """Make the collections that are not there."""
        from pymilvus import DataType, Function, FunctionType

        def text(schema: Any, name: str, length: int, **options: Any) -> None:
            schema.add_field(name, DataType.VARCHAR, max_length=length, **options)

        for name in (self.documents, self.contents, self.chunks):
            if client.has_collection(name):
                continue
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            indexes = client.prepare_index_params()
            text(schema, "id", 128, is_primary=True)
            text(schema, "version", 32)
            indexes.add_index("version", index_type="INVERTED")
            if name == self.chunks:
                text(schema, "document", 32)
                indexes.add_index("document", index_type="INVERTED")
                text(
                    schema,
                    "words",
                    _FIELD,
                    enable_analyzer=True,
                    mmap_enabled=True,
                    analyzer_params={"tokenizer": "standard"},
                )
                schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
                schema.add_field("bm25", DataType.SPARSE_FLOAT_VECTOR)
                schema.add_function(Function("bm25", FunctionType.BM25, ["words"], ["bm25"]))
                indexes.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
                indexes.add_index(
                    "bm25",
                    index_type="SPARSE_INVERTED_INDEX",
                    metric_type="BM25",
                    params={"bm25_k1": K1, "bm25_b": B},
                )
            else:
                text(schema, "data", _FIELD, mmap_enabled=True)
                # The engine wants a vector in every collection.
                schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
                indexes.add_index("vector", index_type="FLAT", metric_type="IP")
            client.create_collection(name, schema=schema, consistency_level="Strong")
            # Nothing is there yet that waiting for an index would be for.
            client.create_index(name, indexes, sync=False)
            client.load_collection(name)


# Of BM25, as in the index on disk.
K1 = 1.2
B = 0.75


def key_of(document_id: str) -> str:
    """A document's key: a digest, which needs no quoting in the engine's filters."""
    return hashlib.sha256(document_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def any_of(field: str, values: Iterable[str]) -> str:
    """A filter; ``values`` are keys, versions or ids made of them."""
    return f"{field} in [{', '.join(json.dumps(value) for value in values)}]"


def words_field(tokens: Sequence[str]) -> str:
    """Tokens such that the engine's analyzer takes them as they are: those that are more than
    ASCII letters and digits are written in hexadecimal."""
    written = []
    for token in tokens:
        plain = token.isascii() and token.isalnum()
        written.append(token if plain else f"x{token.encode('utf-8', 'surrogateescape').hex()}")
    text = " ".join(written)
    return text if len(text) <= _FIELD else text[:_FIELD].rpartition(" ")[0]


def header_row(key: str, version: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"id": key, "version": version, "data": json.dumps(facts), "vector": [0.0, 1.0]}


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a document without its text. ``added``: nanoseconds, gives the order."""

    info: DocumentInfo
    uploaded: bool
    version: str
    added: int

    @classmethod
    def of(cls, entry: Entry, version: str, chunks: int, added: int) -> Header:
        document = entry.document
        info = DocumentInfo(
            id=document.id,
            title=document.title,
            source_name=document.source_name,
            sha256=document.sha256,
            characters=len(document.text),
            chunks=chunks,
            media_type=document.media_type,
        )
        return cls(info, entry.uploaded, version, added)

    @property
    def held(self) -> Held:
        info = self.info
        return Held(info.id, info.source_name, info.sha256, self.uploaded)

    def facts(self) -> dict[str, Any]:
        info = {name: getattr(self.info, name) for name in DocumentInfo.__slots__}
        return {"info": info, "uploaded": self.uploaded, "added": self.added}

    def is_of(self, entry: Entry) -> bool:
        """Whether this very document is there already."""
        return Header.of(entry, self.version, self.info.chunks, self.added) == self


def header_of(row: dict[str, Any]) -> Header:
    facts = json.loads(row["data"])
    info = DocumentInfo(**facts["info"])
    return Header(info, facts["uploaded"], row["version"], facts["added"])


def parts(key: str, version: str, number: int, content: bytes) -> list[dict[str, Any]]:
    """Rows for a content: that of number 0 is the document's, others are its passages'."""
    written = base64.b85encode(zlib.compress(content, 1)).decode()
    pieces = [written[at : at + _PART] for at in range(0, len(written), _PART)]
    return [
        {
            "id": f"{key}.{version}.{number}.{place}",
            "version": version,
            "data": f"{len(pieces)} {piece}",
            "vector": [0.0, 1.0],
        }
        for place, piece in enumerate(pieces)
    ]


def joined(pieces: Sequence[str]) -> bytes:
    """The content of the data of its parts, in order."""
    return zlib.decompress(base64.b85decode("".join(p.partition(" ")[2] for p in pieces)))


def text_content(document: Document) -> bytes:
    return json.dumps(
        {
            "text": document.text,
            "headings": [(h.start, h.end, h.level) for h in document.headings],
            "pages": document.pages,
        }
    ).encode()


def document_of(info: DocumentInfo, content: bytes) -> Document:
    held = json.loads(content)
    return Document(
        id=info.id,
        title=info.title,
        text=held["text"],
        source_name=info.source_name,
        sha256=info.sha256,
        media_type=info.media_type,
        headings=tuple(Heading(*heading) for heading in held["headings"]),
        pages=tuple(held["pages"]),
    )


def passage_content(chunk: Chunk, sentences: Vectors) -> bytes:
    """A line of JSON, then where each character came from, then the sentences' vectors."""
    facts = {
        "document_id": chunk.document_id,
        "section_path": chunk.section_path,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "sentences": chunk.sentences,
    }
    origin = array.array("i", chunk.view.origin).tobytes()
    return json.dumps(facts).encode() + b"\n" + origin + half(np.asarray(sentences))


def passage_of(place: str, content: bytes) -> tuple[Chunk, Vectors]:
    """The chunk, named by its place, and its sentences' vectors float32[n, d]."""
    line, _, rest = content.partition(b"\n")
    facts = json.loads(line)
    size = 4 * len(facts["text"])
    origin = array.array("i")
    origin.frombytes(rest[:size])
    sentences = tuple((a, b) for a, b in facts["sentences"])
    chunk = Chunk(
        id=place,
        document_id=facts["document_id"],
        section_path=tuple(facts["section_path"]),
        start=facts["start"],
        end=facts["end"],
        view=View(facts["text"], origin),
        sentences=sentences,
    )
    return chunk, whole(rest[size:], len(sentences))
