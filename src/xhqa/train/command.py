"""What ``xhqa train-reader`` does: files → examples → training → ``reader.safetensors``."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import torch

from xhqa import bundle
from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.progress import Bar
from xhqa.tokenizer import Tokenizer, load_tokenizer
from xhqa.train.examples import (
    Example,
    also_asked,
    cross_lingual,
    question_ids,
    read_squad,
)
from xhqa.train.loop import Recipe, Training, batches, validate
from xhqa.train.negatives import NegativeMaker, retrieve_neighbours
from xhqa.train.windows import Window, make_window

READER = "reader.safetensors"
_HELD_OUT = 200
# Validation takes half a minute on two cores.
_VALIDATE_MINUTES = 20


def train_reader(
    files: Sequence[Path],
    out: Path,
    recipe: Recipe,
    settings: Settings,
    minutes: float | None,
    notify: Callable[[str], None],
    start: Path | None = None,
    teacher: Path | None = None,
    more: Sequence[Path] = (),
    without: Sequence[Path] = (),
) -> Path:
    """Fine-tune the bundled encoder on SQuAD-style ``files``; return the reader's path.

    A file named k times counts k times. ``start``: a trained reader to begin with; ``teacher``: one
    to follow besides the answers, where the recipe says ``taught``; ``more``: files of more
    questions on their passages (``examples.also_asked``); ``without``: files whose paragraphs are
    left out (``read_examples``). Goes on where an earlier run in ``out`` stopped. Raises InputError
    for files that cannot be read and for a recipe other than that run's.
    """
    from xhqa.read.model import from_folder, load_reader, save_reader

    torch.manual_seed(recipe.seed)
    folder = bundle.converted(settings.cache_dir, notify)
    tokenizer = load_tokenizer(bundle.runtime(settings.cache_dir, notify))
    examples = read_examples(files, more, without)
    notify(f"{len(examples)} questions; looking for passages that nearly answer them …")
    negatives = NegativeMaker(examples, retrieve_neighbours(examples))
    train, held_out = hold_out(examples, recipe.seed)
    windows = validation_windows(held_out, negatives, tokenizer, recipe)
    model = from_folder(folder, recipe.apart)
    base = {
        name: p.detach().clone()
        for name, p in model.encoder.named_parameters(prefix="encoder")
        if p.requires_grad
    }
    if start is not None:
        model.load_state_dict(load_reader(start, folder).state_dict())
    model.freeze(recipe.frozen_layers)
    weights = dict(model.named_parameters())
    kept = [*base, "head.weight", "head.bias", "probe.weight", "probe.bias"]
    followed = None if teacher is None else load_reader(teacher, folder)
    training = Training(model, recipe, out, followed)
    notify(f"multiplying in {'bfloat16' if training.half else 'float32'}")
    if training.step:
        notify(f"going on at step {training.step} of {recipe.steps}")

    validated = time.monotonic()

    def saved() -> None:
        nonlocal validated
        done = training.step == recipe.steps
        if done or time.monotonic() - validated > _VALIDATE_MINUTES * 60:
            figures = validate(model, windows, training.half)
            shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            notify(f"step {training.step}: held-out {shown}")
            validated = time.monotonic()
        averaged = {name: training.average.get(name, weights[name].detach()) for name in kept}
        save_reader(averaged, base, out / READER, f"step {training.step}", recipe.apart)

    with Bar() as progress:
        training.run(
            batches(train, negatives, tokenizer, recipe),
            minutes=minutes,
            on_step=lambda step, loss: progress("train", step, recipe.steps, f"loss {loss:.2f}"),
            on_save=saved,
        )
    return out / READER


def read_examples(
    files: Sequence[Path], more: Sequence[Path] = (), without: Sequence[Path] = ()
) -> list[Example]:
    """All questions of the files, those of parallel files crossed over, and the ``more`` on them.

    Two files are parallel where their questions have the same ids in the same order. Passages with
    a question whose id is one of the files ``without`` are left out: translations of a data set
    keep its ids, so what is measured on is known in another wording. Raises InputError for files
    that cannot be read and where nothing has an answer.
    """
    times = Counter(files)
    barred = {i for path in without for i in question_ids(path)}
    by_file = {path: read_squad(path, barred) for path in times}
    found = [example for path, examples in by_file.items() for example in examples * times[path]]
    for one, other in combinations(times, 2):
        first, second = by_file[one], by_file[other]
        keys = [[_own_id(e) for e in examples] for examples in (first, second)]
        if keys[0] == keys[1]:
            crossed = cross_lingual(first, second) + cross_lingual(second, first)
            found += crossed * min(times[one], times[other])
    given = [example for examples in by_file.values() for example in examples]
    for path in more:
        found += also_asked(given, path)
    if not any(example.answer for example in found):
        raise InputError("no question with an answer in these files: nothing to learn from")
    return found


def _own_id(example: Example) -> str:
    """A question's id without its file's name."""
    return example.id.partition(":")[2]


def hold_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Training and held-out examples without a passage in common: at most 200 held out, and at
    most a tenth."""
    wanted = min(_HELD_OUT, len(examples) // 10)
    passages = sorted({example.passage for example in examples})
    random.Random(seed).shuffle(passages)
    by_passage: dict[str, list[Example]] = {}
    for example in examples:
        by_passage.setdefault(example.passage, []).append(example)
    held: list[Example] = []
    while passages and len(held) + len(by_passage[passages[-1]]) <= wanted:
        held += by_passage.pop(passages.pop())
    return [e for group in by_passage.values() for e in group], held


def validation_windows(
    held_out: Sequence[Example], negatives: NegativeMaker, tokenizer: Tokenizer, recipe: Recipe
) -> list[Window]:
    """One window for each held-out example and for each with a name or number swapped."""
    rng = random.Random(recipe.seed)
    swapped = [negatives.swapped(example, rng) for example in held_out if example.answer]
    return [
        make_window(
            example,
            tokenizer,
            rng,
            min_tokens=recipe.max_tokens,
            max_tokens=recipe.max_tokens,
        )
        for example in (*held_out, *swapped)
        if example is not None
    ]
