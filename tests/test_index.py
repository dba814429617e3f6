from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import HashEncoder, only

from xhqa.config import Settings
from xhqa.errors import BusyError, IndexDamagedError, InputError, NotFoundError, XhqaError
from xhqa.index import Change, Entry, build, open_index
from xhqa.index.passages import chunks_of
from xhqa.ingest import build_index
from xhqa.load import load
from xhqa.pipeline import Pipeline
from xhqa.types import Heading

TEXTS = {
    "甲": "甲镇\n\n甲镇有三十座桥，都很古老。\n\n河流\n\n一条大河从甲镇中间流过。",
    "乙": "乙村种植水稻和小麦。乙村的学校建于1952年。",
}


def entries(*names: str) -> list[Entry]:
    return [Entry(load(TEXTS[name].encode(), f"{name}.txt")) for name in names]


@pytest.fixture
def built(tmp_path: Path, encoder: HashEncoder) -> Path:
    build(tmp_path / "index", only(entries("甲", "乙")), encoder)
    return tmp_path / "index"


def test_what_was_put_in_is_there(built: Path, encoder: HashEncoder) -> None:
    index = open_index(built, encoder)
    assert [(d.id, d.characters, d.chunks) for d in index.documents()] == [
        ("甲", len(TEXTS["甲"]), 2),
        ("乙", len(TEXTS["乙"]), 1),
    ]
    assert index.document("甲").text == TEXTS["甲"]
    assert [index.chunk(n).section_path for n in range(len(index))] == [(), ("河流",), ()]
    chunk = index.chunk(2)
    assert chunk.text == TEXTS["乙"]
    assert [chunk.text[a:b] for a, b in chunk.sentences] == [
        "乙村种植水稻和小麦。",
        "乙村的学校建于1952年。",
    ]
    with pytest.raises(NotFoundError, match="丙"):
        index.document("丙")


def test_sentences_have_vectors_of_their_own(built: Path, encoder: HashEncoder) -> None:
    expected = encoder.encode_passages(["乙村种植水稻和小麦。", "乙村的学校建于1952年。"])
    index = open_index(built, encoder)
    assert index.sentence_vectors(index.chunk(2)) == pytest.approx(expected, abs=1e-3)
    again = build(built, lambda held: Change(remove=[*held][:1]), encoder)
    assert again.sentence_vectors(again.chunk(0)) == pytest.approx(expected, abs=1e-3), "kept"


def test_chunks_are_no_longer_than_the_encoder_takes(tmp_path: Path) -> None:
    class Short(HashEncoder):
        max_tokens = 100

    text = "甲镇有三十座桥。" * 40
    wide = build(tmp_path / "a", only([Entry(load(text.encode(), "甲.txt"))]), HashEncoder())
    short = build(tmp_path / "b", only([Entry(load(text.encode(), "甲.txt"))]), Short())
    longest = [max(len(i.chunk(n).text) for n in range(len(i))) for i in (wide, short)]
    assert 200 < longest[0] <= 256
    assert 40 <= longest[1] <= 50


def test_unchanged_documents_are_not_embedded_again(built: Path, encoder: HashEncoder) -> None:
    before = open_index(built, encoder)
    old = before.store.vectors([0, 1])
    encoder.embedded.clear()
    changed = Entry(load((TEXTS["乙"] + "新的一句。").encode(), "乙.txt"))
    index = build(built, only([*entries("甲"), changed]), encoder)
    assert encoder.embedded == ["乙\n" + TEXTS["乙"] + "新的一句。"]
    assert np.array_equal(index.store.vectors([0, 1]), old)
    assert index.chunk(2).text.endswith("新的一句。")
    assert len(index.lexical.shares(["桥"])) == 3


def test_a_file_that_is_read_otherwise_than_before_is_split_anew(
    built: Path, encoder: HashEncoder
) -> None:
    (before, _) = entries("甲", "乙")
    text = TEXTS["甲"].replace("，都很古老", "")
    heading = Heading(text.index("河流"), text.index("河流") + 2, 1)
    for other in (
        replace(before.document, text=text),
        replace(before.document, text=text, headings=(heading,)),
    ):
        index = build(built, only([Entry(other)]), encoder)
        document = index.document("甲")
        assert document == other
        expected = chunks_of(other, encoder)
        assert [(c.start, c.text) for c in index.chunks("甲")] == [
            (c.start, c.text) for c in expected
        ]
        assert [c.section_path for c in index.chunks("甲")] == [c.section_path for c in expected]


def test_an_opened_index_outlives_the_next_build(built: Path, encoder: HashEncoder) -> None:
    index = open_index(built, encoder)
    build(built, only(entries("乙")), encoder)
    build(built, only([]), encoder)
    assert index.document("甲").text == TEXTS["甲"]
    assert len(open_index(built, encoder)) == 0


def test_documents_that_would_share_an_id_are_refused(tmp_path: Path, encoder: HashEncoder) -> None:
    twins = [Entry(load(b"one", "a b.txt")), Entry(load(b"two", "a_b.txt"))]
    with pytest.raises(XhqaError, match=r"a b\.txt and a_b\.txt .* rename one"):
        build(tmp_path / "index", only(twins), encoder)


def test_missing_index(tmp_path: Path, encoder: HashEncoder) -> None:
    with pytest.raises(NotFoundError, match="run `xhqa index`"):
        open_index(tmp_path, encoder)


def test_another_encoder_is_named_with_the_one_it_was_built_with(built: Path) -> None:
    other = HashEncoder()
    other.name, other.fingerprint = "other", "x-2"
    with pytest.raises(IndexDamagedError, match=r"hash \(hash-1\), but other \(x-2\)"):
        open_index(built, other)


def test_a_flipped_byte_in_any_file_is_found_and_named(
    built: Path, tmp_path: Path, encoder: HashEncoder
) -> None:
    names = sorted(p.relative_to(built) for p in built.rglob("*") if p.is_file())
    names = [name for name in names if name.name != ".lock"]
    assert {"CURRENT", "manifest.json", "documents.sqlite", "vectors.npy"} <= {
        name.name for name in names
    }
    for name in names:
        size = (built / name).stat().st_size
        for at in {0, size // 2, size - 1}:
            copy = tmp_path / "copy"
            shutil.copytree(built, copy)
            data = bytearray((copy / name).read_bytes())
            data[at] ^= 0x55
            (copy / name).write_bytes(data)
            if name.name == "CURRENT" and at == size - 1:
                data[at] = ord("x")
                (copy / name).write_bytes(data)
            with pytest.raises(IndexDamagedError, match=r"xhqa index") as raised:
                open_index(copy, encoder)
            assert name.name in str(raised.value), name
            shutil.rmtree(copy)


def test_a_missing_file_is_named(built: Path, encoder: HashEncoder) -> None:
    next(built.glob("generations/*/vectors.npy")).unlink()
    with pytest.raises(IndexDamagedError, match=r"vectors\.npy"):
        open_index(built, encoder)


def test_another_format_is_named(built: Path, encoder: HashEncoder) -> None:
    manifest_path = next(built.glob("generations/*/manifest.json"))
    manifest = json.loads(manifest_path.read_text())
    manifest["format"] = 99
    manifest_path.write_text(json.dumps(manifest))
    import hashlib

    current = json.loads((built / "CURRENT").read_text())
    current["manifest_sha256"] = hashlib.sha256(manifest_path.read_bytes()).hexdigest()
    (built / "CURRENT").write_text(json.dumps(current))
    with pytest.raises(IndexDamagedError, match="format 99"):
        open_index(built, encoder)
    # What is in it is not lost by the rebuild that this asks for.
    index = build(built, lambda held: Change(keep=lambda one: True), encoder, over_damage=True)
    assert [info.id for info in index.documents()] == ["甲", "乙"]


def other_encoder() -> HashEncoder:
    other = HashEncoder()
    other.name, other.fingerprint = "other", "x-2"
    return other


def test_another_encoder_keeps_the_documents_and_embeds_them_anew(built: Path) -> None:
    other = other_encoder()
    index = build(built, lambda _: Change(), other)
    assert [info.id for info in index.documents()] == ["甲", "乙"]
    assert len(other.embedded) == 3


def test_an_interrupted_build_with_another_encoder_leaves_the_index(
    built: Path, encoder: HashEncoder
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "embed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(built, lambda _: Change(), other_encoder(), stop)
    assert [info.id for info in open_index(built, encoder).documents()] == ["甲", "乙"]


class Stopping(HashEncoder):
    """Goes on for one batch and is then interrupted."""

    def encode_parts(self, texts, parts):  # type: ignore[no-untyped-def]
        if self.embedded:
            raise KeyboardInterrupt
        return super().encode_parts(texts, parts)


def test_what_an_interrupted_build_had_embedded_is_not_embedded_again(
    built: Path, tmp_path: Path, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xhqa.index.writer.BATCH", 2)
    monkeypatch.setattr("xhqa.index.writer._WINDOW", 4)
    texts = [f"第{n}个村有{n}座桥。第{n}个村的学校很大。" for n in range(7)]
    wanted = [Entry(load(text.encode(), f"{n}.txt")) for n, text in enumerate(texts)]
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt):
        build(built, only(wanted), stopping)
    assert [info.id for info in open_index(built, encoder).documents()] == ["甲", "乙"]
    encoder.embedded.clear()
    resumed = build(built, only(wanted), encoder)
    assert len(encoder.embedded) == 5
    assert not set(encoder.embedded) & set(stopping.embedded)
    whole = build(tmp_path / "whole", only(wanted), HashEncoder())
    assert np.array_equal(resumed.store.vectors(range(7)), whole.store.vectors(range(7)))
    for n in range(7):
        one, other = resumed.chunk(n), whole.chunk(n)
        assert one.text == other.text == texts[n]
        assert np.array_equal(resumed.sentence_vectors(one), whole.sentence_vectors(other))
    assert {p.name for p in built.iterdir()} <= {".lock", "CURRENT", "generations"}


def test_a_damaged_embedding_cache_costs_only_its_work(built: Path, encoder: HashEncoder) -> None:
    (built / "embeddings.sqlite").write_bytes(b"damaged" * 1000)
    (changed,) = entries("乙")
    index = build(built, only([changed]), encoder)
    assert [info.id for info in index.documents()] == ["乙"]


def test_vectors_made_by_another_encoder_are_not_taken_from_the_cache(
    built: Path, encoder: HashEncoder
) -> None:
    stopping = Stopping()
    stopping.fingerprint = "x-2"
    wanted = [Entry(load(f"第{n}个村有桥。".encode(), f"{n}.txt")) for n in range(40)]
    with pytest.raises(KeyboardInterrupt):
        build(built, only(wanted), stopping)
    assert len(stopping.embedded) == 32
    encoder.embedded.clear()
    build(built, only(wanted), encoder)
    assert len(encoder.embedded) == 40


def test_a_change_of_a_damaged_index_loses_nothing(
    built: Path, encoder: HashEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = next(built.glob("generations/*/vectors.npy"))
    vectors.write_bytes(b"damaged" + vectors.read_bytes())
    index = build(built, lambda held: Change(remove=[*held][:1]), encoder)
    assert [info.id for info in index.documents()] == ["乙"]
    database = next(built.glob(f"generations/{index.folder.name}/documents.sqlite"))
    database.write_bytes(b"damaged" + database.read_bytes())
    with pytest.raises(IndexDamagedError, match=r"documents\.sqlite"):
        build(built, lambda _: Change(), encoder)
    with caplog.at_level("WARNING"):
        index = build(built, lambda _: Change(entries("甲")), encoder, over_damage=True)
    assert [info.id for info in index.documents()] == ["甲"]
    # What cannot be read is kept, also after further builds.
    aside = built / "generations" / f"unread-{database.parent.name}"
    assert str(aside) in caplog.text
    for _ in range(2):
        build(built, lambda _: Change(), encoder)
    assert (aside / "documents.sqlite").exists()


def test_with_a_damaged_pointer_no_generation_is_thrown_away(
    built: Path, encoder: HashEncoder
) -> None:
    (before,) = (folder.name for folder in (built / "generations").iterdir())
    (built / "CURRENT").write_text("damaged")
    build(built, lambda _: Change(entries("甲")), encoder, over_damage=True)
    assert (built / "generations" / f"unread-{before}" / "documents.sqlite").exists()


def test_a_second_builder_is_refused(built: Path, encoder: HashEncoder) -> None:
    from filelock import FileLock

    with FileLock(built / ".lock"), pytest.raises(BusyError, match="another process"):
        build(built, only([]), encoder)


# Builds in copies of an index, each in a process of its own that kills itself at its n-th report of
# progress, until one lives; prints how many died. The imports are done once.
KILLED_BUILDS = """
import itertools, os, shutil, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support import HashEncoder, only
from test_index import entries
from xhqa.index import build

for at in itertools.count():
    copy = Path({copies!r}) / str(at)
    shutil.copytree({index!r}, copy)
    child = os.fork()
    if not child:
        count = itertools.count()
        def progress(stage, done, total):
            if next(count) == at:
                os.kill(os.getpid(), signal.SIGKILL)
        build(copy, only(entries("乙")), HashEncoder(), progress)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        break
    assert status == -signal.SIGKILL, status
print(at)
"""


def test_a_build_killed_at_any_stage_leaves_the_earlier_index_or_the_new_one(
    built: Path, tmp_path: Path, encoder: HashEncoder
) -> None:
    tests = str(Path(__file__).parent)
    script = KILLED_BUILDS.format(tests=tests, index=str(built), copies=str(tmp_path))
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    died = int(run.stdout)
    seen = set()
    for at in range(died):
        copy = tmp_path / str(at)
        pipeline = Pipeline(
            open_index(copy, encoder), encoder, Settings(index_dir=copy, min_confidence=0.0)
        )
        held = tuple(info.id for info in pipeline.documents())
        seen.add(held)
        question = "甲镇有几座桥？" if "甲" in held else "乙村的学校建于哪年？"
        assert pipeline.ask(question).text == (
            "甲镇有三十座桥，都很古老。" if "甲" in held else "乙村的学校建于1952年。"
        )
        # And the next build goes through, over what the dead one left.
        index = build(copy, only(entries("乙")), encoder)
        assert [info.id for info in index.documents()] == ["乙"]
        assert len(list((copy / "generations").iterdir())) <= 2
    assert died >= 9
    assert seen == {("甲", "乙"), ("乙",)}


def test_a_file_that_is_named_twice_is_one_document(tmp_path: Path, encoder: HashEncoder) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("这是笔记。")
    paths = [file, file, tmp_path, tmp_path / ".." / tmp_path.name / "notes.txt"]
    index, refused = build_index(paths, encoder, Settings(index_dir=tmp_path / "index"))
    assert [info.id for info in index.documents()] == ["notes"]
    assert refused == []


def test_files_of_one_name_in_two_folders_get_different_ids(
    tmp_path: Path, encoder: HashEncoder
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text(f"这是{folder}的笔记。")
    files = [tmp_path / "a" / "notes.txt", tmp_path / "b" / "notes.txt"]
    index, refused = build_index(files, encoder, Settings(index_dir=tmp_path / "index"))
    first, second = index.documents()
    assert refused == []
    assert first.id == "notes"
    assert second.id.startswith("notes-")
    assert index.document(second.id).text == "这是b的笔记。"


def test_files_that_cannot_be_read_are_told_and_the_rest_is_indexed(
    tmp_path: Path, encoder: HashEncoder
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "good.txt").write_text("可以读的文字。")
    (folder / "bad.txt").write_bytes(b"\x00\x01\x02\xff" * 9)
    settings = Settings(index_dir=tmp_path / "index")
    index, refused = build_index([folder], encoder, settings)
    assert [info.id for info in index.documents()] == ["good"]
    assert len(refused) == 1
    assert refused[0].startswith("bad.txt")
    with pytest.raises(InputError, match=r"bad\.txt"):
        build_index([folder / "bad.txt"], encoder, settings)


def test_a_rebuild_keeps_what_was_uploaded(tmp_path: Path, encoder: HashEncoder) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("文件夹里的文字。")
    settings = Settings(index_dir=tmp_path / "index")
    index, _ = build_index([folder], encoder, settings)
    Pipeline(index, encoder, settings).add("b.txt", "上传的文字。".encode())
    (folder / "a.txt").unlink()
    (folder / "c.txt").write_text("另一段文字。")
    index, _ = build_index([folder], encoder, settings)
    assert [info.id for info in index.documents()] == ["b", "c"]
    # A file of the same name but for its ending does not take its place.
    (folder / "b.md").write_text("# 乙\n文件夹里的乙。")
    for _ in range(2):
        index, _ = build_index([folder], encoder, settings)
        names = {info.id: info.source_name for info in index.documents()}
        assert sorted(names.values()) == ["b.md", "b.txt", "c.txt"]
        assert names["b"] == "b.txt"


def test_a_file_of_an_uploads_name_does_not_take_its_place(
    tmp_path: Path, encoder: HashEncoder
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("文件夹里的文字。")
    settings = Settings(index_dir=tmp_path / "index")
    index, _ = build_index([folder], encoder, settings)
    Pipeline(index, encoder, settings).add("a.txt", "上传的文字。".encode())
    seen = set()
    for _ in range(3):
        index, _ = build_index([folder], encoder, settings)
        texts = {info.id: index.document(info.id).text for info in index.documents()}
        assert texts["a"] == "上传的文字。"
        assert sorted(texts.values()) == ["上传的文字。", "文件夹里的文字。"]
        seen |= set(texts)
    assert len(seen) == 2, "no new id each time"
    # The very file is the same document.
    (folder / "a.txt").write_text("上传的文字。")
    index, _ = build_index([folder], encoder, settings)
    assert [info.id for info in index.documents()] == ["a"]
