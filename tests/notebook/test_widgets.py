"""A widget of a `%%macgpu` cell speaks with its front end as one of a plain kernel does."""

from __future__ import annotations

import difflib
import json

import pytest

from tests.notebook.widgets.cases import CASES
from tests.notebook.widgets.front_end import front_end, normalised


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with front_end(tmp_path_factory.mktemp("plain"), remote=False) as front:
        yield front


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    with front_end(tmp_path_factory.mktemp("remote"), remote=True) as front:
        yield front


def play(front, case, first_line):
    """Return what the kernel says to each cell and each thing that follows, normalised."""
    front.models.clear()
    told = [front.run(first_line + source) for source in case.cells]
    told += [step(front) for step in case.steps]
    return [json.dumps(normalised(said), indent=1, sort_keys=True) for said in told]


def diff(expected, got):
    return "\n".join(difflib.unified_diff(expected.splitlines(), got.splitlines(), n=3))


@pytest.mark.parametrize("name", CASES)
def test_comm_traffic_is_that_of_a_plain_kernel(plain, remote, name):
    case = CASES[name]
    theirs = play(plain, case, "# %%macgpu\n")
    ours = play(remote, case, "%%macgpu\n")
    for at, (expected, got) in enumerate(zip(theirs, ours, strict=True)):
        if got != expected:
            pytest.fail(f"step {at}:\n{diff(expected, got)}")
    assert any("comm_" in said for said in theirs)
