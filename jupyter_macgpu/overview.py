"""How the hosts are, where a cell would run, and why a run is where it is: as rows and as text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import runs
from .fleet.hosts import select
from .fleet.status import shown_state
from .lengths import past_of
from .placement import ROWS, rows_of
from .placing import wish_with
from .scheduling.explain import COLUMNS, Row, cells, table
from .scheduling.status import State
from .standing import standing
from .tables import page_lines, page_pairs, page_table
from .wire.errors import MacGPUError, PlacementError
from .wire.plain import plain_line, plain_values
from .wire.telemetry import to_json
from .wire.values.remote import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .fleet.hosts import Host
    from .fleet.seen import Seen
    from .inputs import Inputs
    from .options import CellOptions
    from .placement import Answer
    from .pool import Pool
    from .scheduling.selectors import Selector
    from .scheduling.status import HostStatus
    from .wire import messages as m

#: Seconds that hosts have to answer before they are shown as slow.
PATIENCE = 15.0
#: Seconds that a host's tools have to say how it is, before the last they said is shown.
SETTLE = 3.0
STATUS_COLUMNS = ("host", "state", "running", "waiting", "slots", "python", "age", "reason")
WIDE_COLUMNS = ("chip", "memory", "free", "heat", "system", "taints")
#: Marks a host that is no Mac, wherever it is shown.
_SIMULATED = "simulated"


def status(pool: Pool, labelled: Selector | None = None) -> list[dict[str, Any]]:
    """Return each host whose labels fit: whether it answers, and what it is doing."""
    hosts = pool.fleet.hosts
    answers = pool.ask(hosts, PATIENCE)
    pool.settle(hosts, SETTLE)
    return [
        _status_row(pool, host, answers.get(host.name))
        for host in hosts
        if labelled is None or labelled.matches(pool.statuses.status(host).labels)
    ]


def watched(seen: Iterable[Seen], labelled: Selector | None = None) -> list[dict[str, Any]]:
    """Return a row for each host of a monitor's view, as `status` has them; nobody is asked."""
    rows = []
    for each in seen:
        if labelled is not None and not labelled.matches(each.status.labels):
            continue
        lane, other = each.status.gpu, each.status.cpu
        row = _row(each.host, each.status, each.age)
        row |= {"state": each.state, "reason": each.reason, "connected": each.is_connected}
        if each.hello is not None:
            row |= {
                "running": (lane.running or 0) + (other.running or 0),
                "waiting": (lane.queued or 0) + (other.queued or 0),
                **_more(each.status, each.hello),
            }
        rows.append(row)
    return rows


def status_columns(*, wide: bool, show_labels: bool) -> tuple[str, ...]:
    """Return the columns of a table of hosts."""
    more = (*(WIDE_COLUMNS if wide else ()), *(("labels",) if show_labels else ()))
    return (*STATUS_COLUMNS[:-1], *more, STATUS_COLUMNS[-1])


def status_cells(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of hosts with texts for a table."""
    return [
        {
            **row,
            "host": _name(row["host"], row["labels"]),
            "age": "" if row["age"] is None else f"{row['age']:.0f} s",
            "memory": _size(row.get("memory")),
            "free": _size(row.get("free")),
            "labels": ",".join(f"{key}={value}" for key, value in row["labels"].items()),
            "taints": ",".join(row["taints"]),
        }
        for row in rows
    ]


def describe(pool: Pool, name: str) -> dict[str, Any]:
    """Return all that is known of a host.

    Raises
    ------
    PlacementError
        If the fleet has no such host.
    """
    host = select(pool.fleet.hosts, name, pool.fleet.notice)
    answers = pool.ask((host,), PATIENCE)
    pool.settle((host,), SETTLE)
    row = _status_row(pool, host, answers.get(host.name))
    known = pool.statuses.known(host).heard
    said = {key: value for key, value in known.said.items() if key not in ("age", "reason")}
    return {
        **row,
        "address": host.address if host.transport == "ssh" else None,
        "trust": host.trust,
        "speed": speed_text(pool.statuses.status(host), known.said),
        "said": plain_values(said),
        "telemetry": plain_values(to_json(known.telemetry)),
    }


def described(data: Mapping[str, Any]) -> str:
    """Return a description as text: a line for each thing that is known."""
    lines = [plain_line(f"{key}: {value}") for key, value in _facts(data)]
    return "\n".join([_title(data), *(f"  {line}" for line in lines)])


def described_page(data: Mapping[str, Any]) -> str:
    """Return a description as a page: a table for each part of it; no text in it is HTML."""
    parts: dict[str, list[tuple[str, object]]] = {"": []}
    for key, value in _facts(data):
        part, _, name = key.partition(".")
        if part == "telemetry":
            deeper, _, name = name.partition(".")
            part = f"{part}: {deeper}"
        parts.setdefault(part if name else "", []).append((name or key, value))
    tables = (page_lines(part) + page_pairs(pairs) for part, pairs in parts.items())
    return page_lines(_title(data)) + "".join(tables)


def where(pool: Pool, options: CellOptions, inputs: Inputs | None = None) -> dict[str, Any]:
    """Say where a cell with these options would run: the host, the reason, and all hosts' rows.

    Hosts are asked as for a cell; nothing is sent. Where no host can take it, ``host`` is None.

    Parameters
    ----------
    inputs
        What the cell would read, where that is known.

    Raises
    ------
    ConfigError, PlacementError
        If there is no such profile or host.
    """
    wish = wish_with(inputs, options, pool)
    try:
        chosen = pool.decide(wish)
    except PlacementError:
        reason = "no host can take it now"
        rows = rows_of(pool.ranking(wish), None)
        return {"host": None, "reason": reason, "rows": rows, "speeds": _speeds(pool)}
    data = {**chosen.rank(limit=None), "speeds": _speeds(pool)}
    # In a large fleet a cell that stays looks at its own host alone; people want to see all.
    whole = len(data["rows"]) == len(pool.fleet.hosts)
    return data if whole else {**data, "rows": rows_of(pool.ranking(wish), None)}


def why(pool: Pool, wanted: str) -> dict[str, Any]:
    """Return the ranking that was stored with a run, as far as it can be read.

    Raises
    ------
    RunRefused
        If no host knows such a run, or several fit.
    """
    known = runs.find_run(pool, wanted)
    rank = known.row.get("rank")
    told: Mapping[str, Any] = rank if isinstance(rank, dict) else {}
    rows = told.get("rows")
    past = past_of(told.get("length"))
    shown = known.shown()
    return {
        "run": known.run,
        # Several names may mean one machine: the one that was chosen counts.
        "host": plain_line(str(told.get("host") or known.session.host.name)),
        "reason": plain_line(str(told.get("reason", ""))) or "nothing was stored with this run",
        "rows": list(_rows(rows if isinstance(rows, list) else [])),
        **({"starts": standing(None, starts=shown["starts"])} if shown["starts"] else {}),
        **({} if past is None else {"length": past.as_json()}),
        **({"there": there} if (there := _sizes(told.get("there"))) else {}),
    }


def ranked(data: Mapping[str, Any]) -> str:
    """Return what `where` or `why` found as text."""
    head, rows, notes = _ranked(data)
    return "\n".join([head, table(rows), *notes]) if rows else head


def ranked_page(data: Mapping[str, Any]) -> str:
    """Return what `where` or `why` found as a page; no text in it is HTML."""
    head, rows, notes = _ranked(data)
    if not rows:
        return page_lines(head)
    return page_lines(head) + page_table(cells(rows), COLUMNS) + page_lines(*notes)


def _ranked(data: Mapping[str, Any]) -> tuple[str, list[Row], list[str]]:
    """Return what stands above a ranking, its rows, and the lines below."""
    who = f"run {data['run'][:8]} went to" if "run" in data else "would run on"
    head = f"{who} {data['host']}: {data['reason']}" if data["host"] else str(data["reason"])
    rows = data["rows"]
    notes = [f"the best {ROWS} hosts"] if "run" in data and len(rows) == ROWS else []
    notes += [data["starts"]] if "starts" in data else []
    if (past := past_of(data.get("length"))) is not None:
        notes.append(past.text())
    notes += [
        f"{name} holds {format_size(size)} of the inputs already"
        for name, size in data.get("there", {}).items()
    ]
    notes += [f"{name}: {text}" for name, text in data.get("speeds", {}).items()]
    return head, rows, notes


def speed_text(status: HostStatus, said: Mapping[str, Any]) -> str:
    """Return how fast a host is and how that is known; nothing if it is not."""
    speed = status.gpu_speed
    if speed is None:
        return ""
    times = f"{speed.value:.3g} times an M1"
    if speed.source == "prior":
        return f"{times}, by the table of chips"
    figures = said.get("calibration") or {}
    half = figures.get("half_tflops")
    words = [
        f"{figures.get('tflops')} TFLOPS" + (f" (16 bits: {half})" if half else ""),
        f"{figures.get('gb_per_s')} GB/s",
    ]
    using = " ".join(str(figures.get(name, "")) for name in ("package", "version", "device"))
    odd = f"; {speed.note}" if speed.note else ""
    return plain_line(f"{times}, measured: {', '.join(words)} with {using}{odd}")


def _speeds(pool: Pool) -> dict[str, str]:
    """Return the speeds that were measured; the others are the table's."""
    found = {}
    for host in pool.fleet.hosts:
        status = pool.statuses.status(host)
        if status.gpu_speed is not None and status.gpu_speed.source == "calibrated":
            found[host.name] = speed_text(status, pool.statuses.known(host).heard.said)
    return found


def _status_row(pool: Pool, host: Host, answer: Answer | None) -> dict[str, Any]:
    status, known = pool.statuses.status(host), pool.statuses.known(host)
    row = _row(host, status, known.age(pool.statuses.now()))
    try:
        if answer is None:
            return row
        if answer.error is not None:
            raise answer.error
        hello = pool.session(host).link.connect()
        live = [each for each in pool.runs(host, "") if not each.get("final")]
    except MacGPUError as error:
        state = status.state if status.state not in (None, State.READY) else State.UNREACHABLE
        return {**row, "state": state, "reason": error.what}
    running = sum(each["state"] == "started" for each in live)
    return {
        **row,
        **_state_of(status, known.heard.said, running),
        "running": running,
        "waiting": len(live) - running,
        **_more(status, hello),
    }


def _row(host: Host, status: HostStatus, age: float | None) -> dict[str, Any]:
    return {
        "host": host.name,
        "transport": host.transport,
        "state": status.state or State.SLOW,
        "reason": status.state_reason,
        "age": _rounded(age),
        "labels": dict(status.labels),
        "taints": [str(taint) for taint in status.taints],
    }


def _more(status: HostStatus, hello: m.Hello) -> dict[str, Any]:
    return {
        "slots": hello.detail.get("slots", {}).get("gpu"),
        "python": hello.python,
        "system": hello.detail.get("system"),
        "chip": status.labels.get("chip"),
        "memory": status.memory.total,
        "free": status.memory.free,
        "heat": status.heat,
    }


def _state_of(
    status: HostStatus, said: Mapping[str, Any], running: int | None = None
) -> dict[str, Any]:
    state, reason = shown_state(replace(status, state=State.READY), said, running)
    return {"state": state, "reason": reason}


def _rows(raw: list[Any]) -> Iterator[Row]:
    """Read rows that a host gives back; what is not as it was stored is left out."""
    for each in raw[:ROWS]:
        try:
            yield Row(
                host=plain_line(str(each["host"])),
                place=None if each["place"] is None else int(each["place"]),
                score=None if each["score"] is None else float(each["score"]),
                must_wait=bool(each["must_wait"]),
                terms={
                    plain_line(name): {
                        "points": float(term["points"]),
                        "value": plain_values(term["value"]),
                        "text": plain_line(str(term["text"])),
                    }
                    for name, term in each["terms"].items()
                },
                reasons=[plain_values(dict(reason)) for reason in each["reasons"]],
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue


def _title(data: Mapping[str, Any]) -> str:
    return _name(str(data["host"]), data["labels"])


def _facts(data: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [(key, value) for key, value in _flat("", data) if key != "host"]


def _sizes(raw: object) -> dict[str, int]:
    """Read what hosts hold, as a host gives it back."""
    told = raw.items() if isinstance(raw, dict) else ()
    return {plain_line(str(name)): size for name, size in told if type(size) is int and size > 0}


def _name(name: str, labels: Mapping[str, str]) -> str:
    return f"{name} ({_SIMULATED})" if labels.get(_SIMULATED) == "true" else name


def _size(size: object) -> str:
    return format_size(size) if isinstance(size, int) else ""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flat(f"{prefix}.{key}".lstrip("."), entry)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for number, entry in enumerate(value):
            yield from _flat(f"{prefix}.{number}", entry)
    elif value not in (None, "", [], ()):
        yield prefix, ", ".join(map(str, value)) if isinstance(value, list) else value
