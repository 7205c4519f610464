"""An import as a whole: one transaction, whatever its size, and nothing stored when a row is bad.

A row that is no prompt is reported with its line. Unless bad rows are to be skipped, one is enough to undo the
import; reading goes on all the same, so that the report names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.errors import BadInput
from autoforge.prompts.bulk_commands import BATCH, Imported, import_records, settle
from autoforge.prompts.formats.records import PromptRecord, RowError
from autoforge.prompts.names import parse_name

Found = Iterable[PromptRecord | RowError]


class _Undone(Exception):
    """Rolls the transaction back; the report survives."""

    def __init__(self, report: Imported) -> None:
        super().__init__()
        self.report = report


async def import_all(
    database: Database,
    actor: Actor,
    found: Found,
    *,
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Callable[[Imported], object] = lambda _: None,
) -> Imported:
    """Stores what was found and says what came of it; ``stored`` is False when nothing was kept.

    BadInput, TooLarge or Conflict when it cannot be done at all; then nothing is kept either.
    """
    try:
        async with database.write(bulk=True) as session:
            report = await import_records(session, actor, found, progress)
            if dry_run or (report.failed and not skip_bad):
                raise _Undone(report)
    except _Undone as undone:
        return undone.report
    report.stored = True
    if report.created + report.extended >= BATCH:
        async with database.write(bulk=True) as session:
            await settle(session)
    return report


def below(folder: str, found: Found) -> Iterator[PromptRecord | RowError]:
    """The same records in a folder; one whose name gets too long there is an error. BadInput for a bad folder."""
    prefix = folder.strip("/")
    if not prefix:
        yield from found
        return
    parse_name(prefix, at="?folder")
    for position, one in enumerate(found, 1):
        if isinstance(one, RowError):
            yield one
            continue
        try:
            yield replace(one, name=parse_name(f"{prefix}/{one.name}"))
        except BadInput as error:
            yield RowError.of(error, None, f"prompt {position}")


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """``column=field`` pairs as field -> column. The column may hold equals signs. BadInput for anything else."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, separator, name = pair.rpartition("=")
        if not separator or not column.strip() or not name.strip():
            raise BadInput.at("?map", f"A mapping is column=field, such as question=prompt, not {pair[:100]!r}.")
        if name.strip() in mapping:
            raise BadInput.at("?map", f"The field {name.strip()!r} is mapped twice.")
        mapping[name.strip()] = column.strip()
    return mapping
