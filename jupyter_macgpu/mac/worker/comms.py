"""Comms of this worker: what widgets say to the notebook's front end, and what it answers.

Whatever opens a comm asks the package `comm` for it, which every kernel hooks. So do we, when it is
imported: a worker whose cells show no widgets never loads it. What a comm says is told as an event,
in one order with everything else that is shown. What the front end says comes between the cells, on
the main thread.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

from traitlets.config import Config

from ...wire import content as wire_content
from .keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...wire.messages import Comm
    from .display import Announcer
    from .shell import ZMQInteractiveShell

#: What libraries look for to learn that a front end shows widgets: a section of the shell's
#: settings, and a module that every kernel has loaded.
_APP, _MODULE = "IPKernelApp", "ipykernel.zmqshell"


class Comms:
    """The worker's comms. Telling is for all threads, hearing for the main one.

    Parameters
    ----------
    announcer
        Tells what they say.
    session
        The session that this worker runs the cells of.
    sender
        This worker's own word, by which its numbers are known from another worker's.

    Attributes
    ----------
    parent
        Id of the front end's request that is being done; ``""`` if no front end shows comms.
    """

    def __init__(self, announcer: Announcer, session: str, sender: str) -> None:
        self.parent = ""
        self._announcer = announcer
        self._session = session
        self._sender = sender
        self._number = 0
        self._cause = 0
        self._manager: Any = None
        self._joiner = wire_content.Joiner()
        self._shell: ZMQInteractiveShell | None = None
        self._keeping = Keeping()

    def install(self, shell: ZMQInteractiveShell) -> None:
        """Take the place of a kernel in the package `comm`, as soon as something imports it."""
        self._shell = shell
        sys.meta_path.insert(0, _AfterImport("comm", self._hook))

    def begin(self, parent: str) -> None:
        """Begin a run; without a `parent` nobody shows widgets, and libraries can see that."""
        assert self._shell is not None
        if self._manager is not None:
            self._keeping.keep(self._shell.user_ns, self._callbacks())
        self.parent = parent
        config: Any = self._shell.config
        if parent and _APP not in config:
            self._shell.kernel = Kernel(self, self._shell)
            stand_in = types.ModuleType(_MODULE)
            stand_in.ZMQInteractiveShell = type(self._shell)  # type: ignore[attr-defined]
            sys.modules.setdefault(_MODULE, stand_in)
            config[_APP] = Config(connection_file="")  # an empty section would not count
        elif not parent and config.pop(_APP, None) is not None:
            del self._shell.kernel
            if not hasattr(sys.modules.get(_MODULE), "__file__"):
                sys.modules.pop(_MODULE, None)

    @property
    def manager(self) -> Any:
        """The comms by id, and what the front end may open; as `comm.get_comm_manager`."""
        if self._manager is None:
            self._manager = importlib.import_module("comm").get_comm_manager()
        return self._manager

    def tell(self, action: str, comm: str, buffers: Sequence[Any] = (), **more: Any) -> None:
        """Tell what a comm says, or what became of what it was told; for all threads."""
        if not self.parent or self._announcer.forked:
            return
        # The outlet's own lock: this is also called by a collection of garbage, anywhere.
        with self._announcer.lock:
            self._number += 1
            content = {
                "session": self._session,
                "sender": self._sender,
                "number": self._number,
                "cause": self._cause,
                "action": action,
                "comm": comm,
                **more,
            }
            raw = tuple(memoryview(buffer).cast("B") for buffer in buffers)
            self._announcer.tell("comm", content, raw)

    def heard(self, message: Comm) -> None:
        """Do what the front end says. Nothing that goes wrong is raised."""
        content = self._joiner.take(message.action, message.content, message.buffers)
        if content is None:
            return
        self._cause = int(content.get("number") or 0)
        if message.action == "listen":
            self.tell("here", "")
            return
        before, self.parent = self.parent, str(content.get("parent") or self.parent)
        try:
            self._dispatch(message, content)
        except (KeyboardInterrupt, SystemExit):
            # A callback wants to end the process. It does not.
            return
        finally:
            self.tell("done", message.comm)
            self._cause, self.parent = 0, before

    def _dispatch(self, message: Comm, content: dict[str, Any]) -> None:
        assert self._shell is not None
        known = {} if self._manager is None else self._manager.comms
        if message.action != "open" and message.comm not in known:
            if message.action == "msg":
                self.tell("close", message.comm, data={}, metadata={})
            return
        request = {
            "header": {"msg_id": self.parent, "msg_type": f"comm_{message.action}"},
            "parent_header": {},
            "metadata": content.get("metadata") or {},
            "content": {
                "comm_id": message.comm,
                "data": content.get("data") or {},
                "target_name": content.get("target", ""),
            },
            "buffers": [memoryview(buffer) for buffer in self._joiner.buffers],
        }
        self._keeping.lend(self._shell.user_ns)
        getattr(self.manager, f"comm_{message.action}")(None, None, request)

    def _callbacks(self) -> list[object]:
        comms = self._manager.comms.values()
        hooks = [(each._msg_callback, each._close_callback) for each in comms]
        return [*hooks, self._manager.targets]

    def _hook(self, module: types.ModuleType) -> None:
        base = getattr(module, "BaseComm", None)
        if base is None or not hasattr(module, "get_comm_manager"):
            return  # a file of the user's that has this name
        ours, manager = _comm_class(base, self), module.get_comm_manager()
        self._manager = manager
        module.create_comm = ours  # type: ignore[attr-defined]
        module.get_comm_manager = lambda: manager  # type: ignore[attr-defined]


class Kernel:
    """What libraries ask of `get_ipython().kernel`."""

    def __init__(self, comms: Comms, shell: ZMQInteractiveShell) -> None:
        self.shell = shell
        self._comms = comms

    @property
    def comm_manager(self) -> Any:
        """The comms of this process."""
        return self._comms.manager

    def get_parent(self, _channel: str | None = None) -> dict[str, Any]:
        """Return the front end's request that is being done, as far as it is known here."""
        return {"header": {"msg_id": self._comms.parent}} if self._comms.parent else {}


def _comm_class(base: type, comms: Comms) -> type:
    class RemoteComm(base):  # type: ignore[misc]
        """A comm whose other end is in the notebook's front end."""

        def publish_msg(
            self,
            msg_type: str,
            data: Any = None,
            metadata: Any = None,
            buffers: Any = None,
            **keys: Any,
        ) -> None:
            """Say something; called by the base class."""
            more = {}
            if msg_type == "comm_open":
                more = {"target": keys.get("target_name"), "module": keys.get("target_module")}
            action = msg_type.removeprefix("comm_")
            said = {"data": data or {}, "metadata": metadata or {}, **more}
            comms.tell(action, self.comm_id, buffers or (), **said)

    return RemoteComm


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls `hook` with a module right after its first import."""

    def __init__(self, name: str, hook: Callable[[types.ModuleType], None]) -> None:
        self._name = name
        self._hook = hook

    def find_spec(
        self, fullname: str, _path: Any = None, _target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module as others do, and have it hooked when it is loaded."""
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)  # it may be installed later
            return None
        load, hook = spec.loader.exec_module, self._hook

        def exec_module(module: types.ModuleType) -> None:
            load(module)
            hook(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
