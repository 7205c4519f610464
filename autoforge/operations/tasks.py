"""All tasks: importing this module registers them. The web process, the workers and nobody else do."""

from __future__ import annotations

from autoforge.access import tasks as access_tasks
from autoforge.jobs import tasks as job_tasks
from autoforge.operations import examining, level_tasks
from autoforge.users import tasks as user_tasks

TASKS = (access_tasks, job_tasks, examining, level_tasks, user_tasks)
