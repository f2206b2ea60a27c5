"""`macgpu selftest`: what it looks at, what follows from it, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_macgpu import cli, selftest
from jupyter_macgpu.mac import checks, store
from jupyter_macgpu.mac import selftest as program
from jupyter_macgpu.selftest import show
from jupyter_macgpu.verbs import Command, parse_arguments, parse_verb
from jupyter_macgpu.wire.errors import MacGPUError
from jupyter_macgpu.words import OptionError


def context(*states: str) -> dict[str, Any]:
    tensors = [{"name": f"t{i}", "state": s, "line": "said"} for i, s in enumerate(states)]
    return {"uid": "501/501", "manager": "Background", "tensors": tensors}


# What is looked at.


def test_everything_is_as_it_has_to_be_and_the_report_can_be_pasted(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = store.Store(store.default_root())
    place.prepare()
    before = sorted(place.root.iterdir())
    code = cli.main(["selftest", "--json"])
    printed = capsys.readouterr().out
    found = json.loads(printed)
    names = [*checks.CHECKS, "GPU test", "calibration"]
    assert [check["name"] for check in found["checks"]] == names
    states = {check["name"]: check["state"] for check in found["checks"]}
    failed = {name for name, state in states.items() if state == "failed"}
    # Where the tests keep their state, macOS empties the folders now and then.
    assert failed <= ({"temporary folders"} if sys.platform == "darwin" else set())
    assert code == (1 if failed else 0)
    assert {name for name, state in states.items() if state == "unknown"} <= {
        *("caffeinate", "GPU test", "calibration")
    }
    assert sorted(place.root.iterdir()) == before
    text = show.report(found)
    assert "ok       full sync" in text
    assert "a session of its own:" in text
    assert str(Path.home()) not in text + printed
    if sys.platform != "darwin":
        assert "This is not a Mac" in text


def test_a_gpu_is_tested_and_measured_as_a_supervisor_does_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    # What the supervisor takes for a GPU here is the processor; the children know better.
    monkeypatch.setattr(program.hardware, "gpu_device", lambda: "mps")
    # Two threads that wait for each other take minutes on processors that have much else to do.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = {check.name: check for check in program._gauged()}
    assert {check.state for check in found.values()} == {"ok"}, found
    assert "torch" in found["GPU test"].line
    assert " TFLOPS (16 bits: " in found["calibration"].line
    monkeypatch.setattr(program, "_path", lambda: "import os; os.abort(); ")
    found = {check.name: check for check in program._gauged()}
    assert {check.state for check in found.values()} == {"failed"}
    assert "ended with -6" in found["calibration"].line


def test_a_check_that_fails_says_why_and_stops_no_other() -> None:
    def fails() -> str:
        raise OSError("two\nlines")

    def cannot() -> str:
        raise checks.NotHereError("no such thing here")

    assert checks.judge("a", fails) == checks.Check(name="a", state="failed", line="two lines")
    assert checks.judge("b", cannot).state == "unknown"
    assert checks.judge("c", lambda: "well").state == "ok"


def test_a_folder_that_is_open_to_others_is_found(tmp_path: Path) -> None:
    place = store.Store(tmp_path / "store")
    place.root.mkdir(mode=0o755)
    found = {check.name: check.state for check in checks.checks(place)}
    assert found["state folder"] == "failed"
    assert found["full sync"] == "ok"


# What follows from it.


@pytest.mark.parametrize(
    ("before", "session", "domain", "chosen"),
    [
        ("ok", "ok", "ok", "session"),
        ("ok", "failed", "ok", "domain"),
        ("ok", "failed", "failed", "attached"),
        ("failed", "failed", "failed", ""),
        ("failed", "ok", "failed", "session"),
        ("unknown", "unknown", "unknown", ""),
        ("ok", "unknown", "ok", "domain"),
        ("ok", "ok", None, ""),
        ("ok", None, "ok", ""),
    ],
)
def test_the_first_way_in_which_tensors_compute_is_chosen(
    before: str, session: str | None, domain: str | None, chosen: str
) -> None:
    ways = {"session": session, "domain": domain}
    found = {
        way: None if state is None else context("unknown", state) for way, state in ways.items()
    }
    assert program.choose(context(before), found, ssh=True)[0] == chosen
    way, why = program.choose(context(before), found, ssh=False)
    assert way == ""
    assert "SSH" in why


def test_one_package_that_fails_is_enough_to_pass_a_way_over() -> None:
    assert program.verdict(context("ok", "failed")) == "failed"
    assert program.verdict(context("ok", "unknown")) == "ok"
    assert program.verdict(context("unknown", "unknown")) == "unknown"


def test_a_probe_that_dies_is_a_failure_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "torch.py"
    broken.write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    torch, mlx = program.context()["tensors"]
    assert torch["state"] == "failed"
    assert "ended with -6" in torch["line"]
    assert mlx["state"] == "ok"


# The command.


def test_the_command_says_when_nothing_was_started(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["selftest", "--collect", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["chosen"] == ""


def test_it_is_a_verb_of_the_shell_alone() -> None:
    assert parse_arguments(["selftest", "--collect"]) == Command(verb="selftest", collect=True)
    assert parse_arguments(["selftest", "--detached"]) == Command(verb="selftest", detached=True)
    with pytest.raises(OptionError, match="not a verb of %macgpu"):
        parse_verb("selftest")


def test_both_steps_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["selftest", "--collect", "--detached"]) == 2
    assert "cannot stand together" in capsys.readouterr().err


def test_a_state_folder_that_others_can_read_is_an_error_in_words(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = store.default_root()
    root.mkdir(parents=True)
    root.chmod(0o755)
    with pytest.raises(MacGPUError, match="mode 0700"):
        selftest.main()
    root.chmod(0o700)


def test_what_is_to_be_done_now_is_said() -> None:
    found = {"ssh": True, "wait": 120.0, "started": ["session"], "refused": {"domain": "no"}}
    text = show.detached(found)
    assert "wait 3 minutes" in text
    assert "not started in the way 'domain': no" in text
    assert "Come over SSH" in show.detached({**found, "ssh": False})


def test_a_failed_tensor_is_worth_an_exit_code() -> None:
    assert show.failed({"checks": [], "contexts": {"this login": context("ok", "failed")}})
    assert not show.failed({"checks": [], "contexts": {"this login": context("ok", "unknown")}})
