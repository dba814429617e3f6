"""The neural reader: the exact span that answers, and how far it beats "no answer"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa import bundle
from xhqa.config import Settings
from xhqa.graph import SIFTED
from xhqa.kind import asks_several
from xhqa.read import sentence_of, stored
from xhqa.read.edges import PAIRS, concise, tidy_edges
from xhqa.segment import segmenter
from xhqa.session import PairNetwork, PairSession
from xhqa.tokenizer import BEGIN, END, Encoding, Tokenizer, load_tokenizer
from xhqa.types import Chunk, Hit, Span

BUNDLED = Path(__file__).parent / "weights" / "reader.safetensors"
MAX_QUESTION_TOKENS = 64
# 384 together with the longest question and the special tokens.
MAX_PASSAGE_TOKENS = 314
STRIDE = 128
MAX_ANSWER_TOKENS = 80
_PER_PASSAGE = 4
# What a token more costs a span. The answers of the training data are longer than those that
# people give (a median of 12 characters in CMRC's training split, of 6 in its development split).
# A list is long. Chosen on the validation halves (docs/quality.md).
_TOKEN_COST, _LISTED_COST = 0.1, 0.03
# What it costs a span to begin or end inside a word of the dictionary, and to begin with a particle
# (chosen likewise).
_CUT_COST, _PARTICLE_COST = 1.0, 3.0
# And where several things are asked for, to leave out those before or behind it in their list: of
# 1,441 such training answers 8 do (还有哪一个?). Chosen with the article in view too
# (docs/trials.md).
_PART_COST = 2.0
# What joins a list, but not 1、 and 二、 in front of its items.
_JOINT = re.compile(r"(?<![\d一二三四五六七八九十])、")
# And to hold one of two signs that belong together: one answer in a thousand of the training data
# does.
_CROSSING_COST = 4.0
# The logit of an edge that was sifted out of a sentence read alone.
_LEAST = -20.0
_PARTICLES = frozenset("的了")


class SpanReader:
    """Start and end logits over question and passage, decoded jointly.

    A span's score is start + end logit less those of "no answer" (position 0) of its own window
    (Devlin et al. 2019), less a cost for each further token and for edges that no answer has,
    without a softmax, so that scores compare across windows and passages.
    """

    name = "span"

    def __init__(self, network: PairNetwork, tokenizer: Tokenizer) -> None:
        """The logits at position 0 of what ``network`` gives stand for "no answer"."""
        self._network = network
        self._tokenizer = tokenizer

    @classmethod
    def load(
        cls, path: Path, settings: Settings, notify: Callable[[str], None] = lambda message: None
    ) -> SpanReader:
        """The reader in ``path`` on the bundled encoder; raises ModelError."""
        network: PairNetwork
        folder = bundle.runtime(settings.cache_dir, notify)
        if settings.runtime == "torch":
            from xhqa.read.model import TorchNetwork, load_reader

            encoder = bundle.converted(settings.cache_dir, notify)
            network = TorchNetwork(load_reader(path, encoder))
        else:
            graphs = stored.converted(path, settings.cache_dir, notify)
            halves = graphs / stored.LOWER, graphs / stored.UPPER
            network = PairSession(*halves, folder, settings.threads)
        return cls(network, load_tokenizer(folder))

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        encode = self._tokenizer.encode
        asked = self._asked(question)
        first = len(asked) + 1
        several, cost = asks_several(question), token_cost(question)
        spans: list[Span] = []
        for hit in hits:
            passage = encode(hit.chunk.text)
            edges = edge_costs(hit.chunk.text, passage.offsets, several)
            for part in _windows(passage):
                # One by one: a batch of long texts gains nothing on a processor but padding.
                scores = self._network.run(asked, [END, *passage.ids[part], END])
                null = float(scores[0].sum())
                logits = scores[first:-1] - edges[part]
                found = _decode(hit.chunk, passage.offsets[part], logits, null, cost)
                spans += [_concise(question, span) for span in found]
        return sorted(spans, key=lambda span: -span.score)

    def alone(self, question: str, spans: Sequence[Span]) -> list[float]:
        """For each the logits of its first and of its last token, each at least ``_LEAST``."""
        asked = self._asked(question)
        chunk = spans[0].chunk
        start, end = chunk.sentences[sentence_of(spans[0])]
        start, end = min(start, spans[0].start), max(end, *(span.end for span in spans))
        sentence = self._tokenizer.encode(chunk.text[start:end])
        ids = sentence.ids[:MAX_PASSAGE_TOKENS]
        scores = self._network.run(asked, [END, *ids, END])[len(asked) + 1 : -1]
        scores = np.maximum(scores, np.float32(_LEAST))
        begins, ends = np.array(sentence.offsets[: len(ids)]).T + start
        found = []
        for span in spans:
            (inside,) = np.nonzero((begins < span.end) & (ends > span.start))
            edges = inside[[0, -1]] if len(inside) else None
            found.append(2 * _LEAST if edges is None else float(scores[edges, [0, 1]].sum()))
        return found

    def _asked(self, question: str) -> list[int]:
        encode = self._tokenizer.encode
        # What was filled in from earlier turns stands in front: a long question keeps its end.
        ids = encode("query:").ids + encode(question).ids[-MAX_QUESTION_TOKENS:]
        return [BEGIN, *ids, END]

    def prepare(self, chunk: Chunk) -> None:
        passage = self._tokenizer.encode(chunk.text)
        for part in _windows(passage):
            self._network.prepare([END, *passage.ids[part], END])


def _windows(passage: Encoding) -> list[slice]:
    """Of its tokens; they overlap by ``STRIDE``, which holds the longest answer."""
    step = MAX_PASSAGE_TOKENS - STRIDE
    starts = range(0, max(1, len(passage.ids) - STRIDE), step)
    return [slice(start, start + MAX_PASSAGE_TOKENS) for start in starts]


def _decode(
    chunk: Chunk,
    offsets: Sequence[tuple[int, int]],
    scores: npt.NDArray[np.float32],
    null: float,
    cost: float = _TOKEN_COST,
) -> list[Span]:
    """The best spans of one window, and the best of each sentence without one of these.

    They do not overlap. ``scores`` is float32[t, 2].
    """
    joint = _joint(scores, cost) - np.float32(_CROSSING_COST) * crossing(chunk.text, offsets)
    kept: list[Span] = []

    def keep_best(low: int, high: int) -> None:
        """Keep the best span within tokens [low, high) that overlaps none kept before."""
        part = joint[low:high, low:high]
        while part.size and np.isfinite(value := part.max()):
            first, last = (low + int(n) for n in np.unravel_index(part.argmax(), part.shape))
            joint[: last + 1, first:] = -np.inf  # all that would overlap it
            place = tidy_edges(chunk.text, offsets[first][0], offsets[last][1])
            if place and not any(s.start < place[1] and place[0] < s.end for s in kept):
                kept.append(Span(chunk, *place, float(value) - null))
                return

    for _ in range(_PER_PASSAGE):
        keep_best(0, len(scores))
    for start, end in chunk.sentences:
        inside = [n for n, (a, b) in enumerate(offsets) if start <= a < b <= end]
        if inside and not any(start <= span.start < end for span in kept):
            keep_best(inside[0], inside[-1] + 1)
    return kept


def _concise(question: str, span: Span) -> Span:
    start, end = concise(question, span.chunk.text, span.start, span.end)
    return replace(span, start=start, end=end)


def token_cost(question: str) -> float:
    """What each token after the first costs an answer to this folded question, in logits."""
    return _LISTED_COST if asks_several(question) else _TOKEN_COST


@lru_cache(maxsize=1024)
def _inside_words(text: str) -> bytes:
    """For each place between two characters 1 if it is inside a word, else 0: the same passages
    are read again and again."""
    inside = bytearray(len(text) + 1)
    at = 0
    for word in segmenter().cut(text, HMM=False):
        inside[at + 1 : at + len(word)] = b"\1" * (len(word) - 1)
        at += len(word)
    return bytes(inside)


def edge_costs(
    text: str, offsets: Sequence[tuple[int, int]], several: bool = False
) -> npt.NDArray[np.float32]:
    """float32[t, 2]: what it costs a span, in logits, to begin and to end at each of t tokens;
    ``several``: whether several things are asked for."""
    inside = _inside_words(text)
    joints = {joint.start() for joint in _JOINT.finditer(text)} if several else frozenset()
    return np.array(
        [
            [
                _CUT_COST * inside[start]
                + _PARTICLE_COST * (text[start:end].strip()[:1] in _PARTICLES)
                + _PART_COST * (start - 1 in joints),
                _CUT_COST * inside[end] + _PART_COST * (end in joints),
            ]
            for start, end in offsets
        ],
        np.float32,
    ).reshape(-1, 2)


def crossing(text: str, offsets: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """bool[t, t]: whether the span from token i to token j holds one of two signs that belong
    together without the other. One that it begins or ends with may be left out."""
    around, within = _pairs(text)
    # White space in front of a word belongs to its token.
    first = [end - len(text[start:end].lstrip()) for start, end in offsets]
    last = [max(start, end - 1) for start, end in offsets]
    crosses = np.ones((len(offsets), len(offsets)), np.bool_)
    for begins in (around[first], within[first]):
        for ends in (around[last], within[last]):
            crosses &= begins[:, None] != ends
    return crosses


@lru_cache(maxsize=1024)
def _pairs(text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """For each character the number of the innermost pair of signs around it, 0 for none, and the
    same with a pair's own signs counted to what is within."""
    # Of an odd number in a paragraph it is unknown which open and which close.
    straight = iter([line.count('"') % 2 == 0 for line in text.split("\n")])
    paired = next(straight)
    opened: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        waiting = [sign for sign, _ in opened]
        if char in waiting:
            # What was opened in between is never closed.
            del opened[len(waiting) - waiting[::-1].index(char) :]
            pairs.append((opened.pop()[1], at))
        elif char in PAIRS and (char != '"' or paired):
            opened.append((PAIRS[char], at))
        elif char == "\n":
            opened.clear()
            paired = next(straight)
    around, within = np.zeros((2, len(text) + 1), np.int32)
    # Inner pairs end before outer ones.
    for number, (start, end) in enumerate(reversed(pairs), 1):
        around[start + 1 : end] = within[start : end + 1] = number
    return around, within


def _joint(scores: npt.NDArray[np.float32], cost: float) -> npt.NDArray[np.float32]:
    """float32[t, t]: what the span from token i to token j scores, -inf where it ends before it
    begins, is too long or has an edge that was sifted out; float32[t, 2] and the cost of a token
    in."""
    place = np.arange(len(scores))
    length = place[None, :] - place[:, None]
    joint: npt.NDArray[np.float32] = (
        scores[:, 0, None] + scores[None, :, 1] - np.float32(cost) * length
    )
    joint[(length < 0) | (length >= MAX_ANSWER_TOKENS) | (joint < SIFTED / 2)] = -np.inf
    return joint
