"""The training loop: what it learns, keeps and goes on with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from support import CharacterTokenizer
from train_support import PASSAGE, example, tiny_model

from xhqa.errors import InputError
from xhqa.read.model import Reading, SpanModel
from xhqa.train.examples import Example
from xhqa.train.loop import STATE, Recipe, Training, batches, collate, lesson_loss, span_loss
from xhqa.train.negatives import NegativeMaker
from xhqa.train.windows import Window


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
