"""A Jupyter server with everything of its own: folders, port, token, kernels, settings, log.

JupyterLab and Notebook 7 are both served, by one process.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_macgpu.simulation.servers import free_port

#: Seconds in which it answers.
_PATIENCE = 180.0
#: Settings of the front ends: no news, no saving by itself, every cell and output in the page.
_SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "maxNumberOutputs": 1000},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
#: What jupyter-collaboration has in the server and in pages, switched off.
_TOGETHER_SERVER = {"jupyter_server_ydoc": False, "jupyter_server_fileid": False}
_TOGETHER_PAGES = {"@jupyter/collaboration-extension": True, "@jupyter/docprovider-extension": True}


class JupyterServer:
    """One server, until `stop`.

    Parameters
    ----------
    folder
        All that is its own; notebooks are in ``notebooks`` below it.
    settings
        Further variables of its environment, which its kernels inherit.
    together
        Whether several browsers work on one document: jupyter-collaboration, else left out.

    Attributes
    ----------
    root
        The folder of its notebooks.
    url
        Where it answers, without a slash at its end.
    token
        What it asks for.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *, together: bool = False
    ) -> None:
        self.folder = folder
        self.root = folder / "notebooks"
        self.token = secrets.token_hex(16)
        self._config = folder / "config"
        self._data = folder / "data"
        for part in (self.root, self._config, self._data, folder / "ipython"):
            part.mkdir(parents=True)
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "JUPYTER_CONFIG_DIR": str(self._config),
            "JUPYTER_DATA_DIR": str(self._data),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._config / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._config / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            **settings,
        }
        for name, values in _SETTINGS.items():
            self.set_front_end(name, values)
        if together:
            store = {"SQLiteYStore": {"db_path": str(folder / "changes.db")}}
            self._configure("jupyter_server_config.json", store)
        else:
            server = {"ServerApp": {"jpserver_extensions": _TOGETHER_SERVER}}
            self._configure("jupyter_server_config.json", server)
            self._configure("labconfig/page_config.json", {"disabledExtensions": _TOGETHER_PAGES})
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [*self._words(), f"--port={port}"]
        self.start()

    def set_front_end(self, plugin: str, values: Mapping[str, Any]) -> None:
        """Write a plugin's settings, for pages that are loaded from now on."""
        self._configure(f"settings/{plugin}.jupyterlab-settings", values)

    def kernel(self, name: str, **variables: str) -> str:
        """Make a kernel that has further variables in its environment; return its name."""
        folder = self._data / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": words, "display_name": name, "language": "python", "env": variables}
        (folder / "kernel.json").write_text(json.dumps(spec))
        return name

    def trust(self, file: Path) -> None:
        """Sign a notebook, as its own server would have."""
        words = [sys.executable, "-m", "jupyter", "trust", str(file)]
        subprocess.run(words, env=self._environment, check=True, capture_output=True)

    def ask(self, method: str, path: str) -> Any:
        """Send a request to the server's own interface; return what it says."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def end_kernels(self) -> None:
        """End all sessions, with their kernels."""
        for session in self.ask("GET", "api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")

    def start(self) -> None:
        """Start it, for the first time or again: it is the same one to who knew it.

        Raises
        ------
        RuntimeError
            If it does not answer. It does not run then.
        """
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.ask("GET", "api/status")
            except OSError:
                time.sleep(0.1)
            else:
                return
        self.stop()
        log_text = (self.folder / "server.log").read_text(errors="replace")
        raise RuntimeError(f"the Jupyter server does not answer:\n{log_text[-2000:]}")

    def kill(self) -> None:
        """Kill it, so that it can do nothing about that."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, and its kernels with it. It may be repeated."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _configure(self, name: str, values: Mapping[str, Any]) -> None:
        file = self._config / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))

    def _words(self) -> list[str]:
        words = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
        words += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}"]
        words.append("--ServerApp.port_retries=0")
        for application in ("LabApp", "JupyterNotebookApp"):
            words.append(f"--{application}.expose_app_in_browser=True")
        if os.geteuid() == 0:
            words.append("--allow-root")
        return words
