"""SentencePiece's tokens, held to Hugging Face's fast tokenizer with the same pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xhqa.errors import ModelError
from xhqa.tokenizer import FILE, Tokenizer, build, build_fast

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "有", "多", "少", "多少", "有多", "桥", "▁AB", "12"]
PIECES += ["~", "A", "B", "?", "3°", "C", "m", "2", "<", ">", "s", "a", "k", "<mask>"]
SCORES = np.full(len(PIECES), -5.0, np.float32)
SCORES[PIECES.index("有多")] = -6.0


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    (tmp_path / FILE).write_bytes(build(PIECES, SCORES))
    return Tokenizer(tmp_path / FILE)


def test_tokens_are_the_likeliest_pieces_with_their_places(tokenizer: Tokenizer) -> None:
    text = "有多少座桥？\u3000 ＡＢ１２"
    encoding = tokenizer.encode(text)
    pieces = [PIECES[id_] for id_ in encoding.ids]
    assert pieces == ["▁", "有", "多少", "<unk>", "桥", "?", "▁AB", "12"]
    places = [text[start:end] for start, end in encoding.offsets]
    assert places == ["", "有", "多少", "座", "桥", "？", "\u3000 ＡＢ", "１２"]
    assert tokenizer.count(text) == len(pieces)
    assert tokenizer.encode("") == type(encoding)([], [])


@pytest.mark.parametrize(
    "text",
    [
        "有多少桥",
        "  AB \n\t 有\x07多\xa0少",
        "３℃～4°C",
        "\ufeff有\u200d多",
        "有\u200b\u200c少",
        "座座",
    ],
)
def test_ids_are_those_of_the_fast_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    fast = build_fast(PIECES, SCORES).encode(text, add_special_tokens=False)
    assert tokenizer.encode(text).ids == fast.ids
    assert fast.ids


def test_each_part_of_a_character_stands_for_it_whole(tokenizer: Tokenizer) -> None:
    for text, expected in {
        "12㎡": ["", "12", "㎡", "㎡"],  # m, 2
        "多3℃有": ["", "多", "3℃", "℃", "有"],  # 3°, C
        "有…A": ["", "有", "…", "A"],  # an unknown ... is one piece
    }.items():
        places = [text[start:end] for start, end in tokenizer.encode(text).offsets]
        assert places == expected


def test_half_a_surrogate_is_an_unknown_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("有\ud800多").ids == tokenizer.encode("有\ufffd多").ids
    assert tokenizer.count("\udfff") == tokenizer.count("\ufffd")


def test_what_reads_like_a_special_token_is_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<s><mask>").ids
    assert [PIECES[id_] for id_ in ids] == ["▁", "<", "s", ">", "<", "m", "a", "s", "k", ">"]


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\0" * 100)
    with pytest.raises(
        ModelError, match=r"sentencepiece\.model cannot be read .*delete its folder"
    ):
        Tokenizer(tmp_path / FILE)
    with pytest.raises(ModelError, match="cannot be read"):
        Tokenizer(tmp_path / "none")
