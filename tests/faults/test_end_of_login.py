"""What the self-test finds out after a login over SSH has ended: with real logins."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_macgpu.mac import start, store
from jupyter_macgpu.selftest import show
from tests.sshd import Sshd

#: Seconds that anything here may take before the test fails.
PATIENCE = 60.0
LOOK = [sys.executable, "-P", "-m", "jupyter_macgpu.mac.selftest"]
ALONE = [sys.executable, str(Path(__file__).parents[2] / "tools" / "metal_after_ssh.py")]


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


def login(sshd: Sshd, *words: str) -> subprocess.Popen[str]:
    """Run a program in a login over SSH that ends when its standard input does."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
    whole = ["ssh", "-F", "none", "-i", str(sshd.keys.private()), "-p", str(sshd.port)]
    for option in [*options, "LogLevel=ERROR", "IdentitiesOnly=yes"]:
        whole += ["-o", option]
    return subprocess.Popen(
        [*whole, f"{sshd.user}@{sshd.address}", f"{' '.join(words)}; read rest"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_way_that_works_after_the_logins_end_is_written_down(sshd: Sshd, state: Path) -> None:
    session = login(sshd, *LOOK, "detach", "--wait", "0")
    assert session.stdout is not None
    begun = json.loads(session.stdout.readline())
    assert (begun["ssh"], begun["started"]) == (True, ["session"])
    assert "launchctl" in begun["refused"]["domain"]
    living = json.loads(subprocess.check_output([*LOOK, "collect"]))
    assert living["chosen"] == ""
    assert "still lives" in living["why"]
    session.communicate("\n", timeout=PATIENCE)

    def collected() -> dict[str, Any]:
        return json.loads(subprocess.check_output([*LOOK, "collect"]))

    eventually(lambda: collected()["chosen"] == "session")
    after = collected()["ways"]["session"]
    assert after["session"] == "its leader"
    assert [tensor["state"] for tensor in after["tensors"]] == ["ok", "ok"]
    assert start.read_way(store.Store(store.default_root())) == "session"
    text = show.collected(collected())
    assert "chosen: session" in text
    assert "not started in the way 'domain'" in text


def test_the_script_looks_before_and_after_the_logins_end(sshd: Sshd) -> None:
    session = login(sshd, *ALONE, "0.1")
    answers = sshd.home / "metal_after_ssh.txt"
    eventually(lambda: answers.exists() and "in the login: " in answers.read_text())
    session.communicate("\n", timeout=PATIENCE)
    eventually(lambda: "after the login's end: " in answers.read_text())
    text = answers.read_text()
    assert text.splitlines()[0].endswith(", SSH")
    for name in ("metal", "torch", "mlx"):
        assert text.count(f"  {name}: ") == 2
    shown = subprocess.check_output([*ALONE, "show"], env={"HOME": str(sshd.home)}, text=True)
    assert shown.strip() == text.strip()
