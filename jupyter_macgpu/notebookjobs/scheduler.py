"""Jupyter Scheduler's own scheduler, with jobs on Macs, and a stop that is one."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_scheduler.models import CreateJob, DescribeJob, Status
from jupyter_scheduler.orm import Job
from jupyter_scheduler.scheduler import Scheduler
from jupyter_scheduler.utils import create_output_filename, get_utc_timestamp
from traitlets import Type

if TYPE_CHECKING:
    from jupyter_scheduler.models import DescribeJobDefinition

#: Which of a job's files is written while it runs.
LIVE = "live"
#: States of a job that has not ended.
_UNDER_WAY = (Status.CREATED, Status.QUEUED, Status.IN_PROGRESS, Status.STOPPING)
#: Milliseconds between a job's line in the list and its process, at most.
_STARTS_WITHIN = 60_000


class MacScheduler(Scheduler):  # type: ignore[misc]
    """Runs notebook jobs on Macs; all else is as in the class that it is made from.

    - While a job runs, its notebook is in the job's folder below the server's own, where its result
      will be, written after each cell.
    - A stopped job is ``STOPPING`` until its run on the Mac has ended, and says what became of it.
    """

    execution_manager_class = Type(
        klass="jupyter_scheduler.executors.ExecutionManager",
        default_value="jupyter_macgpu.notebookjobs.execution.MacExecution",
        config=True,
    )

    def create_job(self, model: CreateJob) -> str:
        """Create a job, and begin it; raises as its own does."""
        job_id: str = super().create_job(model)
        with self.db_session() as session:
            # Its process takes a moment to begin, and until then the list would call it stopped.
            fresh = session.query(Job).filter(Job.job_id == job_id, Job.start_time.is_(None))
            fresh.filter(Job.status == Status.STOPPED).update({"status": Status.CREATED})
            session.commit()
        return job_id

    def get_staging_paths(self, model: DescribeJob | DescribeJobDefinition) -> dict[str, str]:
        """Return where a job's files are made, as its own does, and where it is seen running."""
        paths: dict[str, str] = super().get_staging_paths(model)
        if isinstance(model, DescribeJob):
            name = create_output_filename(model.input_filename, model.create_time, "ipynb")
            # The last one: the folder of the first is deleted with the job.
            paths[LIVE] = str(Path(self.get_local_output_path(model), name))
        return paths

    def stop_job(self, job_id: str) -> None:
        """Have a job stopped. It is, when its state says so.

        A job whose process is gone already is marked as stopped here.
        """
        with self.db_session() as session:
            job = session.query(Job).filter(Job.job_id == job_id)
            stopping = {"status": Status.STOPPING}
            if not job.filter(Job.status.in_(_UNDER_WAY)).update(stopping):
                return
            session.commit()
            record = job.one()
            if record.pid is None or _told(record.pid, record.create_time, record.start_time):
                return
            text = (
                "Its process was gone. What it had on a Mac may have gone on: macgpu runs says. "
                "The notebook has what had run."
            )
            gone = {"status": Status.STOPPED, "status_message": text}
            job.update({**gone, "end_time": get_utc_timestamp()})
            session.commit()


def _told(pid: int, created: int, started: int | None) -> bool:
    """Tell a job's process to stop; say whether it is there.

    One that has not begun finds out by itself, since a signal would find nobody who handles it.
    """
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        words: list[Any] = process.cmdline()
        is_job = any("multiprocessing" in word for word in words)
        if is_job and abs(process.create_time() * 1000 - created) < _STARTS_WITHIN:
            if started is not None:
                process.send_signal(signal.SIGTERM)
            return True
    return False
