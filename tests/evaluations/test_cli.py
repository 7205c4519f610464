"""``autoforge evaluate`` as people and CI systems use it: figures, files, exit codes, and nothing half stored."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select

from autoforge.access.commands import ensure_local_owner
from autoforge.cli import main
from autoforge.db import Database
from autoforge.db import models as m
from autoforge.settings import Settings, load_settings
from tests import make
from tests.servers import ROOT

COMMAND = [sys.executable, "-c", "import sys; from autoforge.cli import main; sys.exit(main())", "evaluate"]
CONFIG = {
    "description": "Sums",
    "tests": [
        {"description": f"sum {n}", "vars": {"q": f"{n}+{n}"}, "assert": [{"type": "equals", "value": str(2 * n)}]}
        for n in range(1, 7)
    ],
    "outputs": {"models": {"right": "right", "wrong": "wrong"}},
}
ROWS = [{"right": str(2 * n), "wrong": str(2 * n) if n % 2 else "?"} for n in range(1, 7)]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.out)["runs"]
        return found


Run = Callable[..., Answer]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def run(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, as the entry point runs it, on a data directory of the test."""

    def call(*arguments: str, outputs: str | None = "outputs.jsonl", data: bool = True) -> Answer:
        given = [str(config), *(["--outputs", str(tmp_path / outputs)] if outputs else [])]
        given += ["--data", str(tmp_path / "data")] if data else []
        monkeypatch.setattr(sys, "argv", ["autoforge", "evaluate", *given, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Answer(int(ended.value.code or 0), shown.out, shown.err)

    return call


def _stored(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{tmp_path / 'data' / 'autoforge.db'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_json_is_all_there_is_on_stdout(run: Run, tmp_path: Path) -> None:
    answer = run("--json")
    assert answer.code == 1
    assert [list(one) for one in answer.runs] == [["id", "model", "cases", "passed", "failed", "errors", "score"]] * 2
    assert [(one["model"], one["passed"], one["failed"], one["errors"], one["score"]) for one in answer.runs] == [
        ("right", 6, 0, 0, 1.0),
        ("wrong", 3, 3, 0, 0.5),
    ]
    assert _stored(tmp_path, "SELECT model, cases, score FROM evaluations ORDER BY created_at, id") == [
        ("right", 6, 1.0),
        ("wrong", 6, 0.5),
    ]
    assert _stored(tmp_path, "SELECT name, case_count FROM suites") == [("Sums", 6)]


def test_a_table_and_the_reasons_for_people(run: Run) -> None:
    answer = run()
    assert answer.code == 1
    assert "100.00 %" in answer.out
    assert "sum 2" in answer.out
    assert "3 of 3 that did not pass" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--model", "right"], 0),
        (["--model", "wrong"], 1),
        (["--fail-under", "0.5"], 0),
        (["--fail-under", "0.51"], 1),
        (["--model", "right", "--fail-under", "1"], 0),
        (["--limit", "1"], 0),
        (["--model", "nobody"], 2),
        (["--fail-under", "2"], 2),
        (["--baseline", "nobody"], 2),
        (["--baseline", "01890000-0000-7000-8000-000000000000"], 2),
        (["--prompt", "nothing@main"], 2),
        (["--var", "nonsense"], 2),
        (["--var", "unknown=1"], 2),
        (["--outputs", "missing.jsonl"], 2),
        (["--results", "missing/folder/file"], 2),
        (["--surprise"], 2),
        (["--database-url", "postgresql://127.0.0.1:1/none"], 3),
    ],
)
def test_exit_codes(run: Run, arguments: list[str], code: int) -> None:
    answer = run("--json", *arguments)
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    if code > 1:
        assert answer.out == ""


def test_nothing_is_stored_when_asked_not_to(run: Run, tmp_path: Path) -> None:
    assert run("--no-store", "--json").runs[0]["cases"] == 6
    assert not (tmp_path / "data").exists()


def test_the_first_cases_only(run: Run, tmp_path: Path) -> None:
    assert [one["cases"] for one in run("--json", "--limit", "2").runs] == [2, 2]
    assert _stored(tmp_path, "SELECT case_count FROM suites") == [(6,)]


def test_results_and_junit_files(run: Run, tmp_path: Path) -> None:
    answer = run("--json", "--results", str(tmp_path / "r.jsonl"), "--junit", str(tmp_path / "j.xml"))
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert list(lines[0]) == ["run", "model", "case", "outcome", "score", "reason", "output", "assertions"]
    assert list(lines[0]["assertions"][0]) == ["type", "metric", "outcome", "score", "reason"]
    assert {line["run"] for line in lines} == {one["id"] for one in answer.runs}
    suites = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert [(one.get("tests"), one.get("failures")) for one in suites] == [("6", "0"), ("6", "3")]


@pytest.mark.parametrize("option", ["--results", "--junit"])
def test_no_report_takes_the_place_of_what_was_read(run: Run, config: Path, tmp_path: Path, option: str) -> None:
    """Found by trying: ``--outputs keep.jsonl --results keep.jsonl`` replaced the recording."""
    tests = tmp_path / "tests.json"
    tests.write_text(json.dumps(CONFIG["tests"]))
    config.write_text(json.dumps({**CONFIG, "tests": "file://tests.json"}))
    (tmp_path / "link").symlink_to(tmp_path / "outputs.jsonl")
    (tmp_path / "hard").hardlink_to(tests)
    before = {path: path.read_bytes() for path in (config, tests, tmp_path / "outputs.jsonl")}
    for name in ("outputs.jsonl", "nothing/../outputs.jsonl", "link", "hard", "tests.json", config.name):
        (tmp_path / "nothing").mkdir(exist_ok=True)
        answer = run("--json", option, str(tmp_path / name))
        assert (answer.code, answer.out) == (2, ""), name
        assert f"{option} would overwrite a file that is still needed" in answer.err
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "data").exists()


def test_both_reports_do_not_go_into_one_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    answer = run("--results", str(tmp_path / "x"), "--junit", str(tmp_path / "folder" / ".." / "x"))
    assert (answer.code, answer.out) == (2, "")
    assert "--junit would overwrite a file that is still needed" in answer.err
    assert not (tmp_path / "x").exists()
    assert run("--no-store", "--results", "/dev/null", "--junit", "/dev/null").code == 1


def test_a_second_run_is_comparable_with_the_first(run: Run, tmp_path: Path) -> None:
    first = run("--json", "--model", "right").runs[0]["id"]
    second = run("--model", "wrong", "--baseline", first)
    assert "wrong against" in second.out
    assert "6 shared cases" in second.out
    inside = run("--baseline", "right", "--json")
    assert "Cannot tell: -50.00 %" in inside.err
    assert len(inside.runs) == 2
    unstored = run("--no-store", "--model", "wrong", "--baseline", first)
    assert "6 shared cases" in unstored.out
    assert _stored(tmp_path, "SELECT count(DISTINCT case_id) FROM test_results") == [(6,)]


def test_a_recording_without_names_gets_one(run: Run, tmp_path: Path, config: Path) -> None:
    config.write_text(json.dumps({key: value for key, value in CONFIG.items() if key != "outputs"}))
    (tmp_path / "plain.jsonl").write_text("".join(f'{{"output": "{2 * n}"}}\n' for n in range(1, 7)))
    answer = run("--json", "--model", "gpt-x", outputs="plain.jsonl")
    assert [(one["model"], one["passed"]) for one in answer.runs] == [("gpt-x", 6)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "42",
        "tests: [",
        '{"tests": 5}',
        '{"tests": []}',
        "\x00",
        "[" * 20_000,
        '{"tests": [{"assert": [{"type": "x"}]}]}',
    ],
)
def test_bad_configurations_are_one_line(run: Run, config: Path, tmp_path: Path, content: str) -> None:
    config.write_text(content)
    answer = run("--json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("autoforge: ")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xff", b"5", b'{"right": "\\ud800"}', b"[" * 20_000])
def test_bad_outputs_are_one_line(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.jsonl").write_bytes(content)
    answer = run("--json", outputs="bad.jsonl")
    assert answer.code in (1, 2)
    assert "Traceback" not in answer.err
    if answer.code == 1:  # a file without rows: every case lacks its output
        assert all(one["errors"] == 6 for one in answer.runs)


def test_python_of_the_user_runs(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text("def even(output, context):\n    return int(output) % 2 == 0\n")
    tests = [{"vars": {"n": n}, "assert": [{"type": "python", "value": "file://check.py:even"}]} for n in range(6)]
    config.write_text(json.dumps({**CONFIG, "tests": tests}))
    assert run("--json", "--model", "right").code == 0


def test_runs_are_stored_for_a_prompt_on_both_databases(run: Run, tmp_path: Path, database_url: str) -> None:
    settings = load_settings(data=tmp_path, database_url=database_url)
    asyncio.run(_with_prompt(settings))
    answer = run("--json", "--model", "right", "--prompt", "mail@1", "--database-url", database_url)
    assert answer.code == 0, answer.err
    stored = asyncio.run(_evaluations(settings))
    assert [(str(row.id), row.average) for row in stored] == [(answer.runs[0]["id"], 1.0)]


async def _with_prompt(settings: Settings) -> None:
    async with await Database.open(settings) as database, database.write() as session:
        owner, _ = await ensure_local_owner(session)
        await make.prompt(session, owner, "mail")


async def _evaluations(settings: Settings) -> Any:
    query = select(m.Evaluation.id, m.PromptScore.average).join(
        m.PromptScore, m.PromptScore.prompt_id == m.Evaluation.prompt_id
    )
    async with await Database.open(settings) as database, database.read() as session:
        return await session.all(query)


def test_kill_in_the_middle_leaves_no_half_run(config: Path, tmp_path: Path) -> None:
    models = [f"model-{index}" for index in range(60)]
    tests = [{"vars": {"n": n}, "assert": [{"type": "equals", "value": str(n)}]} for n in range(150)]
    section = {"models": dict.fromkeys(models, "answer")}
    config.write_text(json.dumps({"description": "Many", "tests": tests, "outputs": section}))
    (tmp_path / "many.jsonl").write_text("".join(f'{{"answer": "{n}"}}\n' for n in range(150)))
    given = [str(config), "--outputs", str(tmp_path / "many.jsonl"), "--data", str(tmp_path / "data"), "--json"]
    process = subprocess.Popen([*COMMAND, *given], stdout=subprocess.PIPE)
    while process.poll() is None and _count(tmp_path) < 3:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate()
    assert (process.returncode, out) == (-signal.SIGKILL, b"")
    rows = _stored(
        tmp_path,
        "SELECT cases, (SELECT count(*) FROM test_results WHERE evaluation_id = id) FROM evaluations",
    )
    assert 3 <= len(rows) < 60
    assert set(rows) == {(150, 150)}
    assert _stored(tmp_path, "SELECT case_count, (SELECT count(*) FROM test_cases) FROM suites") == [(150, 150)]


def _count(tmp_path: Path) -> int:
    try:
        return int(_stored(tmp_path, "SELECT count(*) FROM evaluations")[0][0])
    except sqlite3.OperationalError:  # not there yet
        return 0


def test_gsm8k_end_to_end(tmp_path: Path, real_data: Path) -> None:
    outputs = real_data / "eval-gsm8k" / "example_model_solutions.jsonl"
    given = [
        str(ROOT / "examples" / "gsm8k.yaml"),
        "--outputs",
        str(outputs),
        "--data",
        str(tmp_path / "data"),
        "--json",
    ]
    done = subprocess.run([*COMMAND, *given], capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [(one["model"], one["passed"], one["cases"]) for one in runs] == [
        ("6b_finetuning", 286, 1319),
        ("6b_verification", 515, 1319),
        ("175b_finetuning", 458, 1319),
        ("175b_verification", 742, 1319),
    ]
    assert _stored(tmp_path, "SELECT count(*), sum(outcome = 2) FROM test_results") == [(5276, 2001)]
    assert [one["score"] for one in runs] == [one["passed"] / 1319 for one in runs]


def test_the_command_imports_no_web_server(config: Path, tmp_path: Path) -> None:
    """What is not imported costs no time at every start."""
    watched = ["fastapi", "starlette", "granian", "nltk", "sacrebleu", "sqlglot", "lxml", "html5lib"]
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([name for name in {watched!r} if name in sys.modules]))\n"
        "from autoforge.cli import main; sys.argv[0] = 'autoforge'; main()"
    )
    given = ["evaluate", str(config), "--outputs", str(tmp_path / "outputs.jsonl"), "--data", str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", code, *given, "--json"], capture_output=True, check=False)
    assert done.stdout.splitlines()[-1] == b"[]", done
