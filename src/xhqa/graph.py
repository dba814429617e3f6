"""The multilingual encoder as an ONNX graph, with or without the reader's head.

Word, position and token type embeddings are looked up outside (``xhqa.session``): they are most of
the weights, and both models share them. Attention and GELU are ONNX Runtime's fused operators
(github.com/microsoft/onnxruntime, docs/ContribOperators.md).

In int8 a matrix has a scale for each output, what it multiplies one for the whole tensor, found
when it is run. Single channels and neurons with values many times those of all others (Dettmers et
al. 2022, "LLM.int8()") would leave too few steps for the rest, and are treated apart.

A reader with a probe sifts: after two thirds of the layers a linear layer says where an answer may
begin or end, and only what is near these places goes on (Goyal et al. 2020, "PoWER-BERT", leave out
tokens too, by the attention paid to them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Weights = Mapping[str, npt.NDArray[np.float32]]

EMBEDDINGS, MASK, STAYS, OUTPUT = "embeddings", "mask", "stays", "output"
_FUSED = "com.microsoft"
# Seven bits: the sum of two products with unsigned bytes must fit into 16 where the processor has
# no VNNI.
_STEPS = 63
# What an outlying channel is divided by, and its weights multiplied.
_DAMPING = 4.0
_CHANNELS, _NEURONS = 2, 1
# A token goes on that is at most so many places from one whose logit in the probe, for a beginning
# or an end, is at most so far below the best (docs/performance.md).
_NEAR, _BEHIND = 4, 4.0
SIFTED = -1e4
"""The logits of a token that was left out."""


@dataclass(frozen=True, slots=True)
class Outliers:
    """Where a layer's feed-forward network has values far beyond all others: in these channels of
    its input, and in these of its neurons. int64[n] each."""

    channels: npt.NDArray[np.int64]
    neurons: npt.NDArray[np.int64]


def bert(
    weights: Weights,
    heads: int,
    epsilon: float,
    head: str | None = None,
    outliers: Sequence[Outliers] | None = None,
    inner: bool = False,
    probe: str | None = None,
    up_to: int | None = None,
    from_layer: int | None = None,
) -> ModelProto:
    """BERT's layers (Devlin et al. 2019) over summed embeddings.

    Inputs: ``embeddings`` float32[b, t, h], ``mask`` int32[b, t] (1: a token, 0: padding). Output:
    float32[b, t, h], or float32[b, t, n] behind the linear layer named ``head``. ``weights`` are
    named as in Hugging Face's ``BertModel``, matrices [out, in]. With the ``outliers`` of each
    layer the layers run in int8. With ``inner``, whatever ``head`` says, the output is
    float32[b, t, l · (h + i)]: for each of l layers the input and the i neurons of its feed-forward
    network, which is what outliers are found by. Nothing is sifted then.

    With the ``probe``, a linear layer that gives each token a logit for beginning and one for
    ending an answer, the graph sifts. It then has another input, ``stays`` bool[t]: which tokens
    go on whatever the probe says of them. Those left out have the logits ``SIFTED``.

    ``up_to`` a layer the graph gives the states that the layers below it make of the embeddings;
    ``from_layer`` on it takes such states for embeddings. Such a part, and a graph that sifts,
    takes one row and so no ``mask``, which would cost attention a fifth more time.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    if inner:
        probe = None
    # An input without a name is left out.
    mask = MASK if (probe, up_to, from_layer) == (None, None, None) else ""
    nodes: list[NodeProto] = []
    constants = []

    def constant(name: str, values: npt.NDArray[np.float32]) -> str:
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        constants.append(tensor)
        return name

    def vector(name: str) -> str:
        return constant(name, weights[name])

    def apply(kind: str, output: str, *inputs: str, fused: bool = True, **options: Any) -> str:
        domain = _FUSED if fused else ""
        nodes.append(
            helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **options)
        )
        return output

    def quantised(name: str, matrix: npt.NDArray[np.float32]) -> tuple[str, str]:
        """A matrix [in, out] as int8 and its scales float32[out]."""
        scale = np.maximum(np.abs(matrix).max(0), 1e-8) / np.float32(_STEPS)
        tensor = numpy_helper.from_array(np.round(matrix / scale).astype(np.int8), name)
        constants.append(tensor)
        return name, constant(f"{name}.scale", scale)

    def times(
        output: str,
        left: str,
        name: str,
        matrix: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
    ) -> str:
        added = constant(f"{name}.bias", bias)
        if outliers is None:
            weight = constant(f"{name}.weight", matrix)
            product = apply("MatMul", f"{output}.product", left, weight, fused=False)
            return apply("Add", output, product, added, fused=False)
        # The fourth input, zero points, is left out.
        return apply("DynamicQuantizeMatMul", output, left, *quantised(name, matrix), "", added)

    def attention(at: str, state: str) -> str:
        kinds = [f"{at}.attention.self.{kind}" for kind in ("query", "key", "value")]
        matrix = np.hstack([weights[f"{kind}.weight"].T for kind in kinds])
        bias = constant(f"{at}.qkv.bias", np.hstack([weights[f"{kind}.bias"] for kind in kinds]))
        if outliers is None:
            parts = state, constant(f"{at}.qkv", matrix), bias, mask
            return apply("Attention", f"{at}.attended", *parts, num_heads=heads)
        # What DynamicQuantizeLinear gives: the values in 8 bits, their scale and zero point.
        values, step, zero = (f"{at}.entered.{part}" for part in ("values", "scale", "zero"))
        node = helper.make_node("DynamicQuantizeLinear", [state], [values, step, zero], name=values)
        nodes.append(node)
        name, scale = quantised(f"{at}.qkv", matrix)
        none = numpy_helper.from_array(np.zeros(matrix.shape[1], np.int8), f"{at}.qkv.zero")
        constants.append(none)
        inputs = values, name, bias, step, scale, mask, zero, none.name
        return apply("QAttention", f"{at}.attended", *inputs, num_heads=heads)

    def normed(output: str, norm: str, state: str) -> str:
        parts = state, vector(f"{norm}.weight"), vector(f"{norm}.bias")
        return apply("LayerNormalization", output, *parts, fused=False, axis=-1, epsilon=epsilon)

    def joined(output: str, new: str, old: str, norm: str) -> str:
        """The layer norm of a sum."""
        return normed(output, norm, apply("Add", f"{output}.sum", new, old, fused=False))

    seen: list[str] = []

    def feed_forward(at: str, state: str, far: Outliers | None) -> str:
        first, second = f"{at}.intermediate.dense", f"{at}.output.dense"
        up, bias = weights[f"{first}.weight"].T, weights[f"{first}.bias"]
        down = weights[f"{second}.weight"].T
        entered = rest = state
        if far is not None:
            # These neurons are worked out in float32, and join the sum behind the others.
            parts = up[:, far.neurons], bias[far.neurons], down[far.neurons]
            side_up, side_bias, side_down = (
                constant(f"{at}.side.{name}", part)
                for name, part in zip(("up", "bias", "down"), parts, strict=True)
            )
            side = apply("MatMul", f"{at}.side.wide", state, side_up, fused=False)
            side = apply("BiasGelu", f"{at}.side.gelu", side, side_bias)
            side = apply("MatMul", f"{at}.side.narrow", side, side_down, fused=False)
            rest = apply("Add", f"{at}.side.sum", state, side, fused=False)
            factor = np.ones(len(up), np.float32)
            factor[far.channels] = 1 / _DAMPING
            damping = constant(f"{at}.damping", factor)
            entered = apply("Mul", f"{at}.damped", state, damping, fused=False)
            up, bias, down = up / factor[:, None], bias.copy(), down.copy()
            up[:, far.neurons], bias[far.neurons], down[far.neurons] = 0, 0, 0
        wide = apply("Gelu", f"{at}.gelu", times(f"{at}.wide", entered, first, up, bias))
        narrow = times(f"{at}.narrow", wide, second, down, weights[f"{second}.bias"])
        seen.extend((state, wide))
        return joined(f"{at}.output", narrow, rest, f"{at}.output.LayerNorm")

    def integer(name: str, value: int) -> str:
        constants.append(numpy_helper.from_array(np.array([value], np.int64), name))
        return name

    def linear(name: str, state: str) -> str:
        matrix = constant(f"{name}.weight", weights[f"{name}.weight"].T)
        product = apply("MatMul", f"{name}.product", state, matrix, fused=False)
        return apply("Add", f"{name}.logits", product, vector(f"{name}.bias"), fused=False)

    def sift(logits: str) -> str:
        """The numbers int64[k] of the tokens that go on, by the probe's logits."""
        column = apply("Unsqueeze", "probe.stays", STAYS, integer("last", -1), fused=False)
        least = constant("probe.least", np.array(SIFTED, np.float32))
        inside = apply("Where", "probe.inside", column, least, logits, fused=False)
        best = apply("ReduceMax", "probe.best", inside, fused=False, axes=[1])
        behind = apply("Sub", "probe.behind", inside, best, fused=False)
        nearest = apply("ReduceMax", "probe.nearest", behind, fused=False, axes=[2], keepdims=0)
        row = apply("Unsqueeze", "probe.row", nearest, integer("first", 0), fused=False)
        size = {"kernel_shape": [2 * _NEAR + 1], "pads": [_NEAR, _NEAR]}
        around = apply("MaxPool", "probe.around", row, fused=False, **size)
        limit = constant("probe.limit", np.array(-_BEHIND, np.float32))
        chosen = apply("GreaterOrEqual", "probe.chosen", around, limit, fused=False)
        kept = apply("Or", "probe.kept", chosen, STAYS, fused=False)
        flat = apply("Reshape", "probe.flat", kept, "last", fused=False)
        numbers = apply("NonZero", "probe.numbers", flat, fused=False)
        return apply("Squeeze", "probe.places", numbers, "first", fused=False)

    state = EMBEDDINGS
    if from_layer is None:
        state = normed("embedded", "embeddings.LayerNorm", state)
    layers = 0
    while f"encoder.layer.{layers}.output.dense.weight" in weights:
        layers += 1
    for layer in range(from_layer or 0, layers if up_to is None else up_to):
        at = f"encoder.layer.{layer}"
        if probe is not None and layer == probed(layers):
            guesses = linear(probe, state)
            places = sift(guesses)
            state = apply("Gather", "sifted.state", state, places, fused=False, axis=1)
        attended = attention(at, state)
        dense = f"{at}.attention.output.dense"
        matrix, bias = weights[f"{dense}.weight"].T, weights[f"{dense}.bias"]
        mixed = times(f"{at}.mixed", attended, dense, matrix, bias)
        state = joined(f"{at}.middle", mixed, state, f"{at}.attention.output.LayerNorm")
        state = feed_forward(at, state, None if outliers is None else outliers[layer])
    hidden = size = len(weights["embeddings.LayerNorm.weight"])
    if inner:
        size = layers * (hidden + len(weights["encoder.layer.0.intermediate.dense.bias"]))
        state = apply("Concat", "inner", *seen, fused=False, axis=-1)
    elif head is not None:
        size = len(weights[f"{head}.bias"])
        state = linear(head, state)
        if probe is not None:
            # Back to their places.
            shape = apply("Shape", "shape", guesses, fused=False)
            least = numpy_helper.from_array(np.array([SIFTED], np.float32))
            empty = apply("ConstantOfShape", "empty", shape, fused=False, value=least)
            flat = [apply("Squeeze", f"{n}.flat", n, "first", fused=False) for n in (empty, state)]
            column = apply("Unsqueeze", "sifted.column", places, "last", fused=False)
            state = apply("ScatterND", "scattered", flat[0], column, flat[1], fused=False)
            state = apply("Unsqueeze", "spread", state, "first", fused=False)
    apply("Identity", OUTPUT, state, fused=False)

    floats, integers = TensorProto.FLOAT, TensorProto.INT32
    inputs = [helper.make_tensor_value_info(EMBEDDINGS, floats, ["batch", "tokens", hidden])]
    if mask:
        inputs.append(helper.make_tensor_value_info(mask, integers, ["batch", "tokens"]))
    if probe is not None:
        inputs.append(helper.make_tensor_value_info(STAYS, TensorProto.BOOL, ["tokens"]))
    graph = helper.make_graph(
        nodes,
        "bert",
        inputs,
        [helper.make_tensor_value_info(OUTPUT, floats, ["batch", "tokens", size])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="xhqa")
    checker.check_model(model)
    return model


def probed(layers: int) -> int:
    """After how many of so many layers the probe looks."""
    return layers * 2 // 3


def find_outliers(inner: npt.NDArray[np.float32], hidden: int, intermediate: int) -> list[Outliers]:
    """For each layer the two input channels and the neuron of its feed-forward network with the
    largest values. ``inner`` is float32[t, l · (hidden + intermediate)], from ``graph.bert``."""
    found = []
    layers = np.abs(inner).max(0).reshape(-1, hidden + intermediate)
    for values in layers:
        channels, neurons = np.argsort(-values[:hidden]), np.argsort(-values[hidden:])
        found.append(Outliers(channels[:_CHANNELS], neurons[:_NEURONS]))
    return found
