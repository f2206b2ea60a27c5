"""Whether the GPU computes and how fast the chip is: found out beside the supervisor's loop.

Runs on the Mac. Only Python and `wire` may be imported here.

The work is done by `worker.gauge` in a process of its own, in the cells' interpreter: a GPU that is
broken may end it or never answer. Here is when it is done, and what is kept of it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import shlex
import sys
from typing import TYPE_CHECKING, Any

from . import build, hardware
from .aside import Aside
from .endings import how_ended
from .start import scrubbed
from .store import os_build
from .telemetry import VARIABLE as PROBE

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable
    from pathlib import Path

    from ..wire.telemetry import Telemetry

#: Names a program in place of the cells' interpreter; this machine then counts as one with a GPU.
VARIABLE = "MACGPU_GAUGE"
#: Seconds that either may take; another number, where an import takes longer, in `LIMIT`.
PATIENCE, LIMIT = 90.0, "MACGPU_GAUGE_LIMIT"
#: Seconds from a supervisor's start, or the first cell of another interpreter, to the test.
SETTLE = 2.0
#: Seconds from a failed test to the next. Each further one doubles it, up to `LONGEST`.
FIRST, LONGEST = 30.0, 900.0
#: Seconds without a run before the chip is measured, and for which that counts as just tried.
QUIET, AGAIN = 20.0, 600.0
#: A sample that is older, in seconds, does not say that nobody is disturbed.
NEW = 15.0
#: Seconds without a key or a pointer after which the owner counts as away, as for placement.
AWAY = 300.0
#: Share of the GPU that others may take while it is measured.
_LITTLE = 0.15
#: What no machine reaches, and what every one does: TFLOPS, and 10^9 bytes a second.
_TFLOPS, _RATES = (1e-6, 1e4), (1e-2, 1e5)
_MARK = b"macgpu-gauge "
#: Measurements that are kept: of other builds and versions too, which may come back.
_KEPT = 8


class Gauge:
    """The test of the GPU and the measurement of the chip.

    Parameters
    ----------
    file
        Where measurements are kept.
    selector, now
        The loop's, and its clock.
    """

    def __init__(
        self, file: Path, selector: selectors.BaseSelector, now: Callable[[], float]
    ) -> None:
        self._file, self._now = file, now
        self._aside = Aside(selector, now)
        self._kept = _read(file)
        self._stand_in = shlex.split(os.environ.get(VARIABLE, ""))
        # The GPU of a machine that plays another one is not that one's.
        self._has_gpu = bool(self._stand_in or (hardware.gpu_device() and PROBE not in os.environ))
        self._python = str(self._kept.get("python") or sys.executable)
        self._doing = ""
        self._answer: bytes | None = None
        self._test: dict[str, Any] = {}
        self._figures: dict[str, Any] = {}
        self._note = ""
        self._failures = 0
        self._test_due = now() + SETTLE
        self._measure_due = 0.0
        #: Counts what others are to be told.
        self.version = 0

    def cells_use(self, python: str) -> None:
        """Note the interpreter of the cells; empty: the supervisor's own."""
        python = python or sys.executable
        if python != self._python:
            self._python = python
            self._test, self._figures, self._failures = {}, {}, 0
            self._test_due = self._now() + SETTLE
            self._aside.stop()
            self._write()

    def suspect(self) -> None:
        """Test again: a worker ended in a way that may be the GPU's fault."""
        self._test_due = min(self._test_due, self._now())

    @property
    def is_measuring(self) -> bool:
        """Whether the GPU is under our own load."""
        return self._doing == "measure" and self._aside.there

    @property
    def wants_sample(self) -> bool:
        """Whether the chip would be measured if the host's tools said that nobody is disturbed."""
        return self._may_measure() and not self._aside.there

    def tick(
        self, *, is_busy: bool, quiet: float, sample: Telemetry | None, age: float | None
    ) -> None:
        """Begin what is due, and end what is in the way of a run.

        Parameters
        ----------
        is_busy
            Whether a run holds a slot, or a worker starts.
        quiet
            Seconds since a run held a slot.
        sample, age
            What the host's tools said last, and how many seconds ago.
        """
        if is_busy and self._doing == "measure":
            self._aside.stop()
            self._doing = ""
        self._aside.tick()
        self._conclude()
        if not self._has_gpu or is_busy or self._aside.there:
            return
        if self._now() >= self._test_due:
            self._begin("test")
        elif quiet >= QUIET and self._may_measure() and _disturbs_nobody(sample, age):
            self._measure_due = self._now() + AGAIN
            self._begin("measure")

    def plain(self) -> dict[str, Any]:
        """Return what `messages.Telemetry` holds of it."""
        state = self._test.get("state")
        return {
            "gpu_test": {"ok": True, "failed": False}.get(str(state)),
            "gpu_test_reason": "" if state in (None, "ok") else str(self._test.get("line", "")),
            "gpu_test_line": str(self._test.get("line", "")),
            "gpu_testing": self._has_gpu and not self._test,
            "gpu_with": {
                name: str(self._test.get(name, ""))[:60]
                for name in ("device", "package", "version")
            },
            "gpu_limit": self._test.get("limit"),
            "calibration": dict(self._figures),
            "calibration_note": self._note,
        }

    def close(self) -> None:
        """End what runs."""
        self._aside.close()

    def _may_measure(self) -> bool:
        well = self._has_gpu and self._test.get("state") == "ok"
        return well and not self._figures and self._now() >= self._measure_due

    def _begin(self, what: str) -> None:
        self._doing, self._answer = what, None
        program = self._stand_in or [self._python]
        code = (
            f"import sys; sys.path.insert(0, {str(build.HOME)!r}); import jupyter_macgpu; "
            "sys.path.pop(0); from jupyter_macgpu.mac.worker.gauge import main; main()"
        )
        try:
            self._aside.start(
                [*program, "-P", "-c", code, what],
                environment=scrubbed(os.environ),
                patience=_patience(),
                done=self._heard,
                with_errors=True,
            )
        except (OSError, ValueError) as error:
            self._judge({"state": "failed", "line": f"{program[0]} cannot be started: {error}"})

    def _heard(self, said: bytes) -> None:
        self._answer = said

    def _conclude(self) -> None:
        """Take in what the last program said, once it is known how it ended."""
        if self._answer is None or self._aside.there:
            return
        said, self._answer = self._answer, None
        found = _found(said)
        if found is None:
            found = {"state": "failed", "line": self._how(said)}
        if self._doing == "test":
            self._judge(found)
        elif self._doing == "measure":
            self._take(found)
        self._doing = ""

    def _how(self, said: bytes) -> str:
        if self._aside.is_late:
            return f"no answer within {_patience():g} s"
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        last = f": {lines[-1].strip()[:200]}" if lines else ""
        what = how_ended(self._aside.code or 0, 0)["what"].removeprefix("its worker ")
        return f"the process {what}{last}"

    def _judge(self, found: dict[str, Any]) -> None:
        state = found.get("state")
        self._test, self._doing = found, ""
        self.version += 1
        if state == "ok":
            self._failures, self._test_due = 0, math.inf
            self._figures = self._kept["figures"].get(self._key(), {})
            return
        wait = LONGEST if state == "unknown" else min(LONGEST, FIRST * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._test_due = self._now() + wait

    def _take(self, found: dict[str, Any]) -> None:
        """Keep a measurement that can be one."""
        self.version += 1
        figures = {name: found.get(name) for name in ("tflops", "half_tflops", "gb_per_s")}
        bounds = {"tflops": _TFLOPS, "half_tflops": _TFLOPS, "gb_per_s": _RATES}
        odd = [name for name, limits in bounds.items() if not _is_within(figures[name], *limits)]
        if odd:
            shown = ", ".join(f"{name} {figures[name]!r}" for name in odd)
            self._note = str(found.get("line") or f"no machine computes so: {shown}")[:300]
            return
        self._note = ""
        texts = {name: str(found.get(name, ""))[:60] for name in ("device", "package", "version")}
        self._figures = {**figures, **texts, "system": os_build()}
        kept = self._kept["figures"]
        kept.pop(self._key(), None)
        kept[self._key()] = self._figures
        self._kept["figures"] = dict(list(kept.items())[-_KEPT:])
        self._write()

    def _key(self) -> str:
        """Return what a measurement holds for, beside the machine, whose store this is."""
        parts = [os_build(), platform.machine(), self._test.get("device", "")]
        return " ".join([*parts, self._test.get("package", ""), self._test.get("version", "")])

    def _write(self) -> None:
        self._kept["python"] = self._python
        fresh = self._file.with_suffix(".new")
        # It can be measured again: a full disk must not end a supervisor.
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(self._kept))
            fresh.replace(self._file)


def _disturbs_nobody(sample: Telemetry | None, age: float | None) -> bool:
    """Say whether nothing speaks against a few seconds of full load. Unknown is no reason."""
    if sample is None or age is None or age > NEW:
        return False
    idle, gpu = sample.people.idle_seconds, sample.gpu
    reasons = (
        sample.power.on_battery is True,
        idle is not None and idle < AWAY,
        (sample.heat.level or 0) > 1,
        sample.memory.pressure in ("warn", "critical"),
        gpu is not None and (gpu.utilization or 0.0) > _LITTLE,
    )
    return not any(reasons)


def _found(said: bytes) -> dict[str, Any] | None:
    for line in reversed(said.splitlines()):
        if line.startswith(_MARK):
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(line.removeprefix(_MARK))
                return found if isinstance(found, dict) else None
    return None


def _is_within(figure: object, low: float, high: float) -> bool:
    if not isinstance(figure, (int, float)) or isinstance(figure, bool):
        return False
    return low <= figure <= high


def _patience() -> float:
    with contextlib.suppress(ValueError):
        return max(0.1, float(os.environ.get(LIMIT, PATIENCE)))
    return PATIENCE


def _read(file: Path) -> dict[str, Any]:
    found: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(file.read_bytes())
    found = found if isinstance(found, dict) else {}
    figures = found.get("figures")
    kept = figures if isinstance(figures, dict) else {}
    python = found.get("python")
    return {
        "python": python if isinstance(python, str) else "",
        "figures": {key: each for key, each in kept.items() if isinstance(each, dict)},
    }
