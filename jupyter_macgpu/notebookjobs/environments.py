"""Where a notebook job can run, as the form of Jupyter Scheduler offers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_scheduler.environments import EnvironmentManager, EnvironmentRetrievalError
from jupyter_scheduler.models import RuntimeEnvironment

from ..fleet.file import load_fleet
from ..options import CellOptions
from ..wire.errors import MacGPUError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The one environment, and the choice that leaves the Mac to the placement.
NAME, ANY = "Macs", "any Mac"
#: Before the name of a profile of the fleet file.
_PROFILE = "profile "


class MacEnvironments(EnvironmentManager):  # type: ignore[misc]
    """One environment, whose compute types are the fleet: any Mac, each by name, each profile.

    The fleet file is read anew for each question, as for each job.
    """

    def list_environments(self) -> list[RuntimeEnvironment]:
        """Return it.

        Raises
        ------
        EnvironmentRetrievalError
            If the fleet file cannot be used; the text says what is wrong with it.
        """
        try:
            fleet = load_fleet()
        except MacGPUError as error:
            raise EnvironmentRetrievalError(f"{error.what} {error.next}") from error
        hosts = [host.name for host in fleet.hosts]
        profiles = [f"{_PROFILE}{name}" for name in fleet.profiles]
        return [
            RuntimeEnvironment(
                # The form's list shows the one and sends the other.
                name=NAME,
                label=NAME,
                description="The notebook's cells run on a Mac of the fleet, all in one place.",
                file_extensions=["ipynb"],
                output_formats=[*self.output_formats_mapping()],
                metadata={},
                compute_types=[ANY, *hosts, *profiles],
                default_compute_type=ANY,
            )
        ]

    def manage_environments_command(self) -> str:
        """Return no command: the fleet file is edited by hand, or by ``macgpu add``."""
        return ""

    def output_formats_mapping(self) -> dict[str, str]:
        """Return what a job can be written as."""
        return {"ipynb": "Notebook", "html": "HTML"}


def wanted(compute_type: str | None, parameters: Mapping[str, object] | None) -> CellOptions:
    """Return the options that a job's choices mean.

    Parameters
    ----------
    parameters
        The job's ``runtime_environment_parameters``: ``on``, a name or a selector over labels, and
        ``profile``. They come before the compute type.
    """
    given = {name: str(value) for name, value in (parameters or {}).items() if value}
    on, profile = given.get("on"), given.get("profile")
    if on is None and profile is None and compute_type not in (None, "", ANY):
        chosen = str(compute_type)
        if chosen.startswith(_PROFILE):
            profile = chosen.removeprefix(_PROFILE)
        else:
            on = chosen
    return CellOptions(on=None if on == "auto" else on, profile=profile)
