"""The worker's look at Metal after the login has ended; the loss of it is played."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_macgpu.mac import start, store
from jupyter_macgpu.mac.worker import metal
from jupyter_macgpu.mac.worker.trouble import Trouble
from jupyter_macgpu.mac.worker.vigil import SETTLED, Vigil
from tests.unit.worker_driver import PATIENCE, Driver

#: A worker whose founder is gone, and whose Metal too.
BEREFT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from jupyter_macgpu.mac import start
from jupyter_macgpu.mac.worker import process
from jupyter_macgpu.mac.worker.vigil import Vigil
process.vigil_for = lambda place: Vigil(
    place, {start.FOUNDER: "1 long ago", start.WAY: ""}, lambda: "torch: no compiler"
)
sys.exit(process.main())
"""


class Watch:
    """A vigil with a real founder, a clock that is set by hand, and a Metal that can be broken."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.place = store.Store(root)
        self.founder = subprocess.Popen(["/bin/sleep", "600"])
        self.now, self.looks, self.broken = 1000.0, 0, ""
        began = store.process_start(self.founder.pid)
        variables = {start.FOUNDER: f"{self.founder.pid} {began}", start.WAY: "domain"}
        self.vigil = Vigil(self.place, variables, self._look, lambda: self.now)

    def _look(self) -> str:
        self.looks += 1
        return self.broken

    def end(self) -> None:
        self.founder.kill()
        self.founder.wait()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path / "store")
    yield watch
    watch.end()


def test_nothing_is_looked_at_while_the_login_lives(watch: Watch) -> None:
    watch.broken = "it would be seen"
    for _ in range(3):
        watch.vigil.check()
        watch.now += SETTLED
    assert watch.looks == 0


def test_it_is_looked_twice_after_the_logins_end_and_never_again(watch: Watch) -> None:
    watch.end()
    seen = []
    for later in (0.0, 1.0, SETTLED - 2.0, 1.0, SETTLED, SETTLED):
        watch.now += later
        watch.vigil.check()
        seen.append(watch.looks)
    assert seen == [1, 1, 1, 2, 2, 2]
    assert not watch.vigil.lost


@pytest.mark.parametrize("later", [0.0, SETTLED])
def test_the_loss_is_told_and_the_next_way_is_written_down(watch: Watch, later: float) -> None:
    watch.end()
    if later:
        watch.vigil.check()
        watch.now += later
    watch.broken = "torch: RuntimeError: no compiler"
    with pytest.raises(Trouble) as raised:
        watch.vigil.check()
    assert "no compiler" in raised.value.parts[0]
    assert len(raised.value.parts) == 4
    assert watch.vigil.lost
    # Another worker of the same supervisor had said so before: the way moves on once.
    assert start.read_way(watch.place) == start.ATTACHED


def test_without_a_founder_there_is_nothing_to_watch(tmp_path: Path) -> None:
    Vigil(store.Store(tmp_path), {}, lambda: pytest.fail("it looked")).check()


def test_a_cell_is_not_begun_without_metal_and_its_worker_ends(tmp_path: Path) -> None:
    folder = tmp_path / "workers" / "s"
    program = [sys.executable, "-P", "-c", BEREFT, str(Path(__file__).parents[2])]
    with Driver(folder, program=program) as driver:
        ran = driver.run("print('begun'); x = 1", reads=[])
        assert ran.status == "error"
        assert ran.finished["error"]["ename"] == "MetalLost"
        assert ran.text() == ""
        assert "x" not in driver.namespace
        assert driver.process.wait(PATIENCE) == 0
    assert start.read_way(store.Store(tmp_path)) == start.DOMAIN


def test_what_was_never_loaded_is_not_loaded_to_look_at_it() -> None:
    code = (
        "import sys; from jupyter_macgpu.mac.worker.metal import still_compiles; "
        "print(repr(still_compiles()), 'torch' in sys.modules, 'mlx' in sys.modules)"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert shown == "'' False False\n"


@pytest.mark.parametrize("name", metal.PROBES)
def test_a_package_computes_with_a_kernel_that_is_new_each_time(name: str) -> None:
    assert metal.PROBES[name]().startswith(name.partition(".")[0])
