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
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
Parts = Sequence[tuple[int, int]]


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

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        """The vectors of ``texts`` as ``encode_passages`` gives them, and of the ``parts`` of each,
        half-open character ranges, float32[len(parts), dimension]: what each part says by itself
        and, where the model can tell, what it says in its text."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of model tokens of each text, without special tokens."""


class SentenceTransformerEncoder:
    """Any sentence-transformers model; its ``query`` and ``document`` prompts are used."""

    def __init__(
        self,
        model: SentenceTransformer,
        name: str,
        fingerprint: str,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """``tokenizer``: the model's own without truncation and padding; made where it is not
        given."""
        self._model = model
        self._tokenizer = tokenizer
        prompts = (model.prompts.get(kind) for kind in ("document", "passage", "corpus"))
        self._prompt: str = next(filter(None, prompts), "")
        self._tells_context = _pools_tokens(model)
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

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        """A part's vector is the mean of its own and of the unit mean of its tokens' vectors as
        they are in the whole text (Günther et al. 2024, "Late Chunking"); its own alone where the
        model does not pool by the mean, or where the text is cut off before the part."""
        alone = self.encode_passages(
            [text[a:b] for text, ranges in zip(texts, parts, strict=True) for a, b in ranges]
        )
        bounds = np.cumsum([len(ranges) for ranges in parts])[:-1]
        own = np.split(alone, bounds) if texts else []
        if not self._tells_context:
            return self.encode_passages(texts), own
        outputs: Any = self._model.encode(
            list(texts),
            prompt=self._prompt,
            output_value=None,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        tokens = self._plain_tokenizer().encode_batch([self._prompt + text for text in texts])
        whole = np.zeros((len(texts), self.dimension), np.float32)
        for row, (output, encoding) in enumerate(zip(outputs, tokens, strict=True)):
            whole[row] = output["sentence_embedding"].float().numpy()
            # By their last character: a token may begin with the space before it.
            ends = np.array([end for _, end in encoding.offsets[: self.max_tokens]])
            ends -= len(self._prompt)
            inside = output["token_embeddings"].float().numpy()[: len(ends)]
            for number, (a, b) in enumerate(parts[row]):
                there = inside[(ends > a) & (ends <= b)]
                if len(there):
                    mean = there.mean(axis=0)
                    own[row][number] = (own[row][number] + mean / np.linalg.norm(mean)) / 2
        return whole, own

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        if not _is_fast(self._model):
            tokens = self._model.tokenizer(
                list(texts), add_special_tokens=False, truncation=False, verbose=False
            )
            return [len(ids) for ids in tokens["input_ids"]]
        encodings = self._plain_tokenizer().encode_batch(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def _plain_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            # A copy: its settings would reach the questions encoded meanwhile.
            plain = copy.deepcopy(self._model.tokenizer.backend_tokenizer)
            plain.no_truncation()
            plain.no_padding()
            self._tokenizer = plain
        return self._tokenizer


def _is_fast(model: SentenceTransformer) -> bool:
    from transformers import PreTrainedTokenizerFast

    return isinstance(model.tokenizer, PreTrainedTokenizerFast)


def _pools_tokens(model: SentenceTransformer) -> bool:
    """Whether a text's vector is the mean of its tokens' vectors and nothing more."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    _, *rest = model
    return (
        _is_fast(model)
        and bool(rest)
        and isinstance(rest[0], Pooling)
        and rest[0].pooling_mode == "mean"
        and all(isinstance(module, Normalize) for module in rest[1:])
    )


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
            model,
            bundle.NAME,
            f"{bundle.SHA256[:16]}-v{bundle.CONVERSION}",
            bundle.tokenizer_of(folder),
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
