"""Simulated Macs: their weather, and what their probe prints."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_macgpu.fleet import simulated
from jupyter_macgpu.fleet.hosts import Host
from jupyter_macgpu.fleet.status import Heard, host_status
from jupyter_macgpu.probing import script
from jupyter_macgpu.scheduling.needs import Needs
from jupyter_macgpu.scheduling.rank import rank
from jupyter_macgpu.simulation import macs
from jupyter_macgpu.simulation.macs import MACS, named, recording
from jupyter_macgpu.simulation.replay import output
from jupyter_macgpu.simulation.weather import (
    ASLEEP,
    BATTERY,
    BUSY,
    CALM,
    CRASHED,
    HOT,
    OWNER,
    PRESSED,
    REBOOT,
    SPELL,
    STATES,
    state_at,
    weather_at,
)
from jupyter_macgpu.verbs import Command, parse_arguments
from jupyter_macgpu.wire.probe import labels, read_probe
from jupyter_macgpu.wire.telemetry import to_json
from jupyter_macgpu.words import OptionError

SAMPLES = Path(__file__).parents[1] / "macsamples"
RECORDINGS = Path(macs.__file__).parent / "recordings"
seeds = st.integers(min_value=0, max_value=10**9)
times = st.floats(min_value=0, max_value=10 * 86400)
#: Long enough for two rounds of spells.
TWO_ROUNDS = 40
NOW = 1.8e9


def moment(seed, state):
    """Return when a Mac is well inside a spell of a state."""
    middles = (number * SPELL + 15 for number in range(TWO_ROUNDS))
    return next(at for at in middles if state_at(seed, at) == state)


def told(mac, seed, at):
    return read_probe(output(MACS[mac], weather_at(seed, at), "nonce", NOW + at), "nonce")


@given(seeds, times)
def test_weather_is_the_same_for_the_same_seed_and_time(seed, at):
    assert weather_at(seed, at) == weather_at(seed, at)
    assert weather_at(seed, at).state == state_at(seed, at)


def test_seeds_differ():
    courses = {tuple(state_at(seed, n * SPELL) for n in range(TWO_ROUNDS)) for seed in range(20)}
    assert len(courses) == 20


@given(seeds, times)
def test_every_value_is_in_its_range(seed, at):
    weather = weather_at(seed, at)
    assert weather.state in STATES
    assert 0 <= weather.gpu <= 1
    assert 0 <= weather.load <= 1.2
    assert 0 < weather.used < 1
    assert weather.heat in range(4)
    assert weather.pressure in (1, 2, 4)
    assert weather.idle >= 0
    assert 0 <= weather.charge <= 1
    assert weather.up is None or 0 <= weather.up <= at
    assert (weather.heat > 0) == (weather.state == HOT)
    assert (weather.pressure > 1) == (weather.state == PRESSED)
    assert (weather.idle < 600) == (weather.state == OWNER)
    assert weather.on_battery == (weather.state == BATTERY)


@given(seeds, st.integers(min_value=0, max_value=1000))
def test_every_round_visits_every_state(seed, turn):
    length = 16
    spells = range(turn * length, (turn + 1) * length)
    assert {state_at(seed, spell * SPELL + 1) for spell in spells} == set(STATES)


@given(seeds, st.floats(min_value=0, max_value=2 * SPELL))
def test_a_fleet_begins_well(seed, at):
    assert weather_at(seed, at).state == "calm"


@given(seeds)
def test_a_crash_is_followed_by_a_fresh_boot(seed):
    crash = moment(seed, CRASHED) // SPELL * SPELL
    assert not weather_at(seed, crash + REBOOT - 0.1).answers
    after = weather_at(seed, crash + REBOOT + 1)
    assert after.answers
    assert after.up == pytest.approx(1)


@given(seeds, times)
def test_load_moves_smoothly_within_a_spell(seed, at):
    at = at // SPELL * SPELL + min(at % SPELL, SPELL - 1)
    first, second = weather_at(seed, at), weather_at(seed, at + 0.1)
    if first.state == second.state:
        assert abs(first.gpu - second.gpu) < 0.05
        assert abs(first.used - second.used) < 0.05


@pytest.mark.parametrize("mac", MACS)
def test_the_reader_reads_all_that_is_known_of_a_mac(mac):
    known, sample = MACS[mac], told(mac, 7, 5)
    assert sample.complete
    assert sample.machine.model == known.model
    assert sample.machine.portable is known.laptop
    assert sample.machine.virtual is False
    assert [(level.name, level.cores) for level in sample.machine.cpu_levels] == list(known.levels)
    assert sample.gpu.name == known.chip
    assert sample.gpu.cores == known.gpu_cores
    assert len(sample.gpus) == 1
    assert sample.memory.total_bytes == known.gib * 2**30
    assert sample.power.battery is known.laptop
    said = labels(sample)
    assert said["chip"] == mac
    assert said["gpu-type"] == "metal"
    assert said["apple.com/gpu"] == "true"
    assert said["macos"] in ("26", "27")


@pytest.mark.parametrize("mac", MACS)
@given(seed=seeds, at=times)
def test_the_reader_reads_the_weather(mac, seed, at):
    weather, sample = weather_at(seed, at), told(mac, seed, at)
    assert sample.gpu.utilization == pytest.approx(weather.gpu, abs=0.006)
    total = sample.memory.total_bytes
    assert sample.memory.used_bytes / total == pytest.approx(weather.used, abs=0.01)
    assert sample.memory.pressure == {1: "normal", 2: "warn", 4: "critical"}[weather.pressure]
    assert (sample.memory.swap_out_bytes_per_second > 0) == (weather.swapping > 0)
    assert sample.heat.level == weather.heat
    assert sample.people.idle_seconds == pytest.approx(weather.idle, abs=1e-3)
    assert sample.people.console_user is (weather.state == OWNER)
    assert sample.power.on_battery is (weather.on_battery and MACS[mac].laptop)
    up = NOW + at - sample.system.boot_time
    assert up == pytest.approx(at + 3 * 86400 if weather.up is None else weather.up, abs=1)


def test_a_battery_empties():
    at = moment(3, BATTERY)
    early, late = told("m1-max", 3, at), told("m1-max", 3, at + 30)
    assert early.power.battery_state == late.power.battery_state == "discharging"
    assert late.power.charge < early.power.charge < 1
    assert late.power.remaining_seconds < early.power.remaining_seconds


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDINGS.glob("*.txt")))
def test_a_recording_that_is_replayed_is_the_sample_that_readers_are_tested_with(name):
    assert recording(name) == (SAMPLES / name).read_text(encoding="utf-8")


def test_each_recording_says_where_it_comes_from():
    kept = {path.name for path in RECORDINGS.glob("*.txt")}
    told = {line for line in recording("SOURCES").splitlines() if line.endswith(".txt")}
    assert told == kept
    for mac in MACS.values():
        assert {mac.accelerator, mac.system, mac.pages} <= kept


def test_hosts_have_different_names_however_many_there_are():
    assert list(named(2)) == ["sim-m2-ultra", "sim-m4"]
    many = named(3 * len(MACS))
    assert len(many) == 3 * len(MACS)
    assert set(many.values()) == set(MACS)


def run(*words, handed=""):
    program = [sys.executable, "-m", "jupyter_macgpu.simulation.probe", *words]
    return subprocess.run(program, input=handed, capture_output=True, text=True, timeout=60)


def test_the_program_marks_its_sections_as_the_script_that_it_stands_in_for():
    done = run("--mac", "m2-ultra", "--seed", "7", handed=script("abc123"))
    assert done.returncode == 0
    assert not done.stderr
    sample = read_probe(done.stdout, "abc123")
    assert sample.complete
    assert sample.gpu.name == "Apple M2 Ultra"


def test_the_program_says_nothing_while_the_mac_is_down():
    done = run("--mac", "m4", "--seed", "7", "--at", str(moment(7, CRASHED)))
    assert (done.returncode, done.stdout) == (1, "")


def test_the_program_does_not_answer_while_the_mac_sleeps():
    done = run("--mac", "m4", "--seed", "7", "--at", str(moment(7, ASLEEP)))
    assert (done.returncode, done.stdout) == (1, "")
    state = run("--mac", "m4", "--seed", "7", "--at", str(moment(7, ASLEEP)), "--state")
    assert state.stdout == "asleep\n"


LABELS = {
    "simulated": "true",
    "simulated-mac": "m4",
    "simulated-seed": "7",
    "simulated-since": "1795054974",
}


def test_the_labels_of_a_host_name_its_probe():
    words = shlex.split(simulated.probe_command(LABELS))
    assert words[0] == sys.executable
    assert words[1:] == [
        *("-m", "jupyter_macgpu.simulation.probe"),
        *("--mac", "m4", "--seed", "7", "--since", "1795054974"),
    ]
    assert simulated.settings("a b", LABELS)["MACGPU_INSTANCE"] == "simulated-1795054974-a-b"


@pytest.mark.parametrize(
    "change",
    [
        {"simulated": "false"},
        {"simulated-mac": "$(touch x)"},
        {"simulated-seed": "-1"},
        {"simulated-since": ""},
        {"simulated-mac": "m4\n"},
    ],
    ids=str,
)
def test_labels_that_are_not_ours_name_no_program(change):
    assert simulated.probe_command(LABELS | change) == ""
    assert simulated.settings("host", LABELS | change) == {}


def test_the_command_takes_a_number_a_seed_and_once():
    asked = parse_arguments(["demo", "--fleet", "3", "--seed", "7", "--once"])
    assert asked == Command(verb="demo", fleet=3, seed=7, once=True)
    assert parse_arguments(["demo"]) == Command(verb="demo")


@pytest.mark.parametrize("number", ["", "-1", "three", "1.5", "9" * 10])
def test_a_number_of_hosts_is_a_whole_one(number):
    with pytest.raises(OptionError):
        parse_arguments(["demo", "--fleet", number])


def test_a_simulated_mac_has_the_gpu_that_it_tells_of():
    said = {"age": 1.0, "devices": ["cpu"], "telemetry": to_json(told("m4", 7, 5))}
    heard = Heard().told(said, 10.0)
    assert host_status(Host(name="sim-m4", labels=LABELS), heard).has_gpu is True
    assert host_status(Host(name="real", labels={}), heard).has_gpu is False


def ranked_at(states):
    """Return the ranking of equal laptops, each in the middle of a spell of a state."""
    found = []
    for state in states:
        sample = told("m1-max", 7, moment(7, state))
        said = {"age": 0.0, "telemetry": to_json(sample), "gpu_taken": sample.gpu.utilization}
        heard = Heard().told(said, 10.0)
        found.append(host_status(Host(name=state, labels=LABELS), heard))
    return rank(found, Needs(), 10.0)


@pytest.mark.parametrize("state", [BUSY, HOT, PRESSED, OWNER, BATTERY])
def test_a_cell_goes_to_the_mac_in_calm_weather(state):
    ranking = ranked_at([state, CALM])
    first = ranking.candidates[0]
    assert first.host == CALM
    assert first.reasons == ()
