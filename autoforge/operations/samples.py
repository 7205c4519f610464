"""Puts the sample data into a workspace, and takes it out again.

Samples go in through the same commands as everything else, each at its own age, and are scored by the real scorer at
that moment: no score is stored that was not computed. A sample that somebody changes stops being one, so that taking
the samples out never takes anybody's work.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, update

from autoforge.access import Actor
from autoforge.db import Database, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.errors import Conflict
from autoforge.evaluations import commands as evaluation_commands
from autoforge.evaluations import suite_commands
from autoforge.evaluations.commands import RunDraft
from autoforge.evaluations.suite_commands import StoredSuite
from autoforge.prompts import commands as prompt_commands
from autoforge.prompts import template_commands, version_commands
from autoforge.prompts.commands import Draft
from autoforge.prompts.template_commands import TemplateDraft
from autoforge.samples import load_samples
from autoforge.samples.content import SamplePrompt, SampleRun, Samples

_SUBJECTS = (m.Prompt, m.Template, m.Suite, m.Evaluation)
_NAMES = named(
    "samples.names_taken",
    select(m.Prompt.name).where(m.Prompt.workspace_id == bindparam("workspace_id"), m.Prompt.deleted_at.is_(None)),
)
_SCORED = named(
    "samples.prompts_scored",
    select(m.Evaluation.prompt_id)
    .where(m.Evaluation.workspace_id == bindparam("workspace_id"), m.Evaluation.deleted_at.is_(None))
    .where(m.Evaluation.is_sample, m.Evaluation.prompt_id.is_not(None))
    .distinct(),
)
# The ids of the versions of one prompt, by number.
Versions = Mapping[int, UUID]


async def add_samples(database: Database, actor: Actor) -> int:
    """Stores the samples, all or nothing; how many prompts there are now that were not there before."""
    samples = load_samples()
    async with database.write(bulk=True) as session:
        taken = {row.name for row in await session.all(_NAMES, {"workspace_id": actor.workspace_id})}
        fresh = [prompt for prompt in samples.prompts if prompt.name not in taken]
        stored = {prompt.name: await _add_prompt(session, actor, prompt) for prompt in fresh}
        await _add_templates(session, actor, samples)
        await _add_runs(session, actor, samples, stored)
        marked = update(m.Prompt).where(m.Prompt.id.in_([prompt_id for prompt_id, _ in stored.values()]))
        await session.execute(marked.values(is_sample=True))
    return len(fresh)


async def _add_prompt(session: WriteSession, actor: Actor, prompt: SamplePrompt) -> tuple[UUID, Versions]:
    """The prompt with its history, every version written at its own age; then its branches and labels."""
    now, first = clock.now(), prompt.versions[0]
    with clock.running_on(lambda: now - prompt.age):
        draft = Draft(prompt.name, first.content, prompt.title, prompt.description, prompt.status, prompt.tags)
        made = await prompt_commands.create(session, actor, draft)
    ids = {first.number: made.version_id}
    for version in prompt.versions[1:]:
        with clock.running_on(partial(operator.sub, now, version.age)):
            parents = [ids[number] for number in version.parents]
            saved = await version_commands.write_version(
                session, actor, made.prompt_id, version.content, parents, version.message
            )
            await version_commands.move_head(session, actor, made.prompt_id, "branch", version.branch, saved.number)
        ids[version.number] = saved.version_id
    newest = min(version.age for version in prompt.versions)
    with clock.running_on(lambda: now - newest):
        for label, number in prompt.labels.items():
            await version_commands.move_head(session, actor, made.prompt_id, "label", label, number)
    return made.prompt_id, ids


async def _add_templates(session: WriteSession, actor: Actor, samples: Samples) -> None:
    for one in samples.templates:
        draft = TemplateDraft(one.name, one.content, one.description, one.category, "public", is_sample=True)
        with suppress(Conflict):  # somebody has one of that name: theirs stays
            async with session.begin_nested():
                await template_commands.create(session, actor, draft)


async def _add_runs(
    session: WriteSession, actor: Actor, samples: Samples, stored: Mapping[str, tuple[UUID, Versions]]
) -> None:
    suites: dict[str, StoredSuite] = {}
    for run in samples.runs:
        if run.prompt not in stored:
            continue
        if run.suite.key not in suites:
            about = (run.suite.name, run.suite.description, run.suite.cases)
            suites[run.suite.key] = await suite_commands.store_suite(session, actor, *about, is_sample=True)
        await _add_run(session, actor, run, suites[run.suite.key], stored[run.prompt])


async def _add_run(
    session: WriteSession, actor: Actor, run: SampleRun, suite: StoredSuite, prompt: tuple[UUID, Versions]
) -> None:
    prompt_id, versions = prompt
    draft = RunDraft(
        model=run.model,
        name=f"{run.prompt} v{run.version}",
        prompt_id=prompt_id,
        version_id=versions[run.version],
        is_sample=True,
        created_at=clock.now() - run.age,
    )
    await evaluation_commands.store_run(session, actor, draft, list(run.score()), suite)


async def remove_samples(database: Database, actor: Actor) -> int:
    """Deletes (softly) what is still a sample; how many things that were."""
    place = {"workspace_id": actor.workspace_id}
    async with database.write(bulk=True) as session:
        scored = [row.prompt_id for row in await session.all(_SCORED, place)]
        await session.execute(_unindexed(session.dialect), _bound(session.dialect, actor.workspace_id))
        removed = 0
        for table in _SUBJECTS:
            given = {"of_workspace": actor.workspace_id, "moment": clock.now()}
            removed += (await session.execute(_deleted(table), given)).rowcount
        for prompt_id in scored:
            await evaluation_commands.recount(session, prompt_id)
        subjects = ("prompts", "served", "templates", "suites", "evaluations", "samples")
        tags = [f"{subject}:{actor.workspace_id.hex}" for subject in subjects]
        session.touch(*tags, "templates:public")
    return removed


def _deleted(table: Any) -> Any:
    sample = (table.workspace_id == bindparam("of_workspace")) & table.is_sample & table.deleted_at.is_(None)
    removed = update(table).where(sample).values(deleted_at=bindparam("moment"), row_version=table.row_version + 1)
    return named(f"samples.remove_{table.__tablename__}", removed)


def _unindexed(dialect: str) -> Any:
    samples = "SELECT seq FROM prompts WHERE workspace_id = :workspace_id AND is_sample = {} AND deleted_at IS NULL"
    if dialect == "sqlite":
        removed = text(f"DELETE FROM prompt_search WHERE rowid IN ({samples.format(1)})")
    else:  # an array is looked up by key; a sub-select may be joined, with all of the index
        removed = text(f"DELETE FROM prompt_search WHERE seq = ANY (ARRAY({samples.format('true')}))")
    return named("samples.remove_from_search", removed)


def _bound(dialect: str, workspace_id: UUID) -> dict[str, Any]:
    return {"workspace_id": workspace_id.bytes if dialect == "sqlite" else workspace_id}
