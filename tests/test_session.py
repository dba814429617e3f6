"""The graph that is run, held to Hugging Face's network with the same weights."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import CharacterTokenizer

from xhqa.blocks import dequantise, quantise
from xhqa.commands.serve import sharing_cores
from xhqa.config import Settings
from xhqa.cpu import usable_cores
from xhqa.encode.bundled import BundledEncoder
from xhqa.errors import ModelError
from xhqa.graph import SIFTED, Outliers, bert, find_outliers
from xhqa.session import PLACES, WORDS, PairSession, Session

EPSILON = 1e-3
ROWS = [[0, 7, 9, 11, 2], [0, 5, 2], [0, 8, 8, 21, 30, 4, 13, 2]]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    monkeypatch.setattr("xhqa.session.PASSAGE_PLACE", PLACE)
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=16,
        layer_norm_eps=EPSILON,
        # Far from zero, so that a bias or a norm left out would show.
        initializer_range=0.5,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        words = model.embeddings.word_embeddings.weight
        words.copy_(torch.from_numpy(dequantise(quantise(words.numpy()))))
    return model


def weights_in(
    folder: Path, network: torch.nn.Module, **layers: torch.nn.Linear
) -> dict[str, np.ndarray]:
    """What ``bert`` takes, with further layers by name; the embeddings are put into the folder."""
    weights = {name: t.numpy() for name, t in network.state_dict().items()}
    np.save(folder / WORDS, quantise(weights["embeddings.word_embeddings.weight"]))
    places = weights["embeddings.position_embeddings.weight"]
    np.save(folder / PLACES, places + weights["embeddings.token_type_embeddings.weight"][0])
    for name, layer in layers.items():
        weights |= {f"{name}.{part}": t.numpy() for part, t in layer.state_dict().items()}
    return weights


def session(folder: Path, network: torch.nn.Module, **options: Any) -> Session:
    graph = bert(weights_in(folder, network), 4, EPSILON, **options)
    (folder / "graph.onnx").write_bytes(graph.SerializeToString())
    return Session(folder / "graph.onnx", folder, threads=1)


def pair(
    folder: Path, network: torch.nn.Module, apart: int, **layers: torch.nn.Linear
) -> PairSession:
    weights = weights_in(folder, network, **layers)
    probe = "probe" if "probe" in layers else None
    lower = bert(weights, 4, EPSILON, up_to=apart)
    upper = bert(weights, 4, EPSILON, "head", probe=probe, from_layer=apart)
    paths = folder / "lower.onnx", folder / "upper.onnx"
    for path, graph in zip(paths, (lower, upper), strict=True):
        path.write_bytes(graph.SerializeToString())
    return PairSession(*paths, folder, threads=1)


def test_a_session_gives_what_the_network_gives(tmp_path: Path, network: torch.nn.Module) -> None:
    outputs = session(tmp_path, network).run(ROWS)
    assert outputs.shape == (3, 8, 32)
    with torch.inference_mode():
        for row, output in zip(ROWS, outputs, strict=True):
            expected = network(input_ids=torch.tensor([row])).last_hidden_state[0].numpy()
            assert output[: len(row)] == pytest.approx(expected, abs=2e-4)
            assert np.abs(expected).mean() > 0.3


PLACE = 4
QUESTION, READ = [0, 7, 2], [2, 8, 21, 30, 4, 13, 9, 11, 5, 6, 2]


def states_of(network: torch.nn.Module, apart: int) -> torch.Tensor:
    """What the lower layers make of question and passage, float[1, q + p, 32]."""
    embed = network.get_submodule("embeddings")
    places = torch.arange(len(READ))[None] + PLACE
    sides = [
        embed(input_ids=torch.tensor([QUESTION])),
        embed(input_ids=torch.tensor([READ]), position_ids=places),
    ]
    for number in range(apart):
        sides = [layer(network, number, side) for side in sides]
    return torch.cat(sides, 1)


def layer(network: torch.nn.Module, number: int, states: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = network.get_submodule(f"encoder.layer.{number}")(states)
    return out


@pytest.mark.parametrize("apart", [0, 1, 2])
def test_the_lower_layers_see_question_and_passage_apart(
    tmp_path: Path, network: torch.nn.Module, apart: int
) -> None:
    head = torch.nn.Linear(32, 2)
    with torch.inference_mode():
        states = states_of(network, apart)
        for number in range(apart, 2):
            states = layer(network, number, states)
        expected = head(states)[0].numpy()
    logits = pair(tmp_path, network, apart, head=head).run(QUESTION, READ)
    assert logits.shape == (len(QUESTION) + len(READ), 2)
    # In 8 bits between lower and upper layers.
    assert np.abs(logits - expected).mean() < 0.03 * np.abs(expected).mean()


def test_what_the_lower_layers_make_of_a_passage_is_kept(
    tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = pair(tmp_path, network, 1, head=torch.nn.Linear(32, 2))
    ran: list[list[int]] = []
    run = ours._lower.run

    def noted(rows: list[list[int]], place: int) -> np.ndarray:
        ran.extend([list(row) for row in rows])
        return run(rows, place)

    monkeypatch.setattr(ours._lower, "run", noted)
    ours.prepare(READ)
    first = ours.run(QUESTION, READ)
    assert ran == [READ, QUESTION]
    assert ours.run(QUESTION, READ).tolist() == first.tolist()
    other = ours.run([0, 9, 2], READ)
    assert ran == [READ, QUESTION, [0, 9, 2]]
    assert np.abs(other - first).max() > 0.05
    # The same tokens as a question stand at other positions.
    ours.run(READ, READ)
    assert len(ran) == 4


def test_what_is_far_from_what_the_probe_points_to_is_left_out(
    tmp_path: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xhqa.graph._NEAR", 1)
    monkeypatch.setattr("xhqa.graph._BEHIND", 0.05)
    head, probe = torch.nn.Linear(32, 2), torch.nn.Linear(32, 2)
    with torch.inference_mode():
        # So that the question's tokens would be the best if they counted.
        states = layer(network, 0, states_of(network, 0))
        probe.weight[0] = states[0, 1]
        probe.weight[1] *= 8
        guesses = probe(states)[0, 4:13].numpy()
        near = (guesses >= guesses.max(0) - 0.05).any(axis=1)
        kept = [0, 1, 2, 3, 13]
        kept += [4 + n for n in range(9) if near[max(0, n - 1) : n + 2].any()]
        assert 7 < len(kept) < 13
        kept.sort()
        expected = head(layer(network, 1, states[:, kept])).reshape(-1, 2).numpy()
    output = pair(tmp_path, network, 0, head=head, probe=probe).run(QUESTION, READ)
    assert output.shape == (14, 2)
    assert np.abs(output[kept] - expected).mean() < 0.03 * np.abs(expected).mean()
    assert output[sorted({*range(14)} - {*kept})].tolist() == [[SIFTED] * 2] * (14 - len(kept))
    # Without a probe no token is left out, and what outlies is found in all of them.
    assert pair(tmp_path, network, 0, head=head).run(QUESTION, READ).min() > SIFTED / 100
    assert session(tmp_path, network, inner=True).run([[*QUESTION, *READ]]).shape[1] == 14


@pytest.fixture
def outlying(network: torch.nn.Module) -> torch.nn.Module:
    """The network with a neuron and an input channel of its first layer far beyond all others."""
    layer = network.get_submodule("encoder.layer.0")
    with torch.no_grad():
        layer.intermediate.dense.weight[17].mul_(0.1)
        layer.intermediate.dense.bias[17] = 400.0
        layer.output.dense.weight[:, 17].div_(8)
        layer.attention.output.LayerNorm.bias[3] = 60.0
        layer.intermediate.dense.weight[:, 3].div_(30)
        # What is so large in the sum must not drown the rest behind the next norm.
        layer.output.LayerNorm.weight.mul_(12)
    return network


def test_what_outlies_is_found(tmp_path: Path, outlying: torch.nn.Module) -> None:
    (inner,) = session(tmp_path, outlying, inner=True).run(ROWS[:1])
    assert inner.shape == (5, 2 * (32 + 48))
    layer = outlying.get_submodule("encoder.layer.0")
    with torch.inference_mode():
        entered = torch.from_numpy(inner[:, :32])
        neurons = layer.intermediate(entered).numpy()
    assert inner[:, 32:80] == pytest.approx(neurons, rel=1e-4, abs=1e-3)
    first, second = find_outliers(inner, 32, 48)
    assert first.neurons.tolist() == [17]
    assert first.channels[0] == 3
    assert len(second.channels) == 2


def test_int8_is_near_float32_where_outliers_are_treated_apart(
    tmp_path: Path, outlying: torch.nn.Module
) -> None:
    with torch.inference_mode():
        expected = outlying(input_ids=torch.tensor(ROWS[:1])).last_hidden_state[0].numpy()
    (inner,) = session(tmp_path, outlying, inner=True).run(ROWS[:1])
    found = find_outliers(inner, 32, 48)
    others = [Outliers(np.array([0, 1]), np.array([0])) for _ in found]

    def error(outliers: list[Outliers]) -> float:
        (output,) = session(tmp_path, outlying, outliers=outliers).run(ROWS[:1])
        return float(np.abs(output - expected).mean() / np.abs(expected).mean())

    assert 1e-5 < error(found) < 0.05
    assert error(others) > 2.5 * error(found)


@pytest.mark.parametrize("name", ["graph.onnx", WORDS, PLACES])
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: Path, network: torch.nn.Module, name: str
) -> None:
    session(tmp_path, network)
    (tmp_path / name).write_bytes(b"\0" * (tmp_path / name).stat().st_size)
    with pytest.raises(ModelError, match=r"cannot be loaded .* delete that folder"):
        Session(tmp_path / "graph.onnx", tmp_path)


@pytest.mark.parametrize("name", ["lower.onnx", "upper.onnx"])
def test_a_damaged_half_of_a_reader_is_named_likewise(
    tmp_path: Path, network: torch.nn.Module, name: str
) -> None:
    pair(tmp_path, network, 1, head=torch.nn.Linear(32, 2))
    (tmp_path / name).write_bytes(b"\0" * (tmp_path / name).stat().st_size)
    with pytest.raises(ModelError, match=r"cannot be loaded .* delete that folder"):
        PairSession(tmp_path / "lower.onnx", tmp_path / "upper.onnx", tmp_path)


def test_threads_are_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if sys.platform == "linux":
        monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5, 7})
        assert usable_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert usable_cores() == 2


@pytest.mark.parametrize(
    ("said", "cores"), [("150000 100000\n", 1), ("250000 100000", 2), ("max 100000\n", 3)]
)
def test_threads_are_no_more_than_the_containers_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, cores: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5, 7}, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    (tmp_path / "cpu.max").write_text(said)
    monkeypatch.setattr("xhqa.cpu._QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("vnni", "given", "workers", "threads"),
    [
        (True, {}, 4, 1),
        (True, {"runtime": "torch"}, 1, 6),
        (True, {"workers": 2}, 2, 3),
        (True, {"workers": 8}, 8, 1),
        (True, {"threads": 2}, 3, 2),
        (True, {"threads": 9}, 1, 9),
        (False, {}, 1, 6),
        (False, {"workers": 2}, 2, 3),
        (False, {"workers": 2, "threads": 6}, 2, 6),
    ],
)
def test_a_servers_questions_share_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    vnni: bool,
    given: dict[str, Any],
    workers: int,
    threads: int,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    monkeypatch.setattr("xhqa.commands.serve.has_vnni", lambda: vnni)
    settings = sharing_cores(Settings(**given))
    assert (settings.workers, settings.threads) == (workers, threads)


TOKENS = CharacterTokenizer("abpsgexyz: ")


class Echo:
    """The vector of a token is its id one-hot; notes the shapes of what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def run(self, rows: list[list[int]]) -> np.ndarray:
        self.batches.append([len(row) for row in rows])
        states = np.full((len(rows), max(map(len, rows)), 384), np.nan, np.float32)
        for number, row in enumerate(rows):
            states[number, : len(row)] = np.eye(384, dtype=np.float32)[row]
        return states


def test_a_text_is_the_mean_of_its_tokens_whatever_it_is_batched_with() -> None:
    network = Echo()
    encoder = BundledEncoder(network, TOKENS)  # type: ignore[arg-type]
    vectors = encoder.encode_passages(["a" * 600, "ab", "b" * 200, "", "ab"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5))
    counts = np.zeros(384)
    for id_ in [0, *TOKENS.encode("passage: ab").ids, 2]:
        counts[id_] += 1
    assert vectors[1] == pytest.approx(counts / np.linalg.norm(counts))
    assert vectors[4].tolist() == vectors[1].tolist()
    # Short ones together, and none beyond 512 tokens.
    assert network.batches == [[11, 13, 13, 211], [512]]
    assert encoder.encode_queries([]).shape == (0, 384)
    assert encoder.count_tokens(["abc", ""]) == [3, 0]


def test_batches_share_the_cores_that_the_networks_threads_leave_over() -> None:
    together = threading.Barrier(2, timeout=20)

    class Both(Echo):
        def run(self, rows: list[list[int]]) -> np.ndarray:
            together.wait()  # passes only where two run at once
            return super().run(rows)

    texts = ["a" * 600, "b" * 300, "ab" * 200, "xyz" * 150]
    alone = BundledEncoder(Echo(), TOKENS).encode_passages(texts)  # type: ignore[arg-type]
    network = Both()
    encoder = BundledEncoder(network, TOKENS, at_once=2)  # type: ignore[arg-type]
    assert encoder.encode_passages(texts).tolist() == alone.tolist()
    assert len(network.batches) == 2


def test_a_part_has_the_mean_of_its_own_vector_and_of_its_tokens_in_the_text() -> None:
    encoder = BundledEncoder(Echo(), TOKENS)  # type: ignore[arg-type]
    long = "a" * 600
    whole, parts = encoder.encode_parts(["xyz", long, "b"], [[(0, 1), (1, 3)], [(550, 560)], []])
    assert whole.tolist() == encoder.encode_passages(["xyz", long, "b"]).tolist()
    assert [p.shape for p in parts] == [(2, 384), (1, 384), (0, 384)]
    inside = np.zeros(384)
    inside[[TOKENS.id_of("y"), TOKENS.id_of("z")]] = np.sqrt(0.5)
    assert parts[0][1] == pytest.approx((encoder.encode_passages(["yz"])[0] + inside) / 2)
    # Cut off before the part: only what it says by itself.
    assert parts[1][0].tolist() == encoder.encode_passages(["a" * 10])[0].tolist()
