"""Allowing a folder's fleet file: one content at one place, and nobody else's record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.allowing import allow, standing
from jupyter_macgpu.fleet.file import FleetFileError
from jupyter_macgpu.wire.errors import ConfigError

ONE = "version: 1\nhosts:\n  mini: {hostname: mini.local}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config" / "macgpu"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "project" / "macgpu.yaml"
    file.parent.mkdir()
    file.write_text(ONE)
    return file


def is_allowed(file: Path, config: Path) -> bool:
    return standing(file, file.read_bytes(), config) == "allowed"


def record(config: Path) -> Path:
    (only,) = (config / "allowed").iterdir()
    return only


def test_what_is_allowed_is_told_and_kept_privately(file: Path, config: Path) -> None:
    assert not is_allowed(file, config)
    allowed = allow(file.parent, config)
    assert allowed.file == file
    assert [host.hostname for host in allowed.hosts] == ["mini.local"]
    assert is_allowed(file, config)
    assert record(config).stat().st_mode & 0o777 == 0o600
    assert record(config).parent.stat().st_mode & 0o777 == 0o700


def test_a_change_a_copy_and_a_move_need_a_new_word(file: Path, config: Path) -> None:
    allow(file, config)
    other = file.parent.parent / "other"
    other.mkdir()
    (other / "macgpu.yaml").write_text(ONE)
    assert not is_allowed(other / "macgpu.yaml", config)
    file.write_text(ONE + "\n")
    assert not is_allowed(file, config)
    file.write_text(ONE)
    assert is_allowed(file, config)


def test_only_the_last_content_that_was_allowed_counts(file: Path, config: Path) -> None:
    allow(file, config)
    file.write_text(ONE + "\n")
    allow(file, config)
    assert is_allowed(file, config)
    file.write_text(ONE)
    assert not is_allowed(file, config)
    assert record(config)


def test_the_folder_counts_whatever_link_leads_to_it(file: Path, config: Path) -> None:
    way = file.parent.parent / "way"
    way.symlink_to(file.parent)
    allow(way, config)
    assert is_allowed(file, config)


def test_a_link_counts_by_what_it_leads_to(file: Path, config: Path) -> None:
    real = file.rename(file.with_name("fleet"))
    file.symlink_to(real)
    allow(file, config)
    assert is_allowed(file, config)
    real.write_text(ONE + "  b: {}\n")
    assert not is_allowed(file, config)


def test_a_file_with_mistakes_is_not_allowed(file: Path, config: Path) -> None:
    file.write_text("version: 1\nhosts: {a: {slot: 1}}\n")
    with pytest.raises(FleetFileError, match="did you mean slots"):
        allow(file, config)
    assert not (config / "allowed").exists()


def test_what_is_no_fleet_file_of_a_folder_cannot_be_allowed(file: Path, config: Path) -> None:
    named = file.rename(file.with_name("fleet.yaml"))
    with pytest.raises(ConfigError, match="There is no"):
        allow(file, config)
    with pytest.raises(ConfigError, match="so it never counts by itself"):
        allow(named, config)
    os.mkfifo(file)
    with pytest.raises(ConfigError, match="it is not a file"):
        allow(file, config)
    assert not (config / "allowed").exists()


def test_the_working_folder_is_meant_if_none_is_named(
    file: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert allow(folder=config).file == file
    assert is_allowed(file, config)


@pytest.mark.parametrize("content", ["", "[]", "{", "7", '{"file": 1}', "\xff"])
def test_a_broken_record_allows_nothing(file: Path, config: Path, content: str) -> None:
    allow(file, config)
    record(config).write_text(content, encoding="latin-1")
    assert not is_allowed(file, config)


def test_a_record_that_others_could_have_made_allows_nothing(file: Path, config: Path) -> None:
    allow(file, config)
    for path in (record(config), config / "allowed"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o020)
        assert not is_allowed(file, config)
        path.chmod(mode)
        assert is_allowed(file, config)
    link = record(config)
    target = link.rename(config / "elsewhere")
    link.symlink_to(target)
    assert not is_allowed(file, config)


def test_where_nothing_can_be_written_nothing_is_allowed(file: Path, config: Path) -> None:
    config.parent.mkdir()
    config.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot be written down"):
        allow(file, config)
    assert not is_allowed(file, config)
