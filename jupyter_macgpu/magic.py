"""The door: ``%%macgpu`` and ``%macgpu``. It reads the line and hands on; it does no work."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from . import commands, completing
from .extension import Extension
from .options import help_text
from .postmortem import PostMortem
from .sticky import LOCAL
from .verbs import parse_verb
from .verbtable import VERBS
from .words import OptionError, shown

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Magic = Callable[..., object]


def _with_help(magic: Magic) -> Magic:
    """Put the options and verbs into what ``%%macgpu?`` shows."""
    verbs = " ".join(name for name, verb in VERBS.items() if not verb.shell_only)
    lines = textwrap.wrap(verbs, 80)
    shown = [inspect.cleandoc(magic.__doc__ or ""), "", help_text(), "", "Verbs:", *lines]
    magic.__doc__ = "\n".join(shown)
    return magic


@magics_class
class MacGPUMagics(Magics):
    """The magics of one shell."""

    def __init__(self, shell: InteractiveShell, extension: Extension) -> None:
        super().__init__(shell)
        self.extension = extension
        self.postmortem = PostMortem(shell, extension.cell)

    @no_var_expand  # a `$` and a brace stand for themselves, see `words`
    @line_cell_magic
    @_with_help
    def macgpu(self, line: str, cell: str | None = None) -> object:
        """Run this cell on a Mac of the fleet (%%macgpu [OPTION...]), or do what a verb says.

        The variables that the cell reads are shipped, what it shows appears here, and what it
        binds and changes is here afterwards. %macgpu VERB looks at hosts, runs and values; %macgpu
        alone shows the fleet.
        """
        if cell is not None:
            return self.extension.cell(line, cell)
        if not line.strip():
            return commands.fleet(self.extension)
        return commands.in_notebook(self.extension, parse_verb(line))

    @cell_magic
    def local(self, line: str, _body: str) -> None:
        """Run this cell here, in spite of %macgpu on.

        Sticky mode takes the line off before IPython sees it; this is for who asks what it does,
        and for what stands on the line.
        """
        raise OptionError(
            f"%%local takes nothing on its line: {shown(line)}.", next="Write %%local alone."
        )


def _complete(shell: InteractiveShell, event: Any) -> list[str]:
    """Return what may stand where the cursor is. Called by IPython's completer."""
    typed = str(event.text_until_cursor)
    magic, *words = typed.split(" ")
    words = [word for word in words[:-1] if word] + words[-1:]
    if not words:
        return []
    *before, current = words
    found = functools.partial(completing.known, shell.user_ns)
    if magic == "%%macgpu":
        fitting = completing.of_cell(before, current, found)
    else:
        fitting = completing.of_verb(before, current, found, in_shell=False)
    # IPython replaces only what stands behind its last delimiter.
    return [word[len(current) - len(event.symbol) :] for word in fitting]


def load(shell: InteractiveShell) -> None:
    """Register the magics. Called by ``%load_ext``."""
    extension = Extension(shell)
    extension.load()
    magics = MacGPUMagics(shell, extension)
    shell.register_magics(magics)
    magics.postmortem.load()
    complete = functools.partial(_complete, shell)
    for magic in ("%%macgpu", "%macgpu"):
        shell.set_hook("complete_command", lambda _shell, event: complete(event), str_key=magic)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away again. Called by ``%unload_ext``."""
    magics = shell.magics_manager.registry.pop(MacGPUMagics.__name__, None)
    for kind, name in (("line", "macgpu"), ("cell", "macgpu"), ("cell", LOCAL)):
        shell.magics_manager.magics[kind].pop(name, None)
    if isinstance(magics, MacGPUMagics):
        magics.postmortem.unload()
        magics.extension.unload()
