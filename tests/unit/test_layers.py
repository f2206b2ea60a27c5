"""The house rules, as tests: who may import whom, what is pure, how long things are."""

from __future__ import annotations

import ast
import graphlib
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOT = PROJECT / "jupyter_macgpu"

#: Each floor may import from the floors listed before it; a wing also from itself.
FLOORS = [
    {"wire"},
    {"scheduling"},
    {
        "lending",
        "outflow",
        "parting",
        "probing",
        "screening",
        "standing",
        "steps",
        "tables",
        "words",
    },
    {"report"},
    {"grammar", "notebookfile", "recording"},
    {"axes", "entered", "mpserrors"},
    {"comparing"},
    {"amounts", "progress"},
    {"moments"},
    {"cell", "devices", "fleet", "gathering", "interrupts", "ledger", "notebook"},
    {"lengths", "statusline"},
    {"outputs"},
    {
        "conversation",
        "declined",
        "optionvalues",
        "reading",
        "recorder",
        "settings",
        "showing",
        "sticky",
        "terminal",
    },
    {"transport", "options", "typed", "verbtable"},
    {
        "inputs",
        "link",
        "placement",
        "reach",
        "variables",
        "verbs",
    },
    {"lanes", "swaps"},
    {"fetching", "findings", "inside", "lookout", "scouting", "sending", "statuses", "watched"},
    {"shipping"},
    {"execution", "monitor"},
    {"session"},
    {"commline", "widgetstates"},
    {"comms"},
    {"folder", "handed", "owners", "waiting"},
    {"getting", "putting"},
    {"binding", "pool", "submission"},
    {"fleetpool", "staying", "whereabouts"},
    {"placing"},
    {"runs", "way"},
    {"stations"},
    {"home", "homecoming", "trial"},
    {"applying", "doctor", "exits", "overview", "preview", "verdicts", "verifying"},
    {"closing", "completing", "job", "keyline"},
    {"detaching", "lastruns", "moving"},
    {"sweeping", "truth"},
    {"adding"},
    {"extension"},
    {"desks"},
    {"calls"},
    {"mapping"},
    {"functions"},
    {"widgets"},
    {"commands"},
    {"fleetcommands"},
    {"postmortem"},
    {"demo", "magic", "selftest", "simulation"},
    {"bookrun"},
    {"scripts"},
    {"cli", "server"},
    {"notebookjobs"},
]
#: The only files and folders that may name a third-party package.
OWNERS = {
    "IPython": {
        "__init__.py",
        "comms.py",
        "extension.py",
        "magic.py",
        "notebook.py",
        "outputs.py",
        "postmortem.py",
        "server/submitting.py",
        "statusline.py",
        "mac/worker/",
    },
    "anywidget": {"widgets/"},
    "cloudpickle": {"wire/values/"},
    "comm": {"comms.py"},
    "cronsim": {"server/"},
    "fabric": {"transport/ssh/"},
    "ipywidgets": {"widgets/"},
    "jsonschema": {"server/"},
    "jupyter_core": {"server/"},
    "jupyter_scheduler": {"notebookjobs/"},
    "jupyter_server": {"server/"},
    "matplotlib_inline": {"mac/worker/"},
    "mlx": {"wire/values/", "mac/worker/"},
    "nbclient": {"demo.py"},
    "nbformat": {"demo.py", "notebookjobs/"},
    "numpy": {"comparing.py", "entered.py", "wire/values/"},
    "pandas": {"sweeping.py", "wire/values/"},
    "paramiko": {"transport/ssh/"},
    "platformdirs": {"fleet/"},
    "psutil": {"notebookjobs/"},
    "ruamel": {"fleet/", "server/contract.py"},
    "torch": {"wire/values/", "mac/worker/"},
    "tornado": {"server/"},
    "traitlets": {"mac/worker/", "notebookjobs/", "server/", "widgets/"},
    "zeroconf": {"fleet/"},
}
#: Pure: no IO, no clock. Time and bytes come in as arguments.
PURE = {
    "amounts.py",
    "axes.py",
    "comparing.py",
    "entered.py",
    "wire/",
    "fleet/document.py",
    "fleet/draft.py",
    "fleet/fields.py",
    "fleet/hosts.py",
    "fleet/kinds.py",
    "fleet/layers.py",
    "fleet/pacing.py",
    "fleet/problems.py",
    "fleet/profiles.py",
    "fleet/schema.py",
    "fleet/sharers.py",
    "fleet/seen.py",
    "fleet/splice.py",
    "findings.py",
    "grammar.py",
    "declined.py",
    "mpserrors.py",
    "moments.py",
    "mac/bounds.py",
    "mac/jobs.py",
    "mac/jobrequests.py",
    "mac/succession.py",
    "mac/estimates.py",
    "mac/backlog.py",
    "mac/leases.py",
    "mac/pressure.py",
    "mac/queues.py",
    "mac/reservations.py",
    "mac/shelf.py",
    "mac/turns.py",
    "options.py",
    "optionvalues.py",
    "placement.py",
    "swaps.py",
    "reading.py",
    "scheduling/",
    "recording.py",
    "screening.py",
    "server/inbox.py",
    "server/rows.py",
    "showing.py",
    "tables.py",
    "standing.py",
    "simulation/weather.py",
    "verbs.py",
    "widgets/pages.py",
    "widgets/readings.py",
    "widgets/viewers.py",
    "widgetstates.py",
    "words.py",
}
IMPURE_MODULES = {
    "_thread",
    "asyncio",
    "fcntl",
    "mmap",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
IMPURE_CALLS = {"breakpoint", "input", "open", "print", "now", "today", "utcnow"}
#: A room without a purpose is where everything ends up.
FORBIDDEN_NAMES = {"common", "core", "helper", "helpers", "misc", "util", "utils"}

FILES = sorted(ROOT.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def wing(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_in(path: Path, places: set[str]) -> bool:
    return any(name(path) == p or (p.endswith("/") and name(path).startswith(p)) for p in places)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, wherever in it, in full."""
    package = ("jupyter_macgpu", *path.relative_to(ROOT).parent.parts)
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{prefix}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found)


def our_wings(path: Path) -> set[str]:
    ours = {dotted.split(".")[1] for dotted in imports(path) if is_ours(dotted)}
    return ours - {wing(path), "__version__"}


def is_ours(dotted: str) -> bool:
    return dotted.startswith("jupyter_macgpu.")


def outside(path: Path) -> set[str]:
    return {dotted.split(".")[0] for dotted in imports(path) if not is_ours(dotted)}


def third_party(path: Path) -> set[str]:
    # _typeshed exists for type checkers alone.
    return outside(path) - set(sys.stdlib_module_names) - {"_typeshed"}


def module_file(dotted: str) -> Path | None:
    """Return the file of ours that holds a dotted name, or the name itself."""
    for parts in (dotted.split(".")[1:], dotted.split(".")[1:-1]):
        for candidate in (ROOT.joinpath(*parts, "__init__.py"), ROOT.joinpath(*parts)):
            file = candidate if candidate.suffix else candidate.with_suffix(".py")
            if parts and file.is_file():
                return file
    return None


def parametrize_files(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=name)


@parametrize_files([p for p in FILES if wing(p) not in ("mac", "__init__")])
def test_a_file_imports_only_from_the_floors_below(path: Path) -> None:
    floors = [i for i, wings in enumerate(FLOORS) if wing(path) in wings]
    assert floors, f"{wing(path)} has no floor: give it one in FLOORS"
    below = set().union(*FLOORS[: floors[0]])
    assert our_wings(path) <= below


def test_the_package_itself_imports_nothing_until_it_is_used() -> None:
    at_import = [
        node
        for node in tree(ROOT / "__init__.py").body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    modules = {ast.unparse(node) for node in at_import}
    assert modules <= {"from __future__ import annotations", "from typing import TYPE_CHECKING"}


def test_nobody_imports_what_runs_on_the_mac() -> None:
    assert [name(p) for p in FILES if wing(p) != "mac" and "mac" in our_wings(p)] == []


@parametrize_files([p for p in FILES if wing(p) == "mac"])
def test_what_runs_on_the_mac_needs_only_wire_and_python(path: Path) -> None:
    assert our_wings(path) <= {"wire"}
    worker = {"IPython", "matplotlib_inline", "mlx", "torch", "traitlets"}
    assert third_party(path) <= (worker if is_in(path, {"mac/worker/"}) else set())


@parametrize_files(FILES)
def test_a_third_party_package_has_its_owners(path: Path) -> None:
    strangers = {p for p in third_party(path) if not is_in(path, OWNERS.get(p, set()))}
    assert not strangers, "each third-party package is named by its owners alone, see OWNERS"


@parametrize_files([p for p in FILES if is_in(p, PURE)])
def test_a_pure_file_does_no_input_or_output_and_reads_no_clock(path: Path) -> None:
    assert outside(path) & IMPURE_MODULES == set()
    called = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {call.id for call in called if isinstance(call, ast.Name)}
    methods = {call.attr for call in called if isinstance(call, ast.Attribute)}
    assert (names | methods) & IMPURE_CALLS == set()


def test_no_imports_go_in_a_circle() -> None:
    graph = {
        path: {
            file for dotted in imports(path) if is_ours(dotted) and (file := module_file(dotted))
        }
        - {path}
        for path in FILES
    }
    assert list(graphlib.TopologicalSorter(graph).static_order())


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has, its docstring not counted."""
    first = function.body[0]
    is_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@parametrize_files(FILES)
def test_files_and_functions_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400
    long = {
        f"{node.name}: {length(node)} lines"
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length(node) > 40
    }
    assert long == set()


@pytest.mark.parametrize("folder", ["jupyter_macgpu", "tests", "bench", "tools"])
def test_no_file_is_named_for_nothing(folder: str) -> None:
    files = (PROJECT / folder).rglob("*.py")
    assert [p for p in files if {p.stem, *p.relative_to(PROJECT).parts} & FORBIDDEN_NAMES] == []
