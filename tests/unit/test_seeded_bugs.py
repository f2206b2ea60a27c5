"""The seeded bugs still fit the code, and what is to notice them still exists."""

from __future__ import annotations

import shutil

import pytest

from tests.seeded_bugs import ROOT, Seed, seeds

SEEDS = seeds()


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(SEEDS) >= 12


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch(1) here")
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_bug_applies(seed: Seed) -> None:
    tried = seed.apply(ROOT, try_only=True)
    assert tried.returncode == 0, f"{seed.name} is to be made anew: {tried.stdout}{tried.stderr}"
    assert seed.about
    for word in seed.tests:
        path, _, test = word.partition("::")
        assert (ROOT / path).exists(), word
        if test:
            assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
