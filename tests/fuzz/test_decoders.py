"""Every decoder, on the kept corpus and on what hypothesis makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS, corpus

FUZZ = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
KEPT = [(target, path) for target in TARGETS for path in corpus(target)]


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert max(path.stat().st_size for _, path in KEPT) < 20_000


@pytest.mark.parametrize(("target", "path"), KEPT, ids=lambda each: getattr(each, "name", each))
def test_what_is_kept_is_read_or_answered(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_like_it_is_read_or_answered(target: str) -> None:
    seeds = [path.read_bytes() for path in corpus(target)]
    scraps = sorted({word for seed in seeds for word in seed.split() if len(word) < 40})

    @FUZZ
    @given(
        st.sampled_from(seeds),
        st.lists(
            st.tuples(
                st.integers(0, 20_000),
                st.integers(0, 12),
                st.one_of(st.binary(max_size=6), st.sampled_from(scraps or [b""])),
            ),
            max_size=6,
        ),
        st.binary(max_size=40),
    )
    def run(seed: bytes, changes: list[tuple[int, int, bytes]], tail: bytes) -> None:
        data = bytearray(seed)
        for at, length, put in changes:
            start = at % (len(data) + 1)
            data[start : start + length] = put
        TARGETS[target](bytes(data))
        TARGETS[target](tail)

    run()
