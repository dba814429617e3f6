from __future__ import annotations

from pathlib import Path

import pytest
import stress


@pytest.mark.integration
def test_killed_at_a_random_moment(tmp_path: Path) -> None:
    stress.kills(tmp_path, 3)


def test_flipped_bits_are_found_and_named(tmp_path: Path) -> None:
    detected = stress.flips(tmp_path, 40)
    assert {"CURRENT", "manifest.json", "vectors.npy", "documents.sqlite"} <= detected.keys()
