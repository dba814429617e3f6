"""What the network gets: questions, windows, batches."""

from __future__ import annotations

import random

from support import CharacterTokenizer
from train_support import PASSAGE, example

from xhqa.tokenizer import Encoding
from xhqa.train.gloss import Glossary
from xhqa.train.loop import Recipe, batches, collate
from xhqa.train.negatives import NegativeMaker
from xhqa.train.windows import Window, make_window


def test_half_of_the_windows_are_shorter_than_the_geometric_mean(
    tokenizer: CharacterTokenizer,
) -> None:
    asked = example("有几座桥？", "三十座", PASSAGE * 9)
    rng = random.Random(1)
    drawn = [
        make_window(asked, tokenizer, rng, min_tokens=16, max_tokens=256, miss=0)
        for _ in range(400)
    ]
    sizes = sorted(len(window.ids) - window.passage_start - 1 for window in drawn)
    # Some tokens longer: a window begins where its first sentence does.
    assert 60 <= sizes[200] <= 76
    assert sizes[0] < 24
    assert 240 < sizes[-1] <= 256 + len(PASSAGE)


def test_glosses_put_a_question_into_english() -> None:
    glossary = Glossary()
    assert glossary.word("桥梁") == "bridge"
    assert glossary.word("为什么") == "why"
    assert glossary.word("Tesla") == "Tesla"
    assert glossary.word("在桥梁上") == "in bridge on"
    assert glossary.word("芮澜") == "Ruilan"
    switched = {glossary.switched("谁建造了桥梁？", random.Random(seed)) for seed in range(12)}
    assert "who construct bridge?" in switched
    assert any("桥梁" in q and "construct" in q for q in switched)


def test_only_the_asked_share_of_chinese_questions_is_put_into_english(
    tokenizer: CharacterTokenizer,
) -> None:
    examples = [example("建于哪年？", "1952年")] * 32

    def english(share: float) -> int:
        recipe = Recipe(steps=1, batch=8, min_tokens=8, max_tokens=24, code_switch=share)
        stream = batches(examples, NegativeMaker(examples, {}), tokenizer, recipe)
        windows = [window for _ in range(4) for window in next(stream)]
        return sum(tokenizer.id_of("年") not in w.ids[: w.passage_start] for w in windows)

    assert english(0.0) == 0
    # Some keep every other word as it is.
    assert english(1.0) > 20


def test_windows_hold_the_answer_whole(tokenizer: CharacterTokenizer) -> None:
    wanted = example("有几座桥？", "三十座")
    rng = random.Random(0)
    for _ in range(50):
        window = make_window(wanted, tokenizer, rng, min_tokens=5, max_tokens=20, miss=0.0)
        words = window.ids[window.start : window.end + 1]
        assert words == tokenizer.encode("三十座").ids
        assert window.ids[0] == 0
        assert window.ids[-1] == 2
        assert window.ids[window.passage_start - 2 : window.passage_start] == [2, 2]
        assert len(window.ids) <= window.passage_start + 20 + 1
    none = make_window(example("？", None), tokenizer, rng)
    assert (none.start, none.end) == (0, 0)


def test_a_window_begins_before_the_answer_where_the_first_token_is_empty(
    tokenizer: CharacterTokenizer,
) -> None:
    class Marked(CharacterTokenizer):
        """As SentencePiece: a token without a character in front."""

        def encode(self, text: str) -> Encoding:
            plain = super().encode(text)
            return Encoding([3, *plain.ids], [(0, 0), *plain.offsets])

    marked = Marked(tokenizer.characters)
    first = example("建于哪年？", "甲镇")
    for seed in range(20):
        rng = random.Random(seed)
        window = make_window(first, marked, rng, min_tokens=5, max_tokens=20, miss=0.0)
        assert window.ids[window.start : window.end + 1] == tokenizer.encode("甲镇").ids


def test_collate_pads() -> None:
    batch = collate(
        [Window([0, 7, 2, 2, 8, 9, 2], 4, 4, 5), Window([0, 7, 6, 2, 2, 8, 2], 5, 0, 0)]
    )
    assert batch.questions.tolist() == [[0, 7, 2, 1], [0, 7, 6, 2]]
    assert batch.passages.tolist() == [[2, 8, 9, 2], [2, 8, 2, 1]]
    assert batch.allowed.int().tolist() == [[1, 0, 0, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 1, 0, 0]]
    assert (batch.start.tolist(), batch.end.tolist()) == ([5, 0], [6, 0])
