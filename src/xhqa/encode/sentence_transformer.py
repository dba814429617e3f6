"""Any sentence-transformers model as an encoder."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xhqa import bundle
from xhqa.encode.protocol import Parts, Vectors, add_context, by_text, parts_of
from xhqa.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer


class SentenceTransformerEncoder:
    """Any sentence-transformers model; its ``query`` and ``document`` prompts are used."""

    def __init__(self, model: SentenceTransformer, name: str, fingerprint: str) -> None:
        self._model = model
        self._tokenizer: Tokenizer | None = None
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
        """With the context of a part where the model pools by the mean."""
        own = by_text(self.encode_passages(parts_of(texts, parts)), parts)
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
            ends = [end - len(self._prompt) for _, end in encoding.offsets[: self.max_tokens - 1]]
            states = output["token_embeddings"].float().numpy()[: len(ends)]
            add_context(own[row], parts[row], states, ends)
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


def load(name: str) -> SentenceTransformerEncoder:
    """The model of a folder or a hub name; raises ModelError where it cannot be loaded or needs
    code of its own."""
    model = _load(name)
    return SentenceTransformerEncoder(model, name, _fingerprint(model, Path(name)))


def load_bundled(
    cache_dir: Path, notify: Callable[[str], None] = lambda message: None
) -> SentenceTransformerEncoder:
    """The bundled model on torch; raises ModelError."""
    folder = bundle.converted(cache_dir, notify)
    return SentenceTransformerEncoder(_load(str(folder)), bundle.NAME, bundle.FINGERPRINT)


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
