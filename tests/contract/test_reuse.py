"""What did not change does not travel twice: a real supervisor, a real worker, a counted line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jupyter_macgpu.fetching import fetch
from jupyter_macgpu.mac import store
from jupyter_macgpu.mac.journals import Journals
from jupyter_macgpu.mac.records import Run
from jupyter_macgpu.transport.local import LocalTransport
from jupyter_macgpu.wire import blobs, bundle
from jupyter_macgpu.wire import messages as m
from tests.faults import processes
from tests.faults.desk import Desk, Told
from tests.faults.relay import UP, Relay, Toxics
from tests.faults.test_on_the_way import when
from tests.unit.supervisor_stage import R1, S1

MIB = 2**20
#: Bytes that a cell sends at most if nothing of its inputs travels.
FEW = 32 * 1024
SUM = "total = int(big.sum())"


@pytest.fixture
def relay() -> Relay:
    return Relay(LocalTransport())


@pytest.fixture
def desk(state: Path, relay: Relay) -> Iterator[Desk]:
    desk = Desk(transport=relay, namespace={"big": numbers()})
    yield desk
    relay.toxics = Toxics()
    desk.close()


def numbers(seed: int = 0, size: int = 6 * MIB) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, size, dtype=np.uint8)


def sent(desk: Desk, source: str = SUM) -> int:
    """Run a cell well; return how many bytes went to its host."""
    relay = desk.transport
    assert isinstance(relay, Relay)
    before = relay.carried[UP]
    told = desk.run(source)
    assert told.state == "ok", told
    if source == SUM:
        assert desk.namespace["total"] == int(desk.namespace["big"].sum())
    return relay.carried[UP] - before


def kept() -> list[Path]:
    """Return the files of the blobs that the host keeps."""
    folder = store.Store(store.default_root()).kept("")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def lent() -> list[Path]:
    folder = store.Store(store.default_root()).lent("")
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_there_is_not_sent_again(desk: Desk) -> None:
    assert 6 * MIB < sent(desk) < 6.1 * MIB
    assert sent(desk) < FEW
    desk.rows()  # what can wait was said before this
    assert lent() == [], "a run that was collected has given back what it had"
    assert len(kept()) == 1
    desk.namespace["big"][7] += 1
    assert sent(desk) > 6 * MIB
    assert sent(desk) < FEW


def test_a_cell_that_writes_into_its_input_writes_into_its_own(desk: Desk) -> None:
    desk.namespace["twin"] = desk.namespace["big"].copy()
    before = desk.namespace["big"].copy()
    assert sent(desk, "twin[:] = 3\nsame = int(big[0])") < 6.1 * MIB, "one blob in two places"
    assert (desk.namespace["big"] == before).all()
    assert desk.namespace["same"] == before[0]
    assert (desk.namespace["twin"] == 3).all()
    desk.namespace["twin"] = before.copy()
    assert sent(desk, "read = int(twin.sum())") < FEW
    assert desk.namespace["read"] == int(before.sum())


def test_another_kernel_of_the_notebook_need_not_send_it_and_another_notebook_must(
    desk: Desk, relay: Relay
) -> None:
    sent(desk)
    desk.close()
    namespace = {"big": numbers()}
    again = Desk(transport=relay, namespace=dict(namespace))
    assert sent(again) < FEW
    again.close()
    other = Desk(transport=relay, namespace=dict(namespace), notebook="other.ipynb")
    assert sent(other) > 6 * MIB
    other.close()


def test_what_is_kept_outlives_the_worker_and_the_supervisor(desk: Desk, state: Path) -> None:
    sent(desk)
    desk.pool.session(desk.host).operate("restart")
    assert sent(desk) < FEW
    (supervisor,) = processes.found(state, "supervisor")
    supervisor.kill()
    assert sent(desk) < FEW


def spoiled(path: Path, *, secretly: bool) -> None:
    info = path.stat()
    with path.open("r+b") as file:
        file.seek(5 * MIB)
        byte = file.read(1)[0]
        file.seek(5 * MIB)
        file.write(bytes([byte ^ 1]))
    if secretly:
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("what", ["gone", "shorter", "written to", "rotten"])
def test_what_is_not_there_as_it_was_is_asked_for(desk: Desk, state: Path, what: str) -> None:
    sent(desk)
    (path,) = kept()
    if what == "gone":
        path.unlink()
    elif what == "shorter":
        os.truncate(path, 7)
    else:
        spoiled(path, secretly=what == "rotten")
        if what == "rotten":
            # One that was just hashed is believed; the next supervisor has not hashed it.
            (supervisor,) = processes.found(state, "supervisor")
            supervisor.kill()
    assert sent(desk) > 6 * MIB
    assert sent(desk) < FEW


def test_a_small_one_is_sent_unasked_and_asked_for_where_it_is_gone(desk: Desk) -> None:
    desk.namespace["big"] = numbers(1, 100_000)
    assert sent(desk) > 100_000
    assert sent(desk) < FEW
    (path,) = kept()
    path.unlink()
    assert sent(desk) > 100_000
    assert sent(desk) < FEW


def test_of_many_those_that_are_missing_are_sent(desk: Desk) -> None:
    desk.namespace["big"] = [numbers(number, 200_000) for number in range(40)]
    source = "total = int(sum(each.sum() for each in big))"
    assert 8_000_000 < sent(desk, source) < 8_200_000
    for path in kept()[::2]:
        path.unlink()
    assert 4_000_000 < sent(desk, source) < 4_100_000
    assert desk.namespace["total"] == sum(int(each.sum()) for each in desk.namespace["big"])


def test_an_older_host_is_sent_everything(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    link = desk.pool.session(desk.host).link
    hello = link.connect()
    before = [name for name in hello.capabilities if name != "blobs"]
    monkeypatch.setattr(link, "hello", replace(hello, capabilities=before))
    assert sent(desk) > 6 * MIB
    assert sent(desk) > 6 * MIB
    assert kept() == []


def test_an_older_worker_is_given_one_file(state: Path) -> None:
    place = store.Store(state / "store")
    place.prepare()
    pieces = bundle.pack([b"{}", b"stream", b"small", numbers().data])
    inputs = [memoryview(b"stream"), memoryview(b"small"), numbers().data]
    said, left, apart = blobs.parted({}, inputs)
    rest = b"".join(bundle.pack([json.dumps(said).encode(), *left]))
    for digest, data in apart.items():
        place.lent(R1).mkdir(parents=True)
        (place.lent(R1) / digest).write_bytes(data)
    run = Run(run=R1, session=S1, digest="", size=len(rest), blobs=6 * MIB)
    journals = Journals(place)
    submitted = m.Submit(run=R1, epoch=1, session=S1, size=len(rest), digest="", buffers=(rest,))
    journals.new(R1).submit(submitted)
    given = journals.given(run, (rest,), apart=True)
    assert given == {"buffers": (rest,), "blobs": str(place.lent(R1))}
    given = journals.given(run, (rest,), apart=False)
    assert Path(given["path"]).read_bytes() == b"".join(pieces)
    assert given["blobs"] == ""
    assert not place.lent(R1).exists()
    journals.close()


def test_what_a_run_was_sent_can_be_had_whole(desk: Desk) -> None:
    desk.namespace["small"] = numbers(1, 1000)
    told = desk.run("raise ValueError(big[0] + small[0])")
    session = desk.pool.session(desk.host)
    parts = bundle.unpack(fetch(session.link, told.run, "inputs", 0, ""))
    large = [bytes(part) for part in parts[2:]]
    assert desk.namespace["big"].tobytes() in large
    assert b'"blobs"' not in bytes(parts[0])


def test_those_that_were_not_used_longest_go_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACGPU_BLOB_QUOTA", str(15 * MIB))
    first, second, third = numbers(1), numbers(2), numbers(3)
    for big in (first, second, first, third):
        desk.namespace["big"] = big
        sent(desk)
    desk.namespace["big"] = first
    assert sent(desk) < FEW
    desk.namespace["big"] = second
    assert sent(desk) > 6 * MIB
    assert sum(path.stat().st_size for path in kept()) <= 15 * MIB


def test_one_that_is_larger_than_all_that_is_kept_runs_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MACGPU_BLOB_QUOTA", str(MIB))
    assert sent(desk) > 6 * MIB
    assert sent(desk) > 6 * MIB
    assert kept() == []


@pytest.mark.parametrize("fault", ["cut", "flipped bit", "killed supervisor"])
def test_after_a_fault_on_the_way_only_the_rest_is_sent_and_the_run_happens_once(
    desk: Desk, relay: Relay, state: Path, fault: str
) -> None:
    desk.namespace |= {"big": [numbers(number, 3 * MIB) for number in range(4)], "notes": []}
    sent(desk, "pass")
    before = relay.carried[UP]

    def kill() -> None:
        for each in processes.found(state, "supervisor"):
            each.kill()

    acts = {"cut": relay.reset, "flipped bit": lambda: relay.flip(UP), "killed supervisor": kill}
    relay.toxics = Toxics(bandwidth=24 * MIB)
    at = when(lambda: relay.carried[UP] - before > 7 * MIB, acts[fault])
    told: Told = desk.run("notes.append([int(each.sum()) for each in big])")
    at()
    assert told.state == "ok"
    assert desk.namespace["notes"] == [[int(each.sum()) for each in desk.namespace["big"]]]
    # Two of four were whole by then: what was under way of the third goes once more.
    assert relay.carried[UP] - before < 12 * MIB + 4 * MIB
    assert len(kept()) == 4
