"""Hosts that take nothing new: drained, paused, and shown as such; what runs goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_macgpu import cli

FLEET = "version: 1\nhosts:\n  first: {transport: local}\n  second: {transport: local}\n"


@pytest.fixture
def policy(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file, held = tmp_path / "fleet.yaml", tmp_path / "host.yaml"
    file.write_text(FLEET)
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    monkeypatch.setenv("MACGPU_HOST_POLICY", str(held))
    return held


@pytest.fixture
def hosts(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, tuple[str, str]]]:
    def look() -> dict[str, tuple[str, str]]:
        capsys.readouterr()
        assert cli.main(["status", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        return {row["host"]: (row["state"], row["reason"]) for row in rows}

    return look


def until(hosts, wanted: str) -> None:
    """Wait for what a host looks at now and then: its policy."""
    deadline = time.monotonic() + 60.0
    while hosts()["first"][0] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_pause_is_shown_and_ends(policy, hosts, capsys) -> None:
    assert cli.main(["pause", "1h"]) == 0
    assert "Nothing new begins here for 1h" in capsys.readouterr().out
    state, reason = hosts()["first"]
    assert state == "draining"
    assert "paused" in reason
    assert cli.main(["where"]) == 1
    out = capsys.readouterr().out
    assert "no host can take it now" in out
    assert "its owner has paused it" in out
    assert cli.main(["resume"]) == 0
    assert hosts()["first"][0] == "ready"
    assert cli.main(["where"]) == 0
    assert cli.main(["pause", "soon"]) == 2
    assert cli.main(["pause", "99999h"]) == 1


def test_a_drained_host_holds_the_rest_of_its_policy(policy: Path, hosts, capsys) -> None:
    policy.write_text(json.dumps({"version": 1, "labels": {"room": "lab"}, "max_runs": 3}))
    policy.chmod(0o644)
    assert cli.main(["drain", "first"]) == 0
    held = json.loads(policy.read_text())
    assert held["drain"] is True
    assert held["labels"] == {"room": "lab"}
    assert held["max_runs"] == 3
    until(hosts, "draining")
    assert cli.main(["undrain", "first"]) == 0
    assert not json.loads(policy.read_text()).get("drain")
    until(hosts, "ready")
    assert cli.main(["drain", "frist"]) == 1
    assert "Did you mean first" in capsys.readouterr().err


def test_a_policy_that_cannot_be_read_is_not_written_over(policy: Path, capsys) -> None:
    policy.write_text("slots: [")
    policy.chmod(0o644)
    assert cli.main(["drain", "first"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert policy.read_text() == "slots: ["
