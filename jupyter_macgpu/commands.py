"""The verbs, done: for ``%macgpu`` in a notebook and for ``macgpu`` in a shell alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import doctor, overview, runs
from .fleet.hosts import select
from .folder import Talk, listing, read_pattern
from .gathering import gather
from .getting import get
from .inputs import read_inputs
from .moving import move
from .options import CellOptions
from .overview import STATUS_COLUMNS as STATUS_COLUMNS
from .overview import status as status
from .placement import Wish, named
from .putting import put
from .standing import span
from .tables import page_table
from .tables import table as table
from .verbs import parse_verb
from .verifying import COLUMNS as VERIFY_COLUMNS
from .verifying import verify
from .widgets import verbs as live
from .wire.errors import InputError, MacGPUError
from .wire.plain import plain
from .wire.values.remote import RemoteValue, format_size
from .words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .extension import Extension
    from .pool import Pool
    from .session import Session
    from .verbs import Command


RUN_COLUMNS = ("id", "name", "host", "state", "place", "starts", "after", "age", "notebook")


def runs_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a list of runs as text."""
    return table(_run_cells(rows), RUN_COLUMNS, "No runs are known.")


def _run_cells(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "id": row["run"][:8],
            "starts": _starts(row),
            "state": _state(row),
            "after": " ".join(run[:8] for run in row["after"]),
            "age": _ago(row["age"] or 0),
            "notebook": _short(row),
        }
        for row in rows
    ]


def _starts(row: dict[str, Any]) -> str:
    if row["starts"]:
        return str(row["starts"]).removeprefix("starts ")
    return "" if row["wait"] is None else f"in {span(row['wait'])}"


def _state(row: dict[str, Any]) -> str:
    if row["moved"]:
        return f"moved to {row['moved'].get('host')}"
    if row["retried"]:
        return f"{row['state']}, again as {row['retried'][:8]}"
    return f"{row['state']}, deleted" if row["purged"] else str(row["state"])


def status_table(rows: list[dict[str, Any]], command: Command) -> str:
    """Return the hosts as text, with what the command asks for."""
    empty = "No host fits." if command.labelled else ""
    return table(overview.status_cells(rows), _status_columns(command), empty)


def _status_columns(command: Command) -> Sequence[str]:
    return overview.status_columns(wide=command.wide, show_labels=command.show_labels)


def in_notebook(extension: Extension, command: Command) -> object:
    """Do what a ``%macgpu`` line says."""
    extension.tell_of_fleet()
    act: Callable[[Extension, Command], object] = _IN_NOTEBOOK[command.verb]
    return act(extension, command)


def fleet(extension: Extension) -> object:
    """Do what a ``%macgpu`` line without a verb means: show all hosts, live where that can be."""
    extension.tell_of_fleet()
    if (widget := live.fleet(extension)) is None:
        _status(extension, parse_verb("status"))
    return widget


def _status(extension: Extension, command: Command) -> None:
    if command.watch:
        raise InputError(
            "A notebook shows the hosts once.",
            next="macgpu status --watch, in a shell, shows them again and again.",
        )
    rows = status(extension.pool, command.labelled)
    page = page_table(overview.status_cells(rows), _status_columns(command))
    _answer(extension, command, rows, status_table(rows, command), page if rows else "")


def _describe(extension: Extension, command: Command) -> None:
    data = overview.describe(extension.pool, command.arguments[0])
    _answer(extension, command, data, overview.described(data), overview.described_page(data))


def _where(extension: Extension, command: Command) -> None:
    options = command.cell or CellOptions()
    names = extension.shell.user_ns
    inputs = read_inputs("", names, explicit=options.inputs, limit=None) if options.inputs else None
    data = overview.where(extension.pool, options, inputs)
    _answer(extension, command, data, overview.ranked(data), overview.ranked_page(data))


def _why(extension: Extension, command: Command) -> None:
    data = overview.why(extension.pool, command.arguments[0])
    _answer(extension, command, data, overview.ranked(data), overview.ranked_page(data))


def _report(extension: Extension, command: Command) -> object:
    report = extension.report
    if command.arguments or report is None:
        wanted = command.arguments[0] if command.arguments else "last"
        report = runs.report(runs.find_run(extension.pool, wanted))
    if command.json:
        print(json.dumps(report.to_json(), indent=2))
        return None
    return report


def _use(extension: Extension, command: Command) -> None:
    pool, wanted = extension.pool, command.arguments[0]
    if wanted == "auto" and all(host.name != "auto" for host in pool.fleet.hosts):
        pool.uses = None
        extension.notice("macgpu: cells of this notebook run where it suits them best")
        return
    host, selector = named(wanted, pool.fleet, pool.label_keys())
    pool.uses = wanted
    where = host or f"a host with {selector}"
    extension.notice(f"macgpu: cells of this notebook run on {where}, unless they say --on")


def _verify(extension: Extension, command: Command) -> None:
    pool = extension.pool
    hosts = pool.fleet.hosts
    if command.arguments:
        hosts = (select(hosts, command.arguments[0], pool.fleet.notice),)
    rows = list(verify(pool, hosts))
    page = page_table(rows, VERIFY_COLUMNS)
    _answer(extension, command, rows, table(rows, VERIFY_COLUMNS, ""), page)


def _runs(extension: Extension, command: Command) -> None:
    rows = runs.list_runs(extension.pool, extension.notice)
    page = page_table(_run_cells(rows), RUN_COLUMNS) if rows else ""
    _answer(extension, command, rows, runs_table(rows), page)


def _attach(extension: Extension, command: Command) -> object:
    if command.get:
        raise InputError(
            "--get is for a shell.", next="In a notebook, %macgpu get PATH brings files."
        )
    known = runs.find_run(extension.pool, command.arguments[0])
    if (known.row.get("options") or {}).get("own"):
        owners, session = extension.pool.owners, str(known.row.get("session"))
        owners.remember(known.run, known.session, session)
    return extension.attach(known.run, known.session)


def _logs(extension: Extension, command: Command) -> None:
    known = runs.find_run(extension.pool, command.arguments[0])
    if command.json:
        return _answer(extension, command, runs.recorded(known), "")
    return runs.logs(known, extension.publisher(known.session.host))


def _cancel(extension: Extension, command: Command) -> None:
    known = runs.find_run(extension.pool, command.arguments[0])
    runs.cancel(known)
    _answer(extension, command, known.shown(), f"macgpu: run {known.run[:8]} was told to stop")


def _detach(extension: Extension, command: Command) -> None:
    known = runs.find_run(extension.pool, command.arguments[0])
    runs.detach(extension.pool, known)
    _answer(extension, command, known.shown(), f"macgpu: run {known.run[:8]} goes on by itself")


def _move(extension: Extension, command: Command) -> None:
    data, text = moved(extension.pool, command)
    _answer(extension, command, data, f"macgpu: {text}")


def moved(pool: Pool, command: Command) -> tuple[dict[str, Any], str]:
    """Move a run; return what is to be said of it, as values and as text."""
    known = runs.find_run(pool, command.arguments[0])
    done = move(pool, known, command.arguments[1] if len(command.arguments) > 1 else None)
    data = {"run": done.run, "host": done.host, "was": known.run}
    text = f"run {known.run[:8]} is run {done.run[:8]} on {done.host} now"
    return data, f"{text}; files beside the notebook's cells stay where they are"


def _rm(extension: Extension, command: Command) -> None:
    known = runs.find_run(extension.pool, command.arguments[0])
    runs.remove(known)
    _answer(extension, command, known.shown(), f"macgpu: run {known.run[:8]} is forgotten")


def _values(extension: Extension, command: Command) -> None:
    rows = []
    for session in extension.pool.sessions():
        try:
            answer, _ = session.operate("values")
        except MacGPUError:
            continue
        for value in answer.detail.get("values", []):
            nbytes = value.get("nbytes")
            size = "" if nbytes is None else format_size(int(nbytes))
            rows.append({**value, "host": session.host.name, "size": size})
    text = table(rows, ("name", "type", "size", "host"), "No values live in a worker alone.")
    _answer(extension, command, rows, text)


def _free(extension: Extension, command: Command) -> None:
    namespace = extension.shell.user_ns
    wanted = command.arguments or tuple(
        name for name, value in namespace.items() if isinstance(value, RemoteValue)
    )
    wrong = [name for name in wanted if not isinstance(namespace.get(name), RemoteValue)]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: not a value that stayed on a host.",
            next="%macgpu values lists those that did.",
        )
    for name in wanted:
        info = namespace[name].info
        for session in extension.pool.sessions():
            if session.host.name == info.host:
                session.operate("free", keys=[info.key])
        del namespace[name]
    extension.notice(f"macgpu: freed {len(wanted)} values")


def _restart(extension: Extension, _command: Command) -> None:
    session: Session | None = extension.pool.current
    if session is None:
        extension.notice("macgpu: this notebook has no worker yet")
        return
    session.operate("restart")
    extension.notice(
        f"macgpu: the worker on {session.host.name} ends; the next cell starts a fresh one"
    )


def _doctor(extension: Extension, command: Command) -> None:
    pool = extension.pool
    hosts = pool.fleet.hosts
    if command.arguments:
        hosts = (select(hosts, command.arguments[0], pool.fleet.notice),)
    found = {host.name: list(doctor.examine(pool, host)) for host in hosts}
    lines = [text for name, checks in found.items() for text in (name, *map(doctor.line, checks))]
    data = {name: doctor.rows(checks) for name, checks in found.items()}
    _answer(extension, command, data, "\n".join(lines), doctor.page(found))


def _config(extension: Extension, command: Command) -> None:
    settings = extension.settings
    for argument in command.arguments:
        name, is_set, value = argument.partition("=")
        if is_set:
            settings.change(name, value)
        else:
            settings.require(name)
    extension.notice(settings.text())


def _here(extension: Extension) -> Session:
    """Return the session whose folder is meant: the one in use, or that of the next cell."""
    pool = extension.pool
    return pool.current or pool.lease(Wish(), extension.notice)[0]


def _put(extension: Extension, command: Command) -> None:
    to = None if command.to is None else read_pattern(command.to)
    gathered = gather(command.arguments, to, yes=command.yes)
    if gathered.left_out:
        extension.notice(f"macgpu: {gathered.notice()}")
    session = _here(extension)
    sent = put(Talk(session), list(gathered.files.values()))
    extension.notice(f"macgpu: {sent.text(session.host.name)}")


def _get(extension: Extension, command: Command) -> None:
    target = command.to or "."
    session = _here(extension)
    got = get(Talk(session), command.arguments, target)
    extension.notice(f"macgpu: {got.text(session.host.name, target)}")


def _files(extension: Extension, command: Command) -> None:
    session = _here(extension)
    rows = listing(Talk(session), [read_pattern(text) for text in command.arguments])
    lines = [
        {"path": shown(row["path"]), "size": format_size(row["size"]), "age": _ago(row["age"])}
        for row in rows
    ]
    empty = f"No files in the session's folder on {session.host.name}."
    _answer(extension, command, rows, table(lines, ("path", "size", "age"), empty))


def _on(extension: Extension, _command: Command) -> None:
    extension.sticky.on = True
    extension.notice(
        "macgpu: every following cell runs elsewhere, until %macgpu off; "
        "a cell that begins with %%local runs here"
    )


def _off(extension: Extension, _command: Command) -> None:
    extension.sticky.on = False
    extension.notice("macgpu: cells run here again, unless they begin with %%macgpu")


def _defaults(extension: Extension, command: Command) -> None:
    if command.said or command.clear:
        extension.defaults = command.said
    said = extension.defaults
    extension.notice(f"macgpu: every cell takes {said}" if said else "macgpu: no defaults are set")


_IN_NOTEBOOK: dict[str, Callable[[Extension, Command], object]] = {
    "status": _status,
    "describe": _describe,
    "device": live.device,
    "where": _where,
    "why": _why,
    "report": _report,
    "use": _use,
    "verify": _verify,
    "runs": _runs,
    "attach": _attach,
    "logs": _logs,
    "cancel": _cancel,
    "detach": _detach,
    "move": _move,
    "rm": _rm,
    "values": _values,
    "free": _free,
    "on": _on,
    "off": _off,
    "defaults": _defaults,
    "put": _put,
    "get": _get,
    "files": _files,
    "restart": _restart,
    "doctor": _doctor,
    "config": _config,
}


def _answer(
    extension: Extension, command: Command, data: object, text: str, page: str = ""
) -> None:
    if command.json:
        print(json.dumps(data, indent=2))
    elif page:
        bundle = {"text/plain": plain(text), "text/html": page}
        extension.shell.display_pub.publish(bundle)
    else:
        extension.notice(text)


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _short(row: dict[str, Any]) -> str:
    notebook = str(row.get("notebook", ""))
    return notebook.rpartition("/")[2] if "." in notebook else ""
