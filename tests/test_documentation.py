"""A setting, command, flag or route that is not documented fails here."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from xhqa.cli import _parser
from xhqa.config import Settings, load_settings
from xhqa.errors import InputError

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRACT = (ROOT / "docs" / "contract.md").read_text("utf-8")

TRAINING = (ROOT / "docs" / "training.md").read_text("utf-8")
DOCUMENTED = README + CONTRACT + TRAINING


def test_every_setting_is_in_the_table_and_no_other() -> None:
    documented = re.findall(r"^\| `(XHQA_\w+)` \|", README, re.M)
    assert documented == [f"XHQA_{name.upper()}" for name in Settings.model_fields]


def test_every_command_and_flag_is_documented() -> None:
    parser = _parser()
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    for name, command in commands.choices.items():
        assert f"xhqa {name}" in CONTRACT, name
        for action in command._actions:
            for flag in action.option_strings:
                assert flag == "-h" or f"{flag}`" in DOCUMENTED or f"{flag} " in DOCUMENTED, flag


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XHQA_INDEX_DIR", "/somewhere")
    monkeypatch.setenv("XHQA_MIN_CONFIDENCE", "0.25")
    settings = load_settings()
    assert settings.index_dir == Path("/somewhere")
    assert settings.min_confidence == 0.25
    for name in ("XHQA_INDEX_DIR", "XHQA_MIN_CONFIDENCE", "XHQA_WORKERS"):
        monkeypatch.setenv(name, "")
    empty = load_settings()
    assert (empty.index_dir, empty.min_confidence, empty.workers) == (Path("index"), None, 0)
    monkeypatch.setenv("XHQA_MIN_CONFIDENCE", "2")
    with pytest.raises(InputError, match=r"XHQA_MIN_CONFIDENCE.*'2'"):
        load_settings()


def test_links_in_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
