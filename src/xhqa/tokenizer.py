"""The bundled model's tokenizer: SentencePiece's unigram model (Kudo 2018), text → ids and places.

The fast tokenizer of Hugging Face gives the same ids but takes five times the memory; training and
comparison have it in the sentence-transformers folder, where nothing else would be read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xhqa.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer as FastTokenizer

FILE = "sentencepiece.model"
BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
# What NFKC and the rules of the fast tokenizer do and SentencePiece's do not: a full-width tilde is
# a tilde, a zero-width joiner a space. Half a surrogate is no text.
_NORMALISED = str.maketrans({"～": "~", "\u200d": " "}) | dict.fromkeys(
    range(0xD800, 0xE000), "\ufffd"
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """``ids`` of the tokens, and ``offsets``: the characters [start, end) each stands for, none
    where it stands for a space that the text does not have. Tokens of one character (㎡: m, 2)
    each stand for it."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """Text → tokens, without special ones: what reads like one in a text is text."""

    def __init__(self, path: Path) -> None:
        """``path``: a file that ``build`` made; raises ModelError where it cannot be read."""
        from sentencepiece import SentencePieceProcessor

        try:
            self._processor = SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{path} cannot be read ({error}): delete its folder and start again, it is made "
                "anew"
            ) from error

    def encode(self, text: str) -> Encoding:
        text = _encodable(text)
        found: Any = self._processor.encode(text, return_type="offset_mapping")
        pieces, offsets = found["pieces"], found["offsets"]
        # SentencePiece gives a character to the last token that has a part of it.
        for number in range(len(offsets) - 2, -1, -1):
            start, end = offsets[number]
            piece = pieces[number].lstrip("▁")
            if len(piece) > end - start:
                stands_for = unicodedata.normalize("NFKC", text[start:end]).strip()
                if len(stands_for) < len(piece):
                    offsets[number] = start, offsets[number + 1][1]
        return Encoding(found["ids"], offsets)

    def count(self, text: str) -> int:
        """The number of tokens."""
        return len(self._processor.encode(_encodable(text)))


def _encodable(text: str) -> str:
    return text.translate(_NORMALISED)


@lru_cache(maxsize=1)
def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in ``folder``, once for all who need it; raises ModelError."""
    return Tokenizer(folder / FILE)


def build(pieces: Sequence[str], scores: npt.NDArray[np.float32]) -> bytes:
    """A SentencePiece model of these pieces; the id of one is its number."""
    from sentencepiece import SentencePieceNormalizer, sentencepiece_model_pb2

    formats: Any = sentencepiece_model_pb2  # made by protoc, without types
    model = formats.ModelProto()
    # Comes with its rules compiled: NFKC, control characters dropped, white space made spaces.
    rules = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto()
    model.ParseFromString(rules)
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = True
    model.normalizer_spec.escape_whitespaces = True
    kinds = formats.ModelProto.SentencePiece
    for number, (piece, score) in enumerate(zip(pieces, scores, strict=True)):
        kind = kinds.CONTROL if piece in _SPECIAL else kinds.NORMAL
        kind = kinds.UNKNOWN if number == UNKNOWN else kind
        model.pieces.add(piece=piece, score=float(score), type=kind)
    trainer = model.trainer_spec
    trainer.model_type = formats.TrainerSpec.UNIGRAM
    trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = BEGIN, PAD, END, UNKNOWN
    return bytes(model.SerializeToString())


def build_fast(pieces: Sequence[str], scores: npt.NDArray[np.float32]) -> FastTokenizer:
    """The same as Hugging Face's fast tokenizer."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
            normalizers.Replace(
                Regex(r"[\s\x0c\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"), " "
            ),
            normalizers.NFKC(),
            normalizers.Replace(Regex(r" {2,}"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", BEGIN), ("</s>", END)],
    )
    tokenizer.add_special_tokens(
        [
            AddedToken(token, normalized=False, special=True, lstrip=token == "<mask>")
            for token in _SPECIAL
        ]
    )
    return tokenizer
