"""What lives on hosts for one notebook: read between its cells, of that notebook alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.faults.kernels import Kernel

from .running import PATIENCE, Listener, Running

LEAVES = """%%macgpu --on a
import numpy
squares = (n * n for n in range(9))
large = numpy.ones(5000)"""


@pytest.fixture(scope="module")
def environment(two_hosts: dict[str, str]) -> dict[str, str]:
    return two_hosts


@pytest.fixture
def kernel(
    server: Running, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kernel]:
    """A kernel of the notebook ``work/a b.ipynb`` of that server."""
    monkeypatch.setenv("MACGPU_FLEET", environment["MACGPU_FLEET"])
    with Kernel(str(server.root / "work" / "a b.ipynb")) as started:
        yield started


def values(server: Running, path: str = "work/a b.ipynb") -> Any:
    answer = server.ask("GET", f"values?path={quote(path)}")
    assert answer.status == 200
    return answer.json


def known(listener: Listener, count: int) -> None:
    """Wait until the server knows so many runs of the notebook, all of them ended."""
    listener.until(
        lambda heard: sum(row["state"] == "ok" for row in heard.runs.values()) == count, PATIENCE
    )


def test_values_are_told_of_the_notebook_whose_they_are_and_after_its_kernel_is_gone(
    server: Running, kernel: Kernel, listener: Listener
) -> None:
    assert values(server) == {"values": [], "left_out": 0, "unknown": []}
    assert not kernel.run("%macgpu config return=1KiB").error
    assert not kernel.run(LEAVES).error
    assert not kernel.run("%%macgpu --on b\nlater = (n for n in range(3))").error
    known(listener, 2)
    told = values(server)
    found = [(each["name"], each["type"], each["host"]) for each in told["values"]]
    assert found[0] == ("large", "numpy.ndarray", "a")
    assert set(found[1:]) == {("squares", "generator", "a"), ("later", "generator", "b")}
    assert told["values"][0]["size"] == 40000
    assert told["unknown"] == []
    assert values(server, "work/other.ipynb")["values"] == []
    kernel.kill()
    assert values(server) == told


def test_a_worker_that_computes_is_not_asked(
    server: Running, kernel: Kernel, listener: Listener, tmp_path: Path
) -> None:
    before = len(listener.runs) or _all(listener)
    assert not kernel.run(LEAVES).error
    gate = tmp_path / "gate"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    kernel.begin(f"%%macgpu --on a\n{waits}")
    listener.until(lambda heard: any(row["state"] == "started" for row in heard.runs.values()))
    told = values(server)
    assert told["unknown"] == [{"host": "a", "reason": "a cell runs there"}]
    gate.touch()
    known(listener, before + 2)
    assert values(server)["unknown"] == []
    assert "squares" in {each["name"] for each in values(server)["values"]}


def _all(listener: Listener) -> int:
    listener.until_said("snapshot")
    return len(listener.runs)


def test_who_names_no_notebook_is_told_of_none(server: Running) -> None:
    assert server.ask("GET", "values").json["values"] == []
