"""Every recorded Mac reads as a person reads it, and no damage to a record does harm."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.wire.probe import UnknownKind, guess, names, read, read_probe, replay
from jupyter_macgpu.wire.telemetry import Telemetry, from_json, merge, to_json
from tests.unit.probe.samples import EXPECTED, FILES

samples = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def kind(path: Path) -> str:
    return path.name.partition("__")[0]


def test_each_record_has_a_reading_and_a_source() -> None:
    assert {path.name for path in FILES} == EXPECTED.keys()
    assert len(FILES) == 66
    assert all(path.with_name(f"{path.name}.source").is_file() for path in FILES)


@samples
def test_a_record_reads_as_a_person_reads_it(path: Path) -> None:
    assert to_json(read(kind(path), path.read_bytes())) == EXPECTED[path.name]


@samples
def test_a_reading_travels_as_json(path: Path) -> None:
    sample = read(kind(path), path.read_bytes())
    assert from_json(to_json(sample)) == sample
    assert from_json(to_json(sample, unknown=True)) == sample
    assert merge(sample, Telemetry()) == merge(Telemetry(), sample) == sample


@samples
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(lambda text: text.rstrip("\n"), id="no last line end"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: text + "\n\nSomething new: 17 xyz\n@#$%\n", id="unknown lines"),
        pytest.param(lambda text: "\n\n" + text, id="empty lines before"),
    ],
)
def test_a_record_that_was_passed_on_reads_the_same(path: Path, change) -> None:  # type: ignore[no-untyped-def]
    changed = change(path.read_text(encoding="utf-8"))
    assert to_json(read(kind(path), changed)) == EXPECTED[path.name]


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".txt"], ids=lambda p: p.name)
def test_an_indented_record_reads_the_same(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    indented = "\n".join(f"    {line}" for line in lines)
    assert to_json(read(kind(path), indented)) == EXPECTED[path.name]


@pytest.mark.parametrize(
    "path", [p for p in FILES if kind(p) == "ioreg-accel"], ids=lambda p: p.name
)
def test_a_legend_of_statistics_changes_nothing(path: Path) -> None:
    legend = (
        '"IOReportLegend" = ({"IOReportChannels"=((1,6,"Device Utilization %"),(2,6,"model"))})'
    )
    lines = path.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if "PerformanceStatistics" in line)
    text = "\n".join([*lines[:at], f"      {legend}", *lines[at:]])
    assert to_json(read("ioreg-accel", text)) == EXPECTED[path.name]


@samples
def test_no_truncation_raises(path: Path) -> None:
    data = path.read_bytes()
    whole = to_json(read(kind(path), data))
    lines = data.splitlines(keepends=True)
    chosen = random.Random(path.name)
    cuts = {len(b"".join(lines[:n])) for n in range(min(len(lines), 120))}
    cuts |= {chosen.randrange(len(data) + 1) for _ in range(50)}
    for cut in sorted(cuts):
        read(kind(path), data[cut:])
        part = to_json(read(kind(path), data[:cut]))
        assert part.keys() <= whole.keys() | {"gpus", "machine", "power", "people"}


@samples
def test_a_record_tells_what_it_is(path: Path) -> None:
    data = path.read_bytes()
    assert replay(data, None, path.name)["kind"] == kind(path)
    told = guess(data)
    if kind(path) == "sysctl-n-identity":
        assert told is None
    else:
        assert told is not None
        assert to_json(read(told, data)) == EXPECTED[path.name]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(names()), st.one_of(st.binary(max_size=400), st.text(max_size=400)))
@example("sysctl", "hw.memsize: " + "9" * 5000)
@example("ioreg-accel", '"PerformanceStatistics" = ' + "{" * 5000)
@example("ioreg-accel", '"PerformanceStatistics" = {"Device Utilization %"=' + "9" * 5000 + "}")
@example("ioreg-accel-plist", "<plist>" + "<array>" * 5000)
@example("sp-hardware", "[" * 100_000)
@example("sp-hardware", '{"machine_model": ' + "9" * 5000 + "}")
@example("macmon", '{"gpu_power": ' + "9" * 400 + "}")
@example("pmset-batt", "-InternalBattery-0 (id=1)\t" + "9" * 5000 + "%;")
@example("nvidia-smi", 'name, memory.total [MiB]\n"' + "x" * 200_000)
def test_no_text_raises(kind: str, output: str | bytes) -> None:
    assert isinstance(read(kind, output), Telemetry)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_no_damaged_record_raises(path: Path, data: st.DataObject) -> None:
    text = bytearray(path.read_bytes()[:4000])
    for _ in range(data.draw(st.integers(1, 12))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    sample = read(path.name.partition("__")[0], bytes(text))
    assert from_json(to_json(sample)) == from_json(to_json(from_json(to_json(sample))))


#: Each can be tried at many places in a long text.
REPEATED = (
    "\n",
    " ",
    "\x0b",
    "|\n",
    "hw.",
    "up 1,",
    "a: 1\n",
    '"a"={',
    "a ",
    "1 ",
    "load average: ",
)


# A pattern that tries each place again takes hours here, not a second.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("repeated", REPEATED, ids=repr)
def test_no_text_takes_for_ever(repeated: str) -> None:
    text = repeated * (200_000 // len(repeated))
    for reader in names():
        read(reader, text)
    guess(text)
    nonce = "x"
    marks = "".join(f"{nonce} {name}\n{repeated}\n" for name in names() * 300)
    assert read_probe(f"{nonce} begin\n{marks}", nonce).complete is False


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownKind, match="nearest: vm_stat"):
        read("vmstat", "")
    with pytest.raises(UnknownKind, match="--section"):
        replay("nothing that anybody knows", None, "note.txt")
