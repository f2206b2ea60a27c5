"""What this machine can do for us, found out by doing it: the work behind ``macgpu selftest``.

Runs on the Mac. Only Python and `wire` may be imported here.

Whether Metal outlives the login is asked in two steps. ``detach`` starts a prober in each way that
a supervisor can be started in (`start`); each waits until the login has ended and a while longer,
computes with kernels that were never compiled before, and writes down what came of it. ``collect``,
in a later login, reads that and writes the way that works into the store.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import hardware, start, store
from .checks import FAILED, OK, UNKNOWN, Check, NotHereError, checks, facts, judge, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PACKAGES = ("jupyter-macgpu", "torch", "mlx", "ipython", "numpy")
#: What a probe computes with, as `worker.metal` calls it.
TENSORS = ("torch", "mlx.core")
#: Ways that a prober is started in. What is attached is what this login shows itself.
DETACHED = (start.SESSION, start.DOMAIN)
#: Seconds from the login's end to the look: launchd clears up in its own time.
WAIT = 120.0
#: Seconds that a probe of one package may take, and that a prober waits for the login's end.
_PATIENCE, _ALL_DAY = 120.0, 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The process that this login stands and falls with.

    Attributes
    ----------
    pid, start
        Which process: see `store.process_start`.
    ssh
        Whether it is a connection of sshd's.
    """

    pid: int
    start: str
    ssh: bool

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return store.process_start(self.pid) != self.start


def report(place: store.Store) -> dict[str, Any]:
    """Return all that can be seen while this login lives."""
    return {
        "facts": dict([*facts(), *_versions()]),
        "checks": [asdict(check) for check in (*checks(place), *_gauged())],
        "contexts": {
            "this login": context(),
            "a session of its own": _context_of_a_child(),
        },
        "way": start.read_way(place) or start.SESSION,
    }


def context() -> dict[str, Any]:
    """Return what this process is for the system, and whether tensors compute in it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "uid": f"{os.getuid()}/{os.geteuid()}",
        "session": "its leader" if os.getsid(0) == os.getpid() else "a member",
        "files": f"{soft}/{hard}",
        "manager": judge("manager", lambda: said(start.LAUNCHCTL, "managername")).line,
        "domain": judge("domain", lambda: said(start.LAUNCHCTL, "manageruid")).line,
        "tensors": [asdict(judge(name, partial(_computes, name))) for name in TENSORS],
    }


def detach(place: store.Store, *, wait: float = WAIT) -> dict[str, Any]:
    """Start a prober in each way; return which were started.

    Parameters
    ----------
    place
        The store, prepared.
    wait
        Seconds from the login's end to the look.
    """
    folder = _folder(place)
    store.private(folder)
    for old in folder.glob("*.json"):
        old.unlink()
    login = this_login()
    before = context()
    plan = {"login": asdict(login), "before": before, "wait": wait, "refused": {}}
    _write(folder / "plan.json", plan)
    tried = {way: _start_prober(place, way) for way in DETACHED}
    refused = {way: why for way, why in tried.items() if why}
    _write(folder / "plan.json", {**plan, "refused": refused})
    started = [way for way in DETACHED if way not in refused]
    return {"ssh": login.ssh, "wait": wait, "started": started, "refused": refused}


def probe(place: store.Store, way: str) -> None:
    """Wait for the end of the login in the plan, and for what follows it; look; write it down."""
    plan = json.loads((_folder(place) / "plan.json").read_text())
    login = Login(**plan["login"])
    until = time.monotonic() + _ALL_DAY
    while not login.ended:
        if time.monotonic() > until:
            return
        time.sleep(0.5)
    time.sleep(plan["wait"])
    if plan["login"] == json.loads((_folder(place) / "plan.json").read_text())["login"]:
        _write(_folder(place) / f"{way}.json", context())


def collect(place: store.Store) -> dict[str, Any]:
    """Return what the probers found, and have supervisors started in the way that works."""
    try:
        plan = json.loads((_folder(place) / "plan.json").read_text())
    except FileNotFoundError:
        why = "nothing was started: macgpu selftest --detached does it"
        return {"ways": {}, "refused": {}, "chosen": "", "why": why}
    refused = plan["refused"]
    ways = {way: _read(_folder(place) / f"{way}.json") for way in DETACHED if way not in refused}
    login = Login(**plan["login"])
    if not login.ended:
        chosen, why = "", "the login that it was started from still lives: end it, then wait"
    else:
        chosen, why = choose(plan["before"], ways, ssh=login.ssh)
    if chosen:
        start.write_way(place, chosen)
    found = {"before": plan["before"], "ways": ways, "refused": refused}
    return {**found, "chosen": chosen, "why": why}


def choose(
    before: Mapping[str, Any], ways: Mapping[str, Mapping[str, Any] | None], *, ssh: bool
) -> tuple[str, str]:
    """Return the way that supervisors are to be started in, empty if that cannot be said; and why.

    Parameters
    ----------
    before
        What the login itself showed: see `context`.
    ways
        What each prober showed in the order of preference; None: it has not written yet.
    ssh
        Whether the login was one over SSH.
    """
    if not ssh:
        return "", "that login was not one over SSH, so its end says nothing about SSH"
    if any(found is None for found in ways.values()):
        return "", "the probers are not done: they look some minutes after the login's end"
    if verdict(before) == UNKNOWN:
        return "", "neither torch nor mlx is installed for this Python"
    for way, found in ways.items():
        if found is not None and verdict(found) == OK:
            return way, f"tensors compute after the login's end in the way {way!r}"
    if verdict(before) == OK:
        return start.ATTACHED, "tensors compute as long as the login lives, and not after it"
    return "", "tensors did not compute in the login itself either"


def verdict(found: Mapping[str, Any]) -> str:
    """Return whether all packages that are there compute; ``unknown`` if none is there."""
    states = {tensor["state"] for tensor in found["tensors"]}
    return FAILED if FAILED in states else OK if OK in states else UNKNOWN


def this_login() -> Login:
    """Return the connection of sshd's that this process descends from, else its session."""
    pid = os.getpid()
    while pid > 1:
        parent, _, name = said("/bin/ps", "-o", "ppid=", "-o", "comm=", "-p", str(pid)).partition(
            " "
        )
        if Path(name.strip()).name.startswith("sshd"):
            return Login(pid=pid, start=store.process_start(pid), ssh=True)
        pid = int(parent)
    leader = os.getsid(0)
    return Login(pid=leader, start=store.process_start(leader), ssh=False)


def _start_prober(place: store.Store, way: str) -> str:
    """Start one; return the empty text, or why it could not be."""
    try:
        start.start(place, _command("probe", way), os.environ, way=way)
    except OSError as error:
        return str(error)
    return ""


def _context_of_a_child() -> dict[str, Any]:
    done = subprocess.run(
        _command("context"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _computes(name: str) -> str:
    """Compute with a package in a process of its own: a broken Metal may end it."""
    state, line = json.loads(_last_line("metal", name))
    if state == OK:
        return str(line)
    raise {UNKNOWN: NotHereError, FAILED: OSError}[state](line)


def _gauged() -> Iterable[Check]:
    """Do what a supervisor does to know its GPU: test it, and measure the chip."""
    yield judge("GPU test", lambda: _tested(_gauge("test")))
    yield judge("calibration", lambda: _measured(_gauge("measure")))


def _gauge(what: str) -> dict[str, Any]:
    if not hardware.gpu_device():
        raise NotHereError("there is no GPU here that cells can use")
    found: dict[str, Any] = json.loads(_last_line("gauge", what).partition(b" ")[2])
    return found


def _tested(found: Mapping[str, Any]) -> str:
    if found["state"] == OK:
        return str(found["line"])
    raise {UNKNOWN: NotHereError, FAILED: OSError}[found["state"]](found["line"])


def _measured(found: Mapping[str, Any]) -> str:
    return (
        f"{found['tflops']} TFLOPS (16 bits: {found['half_tflops']}), {found['gb_per_s']} GB/s "
        f"with {found['package']} {found['version']} on {found['device']}, in {found['seconds']} s"
    )


def _last_line(module: str, word: str) -> bytes:
    """Return the last line that a program of the worker's prints, in a process of its own."""
    code = f"{_path()}from jupyter_macgpu.mac.worker.{module} import main; main()"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, word],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"no answer in {_PATIENCE:.0f} s") from None
    if done.returncode:
        rest = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OSError(f"the process ended with {done.returncode}: {''.join(rest)}")
    return done.stdout.splitlines()[-1]


def _path() -> str:
    return f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "


def _command(*words: str) -> Sequence[str]:
    code = f"{_path()}from jupyter_macgpu.mac.selftest import main; main()"
    return [sys.executable, "-P", "-c", code, *words]


def _versions() -> Iterable[tuple[str, str]]:
    yield "python", sys.version.split()[0]
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed here"


def _folder(place: store.Store) -> Path:
    return place.root / "selftest"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def _write(path: Path, data: Mapping[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(data))
    fresh.replace(path)


def main() -> None:
    """Do what the command line says and print what came of it as JSON."""
    parser = argparse.ArgumentParser(prog="macgpu-selftest", allow_abbrev=False)
    parser.add_argument("action", choices=["report", "context", "detach", "probe", "collect"])
    parser.add_argument("way", nargs="?", default="")
    parser.add_argument("--wait", type=float, default=WAIT)
    options = parser.parse_args()
    os.umask(0o077)
    place = store.Store(store.default_root())
    place.prepare()
    if options.action == "probe":
        probe(place, options.way)
        return
    answers: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "report": partial(report, place),
        "context": context,
        "detach": partial(detach, place, wait=options.wait),
        "collect": partial(collect, place),
    }
    home = str(Path.home())
    print(json.dumps(answers[options.action]()).replace(home, "~"))


if __name__ == "__main__":
    main()
