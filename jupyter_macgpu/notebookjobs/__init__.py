"""Jupyter Scheduler's notebook jobs, on Macs: for who has its calendar and wants no second one.

Its forms, its times and its list of jobs stay as they are; what runs a job is `macgpu run` of the
notebook. The two classes are named in the configuration of Jupyter's server. All of this needs the
extra ``scheduler``; nothing else imports it.
"""

from .environments import MacEnvironments
from .scheduler import MacScheduler

__all__ = ["MacEnvironments", "MacScheduler"]
