"""What the doctor makes of what a host says: each fault by its check, with what mends it."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_macgpu import findings
from jupyter_macgpu.findings import Check
from jupyter_macgpu.wire.telemetry import Telemetry, from_json

GIB = 2**30
MAC: dict[str, Any] = {
    "machine": {"arch": "arm64", "portable": False},
    "system": {"name": "macOS", "clock": 1000.0},
    "power": {"never_sleeps": True},
}
QUEUE = {"shared": True, "path": "/Users/Shared/macgpu/queue", "problem": ""}


def mac(**changed: dict[str, Any]) -> Telemetry:
    return from_json(
        {key: {**MAC.get(key, {}), **changed.get(key, {})} for key in {*MAC, *changed}}
    )


WELL = {
    "version": findings.version("1.0", "1.0"),
    "architecture": findings.architecture("arm64", "darwin", mac()),
    "architecture, a simulated Mac": findings.architecture("x86_64", "linux", mac()),
    "architecture, Intel Mac": findings.architecture(
        "x86_64", "darwin", mac(machine={"arch": "x86_64"})
    ),
    "clock": findings.clock(mac(), 5.0, 1010.0),
    "disk": findings.disk(6 * GIB, "/state"),
    "home": findings.home("apfs", is_network=False),
    "sleep": findings.sleep(mac()),
    "sleep, Linux": findings.sleep(from_json({"system": {"name": "Debian"}})),
    "accounts": findings.accounts(QUEUE),
    "leftovers": findings.leftovers([]),
    "GPU test": findings.gpu_test({"gpu_test": True, "gpu_test_line": "torch on mps"}),
}
LEFT = [{"pid": 4711, "command": "python train.py"}, {"pid": 4712, "command": "sleep"}]
SLEEPS = {"never_sleeps": False, "sleep_after_seconds": 600.0}
#: The check, its state, what it says, and the command that mends it.
ILL: dict[str, tuple[Check, str, str, str]] = {
    "architecture": (
        findings.architecture("x86_64", "darwin", mac()),
        *("failed", "Rosetta", "arch -arm64 brew install python"),
    ),
    "clock, behind": (
        findings.clock(mac(), 5.0, 1000.0 + 7300),
        *("failed", "2 h behind", "sudo sntp -sS time.apple.com"),
    ),
    "clock, ahead on Linux": (
        findings.clock(from_json({"system": {"clock": 1000.0}}), 0.0, 900.0),
        *("failed", "2 min ahead", "sudo timedatectl set-ntp true"),
    ),
    "disk": (findings.disk(2 * GIB, "/state"), "failed", "GiB free", "du -sh ~/*"),
    "home": (
        findings.home("nfs4", is_network=True),
        *("note", "network (nfs4)", "export MACGPU_STATE="),
    ),
    "sleep": (
        findings.sleep(mac(power=SLEEPS)),
        *("failed", "sleeps 10 min after", "sudo pmset -a sleep 0"),
    ),
    "sleep, laptop": (
        findings.sleep(mac(power=SLEEPS, machine={"portable": True})),
        *("note", "sleeps 10 min after", "sudo pmset -c sleep 0"),
    ),
    "accounts": (
        findings.accounts({**QUEUE, "shared": False, "problem": "it is not sticky"}),
        *("failed", "it is not sticky", "sudo chmod 1777 /Users/Shared/macgpu/queue"),
    ),
    "accounts, none": (
        findings.accounts({**QUEUE, "shared": False}),
        *("note", "this account alone", "sudo mkdir -p /Users/Shared/macgpu/queue"),
    ),
    "accounts, none, busy": (
        findings.accounts({**QUEUE, "shared": False}, 0.63),
        *("note", "another account or program takes 63% of the GPU", "sudo mkdir -p"),
    ),
    "leftovers": (findings.leftovers(LEFT), "failed", "4711 python train.py", "kill 4711 4712"),
    "GPU test": (
        findings.gpu_test({"gpu_test": False, "gpu_test_line": "no answer within 90 s"}),
        *("failed", "no answer within 90 s", "macgpu selftest"),
    ),
    "FileVault": (
        findings.file_vault("login", mac(), 7200.0, "me@studio"),
        *("failed", "2 h ago", "ssh -o PubkeyAuthentication=no me@studio"),
    ),
    "FileVault, port": (
        findings.file_vault("port", mac(), 30.0, "-p 2222 me@studio"),
        *("note", "30 s ago", "ssh -o PubkeyAuthentication=no -p 2222 me@studio"),
    ),
}
UNKNOWN = [
    findings.architecture("", "darwin", Telemetry()),
    findings.clock(Telemetry(), 1.0, 1.0),
    findings.clock(mac(), None, 1.0),
    findings.disk(None, ""),
    findings.home("", is_network=False),
    findings.sleep(from_json({"system": {"name": "macOS"}})),
    findings.accounts(None),
    findings.leftovers(None),
    findings.gpu_test({}),
    findings.gpu_test({"gpu_testing": True}),
    findings.version("0.9", "1.0"),
]


@pytest.mark.parametrize("name", WELL)
def test_what_is_as_it_should_be_is_ok(name: str) -> None:
    check = WELL[name]
    assert (check.name, check.state, check.mend) == (name.partition(",")[0], "ok", "")
    assert check.detail


@pytest.mark.parametrize("name", ILL)
def test_each_fault_is_named_and_has_what_mends_it(name: str) -> None:
    check, state, detail, mend = ILL[name]
    assert (check.name, check.state) == (name.partition(",")[0], state)
    assert detail in check.detail
    assert mend in check.mend


@pytest.mark.parametrize("check", UNKNOWN, ids=lambda check: check.name)
def test_what_is_not_known_is_no_failure(check: Check) -> None:
    assert check.state == "note"
    assert check.detail


@pytest.mark.parametrize(
    ("tested", "state"),
    [
        ({"device": "mps", "package": "torch", "version": "2.13.0"}, "note"),
        ({"device": "mps", "package": "torch", "version": "2.3.1"}, "skipped"),
        ({"device": "cuda", "package": "torch", "version": "2.13.0"}, "skipped"),
        ({"device": "mps", "package": "mlx", "version": "2.13.0"}, "skipped"),
        ({"device": "mps", "package": "torch", "version": "unknown"}, "skipped"),
        (None, "skipped"),
        ("torch", "skipped"),
    ],
)
def test_a_pytorch_that_is_known_to_be_wrong_on_mps_is_noted(tested: Any, state: str) -> None:
    check = findings.known_errors({"gpu_with": tested})
    assert check.state == state
    if state == "note":
        assert "torch 2.13.0 on MPS is known to be wrong" in check.detail
        assert "--verify cpu" in check.mend


def test_a_mac_that_never_let_us_in_is_not_suspected() -> None:
    assert findings.file_vault("login", mac(), None, "x").state == "skipped"
    linux = from_json({"system": {"name": "Debian"}})
    assert findings.file_vault("login", linux, 5.0, "x").state == "skipped"


def test_no_word_of_a_host_steers_a_terminal() -> None:
    evil = "\x1b[2Jx\ny"
    checks = [
        findings.disk(1, evil),
        findings.home(f"nfs{evil}", is_network=True),
        findings.accounts({"shared": True, "path": evil}),
        findings.leftovers([{"pid": 1, "command": evil}]),
        findings.gpu_test({"gpu_test": True, "gpu_test_line": evil}),
        findings.known_errors(
            {"gpu_with": {"device": "mps", "package": "torch", "version": f"2.13.0{evil}"}}
        ),
    ]
    for check in checks:
        assert "\x1b" not in check.detail + check.mend
        assert "\n" not in check.detail + check.mend
