"""A cell shows the same under `%%macgpu` as in a plain kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults import processes
from tests.notebook.golden import normalise, run_plain, run_worker
from tests.notebook.golden.cells import CASES
from tests.unit.worker_driver import Driver

#: The home of the plain kernel.
HOME = str(Path.home())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with run_plain.kernel(tmp_path_factory.mktemp("plain")) as client:
        return in_kernel(client, lambda cell: cell.plain)


def in_kernel(client, source_of):
    """Run all cases in one kernel."""
    recorded, number = {}, 0
    for name, cells in CASES.items():
        recorded[name] = []
        for cell in cells:
            number += 1
            run_plain.name_next_cell(client, number)
            recorded[name].append(run_plain.run(client, source_of(cell), cell.replies))
    return recorded


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Driver(tmp_path_factory.mktemp("worker")) as driver:
        recorded = {}
        for name, cells in CASES.items():
            recorded[name] = []
            for cell in cells:
                if cell.at_home or cell.above:
                    driver.count += 1
                    recorded[name].append(None)
                else:
                    recorded[name].append(run_worker.run(driver, cell))
        return recorded


@pytest.fixture(scope="module")
def macgpu(tmp_path_factory):
    folder = tmp_path_factory.mktemp("macgpu")
    yield as_macgpu_cells(folder, MACGPU_STATE=str(folder / "s"))
    processes.end_all(folder / "s")


@pytest.fixture
def over_ssh(sshd, home, state, tmp_path):
    home.know(sshd)
    home.write_fleet({"studio": sshd})
    home.fleet.chmod(0o600)
    there = {"HOME": str(home.folder), "MACGPU_FLEET": str(home.fleet), "MACGPU_STATE": str(state)}
    return as_macgpu_cells(tmp_path, **there)


def as_macgpu_cells(folder, **environment):
    """Run all cases under the magic, in one kernel."""
    root = str(Path(__file__).parents[2])
    with run_plain.kernel(folder, PYTHONPATH=root, **environment) as client:
        run_plain.run_unseen(client, "%load_ext jupyter_macgpu")
        # What a long cell says of itself is tested elsewhere.
        run_plain.run_unseen(client, "%macgpu config progress=off")
        # The session's first cell says where it runs; what a session says is tested elsewhere.
        run_plain.run_unseen(client, "get_ipython().run_cell_magic('macgpu', '', 'pass')")
        recorded = in_kernel(client, lambda cell: cell.ours(" -i Out" * cell.at_home))
    for ran in [ran for cells in recorded.values() for ran in cells]:
        # Of files that a cell writes a line of ours says so, which is tested elsewhere.
        ran.outputs[:] = [output for output in ran.outputs if not of_files(output)]
    return recorded


def of_files(output) -> bool:
    return output.get("data", {}).get("text/plain", "").startswith("macgpu: wrote ")


@pytest.mark.parametrize("name", CASES)
def test_macgpu_shows_what_a_kernel_shows(plain, macgpu, name):
    for cell, theirs, ours in zip(CASES[name], plain[name], macgpu[name], strict=True):
        assert as_text(ours) == as_text(theirs), cell.source


@pytest.mark.timeout(300)
def test_macgpu_shows_the_same_over_ssh(plain, over_ssh):
    for name, cells in CASES.items():
        for cell, theirs, ours in zip(cells, plain[name], over_ssh[name], strict=True):
            # The host's home is another one, so that a path in it has no short form there.
            assert as_text(ours).replace(HOME, "~") == as_text(theirs), cell.source


@pytest.mark.parametrize("name", CASES)
def test_a_worker_shows_what_a_kernel_shows(plain, worker, name):
    for at, (theirs, ours) in enumerate(zip(plain[name], worker[name], strict=True)):
        if ours is None:
            continue
        assert as_text(ours) == as_text(theirs), CASES[name][at].source


def test_there_are_enough_cells_and_few_normalisers():
    assert sum(len(cells) for cells in CASES.values()) >= 60
    assert len(normalise.TEXTS) + 1 <= 10


def as_text(recorded) -> str:
    lines = [f"status: {recorded.status}", f"payload: {recorded.payload}"]
    for output in normalise.normalise(recorded.outputs):
        lines.append(json.dumps(output, sort_keys=True, default=repr, indent=1))
    return "\n".join(lines)
