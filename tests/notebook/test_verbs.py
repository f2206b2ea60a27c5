"""What `%macgpu VERB` and the `macgpu` command say and do."""

from __future__ import annotations

import json

import pytest
from IPython.utils.capture import capture_output

from jupyter_macgpu import cli
from jupyter_macgpu.options import CELL_OPTIONS
from jupyter_macgpu.verbtable import VERBS
from jupyter_macgpu.wire.errors import MacGPUError, RemoteValueError
from tests.inputs.shell import notebook


@pytest.fixture(scope="module")
def book(own_state):
    with notebook() as opened:
        yield opened


def test_status_shows_the_host_and_its_slots(book):
    ran = book.run("%macgpu status").error_is(None)
    assert "this-machine" in ran.text
    assert "ready" in ran.text
    rows = json.loads(book.run("%macgpu status --json").text)
    assert rows[0]["slots"] == 1
    assert rows[0]["state"] == "ready"


@pytest.mark.parametrize(
    ("line", "of"),
    [
        ("status", "this-machine"),
        ("verify", "this-machine"),
        ("runs", "listed"),
        ("where", "would run on this-machine"),
        ("why last", "went to this-machine"),
        ("describe this-machine", "state"),
        ("doctor", "interpreter"),
    ],
)
def test_what_is_found_is_a_table_of_a_page_where_one_is_shown(book, line, of):
    book.run("%%macgpu --as listed\n1").error_is(None)
    with capture_output() as shown:
        book.shell.run_cell(f"%macgpu {line}")
    (output,) = shown.outputs
    assert "<table " in output.data["text/html"]
    assert of in output.data["text/html"]
    assert "<table" not in output.data["text/plain"]
    assert of in output.data["text/plain"]


def test_help_has_all_options_and_verbs_on_one_screen(book):
    text = book.run("%%macgpu?").error_is(None).text
    assert all(option.names[-1] in text for option in CELL_OPTIONS)
    assert all(name in text for name, verb in VERBS.items() if not verb.shell_only)
    assert len(text.splitlines()) <= 50


def test_a_named_run_is_listed_and_its_output_shown_again(book, capsys):
    book.run("%%macgpu --as hello\nprint('once more')\n6 * 7").error_is(None)
    rows = json.loads(book.run("%macgpu runs --json").text)
    newest = rows[-1]
    assert newest["name"] == "hello"
    assert newest["state"] == "ok"
    for wanted in ("hello", newest["run"][:6], "last"):
        assert "once more" in book.run(f"%macgpu logs {wanted}").text
    assert cli.main(["logs", newest["run"][:8]]) == 0
    assert "once more\n42\n" in capsys.readouterr().out
    printed = {"output_type": "stream", "name": "stdout", "text": "once more\n"}
    assert json.loads(book.run("%macgpu logs hello --json").text)[0] == printed
    assert cli.main(["logs", "hello", "--json"]) == 0
    stream, result = json.loads(capsys.readouterr().out)
    assert stream == printed
    assert result["data"] == {"text/plain": "42"}


def test_an_ended_run_is_forgotten_when_that_is_asked(book):
    book.run("%%macgpu --as gone\n1").error_is(None)
    book.run("%macgpu rm gone").error_is(None)
    book.run("%macgpu logs gone").error_is(MacGPUError)


def test_an_ended_run_cannot_be_cancelled(book):
    book.run("%%macgpu --as over\n1").error_is(None)
    ran = book.run("%macgpu cancel over").error_is(MacGPUError)
    assert "ended already" in ran.text


def test_what_cannot_travel_stays_and_is_used_listed_fetched_and_freed(book):
    book.run("%%macgpu\ncount = iter(range(5))\nsquares = (n * n for n in range(9))").error_is(None)
    assert "generator" in book.run("squares").text
    book.run("next(squares)").error_is(RemoteValueError)
    assert book.run("%%macgpu\nprint(next(squares), next(squares))").text == "0 1\n"
    assert "squares" in book.run("%macgpu values").text
    book.run("%macgpu free squares").error_is(None)
    assert "squares" not in book.names
    assert "squares" not in book.run("%macgpu values").text


def test_a_large_value_stays_until_it_is_fetched(book):
    book.run("%macgpu config return=1KiB").error_is(None)
    book.run("%%macgpu\nlarge = list(range(5000))").error_is(None)
    book.run("%macgpu config return=auto").error_is(None)
    assert "larger than 1 KiB" in book.run("large").text
    book.run("%%macgpu\nlarge.append('end')").error_is(None)
    fetched = book.names["large"].fetch()
    assert fetched[:3] == [0, 1, 2]
    assert fetched[-1] == "end"


def test_a_restart_ends_the_worker_and_says_what_is_gone(book):
    book.run("%%macgpu\nimport os; first = os.getpid()\nlives = (n for n in [1, 2])").error_is(None)
    ran = book.run("%macgpu restart").error_is(None)
    assert "fresh one" in ran.text
    book.run("%%macgpu\nimport os; second = os.getpid()").error_is(None)
    assert book.names["first"] != book.names["second"]
    text = book.run("%%macgpu\nnext(lives)").text
    assert "The input lives lived in a worker that has ended, and went with it." in text
    assert "Run the cell that made it again" in text
    assert "Install" not in text


def test_where_nothing_has_run_there_is_nothing_to_run_again(state):
    with notebook() as opened:
        assert "Run a %%macgpu cell first." in opened.run("%macgpu report").text


def test_a_time_limit_stops_the_run_and_keeps_what_it_changed(book):
    book.run("done = []").error_is(None)
    ran = book.run(
        "%%macgpu --timeout 2s\nimport time\nfor n in range(99):\n    done.append(n)\n"
        "    time.sleep(0.1)"
    )
    assert ran.error is not None
    assert 0 < len(book.names["done"]) < 99
    assert json.loads(book.run("%macgpu runs --json").text)[-1]["state"] == "cancelled"


def test_only_named_environment_variables_are_seen(book, monkeypatch):
    monkeypatch.setenv("HIDDEN_TOKEN", "no")
    monkeypatch.setenv("SHOWN_NAME", "yes")
    ran = book.run(
        "%%macgpu --setenv SHOWN_NAME\nimport os\n"
        "print(os.environ.get('HIDDEN_TOKEN'), os.environ.get('SHOWN_NAME'))"
    )
    assert ran.text == "None yes\n"
    assert book.run("%%macgpu\nimport os\nprint(os.environ.get('SHOWN_NAME'))").text == "None\n"


def test_only_the_named_results_come_back(book):
    book.run("%%macgpu -o kept\nkept, left = 1, 2").error_is(None)
    assert book.names["kept"] == 1
    assert "left" not in book.names


def test_the_device_is_a_name_that_nobody_has_to_define(book):
    ran = book.run("%%macgpu\nprint(device)")
    assert ran.text in ("cpu\n", "mps\n", "cuda\n")
    assert "device" not in book.names
    book.run("%%macgpu\ndevice = device + '!'").error_is(None)
    assert book.names.pop("device").endswith("!")


@pytest.mark.parametrize("words", [["runs", "--json"], ["status", "--json"]])
def test_the_command_prints_json(book, capsys, words):
    assert cli.main(words) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


@pytest.mark.parametrize(
    ("words", "code"),
    [(["stats"], 2), (["runs", "--jsn"], 2), (["values"], 2), (["logs", "ffff"], 1), ([], 0)],
)
def test_the_command_answers_with_stable_exit_codes(book, capsys, words, code):
    assert cli.main(words) == code


def test_what_to_do_next_is_said_in_the_words_of_a_shell(book, capsys):
    for words, wanted in [
        (["logs", "ffff"], "\nmacgpu runs lists the runs that are known.\n"),
        (["where", "--on", "a b"], "\nmacgpu status lists the hosts.\n"),
        (["values"], "\nUse %macgpu values in the notebook.\n"),
    ]:
        assert cli.main(words) != 0
        assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("ask", [["{}", "--help"], ["{}", "-h"], ["help", "{}"]])
def test_the_command_explains_each_verb_and_does_nothing(capsys, verb, ask):
    assert cli.main([word.format(verb) for word in ask]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"macgpu {verb}")
    assert VERBS[verb].help in said
    assert all(option.help in said for option in VERBS[verb].options)


def test_the_help_that_a_program_has_is_its_own(capsys):
    assert cli.main(["run", "--", "true", "--help"]) == 0
    assert "macgpu run" not in capsys.readouterr().out
