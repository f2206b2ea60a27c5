"""What a host holds: the form of its policy, and when the supervisor believes it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.applying import changes_between
from jupyter_macgpu.mac.policy import PolicyFile
from jupyter_macgpu.wire.policy import (
    HostPolicy,
    Limits,
    PolicyError,
    from_plain,
    is_owner_hours,
    owner_has_it,
    read,
    render,
)

WHOLE = HostPolicy(
    labels={"room": "lab", "empty": ""},
    taints=({"key": "a", "value": "", "effect": "NoSchedule"},),
    slots=2,
    limits=Limits(
        max_runs=3,
        max_time=7200.0,
        max_memory=48 * 10**9,
        owner_hours=("Mon-Fri 09:00-17:00",),
        drain=True,
        managed_by="slurm",
    ),
)


@pytest.mark.parametrize("policy", [HostPolicy(), WHOLE], ids=["empty", "whole"])
def test_what_is_written_is_read_again(policy: HostPolicy) -> None:
    content = render(policy)
    assert content.isascii()
    assert read(content) == policy
    assert from_plain(policy.plain()) == policy


BAD = {
    "not json": "it is not JSON",
    "labels: {a: b}": "it is not JSON",
    "[]": "no policy of version 1",
    "{}": "no policy of version 1",
    '{"version": 2}': "no policy of version 1",
    '{"version": 1, "max_rnus": 1}': "max_rnus: this key is not known",
    '{"version": 1, "max_runs": true}': "max_runs: it must be a whole number",
    '{"version": 1, "max_runs": 0, "drain": 1}': "drain: it must be true or false; max_runs: it",
    '{"version": 1, "max_time": -1}': "max_time: it must be a number of seconds",
    '{"version": 1, "max_time": 1e400}': "max_time: it must be a number of seconds",
    '{"version": 1, "owner_hours": ["late"]}': "owner_hours: it must be a list of times",
    '{"version": 1, "taints": [{"key": "a"}]}': "taints: it must be a list of taints",
    '{"version": 1, "labels": {"a": 1}}': "labels: it must be a mapping",
    "[" * 100_000: "it is not JSON",
    " " * 300_000: "larger than 256 KiB",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_what_cannot_be_read_in_full_is_refused_in_full(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(text.encode())
    assert BAD[text] in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_at_any_key_is_read_or_refused(value: object) -> None:
    for key in ("labels", "taints", "slots", "max_time", "owner_hours", "drain", "managed_by"):
        try:
            policy = from_plain({key: value})
        except PolicyError:
            continue
        assert read(render(policy)) == policy


HOURS = {
    "09:00-17:00": {(0, 540): True, (6, 1019): True, (0, 1020): False, (0, 539): False},
    "Mon-Fri 09:00-17:00": {(4, 600): True, (5, 600): False},
    "Sat 22:00-06:00": {(5, 1320): True, (6, 359): True, (6, 360): False, (5, 100): False},
    "Fri-Mon 00:00-24:00": {(4, 0): True, (0, 1439): True, (1, 0): False, (3, 1439): False},
    "22:00-06:00": {(2, 1400): True, (2, 10): True, (2, 700): False},
}


@pytest.mark.parametrize("text", HOURS)
def test_the_owners_hours_cover_what_they_say(text: str) -> None:
    assert is_owner_hours(text)
    limits = Limits(owner_hours=(text,))
    found = {time: owner_has_it(limits, *time) for time in HOURS[text]}
    assert found == HOURS[text]


@pytest.mark.parametrize("text", ["9-17", "09:00-25:00", "24:00-01:00", "Mo 09:00-10:00", "", "a"])
def test_other_texts_are_no_hours(text: str) -> None:
    assert not is_owner_hours(text)
    assert not is_owner_hours("09:00-09:00")


def test_what_differs_is_named_key_by_key() -> None:
    wanted = HostPolicy(labels={"room": "office"}, slots=2, limits=Limits(max_time=60.0))
    assert list(map(str, changes_between(WHOLE, wanted))) == [
        "- drain: true",
        "- labels.empty: (no value)",
        "~ labels.room: lab -> office",
        "- managed_by: slurm",
        "- max_memory: 48000000000 bytes",
        "- max_runs: 3",
        "~ max_time: 7200 s -> 60 s",
        "- owner_hours: Mon-Fri 09:00-17:00",
        "- taints.a:NoSchedule: (no value)",
    ]
    assert changes_between(WHOLE, WHOLE) == ()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    return folder / "host.yaml"


def put(place: Path, content: bytes, mode: int = 0o644) -> None:
    new = place.with_name("new")
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(place)


def test_a_policy_is_read_again_when_it_changes(place: Path) -> None:
    file = PolicyFile(place)
    assert file.held().plain() == {"path": str(place), "policy": {}, "problem": ""}
    put(place, render(WHOLE))
    assert file.held().policy == WHOLE
    assert file.held() is file.held()
    put(place, render(HostPolicy(slots=4)))
    assert file.held().policy == HostPolicy(slots=4)
    assert json.dumps(file.held().plain())
    place.unlink()
    assert file.held().policy == HostPolicy()


def test_a_policy_that_others_could_have_written_is_not_obeyed(place: Path) -> None:
    put(place, render(WHOLE), 0o664)
    file = PolicyFile(place)
    assert (file.held().policy, "written by others" in file.held().problem) == (HostPolicy(), True)
    place.chmod(0o644)
    assert file.held().policy == WHOLE
    place.parent.chmod(0o777)
    assert "written by others" in PolicyFile(place).held().problem


def test_what_is_no_policy_is_said(place: Path) -> None:
    put(place, b"labels: {room: lab}\n")
    held = PolicyFile(place).held()
    assert held.policy == HostPolicy()
    assert "it is not JSON" in held.problem
    place.unlink()
    os.mkfifo(place, 0o644)
    assert PolicyFile(place).held().problem


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_only_the_administrators_word_counts(place: Path) -> None:
    put(place, render(WHOLE))
    os.chown(place, 12345, 12345)
    assert "belongs to user 12345" in PolicyFile(place).held().problem
