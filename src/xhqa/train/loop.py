"""The training loop: resumable to the step, deterministic by seed and precision, bounded by
minutes."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from xhqa.cpu import faster_in_bfloat16, has_bfloat16
from xhqa.errors import InputError
from xhqa.read.model import PROBE, Reading, SpanModel
from xhqa.script import has_han
from xhqa.tokenizer import PAD, Tokenizer
from xhqa.train.examples import Example
from xhqa.train.gloss import Glossary
from xhqa.train.negatives import NegativeMaker, epoch_examples
from xhqa.train.windows import Window, make_window

STATE = "state.safetensors"
_AVERAGE_EVERY = 8
_AVERAGE_DECAY = 0.98
# Windows that go through the network at once: more leave the processor's cache.
_AT_ONCE = 8
# The probe is one layer, and has far to go: it learns faster.
_PROBE_RATE = 10.0
# Of a reader with layers apart each fifth batch is read as Hugging Face's form of it reads.
_TOGETHER_EVERY = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a run of ``steps`` steps: warm-up, a constant learning rate ``peak``, and a
    straight line to zero over the last ``decay`` share.

    ``frozen_layers`` of the encoder stay as they are, from the lowest; the lowest ``apart`` see
    question and passage apart; ``taught``: whether another reader is to be followed too.
    ``code_switch`` is the share of Chinese questions put into English word by word.
    """

    steps: int
    batch: int = 16
    peak: float = 1.5e-4
    warmup: int = 200
    decay: float = 0.25
    weight_decay: float = 0.01
    clip: float = 1.0
    min_tokens: int = 32
    max_tokens: int = 256
    frozen_layers: int = 0
    apart: int = 0
    taught: bool = False
    code_switch: float = 0.0
    seed: int = 1

    def rate(self, step: int) -> float:
        """The learning rate at ``step``."""
        start = int(self.steps * (1 - self.decay))
        rising = min(1.0, (step + 1) / max(1, min(self.warmup, self.steps // 10)))
        falling = 1.0 if step < start else max(0.0, (self.steps - step) / (self.steps - start))
        return self.peak * min(rising, falling)


def batches(
    examples: Sequence[Example],
    negatives: NegativeMaker,
    tokenizer: Tokenizer,
    recipe: Recipe,
) -> Iterator[list[Window]]:
    """Endless length-bucketed batches, a function of the examples and the recipe's seed alone."""
    glossary = Glossary() if recipe.code_switch else None

    def switched(example: Example, rng: random.Random) -> Example:
        if glossary is None or not has_han(example.question) or rng.random() >= recipe.code_switch:
            return example
        return replace(example, question=glossary.switched(example.question, rng))

    epoch = 0
    while True:
        rng = random.Random(f"{recipe.seed}:{epoch}")
        stream = (switched(example, rng) for example in epoch_examples(examples, negatives, rng))
        while pool := list(islice(stream, recipe.batch * 32)):
            windows = [
                make_window(
                    example,
                    tokenizer,
                    rng,
                    min_tokens=recipe.min_tokens,
                    max_tokens=recipe.max_tokens,
                )
                for example in pool
            ]
            windows.sort(key=lambda window: len(window.ids))
            groups = [windows[i : i + recipe.batch] for i in range(0, len(windows), recipe.batch)]
            rng.shuffle(groups)
            yield from groups
        epoch += 1


class Batch(NamedTuple):
    """Windows side by side: padded ids of the questions int64[b, q] and of the passages
    int64[b, p]; the places that an answer's edges may have, 0 for none among them, bool[b, q + p];
    and those that it has, int64[b] each."""

    questions: torch.Tensor
    passages: torch.Tensor
    allowed: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor


def collate(windows: Sequence[Window]) -> Batch:
    """The two ends between question and passage are one's last and the other's first token."""
    cuts = [window.passage_start - 1 for window in windows]
    questions = _padded([w.ids[:cut] for w, cut in zip(windows, cuts, strict=True)])
    passages = _padded([w.ids[cut:] for w, cut in zip(windows, cuts, strict=True)])
    width = questions.shape[1]
    allowed = torch.zeros(len(windows), width + passages.shape[1], dtype=torch.bool)
    allowed[:, 0] = True
    for row, (window, cut) in enumerate(zip(windows, cuts, strict=True)):
        allowed[row, width + 1 : width + len(window.ids) - cut - 1] = True

    def moved(places: Sequence[int]) -> torch.Tensor:
        both = zip(places, cuts, strict=True)
        return torch.tensor([width + place - cut if place else 0 for place, cut in both])

    start, end = moved([w.start for w in windows]), moved([w.end for w in windows])
    return Batch(questions, passages, allowed, start, end)


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    ids = torch.full((len(rows), max(map(len, rows))), PAD)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    return ids


def span_loss(
    logits: torch.Tensor, allowed: torch.Tensor, start: torch.Tensor, end: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of start and end over the allowed positions (Devlin et al. 2019)."""
    logits = logits.float().masked_fill(~allowed.unsqueeze(-1), -1e4)
    return (
        nn.functional.cross_entropy(logits[..., 0], start)
        + nn.functional.cross_entropy(logits[..., 1], end)
    ) / 2


def lesson_loss(pupil: Reading, teacher: Reading, batch: Batch) -> torch.Tensor:
    """How far the pupil is from its teacher, float[]: the mean Kullback-Leibler divergence of its
    start and end distributions (Hinton et al. 2015), and the squared distance of its states, as a
    share of the teacher's squares (Cao et al. 2020, "DeFormer")."""
    ours, theirs = (
        nn.functional.log_softmax(
            reading.logits.float().masked_fill(~batch.allowed.unsqueeze(-1), -1e4), 1
        )
        for reading in (pupil, teacher)
    )
    loss = (theirs.exp() * (theirs - ours)).sum(1).mean()
    real = (torch.cat([batch.questions, batch.passages], 1) != PAD).unsqueeze(-1)
    for state, wanted in zip(pupil.states, teacher.states, strict=True):
        off = ((state.float() - wanted.float()) * real).square().sum()
        loss = loss + off / (wanted.float() * real).square().sum()
    return loss


@torch.no_grad()
def validate(
    model: SpanModel, windows: Sequence[Window], half: bool = False, batch: int = _AT_ONCE
) -> dict[str, float]:
    """Loss, share of exact spans among the answerable and of refusals among the unanswerable;
    ``half``: in bfloat16."""
    loss, exact, answerable, refused, unanswerable = 0.0, 0, 0, 0, 0
    ordered = sorted(windows, key=lambda window: len(window.ids))
    for at in range(0, len(ordered), batch):
        questions, passages, allowed, start, end = collate(ordered[at : at + batch])
        with torch.autocast("cpu", torch.bfloat16, half):
            logits = model(questions, passages).logits.float()
        loss += float(span_loss(logits, allowed, start, end)) * len(questions)
        best = logits.masked_fill(~allowed.unsqueeze(-1), -1e4).argmax(1)
        has = start > 0
        exact += int(((best[:, 0] == start) & (best[:, 1] == end) & has).sum())
        answerable += int(has.sum())
        refused += int(((best[:, 0] == 0) & ~has).sum())
        unanswerable += int((~has).sum())
    return {
        "loss": loss / max(1, len(windows)),
        "exact": exact / max(1, answerable),
        "refused": refused / max(1, unanswerable),
    }


class Training:
    """A run in the folder ``out``; goes on where an earlier one in that folder was stopped.

    ``out`` holds ``state.safetensors``: weights, their moving average and the optimiser's
    moments, written anew and swapped in as one file. ``half``: whether it multiplies in bfloat16:
    as it began, so that it goes on as it would have, but never where there is only software for it.
    """

    def __init__(
        self, model: SpanModel, recipe: Recipe, out: Path, teacher: SpanModel | None = None
    ) -> None:
        """Raises InputError where ``out`` holds a run of another recipe."""
        self.model = model
        self._teacher = teacher
        self.recipe = recipe
        self.out = out
        self.step = 0
        self.half = faster_in_bfloat16()
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.trained.items()}
        probe = [p for name, p in self.trained.items() if name.startswith(PROBE)]
        self._network = [p for name, p in self.trained.items() if not name.startswith(PROBE)]
        self._optimizer = torch.optim.AdamW(
            [{"params": self._network, "times": 1.0}, {"params": probe, "times": _PROBE_RATE}],
            lr=recipe.peak,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self._restore()

    def run(
        self,
        stream: Iterator[list[Window]],
        *,
        minutes: float | None = None,
        save_minutes: float = 4.0,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
        on_save: Callable[[], None] = lambda: None,
    ) -> None:
        """Train until the recipe's last step or for ``minutes``. ``stream`` starts at the first
        batch; the ones that were trained on before are passed over."""
        for _ in range(self.step):
            next(stream)
        began = saved = time.monotonic()
        while self.step < self.recipe.steps:
            if minutes is not None and time.monotonic() - began > minutes * 60:
                break
            on_step(self.step, self._train_on(next(stream)))
            if time.monotonic() - saved > save_minutes * 60:
                self.save()
                on_save()
                saved = time.monotonic()
        self.save()
        on_save()

    def _train_on(self, windows: Sequence[Window]) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step) * group["times"]
        total = 0.0
        together = self.step % _TOGETHER_EVERY == 0 and self.recipe.apart > 0
        for at in range(0, len(windows), _AT_ONCE):
            part = windows[at : at + _AT_ONCE]
            batch = collate(part)
            questions, passages, allowed, start, end = batch
            with torch.autocast("cpu", torch.bfloat16, self.half):
                reading = self.model(questions, passages, together)
                with torch.no_grad():
                    lesson = self._teacher(questions, passages) if self._teacher else None
            share = len(part) / len(windows)
            loss = span_loss(reading.logits, allowed, start, end) * share
            total += float(loss.detach())
            if lesson is not None:
                loss = loss + lesson_loss(reading, lesson, batch) * share
            has = start > 0
            if has.any():
                inside = allowed[has]
                inside[:, 0] = False
                loss = loss + span_loss(reading.guesses[has], inside, start[has], end[has]) * share
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network, self.recipe.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        if self.step % _AVERAGE_EVERY == 0:
            decay = min(_AVERAGE_DECAY, self.step / (self.step + 10 * _AVERAGE_EVERY))
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    self.average[name].lerp_(parameter, 1 - decay)
        return total

    def save(self) -> None:
        tensors = {f"model/{name}": p.detach() for name, p in self.trained.items()}
        tensors |= {f"average/{name}": t for name, t in self.average.items()}
        for name, p in self.trained.items():
            if moments := self._optimizer.state.get(p):
                tensors[f"first/{name}"] = moments["exp_avg"]
                tensors[f"second/{name}"] = moments["exp_avg_sq"]
        self.out.mkdir(parents=True, exist_ok=True)
        metadata = {
            "step": str(self.step),
            "recipe": json.dumps(asdict(self.recipe)),
            "half": str(self.half),
        }
        save_file(tensors, self.out / f"{STATE}.new", metadata=metadata)
        os.replace(self.out / f"{STATE}.new", self.out / STATE)

    def _restore(self) -> None:
        path = self.out / STATE
        if not path.exists():
            return
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata()
        before, now = json.loads(metadata["recipe"]), asdict(self.recipe)
        changed = sorted(k for k in now if before.get(k) != now[k])
        if changed:
            raise InputError(
                f"{path} is a run with another {', '.join(changed)}: give the same or another --out"
            )
        self.step = int(metadata["step"])
        self.half = metadata.get("half") == "True" and has_bfloat16()
        tensors = load_file(path)
        if missing := sorted(n for n in self.trained if f"model/{n}" not in tensors):
            raise InputError(
                f"{path} is a run of an earlier xhqa ({missing[0]} is not in it): give another "
                "--out, and --from with its reader.safetensors to go on from there"
            )
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(tensors[f"model/{name}"])
                self.average[name].copy_(tensors[f"average/{name}"])
                if f"first/{name}" in tensors:
                    self._optimizer.state[parameter] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": tensors[f"first/{name}"],
                        "exp_avg_sq": tensors[f"second/{name}"],
                    }
