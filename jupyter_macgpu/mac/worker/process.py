"""The worker's life, from its command line to its end."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store import Store
from ..stragglers import reap
from . import identity
from .asking import Asking
from .comms import Comms
from .display import Announcer
from .doorman import Doorman, Patience
from .execute import Executor
from .gate import Gate
from .holdings import Holdings
from .link import Link
from .operate import Operator
from .outlet import Outlet
from .results import Results
from .service import Service
from .shell import make_shell
from .stream import TextStream
from .vigil import vigil_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds that what a cell left behind has, before the process ends without it.
_GRACE = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Be a worker; return the process's exit status."""
    options = _options(argv)
    gate = Gate(options.dir / "interrupt")
    facts: dict[str, Any] = {**identity.facts(), "session": options.session}
    link = Link(gate.shield, facts)
    outlet = Outlet(link, gate.shield)
    facts["nonce"] = outlet.nonce
    _redirect(outlet)
    service = _build(options, gate, link, outlet)

    alone = threading.Event()

    def leave() -> None:
        alone.set()
        service.leave()
        time.sleep(_GRACE)
        _end_all(options.dir)

    # What was registered first is called last.
    atexit.register(lambda: _end_all(options.dir) if alone.is_set() else None)
    patience = Patience(idle=options.idle)
    read_fds = [pipe.read_fd for pipe in outlet.pipes]
    doorman = Doorman(link, gate, options.dir, read_fds, patience, leave)
    signal.signal(signal.SIGINT, gate.handle)
    doorman.watch_signals()
    for target in (doorman.serve, outlet.tick):
        start_helper(target)
    _write_identity(options.dir / "worker.json", facts)
    # What is there now is ours and stays: no collection need look at it again.
    gc.freeze()
    service.run()
    outlet.settle()
    start_helper(_end_soon)
    return 0


def start_helper(target: Callable[[], None]) -> None:
    """Start a thread of ours, which takes no signals: they belong to the main thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=target, name=f"macgpu-{target.__name__}", daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="macgpu-worker", allow_abbrev=False)
    parser.add_argument("--dir", type=Path, required=True, help="the worker's own folder")
    parser.add_argument("--session", required=True, help="whose cells it runs")
    parser.add_argument(
        "--idle",
        type=float,
        default=Patience().idle,
        help="seconds after which it ends, without a supervisor and without a run",
    )
    options = parser.parse_args(argv)
    options.dir = options.dir.absolute()
    return options


def _redirect(outlet: Outlet) -> None:
    stdout, stderr = outlet.pipes
    outlet.current = TextStream("<stdout>", outlet, stdout)
    sys.stdout = sys.__stdout__ = outlet.current  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = TextStream("<stderr>", outlet, stderr)  # type: ignore[assignment,misc]


def _build(options: argparse.Namespace, gate: Gate, link: Link, outlet: Outlet) -> Service:
    folder: Path = options.dir
    announcer = Announcer(outlet)
    shell = make_shell(announcer, gate, folder / "ipython")
    asking = Asking(link, announcer)
    asking.install()
    comms = Comms(announcer, options.session, outlet.nonce)
    comms.install(shell)
    # As in a notebook: the working folder is searched first, wherever it is by then.
    sys.path.insert(0, "")
    sys.argv = [""]
    holdings, results = Holdings(), Results(folder / "results")
    executor = Executor(
        shell=shell,
        gate=gate,
        outlet=outlet,
        asking=asking,
        comms=comms,
        holdings=holdings,
        results=results,
        vigil=vigil_for(Store(folder.parents[1])),
    )
    operator = Operator(
        holdings=holdings,
        results=results,
        namespace=shell.user_ns,
        number_of=executor.number_of,
    )
    return Service(link, executor, operator, comms)


def _write_identity(path: Path, facts: dict[str, Any]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(facts))
    temporary.replace(path)


def _end_soon() -> None:
    time.sleep(_GRACE)
    os._exit(0)


def _end_all(folder: Path) -> None:
    """End what the cells left, and this process with its group: no supervisor is there to do it."""
    reap(folder)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)
