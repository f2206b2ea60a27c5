"""Which names a cell reads, from its text.

The compiler knows better than a symbol table: `x += 1` and `del x` read `x`, a
comprehension's variable is nobody's business. Where the text hides code in strings,
as IPython's magics and shell escapes do, the strings are read too. A name too many
costs a copy, a name too few a NameError: in doubt a name is read.
"""

from __future__ import annotations

import ast
import functools
import re
import string
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .wire.values.sources import names_deleted, names_used

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
#: Cell magics whose body is another language, even where it happens to compile.
_OTHER_LANGUAGES = {
    "bash", "cmd", "file", "html", "HTML", "javascript", "js", "latex", "markdown", "perl",
    "powershell", "pwsh", "ruby", "script", "sh", "svg", "SVG", "sx", "writefile", "!",
}  # fmt: skip
#: An option at the start of a magic's line: `-n1`, `-r 3`, `--no-raise-error`, `-o name`.
_OPTION = re.compile(r"\s*--?[A-Za-z][\w-]*(=\S+)?\s*")
_DOLLAR = re.compile(r"\$(\w+)")
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a cell reads.

    Attributes
    ----------
    names
        Names of the namespace, in the order in which the text names them. Not all of
        them exist: builtins are among them, and what the cell makes in a branch.
    attributes
        What stands behind a dot. It decides which submodules a package needs.
    binds
        Names that its text binds at the top level, in branches and loops too.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    binds: frozenset[str] = _NOTHING


@functools.lru_cache(maxsize=256)
def names_read(
    source: str,
    *,
    flags: int = 0,
    transform: Callable[[str], str] | None = None,
) -> Reading:
    """Return the names that a cell reads before it has bound them itself.

    Parameters
    ----------
    source
        The cell as IPython's transformer leaves it: Python.
    flags
        The compiler flags of the shell, which remember `from __future__` imports.
    transform
        IPython's transformer, for the bodies of cell magics. None leaves them unread.

    Returns
    -------
    Reading
        Remembered for a cell that is run again.

    Raises
    ------
    SyntaxError
        If the source is not Python.
    """
    reader = _Reader(flags | _FLAGS, transform)
    with warnings.catch_warnings():
        # What the compiler warns of is shown where the cell runs.
        warnings.simplefilter("ignore")
        reader.read(source)
    return Reading(
        names=tuple(reader.names),
        attributes=frozenset(reader.attributes),
        binds=frozenset(reader.binds),
    )


class _Reader:
    def __init__(self, flags: int, transform: Callable[[str], str] | None) -> None:
        self.flags = flags
        self.transform = transform
        self.names: dict[str, None] = {}
        self.attributes: set[str] = set()
        self.binds: set[str] = set()

    def read(self, source: str, bound: frozenset[str] = _NOTHING) -> None:
        tree = compile(source, "<cell>", "exec", self.flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        # Once as a whole: a statement compiles alone that is an error in its cell.
        compile(source, "<cell>", "exec", self.flags, dont_inherit=True)
        assert isinstance(tree, ast.Module)
        self._block(tree.body, bound)

    def _block(self, body: list[ast.stmt], bound: frozenset[str]) -> frozenset[str]:
        """Read statements in order; return the names that are bound after them for sure."""
        for statement in body:
            bound = self._statement(statement, bound)
        return bound

    def _statement(self, statement: ast.stmt, bound: frozenset[str]) -> frozenset[str]:
        self.binds |= _binds(statement)
        match statement:
            case ast.If(test=test, body=body, orelse=orelse):
                self._expression(test, bound)
                return self._block(body, bound) & self._block(orelse, bound)
            case ast.For(iter=iterable, body=body, orelse=orelse, target=target):
                self._expression(iterable, bound)
                self._target(target, bound)
                self._block(body, bound | _stored(target))
                self._block(orelse, bound)
                return bound
            case ast.While(test=test, body=body, orelse=orelse):
                self._expression(test, bound)
                self._block(body, bound)
                self._block(orelse, bound)
                return bound
            case ast.With(items=items, body=body):
                within = bound
                for item in items:
                    self._expression(item.context_expr, within)
                    if item.optional_vars is not None:
                        self._target(item.optional_vars, within)
                        within |= _stored(item.optional_vars)
                self._block(body, within)
                # The manager may swallow an error: only its own targets are sure.
                return within
        self._leaf(statement, bound)
        return (bound | _bound_by(statement)) - _deleted_by(statement)

    def _leaf(self, statement: ast.stmt, bound: frozenset[str]) -> None:
        self._compiled(ast.Module([statement], type_ignores=[]), "exec", bound)
        self._magics(statement, bound)

    def _expression(self, expression: ast.expr, bound: frozenset[str]) -> None:
        self._compiled(ast.Expression(expression), "eval", bound)
        self._magics(expression, bound)

    def _target(self, target: ast.expr, bound: frozenset[str]) -> None:
        """Read what a target reads: `x[i]` and `x.y` read `x`."""
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._add([node.id], bound)

    def _compiled(
        self, tree: ast.Module | ast.Expression, mode: str, bound: frozenset[str]
    ) -> None:
        try:
            code = compile(tree, "<cell>", mode, self.flags, dont_inherit=True)
        except SyntaxError:
            # `break` in a loop's body is an error on its own. Take every name there is.
            everything = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
            self._add(everything, bound)
            return
        names, attributes = names_used(code)
        # What is deleted has to be there, even if the cell binds it first: otherwise
        # nobody would see that it went.
        self._add(names, bound - names_deleted(code))
        self.attributes |= attributes

    def _add(self, names: Iterable[str], bound: frozenset[str]) -> None:
        self.names.update(dict.fromkeys(name for name in names if name not in bound))

    def _magics(self, node: ast.AST, bound: frozenset[str]) -> None:
        for method, arguments in _shell_calls(node):
            if method in ("run_line_magic", "run_cell_magic") and len(arguments) > 1:
                self._magic_line(arguments[1], bound)
                if len(arguments) > 2 and arguments[0] not in _OTHER_LANGUAGES:
                    self._try(arguments[2], bound, cell=True)
            elif arguments:
                self._expansions(arguments[0], bound)

    def _magic_line(self, line: str, bound: frozenset[str]) -> None:
        self._expansions(line, bound)
        # Without its options the rest may be Python: `%timeit -n1 f(x)`. An option may
        # take a word of its own (`-r 3 f(x)`), so that word is left out as well.
        rest = line
        while True:
            self._try(rest, bound)
            option = _OPTION.match(rest)
            if option is None:
                break
            rest = rest[option.end() :]
            self._try(rest.partition(" ")[2], bound)

    def _try(self, source: str, bound: frozenset[str], *, cell: bool = False) -> None:
        """Read code that may as well be something else."""
        if not source.strip():
            return
        try:
            if cell and self.transform is not None:
                source = self.transform(source)
            self.read(source, bound)
        except (SyntaxError, ValueError):
            return

    def _expansions(self, line: str, bound: frozenset[str]) -> None:
        """Read `{expression}` and `$name`, as IPython fills them in."""
        self._add(_DOLLAR.findall(line), bound)
        try:
            for _, expression, _, _ in string.Formatter().parse(line):
                if expression:
                    self._try(expression, bound)
        except ValueError:
            return


def _shell_calls(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Yield (method, text arguments) of calls on `get_ipython()`."""
    methods = {"run_line_magic", "run_cell_magic", "system", "getoutput"}
    for call in ast.walk(node):
        match call:
            case ast.Call(
                func=ast.Attribute(
                    attr=method, value=ast.Call(func=ast.Name(id="get_ipython"), args=[])
                ),
                args=arguments,
            ) if method in methods:
                texts = [a.value for a in arguments if isinstance(a, ast.Constant)]
                yield method, [text for text in texts if isinstance(text, str)]


def _stored(target: ast.AST) -> frozenset[str]:
    return frozenset(
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _bound_by(statement: ast.stmt) -> frozenset[str]:
    """Names that a statement has bound for sure when it has run without an error."""
    match statement:
        case ast.Assign(targets=targets):
            return frozenset().union(*map(_stored, targets))
        case ast.AnnAssign(target=target, value=value) if value is not None:
            return _stored(target)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            names = (alias.asname or alias.name.partition(".")[0] for alias in aliases)
            return frozenset(names) - {"*"}
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return frozenset({statement.name})
    return _NOTHING


def _binds(statement: ast.stmt) -> frozenset[str]:
    """Names of the namespace that a statement may bind, what stands in it included."""
    found = set(_bound_by(statement))
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            found |= _binds(node) if not isinstance(statement, _OWN_NAMES) else _NOTHING
        elif not isinstance(statement, _OWN_NAMES):
            found |= _stored(node)
    return frozenset(found)


#: Statements whose inner names are their own.
_OWN_NAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _deleted_by(statement: ast.stmt) -> frozenset[str]:
    if not isinstance(statement, ast.Delete):
        return _NOTHING
    return frozenset(
        node.id for target in statement.targets for node in ast.walk(target)
        if isinstance(node, ast.Name)
    )  # fmt: skip
