"""The fleet file's JSON Schema: it and the reader agree wherever a schema can say it."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from jupyter_macgpu import cli
from jupyter_macgpu.fleet.draft import read_draft
from jupyter_macgpu.fleet.fields import DEFAULT_KEYS, HOST_KEYS
from jupyter_macgpu.fleet.layers import join
from jupyter_macgpu.fleet.problems import FleetFileError
from jupyter_macgpu.fleet.schema import fleet_schema
from tests.unit import test_fleet_file, test_fleet_profiles

SCHEMA = jsonschema.Draft202012Validator(fleet_schema())
GOOD = [
    test_fleet_file.GOOD,
    test_fleet_file.OVER_SSH,
    test_fleet_profiles.WHOLE,
    "version: 1\ndefaults: {trust: data}\n",
]
#: What the reader refuses and no schema can say: the text of the mistake.
ONLY_THE_READER = (
    "a key must be plain text",
    "merge keys are not read",
    "the anchor",
    "there is no host under this key",  # there may be one in another file
    "this key is missing; write the hosts under it",
    "stands there already",
    "needs the effect NoExecute",
    "must be Exists where there is no key",
    "fits no host",
    "this is empty",
    "needs at least one",
    "needs a whole number of 64 bits",
    "takes none",
    "write SHA256:",  # the pattern knows the letters, not the last bits
    "write an absolute path",
    "write a host name",
    "cannot be printed",
    "must be a whole number from 1 to 64",  # 0x2 is a number to YAML
)


def value(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def problems_of(text: str) -> list[str]:
    try:
        join([read_draft(text, "f")])
    except FleetFileError as error:
        return [problem.text for problem in error.problems]
    return []


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(fleet_schema())


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_what_is_right_is_right_to_both(text: str) -> None:
    assert not read_draft(text, "f").problems
    assert not list(SCHEMA.iter_errors(value(text)))


WRONG = [
    *test_fleet_file.BAD_FILES,
    *test_fleet_profiles.BAD,
    *(f"version: 1\nhosts:\n  a:\n    {key}: {said}\n" for key, said in test_fleet_file.CASES),
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text[-50:]))
def test_what_is_wrong_is_wrong_to_both_where_a_schema_can_say_it(text: str) -> None:
    try:
        said = value(text)
    except (YAMLError, Warning):
        pytest.skip("no YAML, or a tag: there is no value that a schema could judge")
    except (RecursionError, ValueError):
        pytest.skip("no value")
    problems = problems_of(text)
    assert problems
    if SCHEMA.is_valid(said):
        unsaid = [each for each in problems if not any(word in each for word in ONLY_THE_READER)]
        assert not unsaid


KEYS = st.sampled_from([*HOST_KEYS, "slot", "env"])
VALUES = st.one_of(
    st.sampled_from(["local", "ssh", "full", "data", "/p", "~/k", "me", "", "a b", "9h", "8GB"]),
    st.integers(-1, 70),
    st.booleans(),
    st.none(),
    st.lists(st.sampled_from(["a", 1]), max_size=2),
    st.dictionaries(st.sampled_from(["a", "/", "drain", "max_runs"]), st.sampled_from(["b", 1])),
    st.lists(
        st.fixed_dictionaries(
            {"key": st.sampled_from(["a", "", "-"]), "effect": st.sampled_from(["NoSchedule", "x"])}
        ),
        max_size=2,
    ),
)


@given(
    st.dictionaries(st.sampled_from(["a", "b-1", "auto", "x y"]), st.dictionaries(KEYS, VALUES)),
    st.dictionaries(st.sampled_from([*DEFAULT_KEYS, "hostname"]), VALUES),
)
@settings(max_examples=600, derandomize=True, deadline=None, database=None)
def test_whatever_the_schema_refuses_the_reader_refuses_too(
    hosts: dict[str, object], defaults: dict[str, object]
) -> None:
    said = {"version": 1, "defaults": defaults, "hosts": hosts}
    assert SCHEMA.is_valid(said) or problems_of(json.dumps(said))


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == fleet_schema()
    assert printed["$schema"].endswith("2020-12/schema")
