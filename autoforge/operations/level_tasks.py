"""Old counts of the service levels go."""

from __future__ import annotations

from autoforge.operations import levels
from autoforge.queue import Context, task


@task("operations.forget_levels", schedule="23 * * * *", title="Forget old counts of the service levels", priority=-10)
async def forget_levels(context: Context) -> dict[str, int]:
    return {"rows": await context.database.transact(levels.forget_old)}
