"""Texts → unit vectors: the ``Encoder`` protocol and sentence-transformers behind it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from xhqa import bundle
from xhqa.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """``name`` and ``fingerprint`` tell one model from another; ``dimension`` is that of its
    vectors, ``max_tokens`` the length beyond which it cuts a text off."""

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), dimension], each of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), dimension], each of unit length."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of model tokens of each text, without special tokens."""


class SentenceTransformerEncoder:
    """Any sentence-transformers model; its ``query`` and ``document`` prompts are used."""

    def __init__(self, model: SentenceTransformer, name: str, fingerprint: str) -> None:
        self._model = model
        self._counter: Any = None
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.max_tokens = int(model.max_seq_length or 512)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._model.encode_query(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.reshape(-1, self.dimension)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self._model.encode_document(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.reshape(-1, self.dimension)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        if self._counter is None:
            # A copy: switching truncation off would reach the questions encoded meanwhile.
            self._counter = copy.deepcopy(self._model.tokenizer)
        tokens = self._counter(
            list(texts), add_special_tokens=False, truncation=False, verbose=False
        )
        return [len(ids) for ids in tokens["input_ids"]]


def open_encoder(
    name: str, cache_dir: Path, notify: Callable[[str], None] = lambda message: None
) -> Encoder:
    """The encoder called ``name``: ``bundled``, a folder or a hub name.

    Raises ModelError where it cannot be loaded or needs code of its own.
    """
    if name == "bundled":
        folder = bundle.converted(cache_dir, notify)
        model = _load(str(folder))
        return SentenceTransformerEncoder(
            model, bundle.NAME, f"{bundle.SHA256[:16]}-v{bundle.CONVERSION}"
        )
    model = _load(name)
    return SentenceTransformerEncoder(model, name, _fingerprint(model, Path(name)))


def _load(path: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(path, device="cpu", trust_remote_code=False)
    except (OSError, ValueError, ImportError, AttributeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        if "trust_remote_code" in reason or "remote code" in reason:
            raise ModelError(
                f"the encoder {path} needs code from its repository, which xhqa never runs: "
                "set XHQA_ENCODER to a model without custom code"
            ) from error
        raise ModelError(
            f"the encoder {path} cannot be loaded ({reason}): check XHQA_ENCODER, or unset it "
            "to use the bundled model"
        ) from error


def _fingerprint(model: SentenceTransformer, folder: Path) -> str:
    """The hub commit of a downloaded model, or the sha256 of a folder's files."""
    commit = getattr(getattr(model[0], "config", None), "_commit_hash", None)
    if commit:
        return str(commit)[:32]
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
