"""Holds the table of rooms in docs/architecture.md to the imports in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "xhqa"


def table() -> dict[str, tuple[int, set[int] | None]]:
    """Room → its layer and the layers it may import (None: all)."""
    rooms: dict[str, tuple[int, set[int] | None]] = {}
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for layer, room, allowed in re.findall(
        r"^\| (\d) \| `(\w+)` \|[^|]*\| ([^|]+) \|$", text, re.M
    ):
        layers: set[int] | None = set()
        for part in allowed.split(", "):
            if part == "all":
                layers = None
            elif "–" in part:
                low, high = map(int, part.split("–"))
                layers |= set(range(low, high + 1))
            elif part.isdigit():
                layers.add(int(part))
        rooms[room] = int(layer), layers
    return rooms


def imports(path: Path) -> set[str]:
    """The rooms that a file imports, at its top or inside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "xhqa" and len(parts) > 1:
                found.add(parts[1])
    return found


def test_rooms_import_only_what_the_table_allows() -> None:
    rooms = table()
    here = {p.stem if p.is_file() else p.name for p in SOURCE.iterdir() if p.name[0] not in "_."}
    assert here - {"py"} == rooms.keys()
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        layer, allowed = rooms[room]
        for other in imports(path) - {room, "__version__"}:
            assert other in rooms, f"{path} imports {other}, which is no room"
            fine = allowed is None or rooms[other][0] in allowed
            assert fine, f"{path} (layer {layer}) imports {other} (layer {rooms[other][0]})"


def test_importing_xhqa_loads_no_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, threading; import xhqa; "
        "heavy = {'torch', 'numpy', 'transformers', 'faiss', 'gradio', 'fastapi', 'jieba', 'onnx', 'onnxruntime'}; "
        "print(sorted(heavy & sys.modules.keys()), threading.active_count())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] 1"


def test_the_process_that_reads_a_pdf_loads_little() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import xhqa.load.pdf_worker; "
        "print(sorted({'pydantic', 'numpy', 'jieba', 'onnxruntime'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_file_is_too_long() -> None:
    for folder in (SOURCE, ROOT / "ui", ROOT / "eval"):
        for path in folder.rglob("*.py"):
            lines = len(path.read_text("utf-8").splitlines())
            assert lines <= 480, f"{path} has {lines} lines: make it a folder"
