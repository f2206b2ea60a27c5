"""Starting the supervisor so that it outlives the login that started it, in one of three ways.

Runs on the Mac. Only Python and `wire` may be imported here.

Whether Metal goes on working in a process whose SSH login has ended is a matter of the Mac, so the
way is a setting of the host, which ``macgpu selftest --collect`` writes down after it has looked:

- ``session``: a child in a session of its own. It needs nothing, and is the default.
- ``domain``: a job of launchd's domain of the account (``user/UID``), which no login owns. A Mac
  alone has it; where launchctl refuses, ``session`` is taken, and the log says so.
- ``attached``: no detaching. The supervisor ends with the door that started it, and its workers
  with it: runs and live values do not survive the connection that was the first one. Journals do,
  so the notebook learns that the run was lost, and nothing runs twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SESSION, DOMAIN, ATTACHED = WAYS = ("session", "domain", "attached")
LAUNCHCTL = "/bin/launchctl"
#: Variable that names the process which started the supervisor: its id and its start.
FOUNDER = "MACGPU_FOUNDER"
#: Variable that holds what the store said of the way when the supervisor was started.
WAY = "MACGPU_WAY"
#: Seconds that launchctl may take, and a supervisor that is told to end.
PATIENCE = 10.0
#: Said to every process that is to last. No core dumps: they would hold what cells computed with.
#: macOS gives 256 open files, which a supervisor of many sessions needs; 10240 is its limit.
PRELUDE = (
    "umask 077; ulimit -c 0; "
    "n=$(ulimit -S -n); "
    '[ "$n" = unlimited ] || [ "$n" -ge 8192 ] || '
    'ulimit -S -n 8192 2>/dev/null || ulimit -S -n "$(ulimit -H -n)" 2>/dev/null; '
    'exec "$@"'
)
#: What belongs to one login, terminal or worker, and means nothing, or the wrong thing, after it.
_OF_THE_LOGIN = frozenset(
    """
    _ DBUS_SESSION_BUS_ADDRESS DISPLAY KRB5CCNAME MACGPU_WORKER OLDPWD PWD SECURITYSESSIONID SHLVL
    TERM WAYLAND_DISPLAY WINDOWID XAUTHORITY XDG_RUNTIME_DIR XDG_SESSION_ID XPC_SERVICE_NAME
    """.split()
)
_OF_LOGINS = ("SSH_", "SUDO_", "TERM_", "TMUX")


def start(
    place: store.Store,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    way: str = "",
    launchctl: str = LAUNCHCTL,
) -> None:
    """Start a process that is to outlive this one; how it fares is not waited for.

    It gets the null device as its standard input, the supervisor's log as its output, a private
    umask, no core dumps, and 8192 open files if it may.

    Parameters
    ----------
    place
        The store, prepared: `store.Store.prepare`.
    command
        Program, by its absolute path, and arguments.
    environment
        Its variables. What belongs to a login is left out: see `scrubbed`.
    way
        One of `WAYS`, and no other in its stead; empty: the one that the store names.
    launchctl
        The program, by its path.

    Raises
    ------
    OSError
        If no process can be started, or launchctl refuses the way that was asked for.
    """
    whole = ["/bin/sh", "-c", PRELUDE, "macgpu", *command]
    variables = scrubbed(environment)
    variables[FOUNDER] = f"{os.getpid()} {store.process_start(os.getpid())}"
    variables[WAY] = read_way(place)
    with _log(place) as log:
        chosen = way or _chosen(place, log)
        if chosen == DOMAIN:
            try:
                _in_domain(place, whole, variables, launchctl)
            except OSError as error:
                if way:
                    raise
                _note(log, f"{launchctl}: {error}; started in a session of its own instead")
                chosen = SESSION
        if chosen == ATTACHED:
            _attach(place, whole, variables, log)
        elif chosen == SESSION:
            _spawn(whole, variables, log, own_session=True)


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hold for the account, not for one login or terminal.

    A supervisor serves every later connection: the agent, the display or the run time folder of
    the first one are not theirs, and are gone with it.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_THE_LOGIN and not name.startswith(_OF_LOGINS)
    }


def read_way(place: store.Store) -> str:
    """Return what the store says of the way, as it stands there; empty if nothing."""
    try:
        return _way_file(place).read_text(errors="replace").strip()
    except OSError:
        return ""


def write_way(place: store.Store, way: str) -> None:
    """Have supervisors started in this way from the next one on."""
    fresh = _way_file(place).with_suffix(".new")
    fresh.write_text(way + "\n")
    fresh.replace(_way_file(place))


def next_way(way: str) -> str:
    """Return the way to try when Metal is lost in `way`; the last one is its own next."""
    return {DOMAIN: ATTACHED, ATTACHED: ATTACHED}.get(way, DOMAIN)


def outdated(place: store.Store, environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether the store names another way than the one that this process was started by.

    A supervisor that has no worker any more had better leave then: the next door starts one in
    the right way.
    """
    return environment.get(WAY, read_way(place)) != read_way(place)


def _way_file(place: store.Store) -> Path:
    return place.root / "way"


def _chosen(place: store.Store, log: int) -> str:
    text = read_way(place)
    if text in WAYS:
        return text
    if text:
        _note(log, f"{text[:40]!r} is no way to start; {SESSION} is taken")
    return SESSION


@contextlib.contextmanager
def _log(place: store.Store) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(_log_file(place), flags, 0o600)
    try:
        yield log
    finally:
        os.close(log)


def _log_file(place: store.Store) -> Path:
    return place.root / "supervisor.log"


def _note(log: int, text: str) -> None:
    os.write(log, f"macgpu: {text}\n".encode(errors="replace"))


def _spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: int,
    *,
    own_session: bool,
    stdin: int = subprocess.DEVNULL,
) -> None:
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=log,
        stderr=log,
        env=environment,
        cwd="/",
        start_new_session=own_session,
    )
    # It is meant to be left behind: nobody is to be warned of that.
    process.returncode = 0


# In launchd's domain.


def label(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the job's name. What is to run is in it: launchd keeps a name's first command."""
    text = json.dumps([list(command), sorted(environment.items())])
    return f"org.jupyter.macgpu.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def job(command: Sequence[str], environment: Mapping[str, str], log: str) -> bytes:
    """Return the property list of a job, see launchd.plist(5).

    It is started by name alone, never again by itself, and its workers outlive it. Interactive:
    launchd holds back the processor and the disk of jobs of the standard kind.
    """
    import plistlib  # on the one way that needs it: a door is in a hurry

    return plistlib.dumps(
        {
            "Label": label(command, environment),
            "ProgramArguments": list(command),
            "EnvironmentVariables": dict(environment),
            "WorkingDirectory": "/",
            "StandardInPath": os.devnull,
            "StandardOutPath": log,
            "StandardErrorPath": log,
            "ProcessType": "Interactive",
            "AbandonProcessGroup": True,
            "RunAtLoad": False,
            "KeepAlive": False,
            "LimitLoadToSessionType": ["Background", "Aqua", "LoginWindow", "StandardIO"],
        }
    )


def calls(launchctl: str, uid: int, name: str, file: Path) -> tuple[list[str], list[str]]:
    """Return the two command lines that make a job known and that start it."""
    domain = f"user/{uid}"
    return [launchctl, "bootstrap", domain, str(file)], [
        launchctl,
        "kickstart",
        f"{domain}/{name}",
    ]


def _in_domain(
    place: store.Store, command: Sequence[str], environment: Mapping[str, str], launchctl: str
) -> None:
    name = label(command, environment)
    file = place.root / f"{name}.plist"
    # Two doors may write at once, each a file of its own, with the same content.
    fresh = file.with_suffix(f".{os.getpid()}.new")
    fresh.write_bytes(job(command, environment, str(_log_file(place))))
    fresh.replace(file)
    bootstrap, kickstart = calls(launchctl, os.getuid(), name, file)
    try:
        # A job that is known already is refused here and started all the same below.
        first = _said(bootstrap)
        second = _said(kickstart)
    finally:
        file.unlink(missing_ok=True)
    if second is not None:
        raise OSError("; ".join(text for text in (first, second) if text))


def _said(command: Sequence[str]) -> str | None:
    """Run a command; return None if it succeeded, else what it said."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{command[1]} gave no answer in {PATIENCE:.0f} s"
    if done.returncode == 0:
        return None
    text = (done.stderr or done.stdout).decode(errors="replace").strip()
    return f"{command[1]} ended with {done.returncode}: {text[:200]}"


# Attached.


def _attach(
    place: store.Store, command: Sequence[str], environment: Mapping[str, str], log: int
) -> None:
    """Start the command under a guard that ends it when this process is gone."""
    package = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path.insert(0, {package!r}); "
        "from jupyter_macgpu.mac.start import guard; guard(sys.argv[1], sys.argv[2:])"
    )
    # Our end stays open until this process is gone, however it ends: that is the sign.
    lifeline, _ours = os.pipe()
    words = [sys.executable, "-I", "-S", "-c", code, str(place.root), *command]
    _spawn(words, environment, log, own_session=False, stdin=lifeline)
    os.close(lifeline)


def guard(root: str, command: Sequence[str]) -> None:
    """Run a supervisor until it ends, or until standard input does: then end it and its workers.

    Parameters
    ----------
    root
        The folder of its store.
    command
        Program and arguments.
    """
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # The end of the connection is told by the lifeline; the workers are to be ended after it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None:
        ready, _, _ = select.select([0, wake], [], [])
        if 0 in ready:
            break
        os.read(wake, 4096)
    else:
        return
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    _end_workers(store.Store(Path(root)))


def _end_workers(place: store.Store) -> None:
    for file in (place.root / "workers").glob("*/process"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(file.read_text())
            if known["start"] and store.process_start(int(known["pid"])) == known["start"]:
                os.killpg(int(known["pid"]), signal.SIGKILL)
