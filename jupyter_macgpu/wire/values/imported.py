"""The imports that stand in a cell's text, and what each of them binds."""

from __future__ import annotations

import ast
import sys
import types
from dataclasses import dataclass

from .modules import LazyImport, LazyModule


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLine:
    """What a name is bound to by an import.

    Attributes
    ----------
    module
        The module that the name becomes, or that holds what it becomes.
    attribute
        What the module holds, or ``""`` for the module itself.
    submodules
        Modules that are imported with it: ``import a.b`` binds ``a``.
    """

    module: str
    attribute: str = ""
    submodules: tuple[str, ...] = ()


def imports_of(code: str) -> dict[str, ImportLine]:
    """Return the imports of plain Python by the name that each binds; the last one counts."""
    found: dict[str, ImportLine] = {}
    try:
        tree = ast.parse(code)
    except SyntaxError:  # `await` and the like stand in cells; an import is not worth more
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                if alias.asname:
                    found[alias.asname] = ImportLine(module=alias.name)
                else:
                    below = (alias.name,) if alias.name != top else ()
                    known = found[top].submodules if top in found else ()
                    found[top] = ImportLine(module=top, submodules=(*known, *below))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                line = ImportLine(module=node.module, attribute=alias.name)
                found[alias.asname or alias.name] = line
    return found


def bound_by(line: ImportLine, host: str) -> object:
    """Return what an import binds here: what is imported already, or a stand-in.

    Nothing is imported, and no attribute of a module is asked for that it would make.
    """
    holder = sys.modules.get(line.module)
    if line.attribute and isinstance(holder, types.ModuleType) and line.attribute in vars(holder):
        return vars(holder)[line.attribute]
    whole = f"{line.module}.{line.attribute}" if line.attribute else line.module
    module = sys.modules.get(whole)
    if isinstance(module, types.ModuleType) and all(sub in sys.modules for sub in line.submodules):
        return module
    if line.attribute:
        return LazyImport(line.module, line.attribute, host)
    return LazyModule(line.module, line.submodules, host)


def is_already(value: object, module: str, qualname: str) -> bool:
    """Say whether a value is what a module that is imported here holds by a name."""
    found: object = sys.modules.get(module)
    for step in qualname.split(".") if qualname else ():
        found = vars(found).get(step) if isinstance(found, (types.ModuleType, type)) else None
    return found is not None and found is value
