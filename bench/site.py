"""Fills a data directory as the service levels want it, and tells what is in it: people, keys, prompts, suites, runs.

Prompts come through the product's own import. ``python -m bench.site FOLDER [DATABASE_URL]`` fills and leaves
``FOLDER/facts.json`` behind. Each prompt has two versions and the label ``production``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from autoforge.access.tokens import digest, new_api_key, shown_prefix
from autoforge.db import bulk, clock
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.evaluations.commands import recount
from autoforge.evaluations.suite_commands import StoredSuite, store_suite
from autoforge.evaluations.suite_imports import config_of_tests
from autoforge.operations.opening import Opened, open_services
from autoforge.prompts.bulk_commands import import_records, settle
from autoforge.prompts.content import from_text
from autoforge.prompts.formats.records import PromptRecord, VersionRecord
from autoforge.settings import load_settings
from bench.filling import TEXT

CASES, RUNS_EACH = 10, 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """``scored`` are the prompts that have evaluations, ``RUNS_EACH`` of them."""

    prompts: int = 10_000
    people: int = 200
    templates: int = 200
    suites: int = 50
    scored: int = 300


async def fill(services: Opened, sizes: Sizes = Sizes()) -> dict[str, Any]:
    """What :class:`bench.load.mix.Mix` wants to know."""
    keys = await _people(services, sizes.people)
    admin = new_api_key()
    async with services.database.write() as session:
        await bulk.insert_many(session, m.ApiKey, [_key(services, services.owner.user_id, admin)])
    prompts = await _prompts(services, sizes.prompts)
    await _templates(services, sizes.templates)
    suites = await _suites(services, sizes.suites)
    runs = await _runs(services, suites, prompts[: sizes.scored])
    return {
        "keys": keys,
        "admin": admin,
        "prompts": [[name, str(prompt_id)] for name, prompt_id, _ in prompts],
        "suites": [str(suite.suite_id) for suite in suites],
        "runs": [str(run) for run in runs],
        "cases": CASES,
    }


async def _people(services: Opened, number: int) -> list[str]:
    now, ids, keys = clock.now(), [new_id() for _ in range(number)], [new_api_key() for _ in range(number)]
    users = [{"id": one, "email": f"p{one.hex}@example.com", "name": f"Person {n}"} for n, one in enumerate(ids)]
    place = {"workspace_id": services.owner.workspace_id, "role": "member", "created_at": now}
    async with services.database.write(bulk=True) as session:
        await bulk.insert_many(session, m.User, [one | {"created_at": now, "updated_at": now} for one in users])
        await bulk.insert_many(session, m.Membership, [place | {"user_id": one} for one in ids])
        rows = [_key(services, one, key) for one, key in zip(ids, keys, strict=True)]
        await bulk.insert_many(session, m.ApiKey, rows)
    return keys


def _key(services: Opened, user_id: UUID, key: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": new_id(), "workspace_id": services.owner.workspace_id, "user_id": user_id}
    row |= {"name": "bench", "prefix": shown_prefix(key), "key_hash": digest(services.secret, key)}
    return row | {"scopes": '["*:write"]', "created_at": clock.now()}


def _records(count: int) -> Iterator[PromptRecord]:
    for number in range(count):
        versions = tuple(VersionRecord(n, from_text(f"{number} {n} {TEXT}")) for n in (1, 2))
        heads: dict[str, Any] = {"branches": {"main": 2}, "labels": {"production": 1}}
        yield PromptRecord(f"team-{number % 7}/prompt-{number}", versions, f"Prompt {number}", **heads)


async def _prompts(services: Opened, count: int) -> list[tuple[str, UUID, UUID]]:
    """Name, id and the id of the first version."""
    async with services.database.write(bulk=True) as session:
        report = await import_records(session, services.owner, _records(count))
        assert report.failed == 0, report
    async with services.database.write(bulk=True) as session:
        await settle(session)
    wanted = select(m.Prompt.name, m.Prompt.id, m.PromptVersion.id).join(
        m.PromptVersion, (m.PromptVersion.prompt_id == m.Prompt.id) & (m.PromptVersion.number == 1)
    )
    async with services.database.read() as session:
        rows = await session.all(wanted)
    return [(row[0], row[1], row[2]) for row in rows]


async def _templates(services: Opened, count: int) -> None:
    now, owner = clock.now(), services.owner
    place = {"workspace_id": owner.workspace_id, "owner_id": owner.user_id, "created_at": now, "updated_at": now}
    content = json.dumps({"messages": [{"content": TEXT, "role": "user"}]}, separators=(",", ":"))
    rows = ({"id": new_id(), "name": f"template-{n}", "content": content, **place} for n in range(count))
    async with services.database.write(bulk=True) as session:
        await bulk.insert_many(session, m.Template, rows)


async def _suites(services: Opened, count: int) -> list[StoredSuite]:
    tests = [
        {"vars": {"question": f"What is {n}?"}, "assert": [{"type": "icontains", "value": f"answer {n}"}]}
        for n in range(CASES)
    ]
    cases = config_of_tests(tests, None).cases
    async with services.database.write(bulk=True) as session:
        return [await store_suite(session, services.owner, f"suite-{n}", "", cases) for n in range(count)]


async def _runs(services: Opened, suites: list[StoredSuite], prompts: list[tuple[str, UUID, UUID]]) -> list[UUID]:
    made_up, began = random.Random(1), clock.now() - timedelta(days=1)
    runs: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for place, (_, prompt_id, version_id) in enumerate(prompts):
        for nth in range(RUNS_EACH):
            suite = suites[(place + nth) % len(suites)]
            run_id, passed = new_id(), made_up.randint(1, CASES)
            at = began + timedelta(seconds=len(runs))
            owner = {"workspace_id": services.owner.workspace_id, "created_by": services.owner.user_id}
            runs.append(
                {"id": run_id, "prompt_id": prompt_id, "version_id": version_id, "suite_id": suite.suite_id, **owner}
                | {"batch_id": run_id, "name": f"run {nth}", "status": "completed", "model": "model-a"}
                | {"score": passed / CASES, "cases": CASES, "passed": passed, "failed": CASES - passed}
                | {"created_at": at, "completed_at": at}
            )
            results += [_result(run_id, suite, position, position <= passed) for position in range(1, CASES + 1)]
    async with services.database.write(bulk=True) as session:
        await bulk.insert_many(session, m.Evaluation, runs)
        await bulk.insert_many(session, m.TestResult, results)
        for _, prompt_id, _ in prompts:
            await recount(session, prompt_id)
    return [run["id"] for run in runs]


def _result(run_id: UUID, suite: StoredSuite, position: int, passed: bool) -> dict[str, Any]:
    reason = "it contains the answer" if passed else "it does not contain the answer"
    score = {"type": "icontains", "metric": None, "outcome": 2 if passed else 1, "score": float(passed)}
    row: dict[str, Any] = {"evaluation_id": run_id, "position": position, "case_id": suite.case_ids[position - 1]}
    row |= {"case_name": f"case {position}", "outcome": 2 if passed else 1, "score": float(passed), "reason": reason}
    row |= {"output": f"answer {position}" * 5, "assertions": json.dumps([score | {"reason": reason}])}
    return row | {"latency_ms": 800.0 + position}


async def filled(folder: Path, database_url: str | None = None) -> None:
    settings = load_settings(data=folder, samples=False, database_url=database_url)
    async with open_services(settings) as services:
        facts = await fill(services)
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    asyncio.run(filled(Path(sys.argv[1]), sys.argv[2] if sys.argv[2:] else None))
