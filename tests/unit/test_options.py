"""What may stand behind %%macgpu and %macgpu, as tables."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from jupyter_macgpu import options, verbs, verbtable
from jupyter_macgpu.options import CellOptions, parse_cell
from jupyter_macgpu.optionvalues import After, Liking, Verify
from jupyter_macgpu.scheduling.selectors import parse_selector
from jupyter_macgpu.scheduling.taints import Toleration
from jupyter_macgpu.verbs import Command, parse_arguments, parse_verb
from jupyter_macgpu.words import OptionError, Word, split

README = Path(__file__).parents[2] / "README.md"

GOOD_LINES = {
    "": CellOptions(),
    "   ": CellOptions(),
    "--sweep lr=1,2 seed=0..4 --max 2": CellOptions(sweep=("lr=1,2", "seed=0..4"), most=2),
    "--sweep 'a=(1, 2),3' --cpu": CellOptions(sweep=("a=(1, 2),3",), cpu=True),
    "--on studio-1": CellOptions(on="studio-1"),
    "--on=studio-1": CellOptions(on="studio-1"),
    "--on 'studio-1'": CellOptions(on="studio-1"),
    '--on="studio-1"': CellOptions(on="studio-1"),
    "-i a,b": CellOptions(inputs=("a", "b")),
    "--in a --in b,a": CellOptions(inputs=("a", "b")),
    "-i=größe": CellOptions(inputs=("größe",)),
    "-o model": CellOptions(outputs=("model",)),
    "--out model -o loss": CellOptions(outputs=("model", "loss")),
    "--timeout 10s": CellOptions(timeout=10.0),
    "--timeout 5m --wait 2h": CellOptions(timeout=300.0, wait=7200.0),
    "--timeout 1h30m": CellOptions(timeout=5400.0),
    "--wait 500ms": CellOptions(wait=0.5),
    "--wait 1.5h": CellOptions(wait=5400.0),
    "--cpu --again --yes --dry-run": CellOptions(cpu=True, again=True, yes=True, dry_run=True),
    "--as night-run": CellOptions(name="night-run"),
    "--detach --retry 3": CellOptions(detach=True, retry=3),
    "--after first --after any:7f3a": CellOptions(
        after=(After(run="first"), After(run="7f3a", whatever=True))
    ),
    "--setenv HF_TOKEN --setenv=WANDB_MODE": CellOptions(setenv=("HF_TOKEN", "WANDB_MODE")),
    "--files data --files 'a b.csv'": CellOptions(files=("data", "a b.csv")),
    "\t--cpu  --on   mini ": CellOptions(cpu=True, on="mini"),
    "--on 'gpu-type=metal,chip in (m2-ultra, m3-ultra)'": CellOptions(
        on="gpu-type=metal,chip in (m2-ultra, m3-ultra)"
    ),
    "--profile train --mem 24GB": CellOptions(profile="train", mem=24 * 10**9),
    "--verify cpu": CellOptions(verify=Verify()),
    "--verify cpu=1e-3": CellOptions(verify=Verify(tolerance=0.001)),
    "--verify=cpu=0": CellOptions(verify=Verify(tolerance=0.0)),
    "--fallbacks": CellOptions(fallbacks=True),
    "--priority -3": CellOptions(priority=-3),
    "--priority=+2": CellOptions(priority=2),
    "--mem=1.5GiB": CellOptions(mem=3 * 2**29),
    "--tolerate apple.com/gpu --tolerate spot=yes:NoExecute": CellOptions(
        tolerate=(
            Toleration(key="apple.com/gpu", operator="Exists"),
            Toleration(key="spot", value="yes", effect="NoExecute"),
        )
    ),
    "--prefer room=lab --prefer 'chip in (m2, m3):50'": CellOptions(
        prefer=(
            Liking(selector=parse_selector("room=lab")),
            Liking(selector=parse_selector("chip in (m2, m3)"), weight=50),
        )
    ),
}


@pytest.mark.parametrize("line", GOOD_LINES, ids=repr)
def test_a_good_line_is_read(line: str) -> None:
    assert parse_cell(line) == GOOD_LINES[line]


#: line -> what the answer must name: the mistake, and then the way out.
BAD_LINES = {
    "--verify": ("--verify has no value", "--verify cpu[=TOLERANCE]"),
    "--verify mps": ("can be compared with the CPU alone", "--verify cpu=1e-3"),
    "--verify cpu=much": ("a number from 0 to below 1", "--verify cpu=1e-3"),
    "--verify cpu=1": ("a number from 0 to below 1", "--verify cpu=1e-3"),
    "--verify cpu=nan": ("a number from 0 to below 1", "--verify cpu=1e-3"),
    "--verify cpu=-1e-3": ("a number from 0 to below 1", "--verify cpu=1e-3"),
    "--verify cpu --cpu": ("it runs there already", "Leave out one of the two"),
    "--verify cpu --detach": ("nobody waits for it", "Leave out --detach"),
    "--verify cpu --sweep a=1,2": ("nobody waits for it", "Leave out --sweep"),
    "--detch": ("--detch is not an option", "Did you mean --detach?"),
    "--sweeep": ("--sweeep is not an option", "Did you mean --sweep?"),
    "--after any:": ("this is no run", "--after RUN"),
    "--max 2": ("--max belongs to --sweep", "write both"),
    "--sweep a=1 --max 0": ("this is no number of runs", "--max 2"),
    "--sweep a=1 a=2": ("a stands there twice", "Put all its values behind one ="),
    "--sweep": ("--sweep has no value", "--sweep NAME=VALUES"),
    "--sweep a=1 word": ("word is not NAME=VALUES", "--sweep lr=1e-3"),
    "--retry 0": ("no whole number from 1", "--retry 3"),
    "--retry 1e3": ("no whole number from 1", "--retry 3"),
    "--onn x": ("--onn is not an option", "Did you mean --on?"),
    "--CPU": ("--CPU is not an option", "Did you mean --cpu?"),
    "--frob": ("--frob is not an option", "takes --after"),
    "--zzzzzz": ("--zzzzzz is not an option", "--dry-run"),
    "--dry": ("Abbreviations are not taken", "--dry-run"),
    "--time": ("--time is not an option", "--timeout"),
    "--cpu --cpu": ("--cpu is given twice", "Keep one"),
    "--on a --on=b": ("--on is given twice", "Keep one"),
    "--on": ("--on has no value", "--on HOST"),
    "--on=": ("--on has no value", "--on HOST"),
    "--on ''": ("--on has no value", "--on HOST"),
    "--on --cpu": ("--cpu follows it", "--on"),
    "--on -i=a": ("-i=a follows it", "--on"),
    "--on 'a b'": ("cannot be the name of a host", "%macgpu status"),
    "--on 'chip in (m2'": ("no selector: found '', expected: ',' or ')'", "chip in (m2-ultra"),
    "--on room=lab,": ("no selector: found ''", "chip in (m2-ultra"),
    "--on 'room = 1 2'": ("no selector: found '2'", "chip in (m2-ultra"),
    "--cpu=1": ("--cpu takes no value", "--cpu alone"),
    "studio-1": ("studio-1 is not an option", "--on"),
    "-i a, b": ("beside a comma", "a,b without spaces"),
    "-i a,,b": ("beside a comma", "a,b without spaces"),
    "-i model.weight": ("model.weight is an attribute", "Write model"),
    "-i class": ("'class' is not the name of a variable", "a,b"),
    "-o 1x": ("'1x' is not the name of a variable", "a,b"),
    "--timeout 10": ("unit is missing", "10s, 10m or 10h"),
    "--timeout 0s": ("would stop every cell", "10s, 5m, 2h"),
    "--timeout 1:30:00": ("no length of time", "10s, 5m, 2h"),
    "--timeout -5s": ("no length of time", "10s, 5m, 2h"),
    "--wait 5 m": ("unit is missing", "5m"),
    "--wait ١s": ("no length of time", "10s, 5m, 2h"),
    "--as last": ("the last run", "letters"),
    "--as face": ("id of a run: it is of digits and the letters a to f alone", "--as face-run"),
    "--as 'a b'": ("cannot be the name of a run", "letters"),
    "--setenv A=1": ("the value is the notebook's own", "os.environ['A']"),
    "--setenv A,B": ("not the name of an environment variable", "once for each"),
    "--on 'studio": ("quote at column 6 is never closed", "another '"),
    '--on studio"': ("quote at column 12 is never closed", 'another "'),
    "--on “studio”": ("“ (LEFT DOUBLE QUOTATION MARK)", "plain"),
    "—cpu": ("— (EM DASH)", "plain hyphens"),
    "–-on x": ("– (EN DASH)", "plain hyphens"),
    "--cpu # fast": ("comment", "body"),
    "--cpu \\": ("continued with a backslash", "first line"),
    "--gres=gpu:1": ("--gres is not an option", "--cpu"),
    "--gpus 1": ("--gpus is not an option", "--cpu"),
    "--time=1:00": ("--time is not an option", "--timeout"),
    "-t 5": ("-t is not an option", "--timeout"),
    "-w mini": ("-w is not an option", "--on"),
    "--nodes 2": ("--nodes is not an option", "one host"),
    "--mem 24": ("the unit is missing", "24GB or 24MB"),
    "--mem 24G": ("the unit is cut short", "24GB or 24GiB"),
    "--mem much": ("not a size", "24GB"),
    "--mem 0GB": ("no memory at all", "--mem 24GB"),
    "--mem 1GB --mem 2GB": ("--mem is given twice", "Keep one"),
    "--memory 1GB": ("--memory is not an option", "--mem SIZE"),
    "--profile 'a b'": ("cannot be the name of a profile", "--profile train"),
    "--partition gpu": ("--partition is not an option", "--profile NAME"),
    "--tolerate :NoSchedule": ("the name is empty", "KEY=VALUE:EFFECT"),
    "--tolerate a:Never": ("'Never' is none of", "apple.com/gpu:NoSchedule"),
    "--tolerate a=b=c": ("a value has letters", "KEY=VALUE:EFFECT"),
    "--prefer 'a b'": ("found 'b'", "--prefer room=lab:50"),
    "--prefer room=lab:0": ("from 1 to 100", "room=lab:50"),
    "--prefer room=lab:9999999999999": ("from 1 to 100", "room=lab:50"),
    "--prefer :50": ("a label is missing", "room=lab:50"),
    "--priority 6": ("from -5 to 5", "--priority 2"),
    "--priority high": ("a whole number", "--priority 2"),
    "--noblock": ("--noblock is not an option", "Write --detach"),
}


@pytest.mark.parametrize("line", BAD_LINES, ids=repr)
def test_a_bad_line_is_answered_with_the_mistake_and_the_way_out(line: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_cell(line)
    mistake, way_out = BAD_LINES[line]
    assert mistake in caught.value.what
    assert way_out in caught.value.next
    assert "nothing was sent" in caught.value.known
    assert caught.value.kept


LATER = """
    --env --with
    --hosts --engine
    """.split()


@pytest.mark.parametrize("name", LATER)
def test_an_option_of_a_later_version_is_known_but_not_taken(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} is not available in this version"):
        parse_cell(f"{name} x")
    with pytest.raises(OptionError, match=f"{name} is not available in this version"):
        parse_cell(f"{name}=x")


def test_an_error_points_at_the_place() -> None:
    with pytest.raises(OptionError) as caught:
        parse_cell("--cpu studio")
    line, caret = caught.value.what.splitlines()[1:]
    assert line[caret.index("^") :] == "studio"


def test_an_error_about_a_huge_word_stays_short() -> None:
    with pytest.raises(OptionError) as caught:
        parse_cell("--" + "x" * 1_000_000)
    assert len(str(caught.value)) < 1000


def test_an_error_survives_pickling() -> None:
    with pytest.raises(OptionError) as caught:
        parse_cell("--onn x")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.what, again.next) == (
        str(caught.value),
        caught.value.what,
        caught.value.next,
    )


def test_quotes_group_and_nothing_escapes() -> None:
    assert split(r"""a 'b c' d"e f"g C:\x""") == (
        Word(text="a", column=0),
        Word(text="b c", column=2, quoted=True),
        Word(text="de fg", column=8),
        Word(text=r"C:\x", column=16),
    )


GOOD_VERBS = {
    "status": Command(verb="status"),
    "status --json": Command(verb="status", json=True),
    "status -l room=lab --show-labels -o wide": Command(
        verb="status", labelled=parse_selector("room=lab"), show_labels=True, wide=True
    ),
    "status --watch": Command(verb="status", watch=True),
    "device": Command(verb="device"),
    "device studio-1 --json": Command(verb="device", arguments=("studio-1",), json=True),
    "describe studio --json": Command(verb="describe", arguments=("studio",), json=True),
    "where": Command(verb="where", cell=options.CellOptions()),
    "where --on studio --mem 2GB --json": Command(
        verb="where",
        cell=options.CellOptions(on="studio", mem=2 * 10**9),
        said="--on studio --mem 2GB",
        json=True,
    ),
    "why last": Command(verb="why", arguments=("last",)),
    "use room=lab": Command(verb="use", arguments=("room=lab",)),
    "use auto": Command(verb="use", arguments=("auto",)),
    "verify": Command(verb="verify"),
    "verify studio": Command(verb="verify", arguments=("studio",)),
    "runs": Command(verb="runs"),
    "attach 7f3a": Command(verb="attach", arguments=("7f3a",)),
    "attach last": Command(verb="attach", arguments=("last",)),
    "cancel night-run": Command(verb="cancel", arguments=("night-run",)),
    "logs last --json": Command(verb="logs", arguments=("last",), json=True),
    "rm --yes 7f3a": Command(verb="rm", arguments=("7f3a",), yes=True),
    "values": Command(verb="values"),
    "free": Command(verb="free"),
    "free a b": Command(verb="free", arguments=("a", "b")),
    "restart": Command(verb="restart"),
    "put a.csv data": Command(verb="put", arguments=("a.csv", "data")),
    "put a.csv --to data --yes": Command(verb="put", arguments=("a.csv",), to="data", yes=True),
    "get runs/*.pt --to=out": Command(verb="get", arguments=("runs/*.pt",), to="out"),
    "files": Command(verb="files"),
    "files *.pt --json": Command(verb="files", arguments=("*.pt",), json=True),
    "config": Command(verb="config"),
    "config return=2GiB wait": Command(verb="config", arguments=("return=2GiB", "wait")),
}


@pytest.mark.parametrize("line", GOOD_VERBS)
def test_a_verb_means_the_same_in_a_notebook_and_in_a_shell(line: str) -> None:
    assert parse_verb(line) == GOOD_VERBS[line]
    assert parse_arguments(line.split()) == GOOD_VERBS[line]


BAD_VERBS = {
    "": ("without a verb", "status, describe"),
    "statsu": ("statsu is not a verb", "Did you mean status?"),
    "detatch": ("detatch is not a verb", "Did you mean detach?"),
    "upgrad": ("upgrad is not a verb", "Did you mean upgrade (which is not available"),
    "qwertz": ("qwertz is not a verb", "status, describe"),
    "device studio-1 studio-2": ("takes one host at most", "%macgpu device [HOST]"),
    "upgrade studio-1": ("upgrade is not available in this version", "status"),
    "drain studio-1": ("drain is not a verb of %macgpu", "In a shell: macgpu drain HOST"),
    "pause 1h": ("pause is not a verb of %macgpu", "In a shell: macgpu pause TIME"),
    "run x.py": ("run is not a verb of %macgpu", "In a shell: macgpu run PROGRAM..."),
    "describe": ("takes one host", "describe HOST"),
    "use": ("takes one place", "in quotes"),
    "use room in (lab)": ("takes one place", "in quotes"),
    "why": ("none is given", "why RUN"),
    "where studio": ("takes no studio", "where [OPTION...]"),
    "where --mem lots": ("--mem lots", "Write"),
    "status -l a,,b": ("-l a,,b", ""),
    "status -o yaml": ("there is no such form", "-o wide"),
    "attach": ("none is given", "attach RUN"),
    "put": ("none is given", "put PATH..."),
    "put -rf": ("-rf is not an option of %macgpu put", "--to"),
    "get --to x": ("none is given", "get PATH..."),
    "get a --to x --to y": ("--to is given twice", "Keep one"),
    "cancel a b": ("2 are given", "cancel RUN"),
    "runs 7f3a": ("takes no 7f3a", "runs"),
    "restart --json": ("--json is not an option of %macgpu restart", "--yes"),
    "status --jsno": ("--jsno is not an option of %macgpu status", "Did you mean --json?"),
    "free a.b": ("a.b is not the name of a variable", "free [NAME...]"),
    "config return = 2GiB": ("= is not a setting", "no spaces"),
    "config return=": ("return= is not a setting", "no spaces"),
    "status # now": ("comment", "line of its own"),
    "demo": ("demo is not a verb of %macgpu", "In a shell: macgpu demo."),
}


@pytest.mark.parametrize("line", BAD_VERBS, ids=repr)
def test_a_bad_verb_line_is_answered_with_the_mistake_and_the_way_out(line: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_verb(line)
    mistake, way_out = BAD_VERBS[line]
    assert mistake in caught.value.what
    assert way_out in caught.value.next


SHELL_VERBS = {
    "add me@studio mini --yes --restrict": Command(
        verb="add", arguments=("me@studio", "mini"), yes=True, restrict=True
    ),
    "add --print-key-line studio": Command(verb="add", arguments=("studio",), print_key_line=True),
    "discover --wait 5s --json": Command(verb="discover", wait=5.0, json=True),
    "import ssh studio-*": Command(verb="import", arguments=("ssh", "studio-*")),
    "diff": Command(verb="diff"),
    "apply studio --as-user root --yes": Command(
        verb="apply", arguments=("studio",), as_user="root", yes=True
    ),
    "schema": Command(verb="schema"),
    "drain studio --as-user root": Command(verb="drain", arguments=("studio",), as_user="root"),
    "undrain studio": Command(verb="undrain", arguments=("studio",)),
    "pause 1h": Command(verb="pause", arguments=("1h",)),
    "resume": Command(verb="resume"),
}


@pytest.mark.parametrize("line", SHELL_VERBS)
def test_what_is_about_the_fleet_is_for_the_shell_alone(line: str) -> None:
    assert parse_arguments(line.split()) == SHELL_VERBS[line]
    with pytest.raises(OptionError, match="is not a verb of %macgpu"):
        parse_verb(line)


@pytest.mark.parametrize("words", [["--once"], ["--seed", "3"], ["--seed", "0"]])
def test_what_is_about_simulated_macs_needs_their_number(words: list[str]) -> None:
    with pytest.raises(OptionError, match=f"{words[0]} belongs to --fleet"):
        parse_arguments(["demo", *words])
    assert parse_arguments(["demo", "--fleet", "3", *words]).fleet == 3


@pytest.mark.parametrize("verb", ["add", "import"])
def test_a_verb_that_lacks_what_it_is_about_says_so(verb: str) -> None:
    with pytest.raises(OptionError, match=r"takes [A-Z]+\.\.\.; none is given"):
        parse_arguments([verb])


def test_demo_is_a_verb_of_the_shell_alone() -> None:
    assert parse_arguments(["demo"]) == Command(verb="demo")
    assert "demo" in verbs.help_text(in_shell=True)
    assert "demo" not in verbs.help_text(in_shell=False)


def test_the_readme_lists_every_option_and_every_verb() -> None:
    text = README.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE))
    wanted = {f"{', '.join(o.names)} {o.value}".rstrip() for o in options.CELL_OPTIONS}
    wanted |= {f"{name} {verb.takes}".rstrip() for name, verb in verbtable.VERBS.items()}
    assert wanted <= rows
