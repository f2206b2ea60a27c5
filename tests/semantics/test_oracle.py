"""Programs mean the same at home, with some cells on a worker, and on two in turn.

Twice: through the values layer alone, which is quick and where the shrinker finds small programs,
and through the whole product, with real supervisors and workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.ssh_home import Home
from tests.sshd import Sshd

from .judge import judge
from .programs import programs
from .real_worker import RealRunner, two_workers, workers_on
from .runner import PipedRunner

PROGRAMS = int(os.environ.get("MACGPU_ORACLE_PROGRAMS", "200"))
Workers = tuple[PipedRunner, PipedRunner]

_places = st.lists(st.integers(0, 2), min_size=8, max_size=8)


def _oracle(check: Callable[..., None], share: int = 1) -> Callable[..., None]:
    """Give a test its programs, or one in `share` of them, and enough time."""
    chosen = settings(
        max_examples=PROGRAMS // share,
        derandomize=True,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    timeless: Callable[..., None] = pytest.mark.timeout(0)(check)
    return given(program=programs(), places=_places)(chosen(timeless))


@pytest.fixture(scope="module")
def piped() -> Iterator[Workers]:
    both = PipedRunner(), PipedRunner()
    yield both
    for worker in both:
        worker.close()


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[RealRunner, RealRunner]]:
    with two_workers() as both:
        yield both


@_oracle
def test_a_program_means_the_same_through_the_values_layer(piped, program, places):
    judge(program, places, piped)


@_oracle
def test_a_program_means_the_same_on_real_workers(real, program, places):
    judge(program, places, real)


@pytest.fixture
def over_ssh(sshd: Sshd, home: Home) -> Iterator[tuple[RealRunner, RealRunner]]:
    home.know(sshd)
    with workers_on([home.host(sshd, "first"), home.host(sshd, "second")]) as both:
        yield both


def _over_ssh(over_ssh, program, places):
    judge(program, places, over_ssh)


test_a_program_means_the_same_over_ssh = _oracle(_over_ssh, share=8)
