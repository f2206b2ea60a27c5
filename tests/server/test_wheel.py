"""The wheel, in an environment of its own on a machine without Node.js: both halves are there."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BUILT = PROJECT / "jupyter_macgpu" / "labextension" / "package.json"
#: With it everything is installed from the index; else all but the wheel is what the tests have.
FRESH = bool(os.environ.get("MACGPU_FRESH"))
#: What pip's and Jupyter's programs start beside Python.
TOOLS = ("env", "sh", "uname")

pytestmark = [
    pytest.mark.skipif(not BUILT.exists(), reason="make labextension builds the browser's half"),
    pytest.mark.timeout(900 if FRESH else 300),
]


class Bare:
    """A virtual environment, and no other program but a few of the system's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tools = folder / "tools"
        self._tools.mkdir()
        for name in TOOLS:
            (self._tools / name).symlink_to(str(shutil.which(name)))
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)

    def run(self, program: str, *words: str) -> str:
        """Run a program of the environment, or one by its path; return all that it prints."""
        path = f"{self.folder / 'venv' / 'bin'}{os.pathsep}{self._tools}"
        assert shutil.which("node", path=path) is shutil.which("npm", path=path) is None
        pips = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        done = subprocess.run(
            [str(self.folder / "venv" / "bin" / program), *words],
            env={"HOME": str(self.folder), "PATH": path, **pips},
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return re.sub(r"\x1b\[\d+m", "", done.stdout)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """Build the wheel, and install it where nothing of this project is."""
    folder = tmp_path_factory.mktemp("wheel")
    made = Bare(folder)
    # Without npm too: what is in the wheel was made before. The packager is the tests' own.
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "."]
    made.run(sys.executable, *build, str(PROJECT))
    [wheel] = folder.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet"]
    if FRESH:
        made.run("python", *install, str(wheel), "jupyterlab")
        return made
    # A path in such a file brings packages, and no link to a checkout that is among them.
    [own] = (folder / "venv").glob("lib/python*/site-packages")
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    # Another of the same name is among what is borrowed.
    made.run("python", *install, "--no-deps", "--no-index", "--ignore-installed", str(wheel))
    return made


def test_the_package_is_the_wheels(bare: Bare) -> None:
    where = bare.run("python", "-c", "import jupyter_macgpu; print(jupyter_macgpu.__file__)")
    assert Path(where.strip()).is_relative_to(bare.folder)
    assert "status" in bare.run("macgpu", "--help")


def test_jupyterlab_finds_the_browsers_half(bare: Bare) -> None:
    if not FRESH:
        pytest.importorskip("jupyterlab")
    listed = bare.run("python", "-m", "jupyterlab.labextensions", "list")
    [line] = [line for line in listed.splitlines() if "jupyter-macgpu" in line]
    assert re.search(r"jupyter-macgpu v\S+ enabled OK", line), listed
    place = bare.folder / "venv" / "share" / "jupyter" / "labextensions" / "jupyter-macgpu"
    assert list((place / "static").glob("remoteEntry.*.js"))
    assert list((place / "schemas").rglob("*.json"))


def test_jupyters_server_finds_its_half(bare: Bare) -> None:
    listed = bare.run("python", "-m", "jupyter_server.extension.serverextension", "list")
    assert "jupyter_macgpu enabled" in listed
    assert re.search(r"jupyter_macgpu \d+\.\S+ OK", listed), listed
