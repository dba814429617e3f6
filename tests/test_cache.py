from __future__ import annotations

from pathlib import Path

from xhqa.cache import cached


def test_a_folder_that_is_not_whole_is_made_anew(
    tmp_path: Path,
) -> None:
    made: list[str] = []

    def write(folder: Path) -> None:
        (folder / "part").mkdir()
        (folder / "part" / "model").write_bytes(b"weights")

    def make() -> Path:
        return cached(tmp_path / "cache" / "model", write, lambda: made.append("model"))

    folder = make()
    assert make() == folder
    assert len(made) == 1
    (folder / "part" / "model").write_bytes(b"weig")
    make()
    assert (folder / "part" / "model").read_bytes() == b"weights"
    (folder / "sizes.json").unlink()
    make()
    assert len(made) == 3
    for sizes in ("[]", "{}", "null"):
        (folder / "sizes.json").write_text(sizes)
        make()
    assert len(made) == 6
