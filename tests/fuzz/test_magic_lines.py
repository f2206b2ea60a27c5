"""Generated magic lines: they are read, or answered with an OptionError, and nothing else."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.options import CELL_OPTIONS, CellOptions, parse_cell
from jupyter_macgpu.verbs import Command, parse_verb
from jupyter_macgpu.verbtable import VERBS
from jupyter_macgpu.words import OptionError

NAMES = [name for option in CELL_OPTIONS for name in option.names]
SCRAPS = [
    *NAMES,
    *(f"{name}=" for name in NAMES),
    *VERBS,
    *("--detach", "--gres=gpu:1", "-t", "--", "-", "=", "a", "a,b", "last", "10s", "1h30m"),
    *("'", '"', "“", "”", "—", "\\", "#", "\u00a0", "\x00", "\ud800", "{x}", "$HOME"),
]
FUZZ = settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
LINES = st.one_of(
    st.lists(st.sampled_from(SCRAPS), max_size=10).map(" ".join),
    st.lists(st.one_of(st.sampled_from(SCRAPS), st.text(max_size=8)), max_size=10).map("".join),
    st.text(max_size=200),
)


def assert_that_it_helps(error: OptionError) -> None:
    assert all([error.what, error.known, error.kept, error.next])
    assert len(str(error)) < 2000


@FUZZ
@given(LINES)
def test_a_cell_line_gives_options_or_an_option_error(line: str) -> None:
    try:
        assert isinstance(parse_cell(line), CellOptions)
    except OptionError as error:
        assert_that_it_helps(error)


@FUZZ
@given(LINES)
def test_a_verb_line_gives_a_command_or_an_option_error(line: str) -> None:
    try:
        assert isinstance(parse_verb(line), Command)
    except OptionError as error:
        assert_that_it_helps(error)
