"""The training loop: resumable to the step, deterministic by seed, bounded by minutes."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from xhqa.read.model import SpanModel
from xhqa.train.examples import Example, NegativeMaker, epoch_examples
from xhqa.train.windows import Window, make_window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_EMA_EVERY = 8
_EMA_DECAY = 0.98


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a run. ``steps`` is its whole length; the last ``decay`` share of it brings
    the learning rate from ``peak`` to zero in a straight line."""

    steps: int
    batch: int = 16
    peak: float = 1.5e-4
    warmup: int = 200
    decay: float = 0.25
    weight_decay: float = 0.01
    clip: float = 1.0
    min_tokens: int = 64
    max_tokens: int = 256
    seed: int = 1

    def rate(self, step: int) -> float:
        """The learning rate at ``step``: warm-up, constant, linear decay."""
        start = int(self.steps * (1 - self.decay))
        rising = min(1.0, (step + 1) / self.warmup)
        falling = 1.0 if step < start else max(0.0, (self.steps - step) / (self.steps - start))
        return self.peak * min(rising, falling)


def batches(
    examples: Sequence[Example],
    negatives: NegativeMaker,
    tokenizer: Tokenizer,
    recipe: Recipe,
    weights: Callable[[Example], int],
) -> Iterator[list[Window]]:
    """Endless length-bucketed batches, a function of the recipe's seed alone."""
    repeated = [example for example in examples for _ in range(weights(example))]
    epoch = 0
    while True:
        rng = random.Random(f"{recipe.seed}:{epoch}")
        stream = epoch_examples(repeated, negatives, rng)
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


def collate(windows: Sequence[Window]) -> tuple[torch.Tensor, ...]:
    """ids int64[b, t], attention mask int64[b, t], allowed bool[b, t], start, end int64[b]."""
    length = max(len(window.ids) for window in windows)
    ids = torch.ones(len(windows), length, dtype=torch.long)
    mask = torch.zeros(len(windows), length, dtype=torch.long)
    allowed = torch.zeros(len(windows), length, dtype=torch.bool)
    for row, window in enumerate(windows):
        size = len(window.ids)
        ids[row, :size] = torch.tensor(window.ids)
        mask[row, :size] = 1
        allowed[row, 0] = True
        allowed[row, window.passage_start : size - 1] = True
    start = torch.tensor([window.start for window in windows])
    end = torch.tensor([window.end for window in windows])
    return ids, mask, allowed, start, end


def span_loss(
    logits: torch.Tensor, allowed: torch.Tensor, start: torch.Tensor, end: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of start and end over the allowed positions (Devlin et al. 2019)."""
    logits = logits.float().masked_fill(~allowed.unsqueeze(-1), -1e4)
    return (
        nn.functional.cross_entropy(logits[..., 0], start)
        + nn.functional.cross_entropy(logits[..., 1], end)
    ) / 2


@torch.no_grad()
def validate(model: SpanModel, windows: Sequence[Window], batch: int = 16) -> dict[str, float]:
    """Loss, exact spans among the answerable, refusals among the unanswerable (argmax each)."""
    losses, exact, answerable, refused, unanswerable = 0.0, 0, 0, 0, 0
    ordered = sorted(windows, key=lambda window: len(window.ids))
    for at in range(0, len(ordered), batch):
        ids, mask, allowed, start, end = collate(ordered[at : at + batch])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids, mask).float()
        losses += float(span_loss(logits, allowed, start, end)) * len(ids)
        best = logits.masked_fill(~allowed.unsqueeze(-1), -1e4).argmax(1)
        right = (best[:, 0] == start) & (best[:, 1] == end)
        has = start > 0
        exact += int((right & has).sum())
        answerable += int(has.sum())
        refused += int(((best[:, 0] == 0) & ~has).sum())
        unanswerable += int((~has).sum())
    return {
        "loss": losses / max(1, len(windows)),
        "exact": exact / max(1, answerable),
        "refused": refused / max(1, unanswerable),
    }


def train(
    model: SpanModel,
    stream: Iterator[list[Window]],
    held_out: Sequence[Window],
    recipe: Recipe,
    out: Path,
    *,
    minutes: float | None = None,
    save_minutes: float = 4.0,
    report: Callable[[dict[str, float]], None] = lambda figures: None,
) -> int:
    """Train ``model`` in place from where ``out`` left off; return the step reached.

    ``out`` gets ``state.safetensors`` (weights, their moving average, optimiser) and
    ``state.json``, replaced together every ``save_minutes`` and at the end.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        trained.values(),
        lr=recipe.peak,
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    average = {name: p.detach().clone() for name, p in trained.items()}
    step = _restore(out, recipe, trained, average, optimizer)
    for _ in range(step):
        next(stream)
    began = saved = time.monotonic()
    running = 0.0
    while step < recipe.steps and (minutes is None or time.monotonic() - began < minutes * 60):
        ids, mask, allowed, start, end = collate(next(stream))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids, mask)
        loss = span_loss(logits, allowed, start, end)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(list(trained.values()), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % _EMA_EVERY == 0:
            decay = min(_EMA_DECAY, step / (step + 10 * _EMA_EVERY))
            with torch.no_grad():
                for name, parameter in trained.items():
                    average[name].lerp_(parameter, 1 - decay)
        value = float(loss.detach())
        running = value if running == 0 else 0.98 * running + 0.02 * value
        if step % 20 == 0:
            report({"step": step, "loss": value, "mean": running, "rate": recipe.rate(step)})
        if time.monotonic() - saved > save_minutes * 60:
            _save(out, recipe, step, trained, average, optimizer)
            report({"step": step, **validate(model, held_out)})
            saved = time.monotonic()
    _save(out, recipe, step, trained, average, optimizer)
    return step


def _save(
    out: Path,
    recipe: Recipe,
    step: int,
    trained: dict[str, nn.Parameter],
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors = {f"model/{name}": p.detach() for name, p in trained.items()}
    tensors |= {f"average/{name}": t for name, t in average.items()}
    for name, p in trained.items():
        state = optimizer.state.get(p)
        if state:
            tensors[f"first/{name}"] = state["exp_avg"]
            tensors[f"second/{name}"] = state["exp_avg_sq"]
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        tensors,
        out / "state.tmp",
        metadata={"step": str(step), "recipe": json.dumps(asdict(recipe))},
    )
    os.replace(out / "state.tmp", out / "state.safetensors")


def _restore(
    out: Path,
    recipe: Recipe,
    trained: dict[str, nn.Parameter],
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    path = out / "state.safetensors"
    if not path.exists():
        return 0
    from safetensors import safe_open

    with safe_open(path, "pt") as opened:
        step = int(opened.metadata()["step"])
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[f"model/{name}"])
            average[name].copy_(tensors[f"average/{name}"])
            if f"first/{name}" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": tensors[f"first/{name}"].clone(),
                    "exp_avg_sq": tensors[f"second/{name}"].clone(),
                }
    return step
