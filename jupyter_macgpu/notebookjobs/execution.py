"""One notebook job: a process of its own, that hands the notebook's cells to a Mac one by one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.executors import DefaultExecutionManager
from jupyter_scheduler.models import DescribeJob, Status
from jupyter_scheduler.orm import Job
from jupyter_scheduler.utils import get_utc_timestamp

from ..fleet.file import load_fleet
from ..folder import Talk
from ..getting import get
from ..notebookfile import NotebookFile
from ..pool import Pool
from ..reach import Reach, nobody_to_ask
from ..server.notebookjob import NotebookJob
from ..wire.errors import MacGPUError
from .environments import wanted
from .scheduler import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..fleet.hosts import Fleet

#: Seconds that a cell has to clear up in when its job is stopped; then its worker is ended.
GRACE = 10.0
#: Characters of a message that the list of jobs keeps.
_MOST = 1000


class JobEndedError(Exception):
    """A notebook did not run to its end.

    Attributes
    ----------
    is_stopped
        Whether somebody wanted it so, and it is known to have ended.
    """

    def __init__(self, text: str, *, is_stopped: bool) -> None:
        super().__init__(text)
        self.is_stopped = is_stopped


class _Typed(str):
    """What was typed as a parameter's value: Python, as Jupyter Scheduler has it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class MacExecution(DefaultExecutionManager):  # type: ignore[misc]
    """Runs a job's notebook as `macgpu run` does; made by `MacScheduler`, in the job's process."""

    def before_start(self) -> None:
        """Let signals stop the job from now on, and say that it has begun."""
        self._asked, self._ended = threading.Event(), threading.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self._asked.set())
        began = {"start_time": get_utc_timestamp(), "status": Status.IN_PROGRESS}
        with self.db_session() as session:
            job = session.query(Job).filter(Job.job_id == self.job_id)
            is_wanted = job.filter(Job.status != Status.STOPPING).update(began)
            session.commit()
        if not is_wanted:
            self._asked.set()

    def execute(self) -> None:
        """Run the notebook; its files are there, whatever happens.

        Raises
        ------
        JobEndedError
            If it failed, was stopped, or is not known to have ended.
        """
        if self._asked.is_set():
            raise JobEndedError("It was stopped before it began.", is_stopped=True)
        job: DescribeJob = self.model
        # As the server has it: a folder's own fleet file counts by the server's folder.
        fleet = load_fleet()
        staging, live = Path(self.staging_paths["input"]).parent, Path(self.staging_paths[LIVE])
        live.parent.mkdir(parents=True, exist_ok=True)
        os.chdir(staging)
        files = tuple(job.packaged_files or ()) if job.package_input_folder else ()
        running = NotebookJob(
            Path(self.staging_paths["input"]),
            live,
            live.name,
            options=replace(
                wanted(job.compute_type, job.runtime_environment_parameters), files=files
            ),
            parameters={name: _Typed(text) for name, text in (job.parameters or {}).items()},
            lend=lambda _name: _lent(fleet, str(live), brings=bool(job.package_input_folder)),
            tell=lambda: None,
        )
        threading.Thread(target=self._stopper, args=(running,), daemon=True).start()
        try:
            end = running.run()
        finally:
            self._ended.set()
            self._keep(job, staging, live)
        if end.state != "ok":
            place = running.progress
            where = f" Run {place.run[:8]} on {place.host}." if place.run else ""
            text = f"{'Stopped' if end.state == 'cancelled' else 'Failed'}: {end.message}.{where}"
            raise JobEndedError(text, is_stopped=end.state == "cancelled")

    def on_failure(self, e: Exception) -> None:
        """Say in the list of jobs how it ended, and when."""
        is_stopped = isinstance(e, JobEndedError) and e.is_stopped
        said = {
            "status": Status.STOPPED if is_stopped else Status.FAILED,
            "status_message": _text(e)[:_MOST],
            "end_time": get_utc_timestamp(),
        }
        with self.db_session() as session:
            session.query(Job).filter(Job.job_id == self.job_id).update(said)
            session.commit()
        if not isinstance(e, JobEndedError | MacGPUError):
            traceback.print_exception(e)

    # As `Scheduler.create_job` calls it: by the class, with the class.
    def validate(cls, input_path: str) -> bool:  # noqa: N805
        """Say that a notebook can run.

        Raises
        ------
        SchedulerError
            If it cannot, with what is wrong with it.
        """
        try:
            NotebookFile(Path(input_path))
        except MacGPUError as error:
            raise SchedulerError(_text(error)) from error
        return True

    def _stopper(self, running: NotebookJob) -> None:
        """Interrupt the notebook when that is asked for, and end its worker if it goes on."""
        self._asked.wait()
        running.stop()
        if not self._ended.wait(GRACE):
            for _ in range(2):
                running.stop()

    def _keep(self, job: DescribeJob, staging: Path, live: Path) -> None:
        """Make the files that were asked for; none if the job was deleted meanwhile.

        They are put into the job's folder too, where its list looks for them: its own way to
        bring them there goes by the folder that the server was started in.
        """
        if not live.exists() or not staging.exists():
            return
        if job.package_input_folder:
            self.add_side_effects_files(str(staging))
        read: Any = nbformat.read
        self.create_output_files(job, read(live, as_version=4))
        if "ipynb" in job.output_formats:
            shutil.copyfile(live, self.staging_paths["ipynb"])
        made = {
            live.with_suffix(f".{kind}"): self.staging_paths[kind] for kind in job.output_formats
        }
        made[live.with_name(job.input_filename)] = self.staging_paths["input"]
        for name in self._beside() if job.package_input_folder else ():
            made[live.parent / name] = str(staging / name)
        for target, source in made.items():
            if target != live:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def _beside(self) -> list[str]:
        """Return the files that went with the notebook, and those that its cells wrote."""
        with self.db_session() as session:
            job = session.query(Job).filter(Job.job_id == self.job_id).one()
            return list(job.packaged_files or ())


@contextlib.contextmanager
def _lent(fleet: Fleet, name: str, *, brings: bool) -> Iterator[Pool]:
    """Lend the job's connections; bring what its cells wrote, before they are closed."""
    pool = Pool(fleet, Reach(nobody_to_ask), name)
    try:
        yield pool
        if brings and pool.current is not None:
            get(Talk(pool.current), ["*"])
    finally:
        pool.close()


def _text(error: Any) -> str:
    if isinstance(error, MacGPUError):
        return " ".join(part for part in (error.what, error.known, error.next) if part)
    return str(error)
