"""``macgpu doctor``: the way to a host, step by step, and how it is when it is reached.

A step of the way that fails says what mends it, and what stands behind it is not tried. Of a host
that answers everything is looked at, whatever is wrong with it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import __version__, findings
from .findings import Check
from .scouting import glance
from .tables import page_lines, page_table
from .trial import value_of
from .wire import messages as m
from .wire.errors import MacGPUError
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .fleet.hosts import Host
    from .link import Link
    from .pool import Pool

#: Seconds that the host's tools have to say how it is, and that its GPU has for its test.
_SETTLE, _TEST = 5.0, 30.0
#: Seconds that the tensor may take, and that it may wait for its turn.
_LIMIT, _WAIT = 60.0, 30.0
_BEHIND_THE_DOOR = (
    *("interpreter", "version", "architecture", "clock", "disk", "home", "sleep", "accounts"),
    *("leftovers", "GPU test", "tensor"),
)
_TENSOR = """
def compute():
    import importlib.util
    if importlib.util.find_spec("torch") is not None:
        import torch
        name = "mps" if torch.backends.mps.is_available() else (
            "cuda" if torch.cuda.is_available() else "cpu")
        right = float((torch.ones(8, device=name) * 2).sum()) == 16.0
        return f"torch {torch.__version__} on {name}", name, right
    if importlib.util.find_spec("mlx") is not None:
        import mlx.core as mx
        name = "gpu" if "gpu" in str(mx.default_device()) else "cpu"
        right = float((mx.ones(8) * 2).sum()) == 16.0
        return f"mlx on {name}", name, right
    return "neither torch nor mlx is installed there", "", True
compute()
"""


def examine(pool: Pool, host: Host) -> Iterator[Check]:
    """Check one host, from the outside in. Yields each step when it is done."""
    pool.statuses.look((host,))
    for name, found in pool.reach.steps(host):
        if isinstance(found, MacGPUError):
            yield Check(name=name, state="failed", detail=found.what, mend=found.next)
            yield from _on_the_way(pool, host, name)
            return
        yield Check(name=name, state="ok", detail=found)
    try:
        link = pool.session(host).link
        hello = link.connect()
    except MacGPUError as error:
        yield Check(name="interpreter", state="failed", detail=error.what, mend=error.next)
        yield from _skipped(_BEHIND_THE_DOOR[1:])
        return
    yield Check(name="interpreter", state="ok", detail=f"Python {hello.python}")
    yield findings.version(str(hello.detail.get("version", "")), __version__)
    yield from _how_it_is(pool, host, hello)
    yield findings.leftovers(_orphans(link))
    tested = _tested(pool, host, link)
    yield tested
    errors = findings.known_errors(pool.statuses.known(host).heard.said)
    if errors.state != "skipped":
        yield errors
    if tested.state == "failed":
        yield from _skipped(("tensor",))
    else:
        yield _tensor(pool, host)


def rows(checks: list[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON has them."""
    return [asdict(check) for check in checks]


def page(found: Mapping[str, Sequence[Check]]) -> str:
    """Return the checks of hosts as a page, a table for each host; no text in it is HTML."""
    tables = []
    for host, checks in found.items():
        lines = [
            {"state": each.state, "check": each.name, "found": each.detail, "next": each.mend}
            for each in checks
        ]
        columns = ("state", "check", "found", *(["next"] if any(c.mend for c in checks) else []))
        tables.append(page_lines(host) + page_table(lines, columns))
    return "".join(tables)


def line(check: Check) -> str:
    """Return a check as one line of text, and what mends it as another."""
    mend = f"\n{'':>10}{check.mend}" if check.mend else ""
    return f"{check.state:>8}  {check.name}: {check.detail}".rstrip(": ") + mend


def _on_the_way(pool: Pool, host: Host, failed: str) -> Iterator[Check]:
    """Yield what else is known where the way has ended."""
    if failed in ("port", "login"):
        user, address, port = pool.reach.way(host)
        heard = pool.statuses.known(host).heard
        ago = None if heard.seen is None else max(0.0, pool.statuses.now() - heard.seen)
        at = f"{user}@{address}" if port == 22 else f"-p {port} {user}@{address}"
        check = findings.file_vault(failed, heard.telemetry, ago, at)
        if check.state != "skipped":
            yield check
    names = pool.reach.step_names(host)
    yield from _skipped((*names[names.index(failed) + 1 :], *_BEHIND_THE_DOOR))


def _skipped(names: Sequence[str]) -> Iterator[Check]:
    for name in names:
        yield Check(name=name, state="skipped")


def _how_it_is(pool: Pool, host: Host, hello: m.Hello) -> Iterator[Check]:
    pool.settle((host,), _SETTLE)
    heard, detail = pool.statuses.known(host).heard, hello.detail
    age = None if heard.sampled is None else pool.statuses.now() - heard.sampled
    machine, system = (str(detail.get(name, "")) for name in ("machine", "system"))
    yield findings.architecture(machine, system, heard.telemetry)
    yield findings.clock(heard.telemetry, age, time.time())
    yield findings.disk(detail.get("free"), str(detail.get("state", "")))
    network = detail.get("network") is True
    yield findings.home(str(detail.get("filesystem", "")), is_network=network)
    yield findings.sleep(heard.telemetry)
    yield findings.accounts(heard.said.get("queue"), heard.said.get("gpu_taken"))


def _orphans(link: Link) -> Sequence[Mapping[str, Any]] | None:
    """Return the processes that outlived their workers; None if the host does not tell."""
    operation = secrets.token_hex(8)
    try:
        answer = link.ask(
            m.Operate(operation=operation, session="", action="orphans"),
            lambda message: (
                (isinstance(message, m.Operated) and message.operation == operation)
                or (isinstance(message, m.Refused) and message.subject in (operation, ""))
            ),
        )
    except MacGPUError:
        return None
    known = answer.detail.get("orphans") if isinstance(answer, m.Operated) else None
    return [each for each in known if isinstance(each, dict)] if isinstance(known, list) else None


def _tested(pool: Pool, host: Host, link: Link) -> Check:
    """Return what the host's own test of its GPU found, after a while if it is under way."""
    deadline = time.monotonic() + _TEST
    while True:
        said = pool.statuses.known(host).heard.said
        if not said.get("gpu_testing") or time.monotonic() > deadline:
            return findings.gpu_test(said)
        time.sleep(0.5)
        if (sample := glance(link)) is not None:
            pool.statuses.told(host, sample)


def _tensor(pool: Pool, host: Host) -> Check:
    """Compute something: what says that it is available need not work."""
    try:
        value = value_of(pool, host, _TENSOR, timeout=_LIMIT, wait=_WAIT)
    except MacGPUError as error:
        return Check(name="tensor", state="failed", detail=error.what, mend=error.next)
    try:
        detail, device, right = value
    except (TypeError, ValueError):
        return Check(name="tensor", state="failed", detail="its value is not what it should be")
    detail = plain_line(str(detail))
    if not right:
        return Check(name="tensor", state="failed", detail=f"{detail}: a wrong result")
    if not device:
        mend = "There: `python3 -m pip install torch`, for the Python above; or name another one "
        mend += "with `python:` of the host in the fleet file."
        return Check(name="tensor", state="note", detail=detail, mend=mend)
    return Check(name="tensor", state="note" if device == "cpu" else "ok", detail=detail)
