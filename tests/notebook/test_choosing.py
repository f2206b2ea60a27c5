"""Which host a notebook's cell gets, among several: labels, taints, profiles, memory, and why."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from jupyter_macgpu import cli
from jupyter_macgpu.fleet.hosts import select
from jupyter_macgpu.wire.errors import MacGPUError, PlacementError, TransportError
from jupyter_macgpu.words import OptionError
from tests.inputs.shell import Notebook, notebook

#: The machine that the notebook is on under several names: what differs is what the file says.
FLEET = """
version: 1
hosts:
  alpha: {transport: local, labels: {room: lab, chip: m2-ultra}}
  beta: {transport: local, labels: {room: attic}}
  gamma: {transport: local, taints: [{key: reserved, value: night, effect: NoSchedule}]}
profiles:
  train: {nodeSelector: {room: attic}}
  night: {tolerations: [{key: reserved, operator: Exists}], nodeSelector: {}}
"""


@pytest.fixture(scope="module")
def file(own_state: Path) -> Path:
    path = own_state / "several.yaml"
    path.write_text(FLEET)
    return path


@pytest.fixture
def fleet(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MACGPU_FLEET", str(file))
    file.write_text(FLEET)
    return file


@pytest.fixture
def book(fleet: Path):
    with notebook() as opened:
        yield opened


def host_of(book: Notebook) -> str:
    """Return where the notebook's newest run is."""
    rows = json.loads(book.run("%macgpu why last --json").error_is(None).text)
    return rows["reason"] and rows["rows"][0]["host"]


CHOICES = {
    "--on alpha": "alpha",
    "--on room=attic": "beta",
    "--on 'chip in (m2-ultra, m3-ultra)'": "alpha",
    "--on '!room' --tolerate reserved=night": "gamma",
    "--profile train": "beta",
    "--on gamma --profile night": "gamma",
    "--prefer room=attic": "beta",
    "--prefer room=attic:1 --prefer room=lab:90": "alpha",
}


@pytest.mark.parametrize("line", CHOICES)
def test_a_cell_runs_where_its_options_say(book: Notebook, line: str) -> None:
    book.run(f"%%macgpu {line} --as chosen\n1").error_is(None)
    assert host_of(book) == CHOICES[line]
    assert placed(book).current.host.name == CHOICES[line]


def placed(book: Notebook):
    return book.shell.magics_manager.registry["MacGPUMagics"].extension.pool


REFUSED = {
    "--on gamma": "gamma: taint not tolerated: reserved=night:NoSchedule",
    "--on room=cellar": "alpha: labels do not meet room=cellar",
    "--profile train --on alpha": "beta: alpha was asked for",
    "--on alhpa": "no host alhpa",
    "--profile trian": "no profile trian",
}


@pytest.mark.parametrize("line", REFUSED)
def test_where_nobody_fits_each_host_says_why_and_nothing_is_sent(
    book: Notebook, line: str
) -> None:
    ran = book.run(f"%%macgpu {line}\n1").error_is(MacGPUError)
    assert REFUSED[line] in ran.text
    assert "nothing was sent" in ran.text


def test_a_notebook_stays_where_it_is_until_a_cell_says_otherwise(book: Notebook) -> None:
    book.run("%%macgpu --on beta\nhere = 1").error_is(None)
    for _ in range(3):
        book.run("%%macgpu\nhere += 1").error_is(None)
        assert placed(book).current.host.name == "beta"
    assert json.loads(book.run("%macgpu why last --json").text)["reason"] == "this notebook's host"
    ran = book.run("%%macgpu --on alpha\nhere += 1").error_is(None)
    assert "from beta to alpha" in ran.text
    assert book.names["here"] == 5


@pytest.mark.parametrize("line", ["", "--on room", "--prefer room=lab:50", "--on room --cpu"])
def test_why_says_what_where_had_said(book: Notebook, line: str) -> None:
    book.run("%%macgpu --on beta\n1").error_is(None)
    said = json.loads(book.run(f"%macgpu where {line} --json").error_is(None).text)
    book.run(f"%%macgpu {line}\n1").error_is(None)
    kept = json.loads(book.run("%macgpu why last --json").error_is(None).text)
    assert kept["host"] == said["host"]
    assert kept["reason"] == said["reason"]
    assert shape(kept["rows"]) == shape(said["rows"])
    assert {row["host"] for row in kept["rows"]} == {"alpha", "beta", "gamma"}
    text = book.run("%macgpu why last").text
    assert said["reason"] in text
    assert "taint not tolerated" in text


def shape(rows: list[dict]) -> list:
    """Return what of rows does not change in the second between two looks."""
    passing = {"news", "share"}
    return [
        (
            row["host"],
            row["place"],
            row["must_wait"],
            row["reasons"],
            {name: term["points"] for name, term in row["terms"].items() if name not in passing},
        )
        for row in rows
    ]


def test_where_runs_nothing_and_says_if_nobody_fits(book: Notebook) -> None:
    before = len(book.runs())
    text = book.run("%macgpu where --on room=cellar").error_is(None).text
    assert "no host can take it now" in text
    assert "beta" in text
    assert "would run on alpha" in book.run("%macgpu where --on alpha").error_is(None).text
    assert len(book.runs()) == before
    assert placed(book).current is None
    book.run("%macgpu where --onn alpha").error_is(OptionError)


def test_a_notebook_is_told_what_to_use(book: Notebook) -> None:
    assert "run on a host with room=attic" in book.run("%macgpu use room=attic").text
    book.run("%%macgpu\n1").error_is(None)
    assert placed(book).current.host.name == "beta"
    book.run("%macgpu use alpha").error_is(None)
    book.run("%%macgpu\n1").error_is(None)
    assert placed(book).current.host.name == "alpha"
    book.run("%%macgpu --on beta\n1").error_is(None)
    assert placed(book).current.host.name == "beta"
    book.run("%macgpu use auto").error_is(None)
    book.run("%%macgpu\n1").error_is(None)
    assert placed(book).current.host.name == "beta"
    assert "Did you mean alpha?" in book.run("%macgpu use alhpa").error_is(PlacementError).text


def test_hosts_are_shown_by_their_labels(book: Notebook, capsys) -> None:
    text = book.run("%macgpu status -l room --show-labels").error_is(None).text
    assert "alpha" in text
    assert "room=attic" in text
    assert "gamma" not in text
    wide = book.run("%macgpu status -o wide").error_is(None).text
    assert "reserved=night:NoSchedule" in wide
    rows = json.loads(book.run("%macgpu status -l room=lab --json").text)
    assert [(row["host"], row["state"], row["labels"]["chip"]) for row in rows] == [
        ("alpha", "ready", "m2-ultra")
    ]
    assert "in a shell" in book.run("%macgpu status --watch").error_is(MacGPUError).text
    capsys.readouterr()
    assert cli.main(["status", "-l", "room=attic", "--json"]) == 0
    assert [row["host"] for row in json.loads(capsys.readouterr().out)] == ["beta"]
    assert cli.main(["where", "--on", "room=cellar"]) == 1
    assert cli.main(["where", "--on", "beta"]) == 0


def test_a_host_is_described(book: Notebook) -> None:
    text = book.run("%macgpu describe alpha").error_is(None).text
    assert text.startswith("alpha")
    assert "labels.room: lab" in text
    data = json.loads(book.run("%macgpu describe alpha --json").text)
    assert data["state"] == "ready"
    assert data["trust"] == "full"
    assert "Did you mean alpha" in book.run("%macgpu describe alpa").error_is(PlacementError).text


def test_a_run_is_seen_as_busy(book: Notebook) -> None:
    shown = book.run(
        "%%macgpu --on alpha\n"
        "import subprocess, sys, json\n"
        "out = subprocess.run([sys.executable, '-m', 'jupyter_macgpu.cli', 'status', '--json'],\n"
        "    capture_output=True, text=True, env={**__import__('os').environ,\n"
        f"    'MACGPU_FLEET': {os.environ['MACGPU_FLEET']!r}}}).stdout\n"
        "[row['state'] for row in json.loads(out)]"
    ).error_is(None)
    assert "busy" in shown.text


def test_an_edit_of_the_fleet_file_counts_from_the_next_cell(book: Notebook, fleet: Path) -> None:
    book.run("%%macgpu --on alpha\nkept = 1").error_is(None)
    changed = FLEET.replace("room: lab", "room: hall") + "  unused: {}\n"
    fleet.write_text(changed.replace("  gamma:", "  delta: {transport: local}\n  gamma:"))
    ran = book.run("%%macgpu --on room=hall\nkept += 1").error_is(None)
    assert "the fleet file was read again (new: delta; changed: alpha)" in ran.text
    assert book.names["kept"] == 2
    # It is the same worker: the machine did not change, only what is said of it.
    assert placed(book).current.host.labels["room"] == "hall"
    fleet.write_text("version: 1\nhosts:\n  alpha: {transprot: local}\n")
    ran = book.run("%%macgpu\nkept += 1").error_is(None)
    assert "as it was before an edit" in ran.text
    assert "transprot" in ran.text
    assert "as it was" not in book.run("%%macgpu\nkept += 1").error_is(None).text
    assert book.names["kept"] == 4
    fleet.write_text("version: 1\nhosts:\n  omega: {transport: local}\n")
    ran = book.run("%%macgpu\nkept += 1").error_is(None)
    assert "from alpha to omega" in ran.text


def test_what_one_kernel_hears_another_kernel_knows(book: Notebook, own_state: Path) -> None:
    book.run("%%macgpu --on alpha\n1").error_is(None)
    book.run("%macgpu status").error_is(None)
    files = list((own_state / "statuses").glob("*.json"))
    assert files
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    pool = placed(book)
    for file in files[:1]:
        file.write_text("{not json")
    with notebook() as other:
        heard = placed(other)
        heard.statuses.look(heard.fleet.hosts)
        beta = heard.statuses.known(select(heard.fleet.hosts, "beta")).heard
        ours = pool.statuses.known(select(pool.fleet.hosts, "beta")).heard
        if beta.seen is not None:
            assert abs(beta.seen - (ours.seen or 0)) < 1
        other.run("%%macgpu --on beta\n1").error_is(None)


AWAY = """
version: 1
hosts:
  closed: {hostname: 127.0.0.1, port: 1, labels: {room: far}}
  silent: {hostname: 127.0.0.1, port: PORT, labels: {room: far, way: none}}
  here: {transport: local}
"""


def test_a_first_cell_does_not_wait_for_hosts_that_do_not_answer(
    fleet: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, notebook() as book:
        fleet.write_text(AWAY.replace("PORT", str(silent.getsockname()[1])))
        book.run("%%macgpu\nfirst = 1").error_is(None)
        assert placed(book).current.host.name == "here"
        # The silent one has not even been given up by now.
        assert "silent" in placed(book)._scouts._out
        ran = book.run("%%macgpu --on room=far,way!=none\n1").error_is(TransportError)
        assert "closed" in ran.text
        said = json.loads(book.run("%macgpu where --json").text)
        assert said["host"] == "here"
        reasons = {row["host"]: row["reasons"] for row in said["rows"]}
        assert reasons["closed"][0]["code"] == "unreachable"
        assert "cannot be reached" in reasons["closed"][0]["text"]


def test_hosts_are_verified_by_cells(book: Notebook) -> None:
    book.run("%%macgpu --on beta\n1").error_is(None)
    rows = json.loads(book.run("%macgpu verify alpha --json").error_is(None).text)
    assert [(row["host"], row["cell"]) for row in rows] == [("alpha", "gpu"), ("alpha", "cpu")]
    assert rows[1]["state"] == "ok"
    assert rows[1]["device"] == "cpu"
    assert rows[0]["state"] in ("ok", "note")
    assert rows[0]["place"] == os.uname().nodename
    assert placed(book).current.host.name == "beta"


def simulated(name: str, mac: str) -> str:
    # It begins now: some minutes later its weather has it asleep.
    since = int(time.time())
    labels = f"simulated: 'true', simulated-mac: {mac}, simulated-seed: '7'"
    return f"  {name}: {{transport: local, labels: {{{labels}, simulated-since: '{since}'}}}}\n"


def test_memory_decides_and_what_is_simulated_says_so(book: Notebook, fleet: Path) -> None:
    hosts = simulated("small", "m4") + simulated("large", "m2-ultra")
    fleet.write_text(f"version: 1\nhosts:\n{hosts}")
    text = book.run("%macgpu status").error_is(None).text
    assert "small (simulated)" in text
    data = json.loads(book.run("%macgpu describe large --json").text)
    assert data["telemetry"]["memory"]["total_bytes"] == 192 * 2**30
    assert data["labels"]["chip"] == "m2-ultra"
    ran = book.run("%%macgpu --mem 900GB\n1").error_is(PlacementError)
    assert "GiB is all there can be" in ran.text
    told = json.loads(book.run("%macgpu where --mem 20GB --on simulated --json").text)
    small = next(row for row in told["rows"] if row["host"] == "small")
    assert "is all there can be" in small["reasons"][0]["text"]
