"""The fleet file while it is edited: read again, or kept and said once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_macgpu.fleet import watching
from jupyter_macgpu.fleet.allowing import allow
from jupyter_macgpu.fleet.file import FleetFileError
from jupyter_macgpu.fleet.places import Places
from jupyter_macgpu.fleet.watching import FleetFile


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.delenv("MACGPU_FLEET", raising=False)
    folders = {name: tmp_path / name for name in ("user", "site", "working")}
    for folder in folders.values():
        folder.mkdir(mode=0o755)
    return Places(**folders, site_owner=os.getuid())


def write(file: Path | None, *hosts: str) -> None:
    assert file is not None
    file.write_text("version: 1\nhosts:\n" + "".join(f"  {host}: {{}}\n" for host in hosts))


def names(file: FleetFile) -> list[str]:
    return [host.name for host in file.fleet().hosts]


def test_an_edit_is_seen_and_told_once(places: Places) -> None:
    write(places.user_file, "one", "two")
    file = FleetFile(lambda: places)
    assert names(file) == ["one", "two"]
    assert file.notice() == ""
    write(places.user_file, "one", "three")
    assert names(file) == ["one", "three"]
    assert file.notice() == "macgpu: the fleet file was read again (new: three; gone: two)"
    assert names(file) == ["one", "three"]
    assert file.notice() == ""


def test_a_file_that_did_not_change_is_not_read_again(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(places.user_file, "one")
    read = []
    real = watching.load_fleet

    def counted(**options: object) -> object:
        read.append(1)
        return real(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(watching, "load_fleet", counted)
    file = FleetFile(lambda: places)
    first = file.fleet()
    assert all(file.fleet() is first for _ in range(5))
    assert len(read) == 1
    write(places.user_file, "one")  # the same text, written again
    assert file.fleet() == first
    assert (len(read), file.notice()) == (2, "")


def test_a_broken_edit_keeps_what_was_and_says_so_once(places: Places) -> None:
    write(places.user_file, "one")
    file = FleetFile(lambda: places)
    assert names(file) == ["one"]
    places.user_file.write_text("version: 1\nhosts:\n  one: {slot: 1}\n")
    assert names(file) == ["one"]
    notice = file.notice()
    assert "as it is before" not in notice
    assert "as it was before an edit" in notice
    assert "line 3, hosts.one.slot: unknown key; did you mean slots?" in notice
    assert names(file) == ["one"]
    assert file.notice() == ""
    write(places.user_file, "two")
    assert names(file) == ["two"]
    assert "new: two; gone: one" in file.notice()


def test_the_first_reading_raises_and_the_next_one_may_succeed(places: Places) -> None:
    places.user_file.write_text("[]")
    file = FleetFile(lambda: places)
    for _ in range(2):
        with pytest.raises(FleetFileError):
            file.fleet()
    write(places.user_file, "one")
    assert names(file) == ["one"]


def test_rights_that_change_count_as_a_broken_edit(places: Places) -> None:
    write(places.user_file, "one")
    file = FleetFile(lambda: places)
    assert names(file) == ["one"]
    places.user_file.chmod(0o666)
    assert names(file) == ["one"]
    assert "others can change it" in file.notice()


def test_files_that_come_and_go_are_seen(places: Places) -> None:
    write(places.site_file, "shared")
    file = FleetFile(lambda: places)
    assert names(file) == ["shared"]
    write(places.user_file, "own")
    assert names(file) == ["own", "shared"]
    write(places.working_file, "project")
    assert names(file) == ["own", "shared"]
    allow(places.working, places.user)
    assert names(file) == ["project"]
    assert places.working_file is not None
    places.working_file.unlink()
    assert names(file) == ["own", "shared"]


def test_another_named_file_is_seen(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.yaml", name)
    file = FleetFile(lambda: places)
    monkeypatch.setenv("MACGPU_FLEET", str(tmp_path / "a.yaml"))
    assert names(file) == ["a"]
    monkeypatch.setenv("MACGPU_FLEET", str(tmp_path / "b.yaml"))
    assert names(file) == ["b"]
    (tmp_path / "b.yaml").unlink()
    assert names(file) == ["b"]
    assert "there is no such file" in file.notice()
