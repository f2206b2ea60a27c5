"""The IPython shell that runs the cells, made to behave like the one in ipykernel."""

from __future__ import annotations

import bdb
import os
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import CBool, Instance, Type, default
from traitlets.config import Config

from .display import Publisher, ResultHook
from .gate import Gate, Steps

if TYPE_CHECKING:
    from types import CodeType

    from IPython.core.interactiveshell import ExecutionResult

    from .display import Announcer

_OUR_FILES = str(Path(__file__).parents[2]) + os.sep
#: What a user's cell has as its first line where a plain cell has code. It is a comment, so the
#: numbers in tracebacks are those that the user sees, and the lines around an error are as well.
FIRST_LINE = "# %%macgpu\n"
#: Where `warnings` notes what was shown already.
_WARNED: dict[str | tuple[str, type[Warning], int], int] = {}


# Named like ipykernel's shell: rich, pandas, transformers and others look at the name of
# the class to learn that they are in a notebook.
class ZMQInteractiveShell(InteractiveShell):
    """A shell whose displays, results and errors are told to the supervisor."""

    displayhook_class = Type(ResultHook)
    display_pub_class = Type(Publisher)
    exiter = Instance(ZMQExitAutocall)
    readline_use = CBool(False)
    autoindent = CBool(False)

    announcer: Announcer
    gate: Gate
    #: Stands for the notebook's kernel, and is there while a front end shows widgets: see `comms`.
    kernel: Any
    #: Attribute that `exit` sets; a notebook's kernel is not ended from a worker.
    keepkernel_on_exit = None
    #: Name and text of the last error that was shown in this run.
    last_error: tuple[str, str] | None = None
    #: Id of the last cell's run.
    last_run = ""
    #: Whether an error came up while the result was shown: then the run has failed.
    failed_to_show = False

    @default("exiter")
    def _default_exiter(self) -> ZMQExitAutocall:
        return ZMQExitAutocall(self)

    def init_environment(self) -> None:
        """Set what ipykernel sets, so that commands print as they do there."""
        os.environ |= {
            "TERM": "xterm-color",
            "CLICOLOR": "1",
            "FORCE_COLOR": "1",
            "CLICOLOR_FORCE": "1",
            "PAGER": "cat",
            "GIT_PAGER": "cat",
        }
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

    def init_hooks(self) -> None:
        """Show pages (`obj?`) in the notebook's pager."""
        super().init_hooks()  # type: ignore[no-untyped-call]
        self.set_hook("show_in_pager", page.as_hook(self._page), 99)  # type: ignore[no-untyped-call]

    def enable_gui(self, gui: str | None = None) -> None:
        """Accept the inline backend alone; called by ``%matplotlib`` and ``%gui``.

        Raises
        ------
        UsageError
            For any other: a worker has no screen.
        """
        if gui not in (None, "", "inline"):
            raise UsageError(f"A worker has no screen: %gui {gui} is not possible there.")

    def ask_exit(self) -> None:
        """Do nothing; called by ``exit`` and ``quit``."""

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Put text into the notebook's next cell; called by ``%load``."""
        self._payload({"source": "set_next_input", "text": text, "replace": replace})

    def _page(self, text: Any, start: int = 0, *_: Any, **__: Any) -> None:
        data = text if isinstance(text, dict) else {"text/plain": text}
        self._payload({"source": "page", "data": data, "start": max(0, start)})

    def _payload(self, payload: dict[str, Any]) -> None:
        assert self.payload_manager is not None
        self.payload_manager.write_payload(payload)

    def take_payloads(self) -> list[dict[str, Any]]:
        """Return what a cell asks of the notebook's front end, and forget it."""
        assert self.payload_manager is not None
        payloads: list[dict[str, Any]] = self.payload_manager.read_payload()
        if payloads:
            self.payload_manager.clear_payload()
        return payloads

    async def run_user_cell(
        self, source: str, code: str | None, count: int, cell_id: str | None, *, headed: bool = True
    ) -> ExecutionResult:
        """Run one cell as ipykernel does.

        Parameters
        ----------
        source
            The cell without its first line.
        code
            The same as plain Python, or None if that has still to be made.
        count
            The number that the notebook shows at it.
        cell_id
            The notebook's name of it.
        headed
            Whether it has a first line of the magic's own in the notebook.
        """
        head = FIRST_LINE if headed else ""
        self.execution_count = count
        self.last_error, self.failed_to_show = None, False
        broken = None
        try:
            transformed = self.transform_cell(source) if code is None else code  # type: ignore[no-untyped-call]
        except Exception:  # a user's own transformer may raise anything
            transformed, broken = source, sys.exc_info()
        hook = self.displayhook
        assert isinstance(hook, ResultHook)
        hook.begin(transformed)
        result = None
        try:
            result = await self.run_cell_async(
                head + source,
                transformed_cell=head + transformed,
                preprocessing_exc_tuple=broken,
                cell_id=cell_id,
            )
        finally:
            self.events.trigger("post_execute")
            self.events.trigger("post_run_cell", result)
        return result

    async def run_code(
        self, code_obj: CodeType, result: ExecutionResult | None = None, *, async_: bool = False
    ) -> bool:
        """Run one statement of a cell; True if it raised.

        This is IPython's own method, with the gate armed around nothing but user code.
        """
        __tracebackhide__ = "__ipython_bottom__"
        gate, armed = self.gate, self.gate.armed
        hook = self.sys_excepthook = sys.excepthook
        sys.excepthook = self.excepthook
        try:
            try:
                if gate.run and gate.take():
                    raise KeyboardInterrupt
                if async_:
                    await Steps(gate, eval(code_obj, self.user_global_ns, self.user_ns))
                else:
                    gate.armed = True
                    exec(code_obj, self.user_global_ns, self.user_ns)
            finally:
                gate.armed = armed
                sys.excepthook = hook
        except SystemExit as error:
            _note(result, error)
            self.showtraceback(exception_only=True)
            self._warn_of_exit()
        except bdb.BdbQuit as error:
            _note(result, error)
        except self.custom_exceptions as error:
            _note(result, error)
            self.CustomTB(type(error), error, error.__traceback__)
        except BaseException as error:
            _note(result, error)
            self.showtraceback(running_compiled_code=True)
        else:
            return False
        return True

    def _warn_of_exit(self) -> None:
        # As IPython does, and as if it had: our own lines are of no use to anybody.
        text = "To exit: use 'exit', 'quit', or Ctrl-D."
        theirs = InteractiveShell.run_code.__code__
        place = (theirs.co_filename, theirs.co_firstlineno)
        warnings.warn_explicit(text, UserWarning, *place, registry=_WARNED)

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an error; called with one by IPython's formatters, for what a display raised.

        Raises
        ------
        KeyboardInterrupt
            If an interrupt hit the formatter and became that error on its way out, as where
            IPython tidies up after half a step. To show the error would swallow the interrupt.
        """
        if exc_tuple is not None and (interrupt := _interrupt_behind(exc_tuple[1])) is not None:
            raise interrupt
        super().showtraceback(exc_tuple, *args, **kwargs)

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        etype, value, _ = super()._get_exc_info(exc_tuple)  # type: ignore[no-untyped-call]
        # The plain mode skips the first entry itself.
        _hide_our_frames(value, keep_first=self.InteractiveTB.mode == "Plain")
        return etype, value, value.__traceback__

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        """Tell an error; called by IPython with its formatted traceback."""
        if self.announcer.forked:
            print("\n".join(stb), file=sys.stderr)
            return
        hook = self.displayhook
        self.failed_to_show |= isinstance(hook, ResultHook) and hook.is_showing
        self.last_error = (etype.__name__, str(evalue))
        self.announcer.tell(
            "error", {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        )


def make_shell(announcer: Announcer, gate: Gate, folder: Path) -> ZMQInteractiveShell:
    """Return the process's one shell; its namespace is the module `__main__` from now on.

    Parameters
    ----------
    announcer
        Where it tells what it shows.
    gate
        Lets interrupts into its cells.
    folder
        Where IPython may keep its own files: not in the user's home.
    """
    config = Config()
    config.HistoryManager.enabled = False
    for cls in (Publisher, ResultHook, ZMQInteractiveShell):
        cls.announcer = announcer
    ZMQInteractiveShell.gate = gate
    shell = ZMQInteractiveShell.instance(config=config, ipython_dir=str(folder))
    assert isinstance(shell, ZMQInteractiveShell)
    # Formatters are made when they are first used; an interrupt would leave one half made.
    assert shell.display_formatter is not None
    shell.display_formatter.format(None)
    return shell


def _note(result: ExecutionResult | None, error: BaseException) -> None:
    if result is not None:
        result.error_in_exec = error


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt during whose handling an error came up, if there is one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _hide_our_frames(error: BaseException, *, keep_first: bool) -> None:
    """Take our own frames out of an error's traceback and out of those of its causes."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        todo += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions
        entry = each.__traceback__
        if not keep_first:
            entry = each.__traceback__ = _next_of_others(entry)
        while entry is not None:
            entry.tb_next = _next_of_others(entry.tb_next)
            entry = entry.tb_next


def _next_of_others(entry: TracebackType | None) -> TracebackType | None:
    while entry is not None and _is_ours(entry):
        entry = entry.tb_next
    return entry if entry is None else _with_a_line(entry)


def _with_a_line(entry: TracebackType) -> TracebackType:
    """Return the entry, with the line before it where it has none: IPython formats no other.

    Some instructions belong to no line, and an interrupt may be taken at any of them.
    """
    line: Any = entry.tb_lineno
    if line is not None:
        return entry
    code = entry.tb_frame.f_code
    before = [line for start, _, line in code.co_lines() if start <= entry.tb_lasti and line]
    line = before[-1] if before else code.co_firstlineno
    return TracebackType(entry.tb_next, entry.tb_frame, entry.tb_lasti, line)


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_OUR_FILES)
