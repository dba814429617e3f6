"""Long trials of what must never break, by hand: ``python tests/stress.py kills --runs 200``.

``kills``: a process that adds, removes and rebuilds is killed (-9) at a random moment; after each,
the index opens, holds every change that was acknowledged, and the last one wholly or not at all.
``flips``: a bit of a file of the index is flipped; opening names the file.
The unit suite runs a few of each.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support import HashEncoder

from xhqa.config import Settings
from xhqa.errors import IndexDamagedError
from xhqa.index import open_index
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline
from xhqa.progress import Bar

_NAMES = ("甲", "乙", "丙", "丁", "戊")


def text_of(name: str, version: int) -> str:
    return f"{name}镇的第{version}份公报。\n\n" + f"{name}镇今年有{version}座桥。" * 20


def settings_of(folder: Path) -> Settings:
    return Settings(index_dir=folder / "index", min_confidence=0.0)


def start(folder: Path) -> Pipeline:
    """An index of one file that every rebuild finds again."""
    documents = folder / "documents"
    documents.mkdir()
    (documents / "固定.txt").write_text("这一篇一直都在。", "utf-8")
    index, _ = build_index([documents], HashEncoder(), settings_of(folder))
    return Pipeline(index, HashEncoder(), settings_of(folder))


def work(folder: Path, seed: int) -> None:
    """Changes the index for ever; says each change before it begins and after it is done."""
    rng = random.Random(seed)
    settings = settings_of(folder)
    pipeline = Pipeline(open_index(settings.index_dir, HashEncoder()), HashEncoder(), settings)
    held = {info.id for info in pipeline.documents()}
    pipeline.ask("先把词典读进来。")
    for version in range(1, 10**6):
        name = rng.choice(_NAMES)
        kind = rng.choice(("add", "add", "remove", "rebuild"))
        if kind == "remove" and name not in held:
            kind = "add"
        print(json.dumps([kind, name, version]), flush=True)
        if kind == "add":
            pipeline.add(f"{name}.txt", text_of(name, version).encode())
            held.add(name)
        elif kind == "remove":
            pipeline.remove(name)
            held.discard(name)
        else:
            index, _ = build_index([folder / "documents"], HashEncoder(), settings)
            pipeline = Pipeline(index, HashEncoder(), settings)
        print("done", flush=True)


def kill_once(folder: Path, expected: dict[str, str], seed: int) -> tuple[dict[str, str], int]:
    """One process, killed; what the index holds after it, and how many changes it acknowledged.

    ``expected``: uploaded documents and their texts before. AssertionError where something was
    lost, came back, or is half there.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, "work", str(folder), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]  # it has opened the index
    try:
        process.wait(random.Random(seed).uniform(0.0, 0.6))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    lines += process.communicate()[0].splitlines()
    assert process.returncode == -signal.SIGKILL, "it ended by itself"

    allowed = dict(expected)
    done = 0
    states = [allowed]
    for line in filter(None, map(str.strip, lines)):
        if line == "done":
            states = [states[-1]]
            done += 1
            continue
        try:
            kind, name, version = json.loads(line)
        except ValueError:  # cut off in the middle of a line: its change had not begun
            break
        after = dict(states[-1])
        if kind == "add":
            after[name] = text_of(name, version)
        elif kind == "remove":
            after.pop(name, None)
        states = [states[-1], after]

    settings = settings_of(folder)
    index = open_index(settings.index_dir, HashEncoder())
    found = {info.id: index.document(info.id).text for info in index.documents()}
    assert found.pop("固定") == "这一篇一直都在。"
    assert found in states, (found.keys(), [state.keys() for state in states])
    pipeline = Pipeline(index, HashEncoder(), settings)
    for name in found:
        (citation, *_) = pipeline.ask(f"{name}镇今年有几座桥？", document_ids=[name]).citations
        place = slice(citation.start_char_index, citation.end_char_index)
        assert found[name][place] == citation.cited_text
    return found, done


def kills(folder: Path, runs: int) -> int:
    """How many changes were acknowledged in all."""
    start(folder)
    expected: dict[str, str] = {}
    total = 0
    with Bar() as progress:
        for run in range(runs):
            progress("kills", run, runs, f"{total} changes")
            expected, done = kill_once(folder, expected, run)
            total += done
    return total


def flips(folder: Path, runs: int) -> dict[str, int]:
    """How many flips in each file were detected; AssertionError for the first that was not."""
    pipeline = start(folder)
    for version, name in enumerate(_NAMES):
        pipeline.add(f"{name}.txt", text_of(name, version).encode())
    index_dir = settings_of(folder).index_dir
    current = pipeline._state.index.folder
    files = sorted(p for p in (index_dir / "CURRENT", *current.rglob("*")) if p.is_file())
    rng = random.Random(1)
    detected: dict[str, int] = {}
    with Bar() as progress:
        for run in range(runs):
            progress("flips", run, runs)
            path = files[run % len(files)]
            whole = path.read_bytes()
            at = rng.randrange(len(whole))
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            said = _said_when_opened(index_dir)
            path.write_bytes(whole)
            if said is None:
                # White space at the end of CURRENT is all that may change unseen.
                assert path.name == "CURRENT", (path, at)
                assert json.loads(damaged) == json.loads(whole), (path, at)
            else:
                assert path.name in said, (path, said)
                assert "xhqa index" in said, "the way to rebuild it"
            detected[path.name] = detected.get(path.name, 0) + 1
    open_index(index_dir, HashEncoder())
    return detected


def _said_when_opened(index_dir: Path) -> str | None:
    try:
        open_index(index_dir, HashEncoder())
    except IndexDamagedError as error:
        return str(error)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trial", choices=("kills", "flips", "work"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.trial == "work":
        work(arguments.folder, arguments.seed)
        return
    folder = arguments.folder or Path(tempfile.mkdtemp())
    try:
        print((kills if arguments.trial == "kills" else flips)(folder, arguments.runs))
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
