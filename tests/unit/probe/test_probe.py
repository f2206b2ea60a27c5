"""The probe itself: run for real here, and with stand-ins for the tools of a Mac."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_macgpu import probing
from jupyter_macgpu.wire.probe import read_probe, replay, with_nonce
from jupyter_macgpu.wire.telemetry import Telemetry, from_json, to_json
from tests.unit.probe.samples import FOLDER
from tests.unit.probe.test_forms import CLIENTS

NONCE = "n0nce4Test"
PATH = "PATH=/usr/bin:/bin:/usr/sbin:/sbin"
shells = pytest.mark.parametrize(
    "shell", [s for s in ("sh", "dash", "bash", "zsh") if shutil.which(s)]
)


def run(shell: str, script: str, timeout: float = 30) -> str:
    # A session of its own: whatever the probe might leave behind is found by it.
    words = [shell, "-s"] if shell != "zsh" else [shell, "--emulate", "sh", "-s"]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={"HOME": "/", "LANG": "C"},
    ) as process:
        output, errors = process.communicate(script.encode(), timeout=timeout)
    assert errors == b""
    assert process.returncode == 0
    assert left(process.pid) == []
    return output.decode(errors="replace")


def left(session: int) -> list[int]:
    """Return what lives of a session. (A zombie waits for an init that collects them.)"""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc")
@shells
def test_the_probe_of_this_machine(shell: str) -> None:
    sample = read_probe(run(shell, probing.script(NONCE)), NONCE)
    assert sample.complete is True
    assert sample.stopped == ()
    assert sample.machine.cpus == os.cpu_count()
    assert sample.machine.arch == {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    assert sample.system.kernel == f"Linux {os.uname().release}"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert sample.system.boot_id == boot_id
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert uptime - 60 < (sample.system.uptime_seconds or 0) <= uptime
    assert sample.setup.uid == os.getuid()
    assert sample.disk.total_bytes == pytest.approx(psutil.disk_usage("/").total, rel=0.01)
    memory = psutil.virtual_memory()
    assert 0 < (sample.memory.total_bytes or 0) <= memory.total
    assert 0 < (sample.memory.available_bytes or 0) <= (sample.memory.total_bytes or 0)
    assert sample.memory.page_bytes == os.sysconf("SC_PAGE_SIZE")
    assert sample.memory.swap_out_bytes_per_second is not None
    assert from_json(to_json(sample)) == sample


@shells
def test_a_login_shells_greeting_is_not_ours(shell: str) -> None:
    if sys.platform != "linux":
        pytest.skip("the fields are Linux'")
    script = f"echo 'evil begin'; echo 'evil uname'; echo Darwin arm64\n{probing.script(NONCE)}"
    sample = read_probe(run(shell, script), NONCE)
    assert (sample.system.kernel or "").startswith("Linux ")
    assert sample.complete is True


def tool(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def record(name: str) -> str:
    return f"cat '{FOLDER / name}'"


@pytest.fixture
def mac(tmp_path: Path) -> Path:
    """Give a folder of stand-ins: each tool of a Mac prints what a Mac printed."""
    gpu = FOLDER / "ioreg-accel__m4-macos27.txt"
    (tmp_path / "clients.txt").write_text(CLIENTS, encoding="utf-8")
    tool(
        tmp_path,
        "uname",
        'case $1 in -s) echo Darwin ;; *) echo "Darwin 27.0.0 Darwin Kernel '
        'Version 27.0.0: x; root:xnu-13432.1.9~1/RELEASE_ARM64_T8132 arm64" ;; esac',
    )
    tool(tmp_path, "sw_vers", record("sw_vers__m4-27.0.txt"))
    tool(
        tmp_path,
        "sysctl",
        record("sysctl__m2pro-mini-26.5.1.txt") + "\n" + record("sysctl__m1-8gb-pressure-swap.txt"),
    )
    tool(
        tmp_path,
        "vm_stat",
        f"cd '{tmp_path}'; echo >>turns; sed \"s/^Swapouts: .*/Swapouts: "
        f"$(wc -l <turns)00./\" '{FOLDER / 'vm_stat__macmini-32gb.txt'}'",
    )
    tool(tmp_path, "notifyutil", "echo 'com.apple.system.thermalpressurelevel 1'")
    tool(
        tmp_path,
        "pmset",
        f"case $2 in batt) {record('pmset-batt__macbook-a-discharging.txt')} ;;"
        f" therm) {record('pmset-therm__m1pro-macos12.1.txt')} ;; *) echo ' sleep  1' ;; esac",
    )
    tool(tmp_path, "xcode-select", "exit 2")
    tool(tmp_path, "launchctl", "echo Background")
    tool(
        tmp_path,
        "ioreg",
        f"""
cd '{tmp_path}'
case "$*" in
*IOAccelerator*) echo >>gpus; busy=$(wc -l <gpus)
    sed "s/\\"Device Utilization %\\"=17/\\"Device Utilization %\\"=${{busy}}0/" '{gpu}' ;;
*AGXDeviceUserClient*) echo >>asked; more=$(wc -l <asked)
    sed "s/7000000000/$((6 + more / 2))${{more}}00000000/" clients.txt ;;
*IOHIDSystem*) {record("ioreg-hidsystem__a.txt")} ;;
*Root*) {record("ioreg-root-console__unlocked.txt")} ;;
*AppleSmartBattery*) {record("ioreg-battery__m1max-mbp-onbattery.txt")} ;;
*pmgr*) echo '  "voltage-states9" = <00389c1c58020000>' ;;
esac""",
    )
    return tmp_path


def mac_script(tools: Path) -> str:
    script = probing.script(NONCE)
    assert PATH in script
    return script.replace(PATH, f"PATH={tools}:/usr/bin:/bin")


@shells
def test_the_whole_probe_of_a_mac(mac: Path, shell: str) -> None:
    sample = read_probe(run(shell, mac_script(mac)), NONCE)
    assert (sample.complete, sample.stopped) == (True, ())
    machine = sample.machine
    assert (machine.model, machine.chip, machine.soc) == ("Mac14,12", "Apple M4", "t8132")
    assert (machine.portable, machine.arch) == (True, "arm64")
    assert (sample.system.version, sample.system.build) == ("27.0", "26A428")
    gpu = sample.gpu
    assert gpu is not None
    # The tool said 10, 20 and 30 %.
    assert (gpu.utilization, gpu.cores, gpu.max_mhz, gpu.last_pid) == (0.2, 10, 480.0, 835)
    assert gpu.clients is not None
    shares = {client.pid: client.share for client in gpu.clients}
    assert shares[443] == 0.0
    assert 0.1 < (shares[900] or 0) <= 1.0
    memory = sample.memory
    assert memory.used_bytes == (1405082 - 30897 + 143935 + 100325) * 16384
    assert memory.available_bytes == 34359738368 - memory.used_bytes
    assert memory.pressure == "normal"
    # A hundred pages between the two readings.
    assert 0 < (memory.swap_out_bytes_per_second or 0) <= 100 * 16384 / 0.9
    assert (sample.power.on_battery, sample.power.system_watts) == (True, 6.879)
    assert (sample.power.sleep_after_seconds, sample.power.never_sleeps) == (60.0, False)
    assert (sample.heat.level, sample.heat.thermal_warning) == (1, None)
    assert (sample.people.console_user, sample.people.locked) == (True, False)
    assert sample.people.idle_seconds == 0.194607375
    assert (sample.setup.launchd, sample.setup.developer_tools) == ("Background", None)


def test_what_is_sent_of_a_gpu_is_small_and_without_its_legend(mac: Path) -> None:
    node = FOLDER / "ioreg-accel__vm-m1-gha-macos14.txt"
    tool(mac, "ioreg", f"case \"$*\" in *IOAccelerator*) cat '{node}' ;; esac")
    output = run("sh", mac_script(mac))
    assert "IOReportLegend" not in output
    gpu = read_probe(output, NONCE).gpu
    assert gpu is not None
    assert (gpu.virtual, gpu.utilization) == (True, None)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_tool_that_hangs_is_stopped_and_not_asked_again(mac: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    tool(mac, "ioreg", f"echo >>'{mac}/asked'; trap '' TERM INT HUP; exec sleep 300")
    sample = read_probe(run(shell, mac_script(mac)), NONCE)
    assert (sample.complete, sample.stopped) == (True, ("ioreg",))
    assert len((mac / "asked").read_text().splitlines()) == 1
    assert sample.gpus is None
    assert sample.people.idle_seconds is None
    assert sample.memory.used_bytes is not None
    assert sample.heat.level == 1


def test_a_mac_whose_tools_all_fail_is_unknown(mac: Path) -> None:
    for name in ("ioreg", "sysctl", "vm_stat", "pmset", "notifyutil", "sw_vers"):
        tool(mac, name, "echo 'Segmentation fault' >&2; exit 139")
    sample = read_probe(run("sh", mac_script(mac)), NONCE)
    assert sample.complete is True
    assert (sample.gpus, sample.memory.total_bytes, sample.power.on_battery) == (None, None, None)


@pytest.fixture(scope="module")
def output() -> str:
    if sys.platform != "linux":
        pytest.skip("a probe of Linux")
    return run("sh", probing.script(NONCE))


def test_a_probe_that_broke_off_is_used_and_says_so(output: str) -> None:
    whole = read_probe(output, NONCE)
    lines = output.splitlines(keepends=True)
    for count in range(len(lines)):
        part = read_probe("".join(lines[:count]), NONCE)
        assert part.complete is (count == len(lines) and whole.complete)
    for cut in range(0, len(output), 37):
        read_probe(output[:cut].encode(), NONCE)
        read_probe(output[cut:], NONCE)
    half = read_probe(output[: output.index("loadavg")], NONCE)
    assert half.memory.total_bytes == whole.memory.total_bytes
    assert (half.system.load_1, half.memory.swap_out_bytes_per_second) == (None, None)


def test_sections_in_another_order_and_with_strangers_read_the_same(output: str) -> None:
    begin, *rest = output.split(f"\n{NONCE} ")[1:]
    moved = [part for part in rest if part.startswith(("df", "meminfo", "boot_id"))]
    others = [part for part in rest if part not in moved]
    mixed = [begin, "new-thing\nabc\n", *moved, *others]
    text = "".join(f"\n{NONCE} {part}" for part in mixed)
    assert read_probe(text.replace("\n", "\r\n"), NONCE) == read_probe(output, NONCE)


def test_a_section_cannot_be_forged_without_the_nonce(output: str) -> None:
    forged = output.replace("MemTotal:", "other begin\nother meminfo\nMemTotal: 9 kB\nMemTotal:")
    assert read_probe(forged, NONCE).complete is True
    assert read_probe(output, "another") == Telemetry(complete=False)


@pytest.mark.parametrize("nonce", ["", "a b", "x;rm", "$(id)", "é", "a" * 65])
def test_a_nonce_is_no_program(nonce: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        with_nonce("@NONCE@", nonce)


def test_a_replay_of_nothing_says_so(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.touch()
    found = probing.replay_file(file, "vm_stat")
    assert probing.as_text(found) == "read as vm_stat\n  nothing: it holds no value that is known"
    assert found["read"] == found["labels"] == {}


def test_a_probe_replays(tmp_path: Path, output: str) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(output, encoding="utf-8")
    found = probing.replay_file(file)
    assert found["kind"] == "probe"
    assert found["read"]["complete"] is True
    assert found["labels"]["kubernetes.io/os"] == "linux"
    assert probing.replay_file(file, "probe") == found == replay(output)
    assert f"label memory={found['labels']['memory']}" in probing.as_text(found)


def test_a_script_that_came_in_part_does_nothing() -> None:
    script = probing.script(NONCE)
    cut = script[: script.index("main() {")]
    assert run("sh", cut) == ""
