"""The verbs of the ``macgpu`` command that are about the fleet file and what hosts hold."""

from __future__ import annotations

import getpass
import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import adding, applying, closing
from .amounts import read_duration
from .commands import table
from .fleet.editing import add_host
from .fleet.fields import is_address, is_host_name
from .fleet.file import load_fleet
from .fleet.hosts import THIS_MACHINE, Fleet, Host, candidates, select
from .fleet.importing import Imported, read_dstack
from .fleet.opening import Refused, read_any
from .grammar import Unreadable
from .pool import Pool
from .reach import Reach
from .runs import worth_saying
from .wire.errors import ConfigError, InputError, MacGPUError
from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .applying import Compared
    from .fleet.discovering import Found
    from .verbs import Command

#: Exit code of ``diff`` where something differs.
DIFFERENT = 2
#: Seconds that ``discover`` listens.
LISTEN = 3.0
_ENTRY_COLUMNS = ("host", "hostname", "port", "user", "slots")
_FOUND_COLUMNS = ("name", "hostname", "address", "model", "system", "fleet")


class Terminal:
    """The person at the terminal, if there is one.

    Parameters
    ----------
    yes
        Whether what would be asked is answered beforehand.
    """

    def __init__(self, yes: bool) -> None:
        self._yes = yes

    def say(self, text: str) -> None:
        """Show a line at once."""
        print(text, flush=True)

    def agree(self, question: str) -> bool:
        """Return whether the answer is yes.

        Raises
        ------
        InputError
            If there is nobody who could be asked.
        """
        if self._yes:
            return True
        if not sys.stdin.isatty():
            raise InputError(
                "There is nobody here who could be asked.",
                next="Look at what is shown above, then add --yes.",
            )
        return input(question).strip().lower() in ("y", "yes")


def add(command: Command) -> int:
    """Bring machines into the fleet, each as far as it goes."""
    reach, desk = Reach(getpass.getpass), Terminal(command.yes)
    failed = False
    for text in command.arguments:
        try:
            if command.print_key_line:
                print(adding.printed_line(text, reach))
            else:
                failed |= not adding.add(text, reach, desk, is_restricted=command.restrict)
        except InputError:
            raise
        except MacGPUError as error:
            print(worth_saying(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def schema(_command: Command) -> int:
    """Print the fleet file's JSON Schema."""
    from .fleet.schema import fleet_schema

    print(json.dumps(fleet_schema(), indent=2))
    return 0


def diff(command: Command) -> int:
    """Show what hosts hold otherwise than the fleet file says."""
    fleet = load_fleet()
    pool = Pool(fleet, Reach(getpass.getpass), "")
    try:
        found = applying.compare(pool, _meant(fleet, command.arguments))
    finally:
        pool.close()
    if command.json:
        print(json.dumps([each.plain() for each in found], indent=2))
    else:
        print("\n".join(map(_compared, found)))
    if not all(each.is_known for each in found):
        return 1
    return DIFFERENT if any(each.changes or each.problem for each in found) else 0


def apply(command: Command) -> int:
    """Write to hosts what the fleet file says, where they hold something else."""
    fleet = load_fleet()
    pool = Pool(fleet, Reach(getpass.getpass), "")
    hosts = {host.name: host for host in _meant(fleet, command.arguments)}
    try:
        before = applying.compare(pool, list(hosts.values()))
        due = [each for each in before if each.is_known and (each.changes or each.problem)]
        if not command.json:
            print("\n".join(map(_compared, before)), flush=True)
        names = ", ".join(each.host for each in due)
        if due and not Terminal(command.yes).agree(f"Write this to {names}? [y/N] "):
            print("Nothing was written.", file=sys.stderr)
            return 1
        done = [_apply(pool, hosts[each.host], command) for each in due]
    finally:
        pool.close()
    unknown = [each for each in before if not each.is_known]
    same = [each for each in before if each.is_known and each not in due]
    return _report(command, done, unknown, same)


def drain(command: Command) -> int:
    """Let a host take nothing new."""
    return _drained(command, is_drained=True)


def undrain(command: Command) -> int:
    """Let a host take cells again."""
    return _drained(command, is_drained=False)


def _drained(command: Command, *, is_drained: bool) -> int:
    fleet = load_fleet()
    host = select(fleet.hosts, command.arguments[0], fleet.notice)
    pool = Pool(fleet, Reach(getpass.getpass), "")
    try:
        path = closing.drain(pool, host, is_drained=is_drained, as_user=command.as_user or "")
    finally:
        pool.close()
    what = "takes nothing new" if is_drained else "takes cells"
    print(f"{host.name} {what} from now on ({plain_line(path)})")
    return 0


def pause(command: Command) -> int:
    """Let nothing new begin on this machine for a time."""
    try:
        seconds = read_duration(command.arguments[0])
    except Unreadable as unreadable:
        raise InputError(
            f"{command.arguments[0][:40]!a}: {unreadable.problem}.", next=unreadable.remedy
        ) from unreadable
    return _paused(
        seconds, f"Nothing new begins here for {command.arguments[0]}; what runs goes on"
    )


def resume(_command: Command) -> int:
    """End the pause of this machine."""
    return _paused(None, "Cells begin here again")


def _paused(seconds: float | None, done: str) -> int:
    pool = Pool(Fleet(hosts=(THIS_MACHINE,)), Reach(getpass.getpass), "")
    try:
        closing.pause(pool, THIS_MACHINE, seconds)
    finally:
        pool.close()
    print(done)
    return 0


def _apply(pool: Pool, host: Host, command: Command) -> Compared:
    try:
        return applying.apply(pool, host, command.as_user or "")
    except MacGPUError as error:
        text = f"{error.what} {error.next}"
        return applying.Compared(host=host.name, problem=text, is_known=False)


def _report(
    command: Command,
    done: Sequence[Compared],
    unknown: Sequence[Compared],
    same: Sequence[Compared],
) -> int:
    failed = [each for each in done if each.changes or each.problem]
    if command.json:
        rows = sorted([*done, *unknown, *same], key=lambda each: each.host)
        print(json.dumps([each.plain() for each in rows], indent=2))
    for each in done:
        if not command.json:
            print(f"{each.host}: written to {each.path}" if each not in failed else _compared(each))
    if failed or unknown:
        total = len(done) + len(unknown) + len(same)
        well = total - len(failed) - len(unknown)
        print(f"{well} of {total} hosts hold what the file says.", file=sys.stderr)
        return 1
    return 0


def take_over(command: Command) -> int:
    """Add hosts of others' files to the fleet file."""
    source, *rest = command.arguments
    if source == "ssh":
        found = _from_ssh(rest)
    elif source == "dstack" and len(rest) == 1:
        found = _from_dstack(rest[0])
    else:
        raise InputError(
            f"macgpu import does not know {source[:40]!a}, or lacks its file.",
            next="Write macgpu import ssh [PATTERN...], or macgpu import dstack FILE.",
        )
    fleet = load_fleet()
    if fleet.own is None:
        raise ConfigError(
            "The fleet file counts only as it was allowed, so no command changes it.",
            next="Write the hosts there, then run macgpu allow.",
        )
    known = {host.name for host in fleet.hosts if fleet.files}
    new = [host for host in found.hosts if host.name not in known]
    there = [host.name for host in found.hosts if host.name in known]
    notes = [*found.notes, *([f"in the fleet already: {', '.join(there)}"] if there else [])]
    print(table([_entry(host) for host in new], _ENTRY_COLUMNS, "There is no new host."))
    print("".join(f"  {note}\n" for note in notes), end="", flush=True)
    if not new:
        return 0
    if not Terminal(command.yes).agree(f"Add {len(new)} to {fleet.own}? [y/N] "):
        print("Nothing was written.", file=sys.stderr)
        return 1
    for host in new:
        add_host(fleet.own, host)
    print(f"{len(new)} added to {fleet.own}; macgpu doctor goes the whole way to each of them")
    return 0


def discover(command: Command) -> int:
    """List the Macs with Remote Login on this network; connect to none."""
    from .fleet.discovering import discover as listen

    fleet = load_fleet()
    known = fleet.hosts if fleet.files else ()
    found = listen(command.wait or LISTEN, known)
    if command.json:
        print(json.dumps([each.plain() for each in found], indent=2))
        return 0
    nobody = (
        "No machine with Remote Login answered. Bonjour stays within one network: across routers "
        "or Tailscale, macgpu add takes a name, and macgpu import ssh your ~/.ssh/config."
    )
    print(table([_row(each) for each in found], _FOUND_COLUMNS, nobody))
    for each in found:
        if not each.host and each.is_mac is not False and is_address(each.hostname):
            print(f"macgpu add {each.target}")
    return 0


def _meant(fleet: Fleet, names: Sequence[str]) -> list[Host]:
    if not names:
        return list(fleet.hosts)
    chosen = {
        host.name: host for name in names for host in candidates(fleet.hosts, name, fleet.notice)
    }
    return list(chosen.values())


def _compared(each: Compared) -> str:
    if not each.is_known:
        return plain_line(f"{each.host}: unknown: {each.problem}")
    if not (each.changes or each.problem):
        return f"{each.host}: as the file says"
    lines = [f"! {each.problem}"] * bool(each.problem) + [str(change) for change in each.changes]
    head = plain_line(f"{each.host} ({each.path}):")
    return "\n".join([head, *(f"  {plain_line(line)}" for line in lines)])


def _from_ssh(patterns: Sequence[str]) -> Imported:
    from .transport.ssh.config import ClientConfig, aliases

    config = ClientConfig()
    hosts, notes = [], []
    for alias in aliases():
        if patterns and not any(fnmatchcase(alias, pattern) for pattern in patterns):
            continue
        try:
            said = config.lookup(alias)
        except ConfigError as error:
            notes.append(f"{alias}: {error.what}")
            continue
        if said.user == "git":
            notes.append(f"{alias}: a server of repositories, where nobody can log in")
        elif not is_host_name(alias):
            notes.append(f"{alias[:60]!a} cannot be a host's name in a fleet file")
        else:
            # All the rest stays where it is: the SSH configuration is followed.
            hosts.append(Host(name=alias))
    return Imported(hosts=tuple(hosts), notes=tuple(notes))


def _from_dstack(name: str) -> Imported:
    file = Path(name).expanduser()
    try:
        content = read_any(file)
    except Refused as refusal:
        raise InputError(f"{file}: {refusal}.", next="Name a .dstack.yml file.") from refusal
    if content is None:
        raise InputError(f"There is no {file}.", next="Name a .dstack.yml file.")
    return read_dstack(content, str(file))


def _entry(host: Host) -> dict[str, Any]:
    return {
        "host": host.name,
        "hostname": host.hostname,
        "port": host.port,
        "user": host.user,
        "slots": host.slots,
    }


def _row(found: Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "hostname": found.hostname,
        "address": found.addresses[0] if found.addresses else None,
        "model": found.model if found.is_mac is not False else f"{found.model} (no Mac)",
        "system": found.system,
        "fleet": found.host,
    }
