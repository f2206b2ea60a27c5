"""What is wrong with a host that answers, by what it says of itself, and the command that mends it.

Pure: each function takes values and returns one `Check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .fleet.sharers import counts_of, users_of
from .mpserrors import line_of
from .wire.plain import plain_line
from .wire.telemetry import Telemetry
from .wire.values.remote import format_size

Word = Literal["ok", "failed", "note", "skipped"]
#: Bytes that a host should have free: inputs, outputs and packages are kept there.
ENOUGH_DISK = 5 * 1024**3
#: Seconds by which two clocks may differ: hours of owners and ages of files go by them.
SKEW = 30.0
#: Share of the GPU that others take from which on it is worth saying.
_TAKEN = 0.2
#: How many processes are named.
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One step.

    Attributes
    ----------
    name
        What was looked at.
    state
        ``ok``; ``failed``; ``note``, which works and is worth knowing; ``skipped``, since
        something before it failed.
    detail
        What was found.
    mend
        What to do about it.
    """

    name: str
    state: Word
    detail: str = ""
    mend: str = ""


def version(theirs: str, ours: str) -> Check:
    """Compare the versions of both sides."""
    detail = f"{theirs or 'unknown'} there, {ours} here"
    if theirs == ours:
        return Check(name="version", state="ok", detail=detail)
    mend = "They speak the same protocol. The newer one stays until its runs have ended."
    return Check(name="version", state="note", detail=detail, mend=mend)


def architecture(machine: str, system: str, telemetry: Telemetry) -> Check:
    """Say whether the interpreter is made for the machine.

    Parameters
    ----------
    machine, system
        What it is made for, as ``uname`` and Python in it say.
    """
    name, built = "architecture", telemetry.machine.arch
    if not machine:
        return Check(name=name, state="note", detail="not told")
    if system == "darwin" and machine == "x86_64" and built == "arm64":
        return Check(
            name=name,
            state="failed",
            detail="its Python is one for Intel, translated by Rosetta: it sees no GPU",
            mend="There: `arch -arm64 brew install python`, or `uv python install`. Then name it "
            "with `python:` of the host in the fleet file.",
        )
    return Check(name=name, state="ok", detail=machine)


def clock(telemetry: Telemetry, age: float | None, now: float) -> Check:
    """Compare the host's clock with ours.

    Parameters
    ----------
    age
        Seconds since the sample was taken.
    now
        Our clock, in seconds since 1970.
    """
    said = telemetry.system.clock
    if said is None or age is None:
        return Check(name="clock", state="note", detail="not known")
    skew = said + age - now
    word = "ahead" if skew > 0 else "behind"
    if abs(skew) <= SKEW:
        return Check(name="clock", state="ok", detail=f"within {SKEW:g} s of this one")
    is_mac = _is_mac(telemetry)
    command = "sudo sntp -sS time.apple.com" if is_mac else "sudo timedatectl set-ntp true"
    return Check(
        name="clock",
        state="failed",
        detail=f"{_length(abs(skew))} {word} of this one; the owner's hours go by it",
        mend=f"There: `{command}`. Or this machine's clock is wrong.",
    )


def disk(free: object, folder: str) -> Check:
    """Say whether there is room for what runs leave behind."""
    if not isinstance(free, int):
        return Check(name="disk", state="note", detail="free space unknown")
    detail = f"{format_size(free)} free"
    if free >= ENOUGH_DISK:
        return Check(name="disk", state="ok", detail=detail)
    place = plain_line(folder) or "its state folder"
    mend = f"There: `du -sh ~/* | sort -h` shows what is large. Runs are kept in {place}; "
    return Check(name="disk", state="failed", detail=detail, mend=mend + "`macgpu rm` frees them.")


def home(kind: str, *, is_network: bool) -> Check:
    """Say whether the state is kept on a disk of the machine's own.

    Parameters
    ----------
    kind
        Of its file system, as the system calls it.
    is_network
        Whether that is one over a network, or a stranger's program.
    """
    if not kind:
        return Check(name="home", state="note", detail="its file system is not known")
    kind = plain_line(kind)
    if not is_network:
        return Check(name="home", state="ok", detail=f"a disk of its own ({kind})")
    return Check(
        name="home",
        state="note",
        detail=f"on the network ({kind}): slow, and locks are only as good as its server",
        mend="There, in ~/.zshenv: `export MACGPU_STATE=/private/var/macgpu-$USER`, a folder of "
        "the account's own on a local disk.",
    )


def sleep(telemetry: Telemetry) -> Check:
    """Say whether the host falls asleep when nobody uses it."""
    power = telemetry.power
    if not _is_mac(telemetry):
        return Check(name="sleep", state="ok", detail="not a Mac")
    if power.never_sleeps or power.sleep_disabled:
        return Check(name="sleep", state="ok", detail="it never sleeps")
    if power.sleep_after_seconds is None:
        return Check(name="sleep", state="note", detail="its settings are not known")
    after = _length(power.sleep_after_seconds)
    is_portable = bool(telemetry.machine.portable)
    wakes = " It wakes for network access." if power.wake_on_network else ""
    return Check(
        name="sleep",
        state="note" if power.wake_on_network or is_portable else "failed",
        detail=f"it sleeps {after} after its last use, but for cells that run, and does not "
        f"answer then.{wakes}",
        mend=f"There: `sudo pmset -{'c' if is_portable else 'a'} sleep 0`.",
    )


def accounts(queue: object, taken: object = None) -> Check:
    """Say whether the accounts of the machine share one queue.

    Parameters
    ----------
    queue
        What the host tells of it: whether it is ``shared``, its ``path`` and what ``problem`` it
        has; the cells of ``others``.
    taken
        Share of the GPU that others than this account's cells take, if the host knows.
    """
    name = "accounts"
    if not isinstance(queue, Mapping):
        return Check(name=name, state="note", detail="not told")
    path, problem = (plain_line(str(queue.get(key) or "")) for key in ("path", "problem"))
    mend = f"There: `sudo mkdir -p {path} && sudo chown root {path} && sudo chmod 1777 {path}`."
    if problem:
        detail = f"the shared queue is not used: {problem}"
        return Check(name=name, state="failed", detail=detail, mend=mend)
    if queue.get("shared"):
        running, waiting = counts_of({"queue": queue})
        users = users_of({"queue": queue})
        others = f": of others {running} cells run, {waiting} wait" if running or waiting else ""
        detail = f"one queue for all accounts ({path}){others}{users and f' ({users})'}"
        return Check(name=name, state="ok", detail=detail)
    detail = "a queue of this account alone: cells of others are not waited for"
    if isinstance(taken, (int, float)) and taken >= _TAKEN:
        detail = f"busy: another account or program takes {taken:.0%} of the GPU; {detail}"
    return Check(name=name, state="note", detail=detail, mend=f"If several use it. {mend}")


def leftovers(orphans: Sequence[Mapping[str, Any]] | None) -> Check:
    """Say whether processes outlived the workers that started them."""
    name = "leftovers"
    if orphans is None:
        return Check(name=name, state="note", detail="not told")
    if not orphans:
        return Check(name=name, state="ok", detail="none")
    pids = [str(each.get("pid")) for each in orphans if isinstance(each.get("pid"), int)]
    shown = [f"{each.get('pid')} {str(each.get('command'))[:60]}" for each in orphans[:_NAMED]]
    many = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
    return Check(
        name=name,
        state="failed",
        detail=plain_line(f"outlived their workers: {'; '.join(shown)}{many}"),
        mend=f"There: `kill {' '.join(pids)}`.",
    )


def gpu_test(said: Mapping[str, Any]) -> Check:
    """Say what the host found when it tested its GPU."""
    name, line = "GPU test", plain_line(str(said.get("gpu_test_line") or ""))
    if said.get("gpu_test") is True:
        return Check(name=name, state="ok", detail=line)
    if said.get("gpu_test") is False:
        mend = (
            "There: `macgpu selftest` shows more. A GPU that hangs needs a restart: "
            "`sudo shutdown -r now`. It is tested again by itself."
        )
        return Check(name=name, state="failed", detail=line, mend=mend)
    if said.get("gpu_testing"):
        return Check(name=name, state="note", detail="not done yet; ask again in a minute")
    return Check(name=name, state="note", detail=line or "there is no GPU that cells can use")


def known_errors(said: Mapping[str, Any]) -> Check:
    """Say whether the host's PyTorch is known to be wrong on its GPU without an error."""
    name, tested = "PyTorch on MPS", said.get("gpu_with")
    about = tested if isinstance(tested, dict) else {}
    line = line_of(str(about.get("version", "")))
    if (about.get("device"), about.get("package")) != ("mps", "torch") or not line:
        return Check(name=name, state="skipped")
    mend = (
        "A later version may have it mended. `%%macgpu --verify cpu` compares a cell with the CPU."
    )
    return Check(name=name, state="note", detail=plain_line(line), mend=mend)


def file_vault(step: str, telemetry: Telemetry, seen_ago: float | None, login: str) -> Check:
    """Say whether a Mac that let us in before may wait for its disk to be unlocked.

    Parameters
    ----------
    step
        Where the way ended: ``port`` or ``login``.
    seen_ago
        Seconds since it last answered; None if it never did.
    login
        How ssh names user, host and port.
    """
    name = "FileVault"
    if seen_ago is None or not _is_mac(telemetry):
        return Check(name=name, state="skipped")
    return Check(
        name=name,
        state="failed" if step == "login" else "note",
        detail=f"this Mac let you in {_length(seen_ago)} ago. After a restart, one with FileVault "
        "takes no key until somebody has unlocked its disk",
        mend="Log in at its screen; or, from macOS 26 on, by password from here: "
        f"`ssh -o PubkeyAuthentication=no {login}`, which unlocks it and hangs up.",
    )


def _is_mac(telemetry: Telemetry) -> bool:
    return telemetry.system.name in ("macOS", "Mac OS X", "OS X")


def _length(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
