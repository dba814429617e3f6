"""Bulk embedding on many machines, by Ray Data: ``xhqa index --ray``.

The files are read, split and embedded by actors, one for every so many processors of the cluster;
what they make comes back as a stream, and this process writes it. Each actor holds an encoder of
its own, loaded once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from xhqa.config import Settings
from xhqa.encode import Encoder, Parts, Vectors, encoder_of
from xhqa.errors import InputError, ModelError
from xhqa.index import chunks_of, embedding_text, encoded, sentences_in
from xhqa.ingest import Loaded, load_files
from xhqa.types import Document, Heading

# Files that an actor takes at a time: enough passages for batches of one length.
_FILES = 16


class RayLoader:
    """Reads and embeds files on a Ray cluster; its ``encoder`` then knows what was embedded."""

    def __init__(
        self, encoder: Encoder, settings: Settings, address: str, cpus_per_actor: int = 2
    ) -> None:
        """``address`` of the cluster, ``local`` for one on this machine. Raises ModelError without
        the extra."""
        try:
            import ray
        except ImportError as error:
            raise ModelError(
                "--ray needs an extra: in xhqa's folder, pip install '.[ray]'"
            ) from error
        self.encoder = RememberingEncoder(encoder)
        self._settings = settings
        self._cpus = cpus_per_actor
        # It would tell its makers that it is used.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, include_dashboard=False)

    def __call__(self, files: Sequence[tuple[Path, str]], held: frozenset[str]) -> Iterator[Loaded]:
        """As ``xhqa.ingest.load_files``; the actors must see the files under the same paths."""
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        # The order decides which of two files of one id keeps it.
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        rows = [{"path": str(path.resolve()), "name": name} for path, name in files]
        if not rows:
            return
        processors: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
        actors = max(1, int(processors) // self._cpus)
        blocks = -(-len(rows) // _FILES)
        made = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Embedder,
            batch_size=_FILES,
            concurrency=(1, actors),
            num_cpus=self._cpus,
            fn_constructor_args=[_plain(self._settings, self._cpus), ray.put(held)],
        )
        for row in made.iter_rows():
            path = Path(row["path"])
            if row["error"]:
                yield path, InputError(row["error"])
                continue
            self.encoder.remember(json.loads(row["texts"]), row["vectors"])
            yield path, _document(json.loads(row["document"]))


class Embedder:
    """An actor: paths and names in, documents and their vectors out."""

    def __init__(self, settings: dict[str, Any], held: Any) -> None:
        """``held``: a reference to the sha256s of documents that need not be embedded."""
        import ray

        self._encoder = encoder_of(Settings(**settings))
        self._held: frozenset[str] = ray.get(held)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        files = zip(map(Path, batch["path"]), batch["name"], strict=True)
        rows = list(load_files(list(files), self._held))
        asked: list[tuple[int, str, Parts]] = []
        for number, (_, loaded) in enumerate(rows):
            if isinstance(loaded, Document) and loaded.sha256 not in self._held:
                for chunk in chunks_of(loaded, self._encoder):
                    text = embedding_text(loaded.title, chunk)
                    asked.append((number, text, sentences_in(text, chunk)))
        made = encoded(self._encoder, [text for _, text, _ in asked], [p for _, _, p in asked])
        texts: list[list[tuple[str, int]]] = [[] for _ in rows]
        vectors: list[list[Vectors]] = [[] for _ in rows]
        for (number, text, _), (vector, parts) in zip(asked, made, strict=True):
            texts[number].append((text, len(parts)))
            vectors[number] += [vector[None], parts]
        return {
            "path": [str(path) for path, _ in rows],
            "error": ["" if isinstance(d, Document) else str(d) for _, d in rows],
            "document": [json.dumps(asdict(d)) if isinstance(d, Document) else "" for _, d in rows],
            "texts": [json.dumps(one) for one in texts],
            "vectors": [
                np.concatenate(one).astype(np.float32).tobytes() if one else b"" for one in vectors
            ],
        }


class RememberingEncoder:
    """An encoder that is told vectors; each is given once, and what it was not told it makes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[bytes, tuple[Vectors, Vectors]] = {}
        self.name = encoder.name
        self.fingerprint = encoder.fingerprint
        self.dimension = encoder.dimension
        self.max_tokens = encoder.max_tokens
        self.encode_queries = encoder.encode_queries
        self.encode_passages = encoder.encode_passages
        self.count_tokens = encoder.count_tokens

    def remember(self, texts: Sequence[tuple[str, int]], vectors: bytes) -> None:
        """``texts``, each with the number of its parts; ``vectors``: of each text its own and
        those of its parts, float32."""
        rows = np.frombuffer(vectors, np.float32).reshape(-1, self.dimension)
        at = 0
        for text, count in texts:
            self._known[_key(text)] = rows[at], rows[at + 1 : at + 1 + count]
            at += 1 + count

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        known = {n: self._known.pop(_key(text), None) for n, text in enumerate(texts)}
        unknown = [n for n, found in known.items() if found is None]
        if unknown:
            made = self._encoder.encode_parts(
                [texts[n] for n in unknown], [parts[n] for n in unknown]
            )
            known |= dict(zip(unknown, zip(*made, strict=True), strict=True))
        found = [one for n in range(len(texts)) if (one := known[n]) is not None]
        whole = np.array([vector for vector, _ in found], np.float32)
        return whole.reshape(-1, self.dimension), [rows for _, rows in found]


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _document(held: dict[str, Any]) -> Document:
    headings = tuple(Heading(**heading) for heading in held["headings"])
    return replace(Document(**held), headings=headings, pages=tuple(held["pages"]))


def _plain(settings: Settings, cpus: int) -> dict[str, Any]:
    """What an actor on ``cpus`` processors needs of the settings; no secret among it."""
    plain = {name: getattr(settings, name) for name in ("encoder", "runtime", "cache_dir")}
    return plain | {"threads": settings.threads or cpus}
