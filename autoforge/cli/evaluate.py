"""``autoforge evaluate``: scores recorded outputs, stores the runs, and says how they came out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import UUID

import click

from autoforge.cli.running import data_options, on_services, settings_of
from autoforge.db.ids import new_id, parse_id
from autoforge.errors import BadInput
from autoforge.evaluations import commands, reports, suite_commands
from autoforge.evaluations.cases import CaseResult
from autoforge.evaluations.commands import RunDraft
from autoforge.evaluations.comparison import Scored, compare_many
from autoforge.evaluations.config import EvaluationConfig, Overrides, load_config
from autoforge.evaluations.junit import JUnitWriter
from autoforge.evaluations.outputs import Plan, Run, plan_runs
from autoforge.evaluations.prompt_references import Maker, referenced_version
from autoforge.evaluations.recorded import chosen_runs, score_run, scored
from autoforge.evaluations.scope import Scope
from autoforge.evaluations.stored_scores import scored_by_content
from autoforge.evaluations.suite_commands import StoredSuite
from autoforge.evaluations.summaries import RunSummary, RunTally
from autoforge.reading import Source

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options of one call."""

    config: Path
    outputs: tuple[Path, ...]
    data_root: Path | None
    variables: tuple[str, ...]
    prompt: str | None
    suite: str | None
    models: tuple[str, ...]
    baseline: str | None
    fail_under: float | None
    as_json: bool
    results: Path | None
    junit: Path | None
    limit: int | None
    store: bool


@click.command()
@click.argument("config", type=FILE)
@click.option("--outputs", multiple=True, type=FILE, help="Recorded outputs: JSON, JSONL or CSV, gzip too. Repeatable.")
@click.option("--data-root", type=click.Path(path_type=Path), help="What ${data} in the configuration stands for.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="A parameter of the configuration.")
@click.option("--prompt", metavar="NAME@VERSION", help="The stored prompt that made these outputs.")
@click.option("--suite", help="The name to store the cases under (default: the configuration's description).")
@click.option("--model", "models", multiple=True, help="Only this model; names the run when there is one. Repeatable.")
@click.option("--baseline", metavar="RUN", help="Compare with a stored run (its id) or a model of this command.")
@click.option("--fail-under", type=click.FloatRange(0, 1), help="Exit 1 only when a run scores below this.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--results", type=FILE, help="Write one JSON line per result.")
@click.option("--junit", type=FILE, help="Write JUnit XML.")
@click.option("--limit", type=click.IntRange(min=1), help="Score only the first cases.")
@click.option("--no-store", "store", flag_value=False, default=True, help="Score and report, store nothing.")
@data_options
def evaluate(data: Path | None, database_url: str | None, **options: Any) -> None:
    """Score recorded outputs against the test cases of CONFIG (promptfoo's shape), and store the runs.

    Exit code 0: every case passed (or every run reached --fail-under); 1: not so; 2: bad input; 3: infrastructure.
    """
    asked = _Asked(**options)
    config = load_config(asked.config, _overrides(asked))
    _check_written(asked, config.files)
    plan = plan_runs(config)
    runs = chosen_runs(plan, asked.models, asked.limit)
    _check_baseline(asked.baseline, runs)
    _note([str(notice) for notice in (*config.notices, *plan.notices)])
    with ExitStack() as files:
        work = _Evaluation(asked, config, plan, _Reports(asked, files))
        if asked.store or asked.prompt or parse_id(asked.baseline or "") is not None:
            settings = settings_of(data, database_url, samples=False)
            on_services(settings, lambda opened: work.run(runs, opened))
        else:
            work.score_all(runs)
    work.report()
    sys.exit(1 if work.found_problems() else 0)


def _overrides(asked: _Asked) -> Overrides:
    parameters = {}
    for given in asked.variables:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise BadInput.at("--var", f"A parameter is given as NAME=VALUE, not {given!r}.")
        parameters[name] = value
    if asked.data_root is not None:
        parameters["data"] = str(asked.data_root)
    return Overrides([Source.at(path) for path in asked.outputs], parameters, trusted=True)


def _check_written(asked: _Asked, read: Sequence[Path]) -> None:
    """Reports never take the place of what they are about, nor of each other."""
    known = {_identity(path): f"{path} is read for this evaluation" for path in read}
    for option, path in (("--results", asked.results), ("--junit", asked.junit)):
        if path is None or (path.exists() and not path.is_file()):  # a terminal or a pipe takes both
            continue
        if told := known.get(_identity(path)):
            raise BadInput.at(option, f"{option} would overwrite a file that is still needed: {told}.")
        known[_identity(path)] = f"{path} is where {option} goes"


def _identity(path: Path) -> object:
    """What two names of one file have in common, links included."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return path.resolve()
    return found.st_dev, found.st_ino


def _check_baseline(baseline: str | None, runs: Sequence[Run]) -> None:
    """A name that no run has is told before anything is scored; whether there is a run of an id, the database knows."""
    models = [run.model for run in runs]
    if baseline is not None and parse_id(baseline) is None and baseline not in models:
        known = ", ".join(dict.fromkeys(models))
        raise BadInput.at(
            "--baseline", f"{baseline!r} is neither the id of a run nor a model here. There are: {known}."
        )


def _note(notices: Sequence[str], most: int = 20) -> None:
    """What was left out or ignored, on stderr."""
    for notice in notices[:most]:
        click.echo(f"note: {reports.one_line(notice)}", err=True)
    if len(notices) > most:
        click.echo(f"note: {len(notices) - most} more of these", err=True)


class _Reports:
    """The files that are written while runs are scored; opened first, so that a wrong path costs no work."""

    def __init__(self, asked: _Asked, files: ExitStack) -> None:
        self._results = files.enter_context(_opened(asked.results)) if asked.results else None
        stream = files.enter_context(_opened(asked.junit)) if asked.junit else None
        self._junit = files.enter_context(JUnitWriter(stream)) if stream else None

    def add(self, run: RunSummary, results: Sequence[CaseResult]) -> None:
        if self._results is not None:
            self._results.writelines(reports.result_line(run.id, run.model, result) for result in results)
        if self._junit is not None:
            self._junit.begin(run)
            for result in results:
                self._junit.add(result)
            self._junit.end()


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}") from error


@dataclass(slots=True)
class _Evaluation:
    """One call: what is scored, and what came out so far."""

    asked: _Asked
    config: EvaluationConfig
    plan: Plan
    files: _Reports
    tallies: list[RunTally] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)
    scores: dict[str, list[Scored]] = field(default_factory=dict)
    stored_baseline: list[Scored] | None = None

    async def run(self, runs: Sequence[Run], opened: Opened) -> None:
        """Scores run by run; each is stored with its results in one transaction, the suite with the first."""
        maker = await self._maker(opened)
        await self._read_baseline(opened)
        batch, suite = new_id(), None
        with _progress(runs) as done:
            for run in runs:
                evaluation_id = new_id()
                results = self.score(run, evaluation_id, done)
                if self.asked.store:
                    draft = self._draft(run, evaluation_id, batch, maker)
                    suite = await self._store(opened, draft, results, suite)

    def score_all(self, runs: Sequence[Run]) -> None:
        """Scores without a database."""
        with _progress(runs) as done:
            for run in runs:
                self.score(run, new_id(), done)

    def score(self, run: Run, evaluation_id: UUID, done: Callable[[], object]) -> list[CaseResult]:
        tally = RunTally(str(evaluation_id), run.model, prompt=run.prompt)

        def add(result: CaseResult) -> None:
            tally.add(result)
            done()

        results = score_run(run, Scope(folder=self.config.folder, trusted=True), add)
        self.tallies.append(tally)
        # The tally's running mean carries rounding in its last digits; what is stored and printed is the exact one.
        self.summaries.append(replace(tally.summary(), score=commands.totals(results).score))
        self.files.add(self.summaries[-1], results)
        if self.asked.baseline is not None:
            self.scores[self._title(run)] = scored(results)
        return results

    def _title(self, run: Run) -> str:
        return run.model if run.model not in self.scores else f"{run.model} ({run.prompt or run.source})"

    def _draft(self, run: Run, evaluation_id: UUID, batch: UUID, maker: Maker) -> RunDraft:
        name = f"{run.model} · {self._suite_name()}"
        return RunDraft(
            run.model[:200],
            name[:200],
            prompt_id=maker.prompt_id,
            version_id=maker.version_id,
            evaluation_id=evaluation_id,
            batch_id=batch,
        )

    def _suite_name(self) -> str:
        """The configuration's name on one line, short enough to be a name."""
        return reports.one_line(self.asked.suite or self.config.name, suite_commands.LONGEST_NAME) or "suite"

    async def _store(
        self, opened: Opened, draft: RunDraft, results: Sequence[CaseResult], suite: StoredSuite | None
    ) -> StoredSuite:
        async with opened.database.write(bulk=True) as session:
            if suite is None:
                name, about = self._suite_name(), self.config.description or ""
                about = "" if about == name else about
                suite = await suite_commands.store_suite(session, opened.owner, name, about, self.plan.cases)
            await commands.store_run(session, opened.owner, draft, results, suite)
        return suite

    async def _maker(self, opened: Opened) -> Maker:
        """The version behind ``--prompt``."""
        async with opened.database.read() as session:
            return await referenced_version(session, opened.owner, self.asked.prompt, at="--prompt")

    async def _read_baseline(self, opened: Opened) -> None:
        baseline = parse_id(self.asked.baseline or "")
        if baseline is None:
            return
        async with opened.database.read() as session:
            self.stored_baseline = await scored_by_content(session, opened.owner.workspace_id, baseline)

    def report(self) -> None:
        """The figures on stdout; with ``--json`` what is said of a comparison goes to stderr."""
        lines = [f"{title} against {self.asked.baseline}: {text}" for title, text in self._comparisons()]
        if self.asked.as_json:
            click.echo(reports.summary_json(self.summaries))
        else:
            from rich.console import Console

            reports.print_report(Console(), self.tallies)
        for line in lines:
            click.echo(line, err=self.asked.as_json)

    def _comparisons(self) -> list[tuple[str, str]]:
        if self.asked.baseline is None:
            return []
        others = dict(self.scores)
        first = self.stored_baseline if self.stored_baseline is not None else others.pop(self.asked.baseline, None)
        found = compare_many(first or [], others)
        return [(title, reports.comparison_sentence(comparison)) for title, comparison in found.items()]

    def found_problems(self) -> bool:
        """Whether the exit code is 1: by ``--fail-under`` alone when it is given, else by any case not passed."""
        if self.asked.fail_under is not None:
            return any(run.score is None or run.score < self.asked.fail_under for run in self.summaries)
        return any(run.failed or run.errors for run in self.summaries)


@contextmanager
def _progress(runs: Sequence[Run]) -> Iterator[Callable[[], object]]:
    """What to call after each case; a bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("Scoring", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=sum(len(run.pairs) for run in runs))
        yield lambda: progress.advance(task)
