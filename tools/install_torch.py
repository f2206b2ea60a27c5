"""Install PyTorch into the running environment, in the build that this machine can use.

A Mac takes the ordinary build (it brings MPS), Linux with an NVIDIA driver too (it
brings CUDA, several GB). Linux without one takes the CPU build, which only PyTorch's
own index has; where that index cannot be reached and no other place offers the
build, the ordinary one is taken. The size is said before anything is fetched.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from dataclasses import dataclass

RELEASE = "2.13"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of PyTorch.

    Attributes
    ----------
    requirement
        What pip is asked for.
    download
        How much the demo fetches in all with this build, in words.
    options
        Further options for pip.
    """

    requirement: str
    download: str
    options: tuple[str, ...] = ()


ORDINARY = Build(requirement=f"torch=={RELEASE}.*", download="about 250 MB")
CUDA = Build(requirement=f"torch=={RELEASE}.*", download="about 3 GB (PyTorch with CUDA)")
# Only torch itself is asked for (--no-deps), and with little patience: an index that
# does not answer must not cost a timeout for each of its dependencies.
CPU = Build(
    requirement=f"torch=={RELEASE}.0+cpu",
    download="about 320 MB (PyTorch for the CPU)",
    options=("--no-deps", "--retries", "0", "--timeout", "15", "--extra-index-url", CPU_INDEX),
)


def builds(platform: str, *, has_nvidia: bool) -> tuple[Build, ...]:
    """Return the builds to try on a machine, the best one first."""
    if platform == "darwin":
        return (ORDINARY,)
    return (CUDA,) if has_nvidia else (CPU, CUDA)


def is_installed() -> bool:
    """Return whether a torch of the right release is there."""
    try:
        return importlib.metadata.version("torch").startswith(f"{RELEASE}.")
    except importlib.metadata.PackageNotFoundError:
        return False


def main() -> int:
    """Install the first build that can be had; return pip's exit status."""
    if is_installed():
        print(f"PyTorch {importlib.metadata.version('torch')} is there: no large download.")
        return 0
    status = 1
    for build in builds(sys.platform, has_nvidia=shutil.which("nvidia-smi") is not None):
        print(f"Download: {build.download}, into {sys.prefix}", flush=True)
        pip = [sys.executable, "-m", "pip", "install", *build.options]
        status = subprocess.run([*pip, build.requirement], check=False).returncode
        if status == 0:
            return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
