"""D01 to D06: what may go wrong on the first line of a cell, in a notebook with a real host."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_macgpu.options import parse_cell
from jupyter_macgpu.words import OptionError
from tests.inputs.shell import Notebook, notebook, refused, well

RIGHT_TO_LEFT = "\u202e"
#: Wrong for every option that has a value.
EVERYWHERE = {
    "empty": "''",
    "blank": "' '",
    "a megabyte": "x;" * 500_000,
    "NUL": "a\x00b",
    "right to left": f"a{RIGHT_TO_LEFT}b",
    "escape": "a\x1b[2Jb",
}
OPTIONS = ["--on", "-i", "-o", "--timeout", "--wait", "--mem", "--as", "--setenv", "--profile"]


@pytest.fixture(scope="module")
def book(own_state: Path) -> Iterator[Notebook]:
    with notebook() as opened:
        opened.run("small = [1, 2]").error_is(None)
        well(opened)
        yield opened
        well(opened)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", EVERYWHERE)
def test_d01_to_d04_a_value_that_no_option_takes(book: Notebook, option: str, value: str) -> None:
    refused(book, f"%%macgpu {option} {EVERYWHERE[value]}\n1", option)


HOSTS = {
    "-oProxyCommand=id": "selector",
    "'-oProxyCommand=id'": "selector",
    "host;id": "no host",
    "`id`": "no host",
    "$(id)": "selector",
    "$HOME": "no host",
    "{small}": "no host",
    "../x": "no host",
    "/etc/passwd": "no host",
    "'a b'": "name of a host",
    "th\u0456s-machine": "this-machine",
    "this-machin": "this-machine",
    "THIS-MACHINE": "this-machine",
    "this-machine.": "this-machine",
    "this-machine:22": "this-machine",
    "root@this-machine": "this-machine",
    "h" * 254: "name of a host",
    "h" * 253: "no host",
    "*": "no host",
    "a=b=c": "",
    "'a in (b'": "",
}


@pytest.mark.parametrize("host", HOSTS)
def test_d01_a_host_that_is_not_in_the_fleet(book: Notebook, host: str) -> None:
    refused(book, f"%%macgpu --on {host}\n1", HOSTS[host])
    refused(book, f"%macgpu use {host}")


LOOK = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@LOOK
@given(st.text(st.characters(exclude_characters="'\"\n\r", exclude_categories=["Cs"]), min_size=1))
def test_d01_any_name_is_refused(book: Notebook, name: str) -> None:
    if "\n" in name.splitlines()[0] or len(name.splitlines()) > 1:
        return
    refused(book, f"%%macgpu --on '{name}'\n1")


AMOUNTS = {
    "--timeout": [
        "-1",
        "-1s",
        "0",
        "0s",
        "NaN",
        "inf",
        "1e309",
        "10mm",
        "9" * 400,
        "1s-",
        "s",
        "1h1",
    ],
    "--wait": ["-1", "0m", "nan", "infinity", "1e9s", "10 m", "9" * 400 + "s", "\u0661s", "1_0s"],
    "--priority": ["1.5", "NaN", "--5", "9" * 400, "\u0661", "high", "+"],
    "--retry": ["-1", "0", "101", "1e3", "NaN", "9" * 400, "\u0661", "often"],
    "--mem": [
        "-1GB",
        "0GB",
        "NaN",
        "inf",
        "1e309GB",
        "10mm",
        "9" * 400 + "GB",
        "1,5GB",
        "GB",
        "1PB",
    ],
}


@pytest.mark.parametrize(
    ("option", "amount"), [(option, each) for option in AMOUNTS for each in AMOUNTS[option]]
)
def test_d02_an_amount_that_is_none(book: Notebook, option: str, amount: str) -> None:
    refused(book, f"%%macgpu {option} {amount}\n1", option)


def test_d02_the_largest_amounts_are_amounts(book: Notebook) -> None:
    book.run("%%macgpu --timeout 999999999d --wait 999999999d\n1").error_is(None)


#: Runs that are to go before, and what the answer must have.
AFTER = {
    "ffffffff": "ffffffff",
    "any:ffffffff": "ffffffff",
    "any:": "no run",
    "a:b": "no run",
    "'a b'": "no run",
    "$(id)": "",
    "../../x": "",
    "last,last": "",
    "x" * 100_000: "",
}


@pytest.mark.parametrize("run", AFTER, ids=lambda run: run[:20])
def test_d02_a_run_to_wait_for_that_nobody_knows(book: Notebook, run: str) -> None:
    refused(book, f"%%macgpu --detach --after {run}\n1", AFTER[run])


SWEEPS = {
    "lr": "not NAME=VALUES",
    "=1": "not NAME=VALUES",
    "1x=1": "not NAME=VALUES",
    "class=1": "not NAME=VALUES",
    "a.b=1": "not NAME=VALUES",
    "lr=": "value is missing",
    "lr=1 lr=2": "stands there twice",
    "@": "name of one variable",
    "@a.b": "name of one variable",
    "@nada": "nada",
    "@small": "small",
    "a=0..999999999999": "",
    "a=0..99999 b=0..99999": "10000000000 combinations",
    "x=1,2": "x",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sweep", SWEEPS)
def test_d02_a_sweep_that_is_none(book: Notebook, sweep: str) -> None:
    refused(book, f"%%macgpu --sweep {sweep}\nx = 1", SWEEPS[sweep])


def test_d03_nothing_of_a_sweep_is_evaluated(book: Notebook, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    book.run(f"%%macgpu --dry-run --sweep \"a=open('{canary}','w'),1\"\na")
    book.run(f"%%macgpu --sweep \"a=(lambda:open('{canary}','w'))()\"\nassert isinstance(a, str)")
    assert not canary.exists()


DETACHED = ["--detach=yes", "--detach --detach", "--detach -i nada", "--detach --on mars"]


@pytest.mark.parametrize("line", DETACHED)
def test_d05_what_nobody_waits_for_is_refused_at_once_too(book: Notebook, line: str) -> None:
    refused(book, f"%%macgpu {line}\n1")


def test_d04_a_secret_is_asked_for_where_nobody_waits(
    book: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "x")
    refused(book, "%%macgpu --detach --setenv HF_TOKEN\n1", "HF_TOKEN", "--yes")


NAMES = {
    "class": "'class' is not the name",
    "small.x": "attribute",
    "f()": "'f()' is not the name",
    "small[0]": "'small[0]' is not the name",
    "a,,b": "comma",
    "a,": "comma",
    "1x": "is not the name",
    "*": "is not the name",
    "nope,small,nada": "nope, nada",
    ",".join(f"n{number}" for number in range(10_000)): "no variable n0",
}


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[:20])
def test_d03_names_that_are_none(book: Notebook, names: str) -> None:
    refused(book, f"%%macgpu -i {names}\n1", NAMES[names])


def test_d03_nothing_is_evaluated_and_a_name_may_stand_twice(book: Notebook) -> None:
    book.run("class Trap:\n    def __getattr__(self, name):\n        raise SystemExit").error_is(
        None
    )
    book.run("trap = Trap()").error_is(None)
    refused(book, "%%macgpu -i trap.x\n1", "trap.x is an attribute")
    refused(book, "%%macgpu -i exit()\n1", "is not the name")
    book.run("%%macgpu -i small,small --in small\nassert small == [1, 2]").error_is(None)
    book.run("del trap, Trap")


def test_d03_what_is_pythons_own_is_neither_shipped_nor_bound(book: Notebook) -> None:
    kept = {name: book.names[name] for name in ("get_ipython", "__name__", "__builtins__")}
    for name in kept:
        book.run(f"%%macgpu -o {name}\n{name} = 5").error_is(None)
        assert {name: book.names[name] for name in kept} == kept
    # There it is as it would be here: a shell without builtins is of no more use.
    book.run("%macgpu restart --yes").error_is(None)


LOADERS = """
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES DYLD_LIBRARY_PATH PYTHONSTARTUP PYTHONPATH
PYTHONHOME PYTHONINSPECT PYTHONWARNINGS BASH_ENV ENV PROMPT_COMMAND PERL5OPT RUBYOPT NODE_OPTIONS
""".split()
SECRETS = """
HF_TOKEN OPENAI_API_KEY AWS_SECRET_ACCESS_KEY DB_PASSWORD GOOGLE_APPLICATION_CREDENTIALS APIKEY
github_token MYSQL_PWD ssh_passphrase HTTP_AUTH
""".split()


@pytest.mark.parametrize("name", LOADERS)
def test_d04_what_says_what_programs_load_is_not_shipped(
    book: Notebook, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/tmp/x")
    refused(book, f"%%macgpu --yes --setenv {name}\n1", name, "what programs load")


@pytest.mark.parametrize("name", SECRETS)
def test_d04_what_looks_like_a_secret_is_asked_for_twice(
    book: Notebook, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "canary-7f3a")
    refused(book, f"%%macgpu --setenv {name}\n1", name, "--yes")
    refused(book, f"%%macgpu --dry-run --setenv {name}\n1", name, "--yes")
    ran = book.run(f"%%macgpu --yes --setenv {name}\nimport os\nprint(os.environ[{name!r}])")
    assert ran.error_is(None).text == "canary-7f3a\n"
    ran = book.run(f"%%macgpu\nimport os\nprint(os.environ.get({name!r}))")
    assert ran.error_is(None).text == "None\n"


@pytest.mark.parametrize("name", ["A=B=C", "A=", "'A B'", "A-B", "1A", "", "\u0410", "A,B", "$A"])
def test_d04_what_is_no_name_of_a_variable(book: Notebook, name: str) -> None:
    refused(book, f"%%macgpu --setenv {name or repr(name)}\n1", "--setenv")


SPELLINGS = {
    "--onn this-machine": "Did you mean --on?",
    "--tim 5s": "--timeout",
    "--cpu --cpu": "--cpu is given twice",
    "--on a --on=b": "--on is given twice",
    "-- --cpu": "",
    "--cpu --": "",
    "\u2014cpu": "EM DASH",
    "\uff0d\uff0dcpu": "FULLWIDTH HYPHEN-MINUS",
    "--on \u201cthis-machine\u201d": "LEFT DOUBLE QUOTATION MARK",
    "--CPU": "Did you mean --cpu?",
    "--cpu=yes": "takes no value",
    "-io x": "",
    "cpu": "is not an option",
}


@pytest.mark.parametrize("line", SPELLINGS)
def test_d05_options_that_are_none(book: Notebook, line: str) -> None:
    refused(book, f"%%macgpu {line}\n1", SPELLINGS[line])


@pytest.mark.parametrize(
    ("line", "column"),
    [("--as 'one", 6), ('--as "one', 6), ("--as one'", 9), ("--cpu --as 'a' 'b", 16)],
)
def test_d06_a_quote_that_is_never_closed(book: Notebook, line: str, column: int) -> None:
    refused(book, f"%%macgpu {line}\n1", f"column {column} ", "never closed")


def test_d06_a_line_cannot_be_continued(book: Notebook) -> None:
    refused(book, "%%macgpu --cpu \\\n--as x", "backslash")


LONG = {
    "words": "x " * 50_000,
    "options": "--cpu " * 16_000,
    "quotes": "''" * 50_000,
    "open quotes": "'\"" * 50_000,
    "blanks": "--cpu" + " " * 100_000 + "x",
    "dashes": "-" * 100_000,
    "commas": "-i " + "," * 100_000,
    "brackets": "--on " + "(" * 100_000,
    "selector": "--on 'a in (" + "b," * 50_000 + ")'",
    "durations": "--timeout " + "1s" * 50_000 + "x",
    "digits": "--mem " + "1" * 100_000,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LONG)
def test_d06_a_hundred_kilobytes(book: Notebook, name: str) -> None:
    refused(book, f"%%macgpu {LONG[name]}\n1")


#: Pieces that a quote may come between.
PIECES = ["'", '"', "a", " ", "--as", "=", "\\", "#", "\u201c", "\u2014", "\t"]


def test_d06_every_short_line_is_read_or_answered_with_its_place() -> None:
    for pieces in itertools.product(PIECES, repeat=4):
        line = "".join(pieces)
        try:
            parse_cell(line)
        except OptionError as error:
            if "never closed" in error.what:
                shown, caret = error.what.splitlines()[-2:]
                assert shown[caret.index("^")] in "'\""
