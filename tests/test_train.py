from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support import CharacterTokenizer

from xhqa.errors import InputError
from xhqa.read.model import Reading, SpanModel, attend
from xhqa.tokenizer import Encoding
from xhqa.train.cloze import asked_of_number
from xhqa.train.command import hold_out, read_examples
from xhqa.train.examples import Example, cross_lingual, locate, read_squad
from xhqa.train.gloss import Glossary
from xhqa.train.loop import STATE, Recipe, Training, batches, collate, lesson_loss, span_loss
from xhqa.train.negatives import NegativeMaker, epoch_examples, retrieve_neighbours
from xhqa.train.windows import Window, make_window

PASSAGE = "甲镇建于1952年。镇上有三十座桥。乙村在甲镇的南面，种植水稻。"


def example(question: str, words: str | None, passage: str = PASSAGE) -> Example:
    answer = None
    if words:
        start = passage.index(words)
        answer = start, start + len(words)
    return Example(question, question, passage, answer)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The networks here are tiny, and threads beside other work wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asserted exactly is not left to what this processor is faster in."""
    monkeypatch.setattr("xhqa.train.loop.faster_in_bfloat16", lambda: False)


@pytest.fixture(scope="module")
def tokenizer() -> CharacterTokenizer:
    """A token for every character; the first ids are the special ones."""
    return CharacterTokenizer(
        "".join(sorted(set(PASSAGE + "query: 有几座桥建于哪年？丙城在西面。")))
    )


def tiny_model(layers: int = 1, apart: int = 0) -> SpanModel:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return SpanModel(BertModel(config, add_pooling_layer=False), 16, apart)


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


def test_locate_takes_the_nearest_place() -> None:
    assert locate("甲乙甲乙甲", "甲", 2) == (2, 3)
    assert locate("甲乙甲乙甲", "甲", 9) == (4, 5)
    assert locate("甲乙甲乙甲", "乙", -1) == (1, 2)
    assert locate("甲乙", "丙", 0) is None


def test_read_squad(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    questions = [
        {"id": "1", "question": "几座？", "answers": [{"text": "三十座", "answer_start": 0}]},
        {"id": "2", "question": "谁？", "answers": [{"text": "", "answer_start": -1}]},
        {"id": "3", "question": "哪？", "answers": [{"text": "不在里面", "answer_start": 3}]},
    ]
    data = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": questions}]}]}
    path.write_text(json.dumps(data))
    first, second = read_squad(path)
    assert first.answer is not None
    assert first.passage[slice(*first.answer)] == "三十座"
    assert second.answer is None
    path.write_text("{}")
    with pytest.raises(InputError, match=r"a\.json is not a SQuAD-style"):
        read_squad(path)


def test_passages_are_trained_on_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    context = "鎮上有 三十座 橋，\n長 ２ 公里。"
    asked = {"三十座": "鎮上有幾座橋？", "２ 公里": "多長？"}
    questions = [
        {
            "id": question,
            "question": f" {question}",
            "answers": [{"text": words, "answer_start": context.index(words)}],
        }
        for words, question in asked.items()
    ]
    data = {"data": [{"paragraphs": [{"context": context, "qas": questions}]}]}
    path.write_text(json.dumps(data))
    found = read_squad(path)
    assert {e.passage for e in found} == {"镇上有三十座桥，长 2 公里。"}
    assert [(e.question, e.passage[slice(*e.answer)]) for e in found if e.answer] == [
        ("镇上有几座桥？", "三十座"),
        ("多长？", "2 公里"),
    ]


def test_parallel_files_are_crossed(tmp_path: Path) -> None:
    texts = {
        "zh": ("有几座桥？", "有三十座桥。", "三十座"),
        "en": ("How many?", "It has 30.", "30"),
    }
    for name, (question, context, answer) in texts.items():
        at = context.index(answer)
        qa = {"id": "1", "question": question, "answers": [{"text": answer, "answer_start": at}]}
        data = {"data": [{"paragraphs": [{"context": context, "qas": [qa]}]}]}
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.json").write_text(json.dumps(data))
    zh, en = (tmp_path / name / "train.json" for name in ("zh", "en"))
    found = read_examples([zh, en])
    assert len({example.id for example in found}) == 4
    assert {(e.question, e.passage) for e in found} == {
        (q, p) for q in ("有几座桥？", "How many?") for p in ("有三十座桥。", "It has 30.")
    }
    twice = read_examples([zh] * 2 + [en] * 2)
    assert sorted(map(str, twice)) == sorted(map(str, found * 2))
    with pytest.raises(InputError, match="not parallel"):
        cross_lingual(found, found[:1])


def test_paragraphs_that_are_measured_on_are_left_out_in_any_wording(tmp_path: Path) -> None:
    def written(name: str, paragraphs: dict[str, list[str]]) -> Path:
        data = [
            {
                "context": context,
                "qas": [
                    {"id": i, "question": "几座？", "answers": [{"text": "三", "answer_start": 1}]}
                    for i in ids
                ],
            }
            for context, ids in paragraphs.items()
        ]
        (tmp_path / name).write_text(json.dumps({"data": [{"paragraphs": data}]}))
        return tmp_path / name

    train = written("train.json", {"桥三座。": ["1", "2"], "塔三座。": ["3"], "楼三座。": ["4"]})
    measured = written("valid.json", {"有三桥。": ["2"], "井三口。": ["9"]})
    other = written("other.json", {"有三座塔。": ["3"]})
    assert {e.passage for e in read_examples([train])} == {"桥三座。", "塔三座。", "楼三座。"}
    found = read_examples([train], (), [measured])
    assert [(e.passage, e.id[-2:]) for e in found] == [("塔三座。", ":3"), ("楼三座。", ":4")]
    assert [e.passage for e in read_examples([train], (), [measured, other])] == ["楼三座。"]
    # 9's own answer does not stand in its passage, and 5's neither.
    unread = written("unread.json", {"楼两座。": ["5", "9"], "亭三座。": ["6"]})
    assert [e.passage for e in read_examples([unread])] == ["亭三座。"]
    more = written("more.json", {"井三座。": ["9"], "庙三座。": ["10"]})
    assert [e.passage for e in read_examples([more], (), [unread])] == ["庙三座。"]
    mixed = json.loads(more.read_text())
    mixed["data"][0]["paragraphs"][0]["qas"] += [
        {"id": 11, "question": "几口？", "answers": [{"text": "两口", "answer_start": 0}]}
    ]
    more.write_text(json.dumps(mixed))
    eleven = written("eleven.json", {"井是三口。": ["11"]})
    assert [e.passage for e in read_examples([more], (), [eleven])] == ["庙三座。"]


def test_more_is_asked_about_the_passages(tmp_path: Path) -> None:
    qas = [
        {"id": "7", "question": "有几座桥？", "answers": [{"text": "三十座", "answer_start": 1}]},
        {"id": "8", "question": "有几条河？", "answers": []},
    ]
    for name in ("one", "other"):
        data = {"data": [{"paragraphs": [{"context": "有三十座桥。", "qas": qas}]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    rows = [
        {"id": "one:7", "question": " How many bridges? "},
        {"id": "one:7", "question": "什么有三十座？", "answer": "桥"},
        {"id": "other:8", "question": "幾條河？", "answer": ""},
        {"id": "other:8", "question": "几条河？", "answer": "五条"},
        {"id": "third:8", "question": "几条河？"},
    ]
    more = tmp_path / "more.jsonl"
    more.write_text("\n\n".join(map(json.dumps, rows)))
    files = [tmp_path / "one.json", tmp_path / "other.json", tmp_path / "one.json"]
    plain, found = read_examples(files), read_examples(files, [more])
    assert found[: len(plain)] == plain
    assert [(e.question, e.answer) for e in found[len(plain) :]] == [
        ("How many bridges?", (1, 4)),
        ("什么有三十座？", (4, 5)),
        ("几条河？", None),
    ]
    assert len({example.id for example in found[len(plain) :]}) == 3
    more.write_text('{"id": "third:8", "question": "几条河？"}')
    with pytest.raises(InputError, match="names no question of these files"):
        read_examples(files, [more])
    more.write_text('{"id": "one:7"}')
    with pytest.raises(InputError, match="an id and a question"):
        read_examples(files, [more])


def test_negatives_are_not_answered_by_their_passage() -> None:
    examples = [
        example("甲镇在1952年怎么了？", "建于1952年"),
        example("上海的首都北京在1986年如何？", None, "别的一段话，讲北京和上海。"),
    ]
    negatives = NegativeMaker(examples, {examples[0].id: ["别的一段话。"]})
    rng = random.Random(1)
    swapped = negatives.swapped(examples[0], rng)
    assert swapped is not None
    assert swapped.answer is None
    assert swapped.passage == PASSAGE
    assert swapped.question != examples[0].question
    assert "1952" not in swapped.question
    retrieved = negatives.retrieved(examples[0], rng)
    assert retrieved is not None
    assert retrieved.passage == "别的一段话。"
    long = example("几座桥？", "三十座", PASSAGE + "丙城在西面，也有河流经过。" * 5)
    cut = negatives.without_answer_sentence(long, rng)
    assert cut is not None
    assert "三十座" not in cut.passage
    assert cut.passage.startswith("甲镇建于1952年。乙村")


def test_a_share_that_looks_like_a_year_is_swapped_for_another_share() -> None:
    asked = example("20.8%是谁？", None, "桥梁占20.8%。")
    made = [NegativeMaker([asked], {}).swapped(asked, random.Random(seed)) for seed in range(5)]
    numbers = [float(m.question.removesuffix("%是谁？")) for m in made if m is not None]
    assert len(set(numbers)) > 2
    assert all(0.1 <= number <= 99 and number != 20.8 for number in numbers)


def test_a_thing_is_swapped_only_where_nothing_more_definite_is() -> None:
    passage = "上海有大模型企业755家，徐汇有工厂。"
    asked = [
        example("上海有多少家企业？", "755家", passage),
        example("浦东有多少座桥梁？", None, "浦东的桥梁。"),
        example("大学里有几座工厂？", None, "大学。"),
        example("黄浦江有多长？", None, "黄浦江。"),
    ]
    negatives = NegativeMaker(asked, {})
    made = [negatives.swapped(asked[0], random.Random(seed)) for seed in range(20)]
    questions = {m.question for m in made if m is not None}
    assert questions
    # 上海 is a place, 企业 a thing: only the place goes.
    assert questions <= {"浦东有多少家企业？", "黄浦江有多少家企业？"}
    bare = example("有多少家企业？", "755家", passage)
    negatives = NegativeMaker([bare, *asked[1:]], {})
    swapped = [negatives.swapped(bare, random.Random(seed)) for seed in range(20)]
    assert {m.question for m in swapped if m is not None} >= {"有多少家桥梁？"}


def test_a_question_is_asked_of_a_year_that_its_passage_does_not_speak_of() -> None:
    negatives = NegativeMaker([], {})
    for seed in range(30):
        made = negatives.dated(example("镇上有几座桥？", "三十座"), random.Random(seed))
        assert made is None or (
            made.answer is None and made.question.endswith("年，镇上有几座桥？")
        )
        assert made is None or "1952" not in made.question
    made = negatives.dated(example("How many bridges are there?", "三十座"), random.Random(1))
    assert made is not None
    assert made.question[8:] == " how many bridges are there?"
    assert negatives.dated(example("1952年如何？", "建于1952年"), random.Random(1)) is None


def test_a_question_after_a_number_is_asked_after_another_quantity() -> None:
    passage = "1952年建成的桥长300米，有三层，每天走过5000人。"
    negatives = NegativeMaker([], {})

    def made(question: str) -> set[str]:
        drawn = (
            negatives.measured(example(question, "300米", passage), random.Random(seed))
            for seed in range(60)
        )
        found = [example for example in drawn if example is not None]
        assert all(e.answer is None and e.passage == passage for e in found)
        return {e.question for e in found}

    chinese = made("桥有多少米长？")
    assert "桥有多少吨长？" in chinese
    assert made("共有几个城市？") >= {"共有几户居民？", "共有几所学校？"}
    # The passage speaks of metres and of storeys.
    assert not any("米" in question or "层" in question for question in chinese)
    english = made("How much money was spent?")
    assert "How many schools was spent?" in english
    assert not any("storeys" in question for question in english)
    assert made("谁建了这座桥？") == set()


NUMBERS = "2023年，徐汇已集聚了500余家人工智能企业、755家大模型企业。产值增长12.5%，其中3100余户居民受益于旧房改造。"


def test_a_question_is_made_after_a_number_of_a_clause() -> None:
    example = Example("1", "有什么？", NUMBERS, (8, 10))
    made = [asked_of_number(example, random.Random(seed)) for seed in range(60)]
    found = {NUMBERS[slice(*one.answer)]: one for one in made if one and one.answer}
    assert set(found) == {"500余家", "3100余户"}, "around the others there is too little"
    households = found["3100余户"].question.rstrip("？")
    assert re.fullmatch("(其中)?(多少|几)户居民.*旧房.*|(其中)?(多少|几)户.*受益.*", households)
    for one in made:
        assert one is None or not set("0123456789") & set(one.question), "no number tells on"
    assert "人工智能" in found["500余家"].question
    assert made == [asked_of_number(example, random.Random(seed)) for seed in range(60)]


@pytest.mark.parametrize(
    "passage",
    [
        "这座始建于明代的老桥全长35米。",  # the only number
        "这座始建于明代的老桥全长35米，另一座始建于清代的桥也长35米。",
        "长35米，宽20米。",
        "它的体长大约为15-20厘米左右，体宽大约为5~8厘米左右。",
        "球队在主场以3:1击败来访的对手，图书馆在8:30准时开门迎接读者。",
    ],
)
def test_no_question_is_made_after_a_number_that_others_would_not_miss(passage: str) -> None:
    example = Example("1", "有什么？", passage, (0, 1))
    assert not any(asked_of_number(example, random.Random(seed)) for seed in range(20))


def test_an_epoch_holds_the_share_of_questions_after_numbers_that_is_asked_for() -> None:
    examples = [Example(str(n), "这里有哪些企业？", NUMBERS, (8, 10)) for n in range(300)]
    maker = NegativeMaker(examples, {})
    rest = dict.fromkeys(("swapped", "dated", "retrieved", "removed", "transplanted"), 0.0)
    for share in (0.0, 0.5):
        epoch = epoch_examples(examples, maker, random.Random(4), numbers=share, **rest)
        kinds = Counter(example.kind for example in epoch)
        assert kinds["given"] == 300
        # Of NUMBERS every second number makes none.
        assert 0.3 * share * 300 <= kinds["number"] <= share * 300
        assert (kinds["measured"] > 0) == (share > 0), "each is asked after another quantity too"


def test_what_was_asked_of_one_name_is_asked_of_another() -> None:
    own = example("上海有多少座桥？", "三十座", "上海有三十座桥。")
    other = example("北京举办过哪届奥运会？", "2008年", "北京举办了2008年奥运会。")
    negatives = NegativeMaker([own, other], {})
    made = [negatives.transplanted(own, random.Random(seed)) for seed in range(20)]
    assert {(m.question, m.passage, m.answer) for m in made if m is not None} == {
        ("上海举办过哪届奥运会？", "上海有三十座桥。", None)
    }
    # Here the passage may well answer what was asked of the other.
    near = example("上海有多少座桥？", "三十座", "上海有三十座桥，举办过奥运会。")
    negatives = NegativeMaker([near, other], {})
    assert all(negatives.transplanted(near, random.Random(seed)) is None for seed in range(20))


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


def test_frozen_layers_stay_as_they_are(tmp_path: Path, tokenizer: CharacterTokenizer) -> None:
    examples = [example("有几座桥？", "三十座")] * 4
    recipe = Recipe(steps=3, batch=2, warmup=1, min_tokens=8, max_tokens=24, frozen_layers=1)
    model = tiny_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.freeze(recipe.frozen_layers)
    training = Training(model, recipe, tmp_path)
    training.run(batches(examples, NegativeMaker(examples, {}), tokenizer, recipe))
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert "head.weight" in moved
    assert not any(name.startswith("encoder.encoder.layer.0.") for name in moved)


def test_the_probe_learns_from_the_network_and_the_network_nothing_from_it(
    tmp_path: Path, tokenizer: CharacterTokenizer
) -> None:
    examples = [
        Example(f"{n}", "有几座桥？", PASSAGE, (13, 16) if n % 2 else None) for n in range(8)
    ]
    recipe = Recipe(steps=60, batch=4, warmup=1, min_tokens=24, max_tokens=24, peak=1e-2)

    def trained(name: str, start: float) -> SpanModel:
        model = tiny_model()
        with torch.no_grad():
            model.probe.weight.mul_(start)
        Training(model, recipe, tmp_path / name).run(
            batches(examples, NegativeMaker(examples, {}), tokenizer, recipe)
        )
        return model

    one, other = trained("one", 1.0), trained("other", 40.0)
    for (name, ours), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs) == (not name.startswith("probe.")), name
    ids = tokenizer.encode("query: 有几座桥？").ids, tokenizer.encode(PASSAGE).ids
    sides = torch.tensor([[0, *ids[0], 2]]), torch.tensor([[2, *ids[1], 2]])
    with torch.inference_mode():
        guesses = one(*sides).guesses
    first = len(ids[0]) + 3
    # Passages without an answer teach it nothing: it points to none but the answer's edges.
    assert guesses[0, first:-1].argmax(0).tolist() == [13, 15]


def test_a_run_of_an_earlier_version_is_not_gone_on_with(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    recipe = Recipe(steps=1)
    Training(tiny_model(), recipe, tmp_path).save()
    with safe_open(tmp_path / STATE, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(tmp_path / STATE)
    kept = {name: t.clone() for name, t in tensors.items() if "probe" not in name}
    save_file(kept, tmp_path / STATE, metadata)
    with pytest.raises(InputError, match=r"earlier xhqa .*probe.bias.* another --out"):
        Training(tiny_model(), recipe, tmp_path)


def test_neighbours_do_not_hold_the_answer() -> None:
    examples = [
        example("镇上有几座桥？", "三十座"),
        example("镇上哪里有桥？", "东边", "镇上的东边有桥，共三十座。"),
        example("镇上谁修桥？", "石匠", "镇上的石匠修桥。"),
    ]
    neighbours = retrieve_neighbours(examples)
    assert neighbours["镇上有几座桥？"] == ["镇上的石匠修桥。"]


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


def test_the_loss_ignores_positions_that_no_answer_may_have() -> None:
    allowed = torch.tensor([[True, False, True]])
    logits = torch.tensor([[[0.0, 0.0], [50.0, 50.0], [0.0, 0.0]]])
    loss = span_loss(logits, allowed, torch.tensor([2]), torch.tensor([2]))
    assert loss.item() == pytest.approx(0.6931, abs=1e-3)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(steps=100, peak=1.0, warmup=10, decay=0.2)
    assert recipe.rate(0) == pytest.approx(0.1)
    assert recipe.rate(50) == 1.0
    assert recipe.rate(90) == pytest.approx(0.5)
    assert recipe.rate(100) == 0.0


@pytest.mark.parametrize("half", [False, True])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(
    tmp_path: Path, tokenizer: CharacterTokenizer, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    examples = [example("有几座桥？", "三十座"), example("建于哪年？", "1952年")] * 4
    examples = [Example(f"{n}", e.question, e.passage, e.answer) for n, e in enumerate(examples)]
    negatives = NegativeMaker(examples, {})
    monkeypatch.setattr("xhqa.train.loop.has_bfloat16", lambda: True)
    recipe = Recipe(steps=12, batch=2, warmup=3, min_tokens=8, max_tokens=24, peak=1e-2)

    def losses(out: Path, *stops: int) -> list[float]:
        seen: list[float] = []
        for number, stop in enumerate((*stops, recipe.steps)):
            # What is faster is measured anew each time, and may come out otherwise.
            faster = half if number == 0 else not half
            monkeypatch.setattr("xhqa.train.loop.faster_in_bfloat16", lambda faster=faster: faster)
            training = Training(tiny_model(), recipe, out)
            assert training.half is half
            stream = batches(examples, negatives, tokenizer, recipe)

            def on_step(step: int, loss: float, stop: int = stop) -> None:
                seen.append(loss)
                if step == stop and stop < recipe.steps:
                    raise KeyboardInterrupt

            try:
                training.run(stream, on_step=on_step)
            except KeyboardInterrupt:
                training.save()
        return seen

    whole = losses(tmp_path / "whole")
    assert len(whole) == 12
    assert whole[-1] < whole[0]
    assert losses(tmp_path / "stopped", 3, 8) == whole
    if half:
        monkeypatch.setattr("xhqa.train.loop.has_bfloat16", lambda: False)
        elsewhere = Training(tiny_model(), recipe, tmp_path / "stopped")
        assert not elsewhere.half, "not where there is only software for it"
    with pytest.raises(InputError, match="another batch, seed"):
        Training(
            tiny_model(),
            Recipe(12, batch=3, warmup=3, seed=2, min_tokens=8, max_tokens=24, peak=1e-2),
            tmp_path / "whole",
        )


def test_held_out_passages_are_not_trained_on() -> None:
    examples = [Example(f"{n}", "?", f"第{n // 2}段", None) for n in range(60)]
    train, held = hold_out(examples, 1)
    assert len(held) == 6
    assert len(train) == 54
    assert not {e.passage for e in train} & {e.passage for e in held}


def test_collate_pads() -> None:
    batch = collate(
        [Window([0, 7, 2, 2, 8, 9, 2], 4, 4, 5), Window([0, 7, 6, 2, 2, 8, 2], 5, 0, 0)]
    )
    assert batch.questions.tolist() == [[0, 7, 2, 1], [0, 7, 6, 2]]
    assert batch.passages.tolist() == [[2, 8, 9, 2], [2, 8, 2, 1]]
    assert batch.allowed.int().tolist() == [[1, 0, 0, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 1, 0, 0]]
    assert (batch.start.tolist(), batch.end.tolist()) == ([5, 0], [6, 0])


SIDES = torch.tensor([[0, 7, 2, 1], [0, 9, 5, 2]]), torch.tensor([[2, 8, 9, 2], [2, 8, 9, 2]])


def test_lower_layers_that_are_apart_make_the_same_of_a_passage_whatever_is_asked() -> None:
    with torch.inference_mode():
        apart, both = tiny_model(3, 2)(*SIDES), tiny_model(3)(*SIDES)
    # ``states`` has first those behind two of three layers.
    passages = apart.states[0][:, 4:]
    assert passages[0] == pytest.approx(passages[1], abs=1e-6)
    assert (both.states[0][0, 4:] - both.states[0][1, 4:]).abs().max() > 1e-3
    # The last layer sees both.
    assert (apart.states[1][0, 4:] - apart.states[1][1, 4:]).abs().max() > 1e-4


def test_a_reader_that_reads_both_together_is_the_one_of_hugging_face() -> None:
    model = tiny_model(3, 2)
    with torch.inference_mode():
        logits = model(*SIDES, together=True).logits
        for row, ids in enumerate([[0, 7, 2, 2, 8, 9, 2], [0, 9, 5, 2, 2, 8, 9, 2]]):
            states = model.encoder(input_ids=torch.tensor([ids])).last_hidden_state
            ours = logits[row][(torch.cat(SIDES, 1)[row] != 1)]
            assert ours.numpy() == pytest.approx(model.head(states)[0].numpy(), abs=1e-5)


def test_attention_is_worked_out_in_float32() -> None:
    torch.manual_seed(3)
    halves = [torch.randn(1, 2, 40, 8).to(torch.bfloat16) for _ in range(3)]
    mask = torch.ones(1, 1, 1, 40, dtype=torch.bool)
    mask[..., 30:] = False
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = attend(torch.nn.Module(), *halves, mask)
        inexact = torch.nn.functional.scaled_dot_product_attention(*halves, mask)
    query, key, value = (half.float() for half in halves)
    scores = (query @ key.transpose(2, 3) / 8**0.5).masked_fill(~mask, -math.inf)
    exact = (scores.softmax(-1) @ value).transpose(1, 2)
    assert mixed.dtype == torch.bfloat16
    rounded = exact.to(torch.bfloat16)
    # Sums in another order may turn a rounding.
    assert (mixed == rounded).float().mean() > 0.99
    assert (inexact.transpose(1, 2) == rounded).float().mean() < 0.99


def test_what_a_pupil_is_off_its_teacher() -> None:
    batch = collate([Window([0, 7, 2, 2, 8, 2], 4, 4, 4)])
    states = torch.ones(1, 6, 1), torch.full((1, 6, 1), 2.0)
    logits = torch.zeros(1, 6, 2)
    teacher = Reading(logits, logits, states)
    assert lesson_loss(teacher, teacher, batch).item() == 0
    # The teacher has "no answer" and 8 alike, the pupil 8 three times as likely as a beginning;
    # what it makes of places that are not allowed does not count.
    tilted = logits.clone()
    tilted[0, 4, 0] = 1.0986
    tilted[0, 1, 0] = 9.0
    divergence = 0.5 * (math.log(0.5 / 0.25) + math.log(0.5 / 0.75)) / 2
    pupil = Reading(tilted, logits, states)
    assert lesson_loss(pupil, teacher, batch).item() == pytest.approx(divergence, abs=1e-3)
    halved = Reading(logits, logits, (states[0] * 0.5, states[1]))
    assert lesson_loss(halved, teacher, batch).item() == pytest.approx(0.25)


def test_a_teacher_is_followed(tmp_path: Path, tokenizer: CharacterTokenizer) -> None:
    examples = [example("有几座桥？", "三十座")] * 4
    recipe = Recipe(30, batch=4, min_tokens=24, max_tokens=24, peak=1e-2, apart=1)

    def off(name: str, taught: bool) -> float:
        torch.manual_seed(1)
        teacher, pupil = tiny_model(), tiny_model(1, 1)
        with torch.no_grad():
            teacher.head.weight.mul_(60)
        training = Training(pupil, recipe, tmp_path / name, teacher if taught else None)
        stream = batches(examples, NegativeMaker(examples, {}), tokenizer, recipe)
        training.run(stream)
        batch = collate(next(stream))
        with torch.inference_mode():
            readings = [model(batch.questions, batch.passages) for model in (pupil, teacher)]
            return lesson_loss(*readings, batch).item()

    assert off("taught", True) < off("alone", False) / 2
