"""`macgpu diff` and `macgpu apply` against real SSH servers: the file is the truth."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu import cli
from jupyter_macgpu.applying import _WRITE, write
from jupyter_macgpu.reach import Reach
from jupyter_macgpu.transport.script import Program
from jupyter_macgpu.wire.errors import ConfigError
from jupyter_macgpu.wire.policy import HostPolicy, Limits, read, render
from tests.faults import processes
from tests.ssh_home import Home
from tests.sshd import Account, Servers, Sshd, why_no_mounts

LAID_DOWN = """\
    labels: {room: lab}
    taints: [{key: apple.com/gpu, effect: NoSchedule}]
    slots: 2
    policy: {max_runs: 3, max_time: 2h, drain: true}
"""
POLICY = HostPolicy(
    labels={"room": "lab"},
    taints=({"key": "apple.com/gpu", "value": "", "effect": "NoSchedule"},),
    slots=2,
    limits=Limits(max_runs=3, max_time=7200.0, drain=True),
)


def start(servers: Servers, tmp_path: Path, name: str, **options: object) -> tuple[Sshd, Path]:
    """Return a server whose host holds a policy of its own, and that file."""
    file, state = tmp_path / name / "etc" / "host.yaml", tmp_path / f"{name}-state"
    settings = f'"HOME={tmp_path / name}" "MACGPU_STATE={state}" "MACGPU_HOST_POLICY={file}"'
    (tmp_path / name).mkdir()
    server = servers.start(state=state, options={"SetEnv": settings}, **options)  # type: ignore[arg-type]
    return server, file


def describe(home: Home, hosts: dict[str, Sshd], more: str = "") -> None:
    home.write_fleet(hosts)
    text = home.fleet.read_text()
    first = next(iter(hosts))
    home.fleet.write_text(text.replace(f"  {first}:\n", f"  {first}:\n{more}", 1))


@pytest.fixture(autouse=True)
def ended(tmp_path: Path) -> Iterator[None]:
    """End the supervisors of hosts that have a state of their own."""
    yield
    for folder in tmp_path.glob("*-state"):
        processes.end_all(folder)


@pytest.fixture
def one(home: Home, servers: Servers, tmp_path: Path) -> tuple[Sshd, Path]:
    server, file = start(servers, tmp_path, "one")
    home.know(server)
    return server, file


def test_what_is_applied_is_held_and_a_second_client_sees_it(
    home: Home,
    one: tuple[Sshd, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, file = one
    describe(home, {"studio": server})
    assert cli.main(["diff"]) == 0
    assert capsys.readouterr().out == "studio: as the file says\n"
    assert not file.exists()

    describe(home, {"studio": server}, LAID_DOWN)
    assert cli.main(["diff"]) == 2
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        f"studio ({file}):",
        "  + drain: true",
        "  + labels.room: lab",
        "  + max_runs: 3",
        "  + max_time: 7200 s",
        "  + slots: 2",
        "  + taints.apple.com/gpu:NoSchedule: (no value)",
    ]
    assert cli.main(["apply", "--yes"]) == 0
    assert f"studio: written to {file}" in capsys.readouterr().out
    assert read(file.read_bytes()) == POLICY
    assert file.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in file.parent.iterdir()] == ["host.yaml"]

    # Another machine of the same administrator: other state, the same fleet file.
    monkeypatch.setenv("MACGPU_STATE", str(tmp_path / "second"))
    assert cli.main(["diff", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["host"], row["same"], row["changes"]) == ("studio", True, [])
    # And one whose file says something else.
    describe(home, {"studio": server}, "    labels: {room: office}\n")
    assert cli.main(["diff", "--json"]) == 2
    changes = json.loads(capsys.readouterr().out)[0]["changes"]
    assert {"key": "labels.room", "held": "lab", "wanted": "office"} in changes
    assert {"key": "drain", "held": True, "wanted": None} in changes


def test_applying_again_writes_nothing(
    home: Home, one: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = one
    describe(home, {"studio": server}, LAID_DOWN)
    assert cli.main(["apply", "--yes"]) == 0
    before = file.stat()
    assert cli.main(["apply"]) == 0  # and so nobody is asked
    assert file.stat() == before
    assert "as the file says" in capsys.readouterr().out


def test_nothing_is_written_unless_somebody_agrees(
    home: Home, one: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = one
    describe(home, {"studio": server}, LAID_DOWN)
    assert cli.main(["apply"]) == 2
    assert "nobody here who could be asked" in capsys.readouterr().err
    assert not file.exists()


def test_a_host_that_fails_is_named_and_the_others_are_written(
    home: Home,
    one: tuple[Sshd, Path],
    servers: Servers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, file = one
    other, other_file = start(servers, tmp_path, "other")
    home.know(other)
    describe(home, {"studio": server, "gone": other}, LAID_DOWN)
    other.stop()
    assert cli.main(["apply", "--yes"]) == 1
    said = capsys.readouterr()
    assert "gone: unknown: " in said.out
    assert "1 of 2 hosts hold what the file says." in said.err
    assert read(file.read_bytes()) == POLICY
    assert not other_file.exists()
    assert cli.main(["diff"]) == 1
    assert cli.main(["diff", "studio"]) == 0


def test_a_policy_that_is_not_obeyed_is_a_difference_and_applying_mends_it(
    home: Home, one: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = one
    describe(home, {"studio": server})
    file.parent.mkdir()
    file.write_text("slots: 3\n")
    assert cli.main(["diff"]) == 2
    assert f"! {file} is not obeyed: it is not JSON" in capsys.readouterr().out
    assert cli.main(["apply", "--yes"]) == 0
    assert read(file.read_bytes()) == HostPolicy()


def test_a_folder_that_cannot_be_written_leaves_the_policy_as_it_was(
    home: Home, one: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    server, file = one
    describe(home, {"studio": server}, LAID_DOWN)
    file.parent.write_text("not a folder")
    assert cli.main(["apply", "--yes"]) == 1
    assert "cannot be written" in capsys.readouterr().out
    assert file.parent.read_text() == "not a folder"


def test_a_key_that_opens_the_door_alone_may_look_and_not_write(
    home: Home, servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = tmp_path / "one-state" / "door"
    server, file = start(servers, tmp_path, "one", command=str(door))
    home.know(server)
    describe(home, {"studio": server}, LAID_DOWN)
    assert cli.main(["diff"]) == 2
    assert cli.main(["apply", "--yes"]) == 1
    said = capsys.readouterr()
    assert "may open nothing but our door" in said.out
    assert not file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="accounts of a server's own need root")
def test_whoever_is_not_root_needs_sudo(
    home: Home, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real place of the policy, in a mount of that server alone."""
    if reason := why_no_mounts():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        account = Account(home=Path(folder) / "ada", uid=4711)
        # Where that account may read it.
        file = Path(folder) / "keys"
        file.write_text(servers.keys.public() + "\n")
        options = {"AuthorizedKeysFile": str(file)}
        server = servers.start(account=account, state=None, bare=True, options=options)
        home.know(server)
        home.write_fleet({"studio": server}, python=None)
        with pytest.raises(ConfigError) as caught:
            write(Reach(lambda _: ""), home.host(server, "studio"), POLICY)
        assert "sudo" in caught.value.what
        assert "--as-user root" in caught.value.next
        assert not Path("/etc/macgpu/host.yaml").exists()


def test_the_content_reaches_the_host_as_it_is(
    home: Home, one: tuple[Sshd, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands in the file is no program to the far shell, whatever it is."""
    server, file = one
    nasty = "'; touch pwned; $(touch pwned) `touch pwned` \" \\ %s !! \u00e9"
    policy = HostPolicy(labels={"a": nasty}, limits=Limits(managed_by="x" * 50_000))
    write(Reach(lambda _: ""), home.host(server), policy)
    assert file.read_bytes() == render(policy)
    assert read(file.read_bytes()).labels["a"] == nasty


SUDO = {
    "allowed": ('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n', "done", True),
    "refused": ("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", "sudo", False),
}


@pytest.mark.parametrize("case", SUDO)
@pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts() or "-")
def test_the_real_file_is_written_by_sudo_or_not_at_all(tmp_path: Path, case: str) -> None:
    """In an /etc of its own, as somebody who is told not to be root."""
    text, word, is_written = SUDO[case]
    for name, content in (("sudo", text), ("id", "#!/bin/sh\necho 501\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    program = Program(text=_WRITE, values={"content": render(POLICY).decode()})
    script = (
        f"mount -t tmpfs tmpfs /etc && PATH={tmp_path}:$PATH /bin/sh -s > {tmp_path}/said; "
        f"cp -p /etc/macgpu/host.yaml {tmp_path}/"
    )
    words = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script]
    subprocess.run(words, input=program.source(), capture_output=True, timeout=60)
    said = program.answer((tmp_path / "said").read_bytes())
    assert said[0] == word
    file = tmp_path / "host.yaml"
    assert file.exists() == is_written
    if is_written:
        assert said[1] == "/etc/macgpu/host.yaml"
        assert (read(file.read_bytes()), file.stat().st_mode & 0o777) == (POLICY, 0o644)
    else:
        assert "a password is required" in said[1]
