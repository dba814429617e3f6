"""The multilingual encoder as an ONNX graph, with or without the reader's head.

Word, position and token type embeddings are looked up outside (``xhqa.session``): they are most of
the weights, and both models share them. Attention, bias and normalisation are ONNX Runtime's fused
operators (github.com/microsoft/onnxruntime, docs/ContribOperators.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Weights = Mapping[str, npt.NDArray[np.float32]]

EMBEDDINGS, MASK, OUTPUT = "embeddings", "mask", "output"
_FUSED = "com.microsoft"


def bert(weights: Weights, heads: int, epsilon: float, head: str | None = None) -> ModelProto:
    """BERT's layers (Devlin et al. 2019) over summed embeddings.

    Inputs: ``embeddings`` float32[b, t, h], ``mask`` int32[b, t] (1: a token, 0: padding). Output:
    float32[b, t, h], or float32[b, t, n] behind the linear layer named ``head``. ``weights`` are
    named as in Hugging Face's ``BertModel``, matrices [out, in].
    """
    from onnx import TensorProto, checker, helper, numpy_helper

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

    def times(output: str, left: str, name: str) -> str:
        matrix = constant(f"{name}.weight", weights[f"{name}.weight"].T)
        return apply("MatMul", output, left, matrix, fused=False)

    def joined(output: str, new: str, old: str, norm: str, bias: str) -> str:
        """The layer norm of new + its bias + old."""
        parts = vector(f"{norm}.weight"), vector(f"{norm}.bias"), vector(f"{bias}.bias")
        return apply("SkipLayerNormalization", output, new, old, *parts, epsilon=epsilon)

    state = apply(
        "LayerNormalization",
        "embedded",
        EMBEDDINGS,
        vector("embeddings.LayerNorm.weight"),
        vector("embeddings.LayerNorm.bias"),
        fused=False,
        axis=-1,
        epsilon=epsilon,
    )
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in weights:
        at = f"encoder.layer.{layer}"
        kinds = [f"{at}.attention.self.{kind}" for kind in ("query", "key", "value")]
        attended = apply(
            "Attention",
            f"{at}.attended",
            state,
            constant(f"{at}.qkv", np.hstack([weights[f"{kind}.weight"].T for kind in kinds])),
            constant(f"{at}.qkv.bias", np.hstack([weights[f"{kind}.bias"] for kind in kinds])),
            MASK,
            num_heads=heads,
        )
        dense = f"{at}.attention.output.dense"
        mixed = times(f"{at}.mixed", attended, dense)
        norm = f"{at}.attention.output.LayerNorm"
        state = joined(f"{at}.middle", mixed, state, norm, dense)
        dense = f"{at}.intermediate.dense"
        wide = times(f"{at}.wide", state, dense)
        wide = apply("BiasGelu", f"{at}.gelu", wide, vector(f"{dense}.bias"))
        dense = f"{at}.output.dense"
        narrow = times(f"{at}.narrow", wide, dense)
        state = joined(f"{at}.output", narrow, state, f"{at}.output.LayerNorm", dense)
        layer += 1
    hidden = size = len(weights["embeddings.LayerNorm.weight"])
    if head is not None:
        size = len(weights[f"{head}.bias"])
        state = times("headed", state, head)
        state = apply("Add", "biased", state, vector(f"{head}.bias"), fused=False)
    apply("Identity", OUTPUT, state, fused=False)

    floats, integers = TensorProto.FLOAT, TensorProto.INT32
    graph = helper.make_graph(
        nodes,
        "bert",
        [
            helper.make_tensor_value_info(EMBEDDINGS, floats, ["batch", "tokens", hidden]),
            helper.make_tensor_value_info(MASK, integers, ["batch", "tokens"]),
        ],
        [helper.make_tensor_value_info(OUTPUT, floats, ["batch", "tokens", size])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="xhqa")
    checker.check_model(model)
    return model
