"""``autoforge prompts`` as people use it: files in and out, lists, differences, exit codes, never half an import."""

from __future__ import annotations

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

import httpx2
import pytest

from autoforge.cli import main
from tests.servers import Served

COMMAND = [sys.executable, "-c", "import sys; from autoforge.cli import main; sys.exit(main())"]
CSV = "name,prompt,description\nmail/answer,Answer {{mail}} politely,For support\nmail/triage,Which team is it?,\n"


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, as the entry point runs it, on a data directory of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOFORGE_SAMPLES", "false")

    def call(*arguments: str, data: str = "data") -> Answer:
        monkeypatch.setattr(sys, "argv", ["autoforge", "prompts", *arguments, "--data", str(tmp_path / data)])
        code: Any = 0
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        shown = capsys.readouterr()
        return Answer(code or 0, shown.out, shown.err)

    return call


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    """The same with two prompts, one of them with a second version."""
    (tmp_path / "first.csv").write_text(CSV)
    assert run("import", "first.csv").code == 0
    (tmp_path / "second.csv").write_text(CSV.replace("politely", "kindly"))
    assert run("import", "second.csv").out == "0 created, 1 extended, 1 unchanged, 0 failed.\n"
    return run


def test_a_file_comes_in_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV)
    dry = run("import", "p.csv", "--dry-run")
    assert (dry.code, dry.out) == (0, "Would be: 2 created, 0 extended, 0 unchanged, 0 failed.\n")
    assert run("import", "p.csv").out == "2 created, 0 extended, 0 unchanged, 0 failed.\n"
    again = run("import", "p.csv", "--json")
    assert again.json == {
        "stored": True, "created": 0, "extended": 0, "unchanged": 2, "failed_count": 0, "failed": []
    }  # fmt: skip
    assert again.err == ""


def test_bad_rows_are_named_and_keep_everything_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"name": "a", "prompt": "x"}\n{"name": "b"}\n[1\n')
    refused = run("import", "p.jsonl")
    assert (refused.code, refused.out) == (2, "")
    lines = refused.err.splitlines()
    assert [line.split(":")[1] for line in lines[:2]] == [" line 2", " line 3"]
    assert "nothing was imported" in lines[2]
    assert run("list", "--json").json == []
    assert run("import", "p.jsonl", "--dry-run").code == 1
    kept = run("import", "p.jsonl", "--skip-bad", "--json")
    assert (kept.code, kept.json["created"], kept.json["failed_count"]) == (1, 1, 2)
    assert [row["line"] for row in kept.json["failed"]] == [2, 3]


def test_columns_and_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("title\tquestion\nOne\tWhy {x}?\n")
    answer = run("import", "p.tsv", "--map", "question=prompt", "--placeholders", "braces", "--folder", "a/b")
    assert answer.code == 0, answer.err
    assert run("list").out == "a/b/one  v1    draft\n"
    assert run("show", "a/b/one").out == "Why {{x}}?\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["import", "nowhere.csv"], "no such file"),
        (["import", "odd.xyz"], "format"),
        (["import", "odd.json"], "odd.json"),
        (["import", "good.csv", "--map", "x"], "column=field"),
        (["import", "good.csv", "--map", "a=colour"], "colour"),
        (["import", "good.csv", "--folder", "a@b"], "@"),
        (["export", "out.xyz"], "--format"),
        (["export", "out.csv", "nobody"], "nobody"),
        (["export", "full"], "not empty"),
        (["export", "-", "--format", "markdown"], "folder"),
        (["export", "good.csv", "--format", "markdown"], "good.csv is a file"),
        (["export", "full", "--format", "csv"], "full is a folder"),
        (["export", "no/such/x.csv"], "no/such/x.csv cannot be written: there is no folder no/such"),
        (["show", "nobody"], "nobody"),
        (["show", "a@@b"], "a"),
        (["diff", "nobody", "1", "2"], "nobody"),
        (["list", "--sort", "colour"], "colour"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run: Run, tmp_path: Path, given: list[str], says: str) -> None:
    (tmp_path / "odd.xyz").write_text("x")
    (tmp_path / "odd.json").write_text('{"a": [}')
    (tmp_path / "good.csv").write_text(CSV)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    answer = run(*given)
    assert (answer.code, answer.out) == (2, ""), answer
    assert len(answer.err.splitlines()) == 1
    assert says in answer.err
    assert not (tmp_path / "-").exists()


def test_lists(filled: Run) -> None:
    assert filled("list").out == "mail/answer  v2    draft\nmail/triage  v1    draft\n"
    assert [item["name"] for item in filled("list", "--q", "kind", "--json").json] == ["mail/answer"]
    assert filled("list", "--folder", "other").out == ""
    assert filled("list", "--limit", "1", "--sort", "-name").out == "mail/triage  v1    draft\n"
    assert filled("list", "--status", "active", "--json").json == []


def test_show(filled: Run) -> None:
    assert filled("show", "mail/answer").out == "Answer {{mail}} kindly\n"
    assert filled("show", "mail/answer@1").out == "Answer {{mail}} politely\n"
    shown = filled("show", "mail/answer@main", "--json").json
    assert (shown["number"], shown["name"]) == (2, "mail/answer")
    assert shown["content"]["messages"] == [{"role": "user", "content": "Answer {{mail}} kindly"}]


def test_diff(filled: Run) -> None:
    different = filled("diff", "mail/answer", "1", "main")
    assert (different.code, different.out) == (1, "[user] changed\nAnswer {{mail}} [-politely-]{+kindly+}\n")
    assert filled("diff", "mail/answer", "2", "main").code == 0
    assert filled("diff", "mail/answer", "2", "main").out == ""
    assert filled("diff", "mail/answer", "1", "9").code == 2


@pytest.mark.parametrize("target", ["p.csv", "p.json", "p.jsonl", "p.yaml", "folder"])
def test_what_goes_out_comes_in_as_it_was(filled: Run, target: str, tmp_path: Path) -> None:
    assert filled("export", target).err == "Exported 2 prompts.\n"
    assert filled("import", target, data="other").code == 0
    assert filled("import", target).out == "0 created, 0 extended, 2 unchanged, 0 failed.\n"
    for data in ("data", "other"):
        filled("export", f"{data}.jsonl", data=data)
    assert (tmp_path / "data.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert not list(tmp_path.glob(".*.part"))


def test_a_part_goes_out_to_standard_output(filled: Run) -> None:
    lines = filled("export", "-", "mail/triage").out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["mail/triage"]
    assert filled("export", "-", "--folder", "mail", "--format", "csv").out.startswith("name,")


def test_an_export_that_fails_leaves_the_old_file(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("old")
    assert filled("export", "p.csv", "nobody").code == 2
    assert (tmp_path / "p.csv").read_text() == "old"


def test_an_export_that_cannot_be_written_names_the_file_that_was_asked_for(filled: Run, tmp_path: Path) -> None:
    long = "x" * 250 + ".csv"  # too long with what is put around it
    answer = filled("export", long)
    assert (answer.code, answer.out) == (3, "")
    assert f"'{long}'" in answer.err
    assert ".part" not in answer.err


@pytest.mark.parametrize(
    ("files", "number"),
    [
        (["prompts-awesome/prompts.csv"], 760),
        ([f"prompts-lobe-agents/agents.{locale}.jsonl" for locale in ("en-US", "ja-JP", "zh-CN")], 741),
        (["prompts-promptsource/templates.jsonl"], 1003),
    ],
)
def test_real_prompts_lose_nothing(run: Run, real_data: Path, tmp_path: Path, files: list[str], number: int) -> None:
    reports = [run("import", str(real_data / file), "--json").json for file in files]
    assert sum(report["created"] for report in reports) == number
    assert sum(report["failed_count"] for report in reports) == 0
    assert run("import", str(real_data / files[0]), "--json").json["unchanged"] == reports[0]["created"]
    assert run("export", "one.jsonl").err == f"Exported {number:,} prompts.\n"
    assert run("import", "one.jsonl", "--json", data="other").json["created"] == number
    run("export", "two.jsonl", data="other")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    longest = max(len(line) for line in (tmp_path / "one.jsonl").read_text().splitlines())
    assert longest > (144_260 if "awesome" in files[0] else 1_000)


def _prompts(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute("SELECT count(*) FROM prompts").fetchone()[0]
    connection.close()
    return count


def test_kill_in_the_middle_leaves_nothing(run: Run, tmp_path: Path) -> None:
    text = "word " * 200
    rows = (json.dumps({"name": f"p{n}", "prompt": f"{n} {text}"}) + "\n" for n in range(30_000))
    with (tmp_path / "many.jsonl").open("w") as out:
        out.writelines(rows)
    run("list")
    given = ["prompts", "import", str(tmp_path / "many.jsonl"), "--data", str(tmp_path / "data")]
    process = subprocess.Popen([*COMMAND, *given], stdout=subprocess.PIPE)
    log = tmp_path / "data" / "autoforge.db-wal"
    while process.poll() is None and not (log.exists() and log.stat().st_size > 5_000_000):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert _prompts(tmp_path / "data" / "autoforge.db") == 0
    assert run("list").out == ""


def test_it_works_while_a_server_runs_and_the_server_sees_it_at_once(
    served: Served, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.csv").write_text("name,prompt\nfrom/outside,one\n")
    place = str(served.data)
    headers = {"Cookie": f"autoforge_session={served.cookie}"}
    path = f"{served.url}/api/v1/prompts/served/from/outside"
    assert httpx2.get(path, headers=headers).status_code == 404
    assert run("import", "p.csv", data=place).code == 0
    assert httpx2.get(path, headers=headers).json()["number"] == 1
    (tmp_path / "p.csv").write_text("name,prompt\nfrom/outside,two\n")
    assert run("import", "p.csv", data=place).code == 0
    assert httpx2.get(path, headers=headers).json()["number"] == 2


def test_samples_come_and_go(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(what: str) -> int:
        monkeypatch.setattr(sys, "argv", ["autoforge", "samples", what, "--data", str(tmp_path / "data")])
        try:
            return int(main() or 0)
        except SystemExit as ended:
            return int(ended.code or 0)

    assert samples("add") == 0
    names = [item["name"] for item in json.loads(run("list", "--json").out.partition("\n")[2])]
    assert len(names) >= 10
    assert samples("remove") == 0
    assert json.loads(run("list", "--json").out.partition("\n")[2]) == []


def test_help_imports_no_database(tmp_path: Path) -> None:
    code = "import sys; from autoforge.cli import main; sys.argv = ['autoforge', 'prompts', 'import', '--help']\n"
    code += "try: main()\nexcept SystemExit: print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
