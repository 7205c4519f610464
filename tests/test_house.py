"""The rules of the house, kept by tests instead of good will: imports, sizes, documentation, what may be in a file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest

import autoforge
from tests.servers import ROOT

PACKAGE = ROOT / "autoforge"
FROZEN = PACKAGE / "db" / "migrations" / "versions"
"""A migration that has shipped is never changed, so it is not measured either."""
LOCKS = ("requirements.txt", "requirements-dev.txt")


@cache
def tracked() -> tuple[Path, ...]:
    """The files that belong to the repository, as far as they are on disk."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so that nobody knows which files belong to the repository")
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


@cache
def tracked_texts() -> dict[str, str]:
    """Name and content of every tracked file that is text."""
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in tracked()}
    return {name: content.decode(errors="replace") for name, content in contents.items() if b"\0" not in content}


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the package, parsed."""
    paths = (path for path in PACKAGE.rglob("*.py") if FROZEN not in path.parents)
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def function_lengths() -> dict[str, int]:
    """Lines from ``def`` to the end, docstring included, by place."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def places(pattern: re.Pattern[str]) -> Iterator[str]:
    for name, text in tracked_texts().items():
        for number, line in enumerate(text.splitlines(), 1):
            if found := pattern.search(line):
                yield f"{name}:{number} {found.group()}"


def test_imports_keep_the_contracts() -> None:
    run = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", run, "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        pytest.fail(checked.stdout.partition("Broken contracts")[2] + checked.stderr, pytrace=False)


def test_functions_are_short() -> None:
    lengths = sorted(function_lengths().values())
    assert median(lengths) <= 10
    assert quantiles(lengths, n=10)[-1] <= 30


def test_no_function_is_long() -> None:
    assert {place: length for place, length in function_lengths().items() if length > 60} == {}


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_only_the_command_line_prints() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules().items()
        if PACKAGE / "cli" not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    sources = {name: text for name, text in tracked_texts().items() if name.endswith(".py")}
    assert [name for name, text in sources.items() if not ast.get_docstring(ast.parse(text))] == []


@pytest.mark.parametrize("page", ["settings.md", "cli.md", "metrics.md"])
def test_reference_page_agrees_with_the_code(page: str) -> None:
    from script.reference import outdated

    assert not outdated(page), f"docs/{page} differs from the code; run script/docs"


def test_every_setting_has_a_sentence() -> None:
    from autoforge.settings import Settings

    assert list(_undescribed(Settings)) == []


def _undescribed(group: Any) -> Iterator[str]:
    for name, field in group.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from _undescribed(field.annotation)
        elif not field.description:
            yield f"{group.__name__}.{name}"


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert autoforge.__version__ == project["version"] == newest.group(1)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    names = {re.split(r"[\[;<>=~! ]", requirement)[0] for requirement in [*project["dependencies"], *extras]}
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    assert {name for name in names if f"**{name}**" not in decisions} == set()


def test_lock_files_hold_no_addresses() -> None:
    for name in LOCKS:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"\w+://\S+|\bfile:\S+|--(?:extra-)?index\S*|--find-links.*| @ .*", text) == []


def test_development_pins_are_the_product_s_pins() -> None:
    pins = [set(re.findall(r"^\S+==.*?(?= \\)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert pins[0] <= pins[1]


def test_no_file_names_a_place_of_one_machine() -> None:
    here = {str(ROOT), str(Path.home()), "/work", "/root"} - {"/"}
    places_here = "|".join(re.escape(place) for place in sorted(here))
    assert list(places(re.compile(rf"(?<![\w.:/*-])(?:{places_here})/\S*"))) == []


def test_no_file_names_a_package_registry() -> None:
    # Spelled in parts, so that this file does not name them either.
    known = [("pypi", "org"), ("python" + "hosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org")]
    hosts = {r"\.".join(parts) for parts in known} | {re.escape(host) for host in _configured_hosts()}
    assert list(places(re.compile("|".join(sorted(hosts))))) == []


def _configured_hosts() -> set[str]:
    """The hosts where this machine's pip looks for packages."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"https?://(?:[^/@\s]*@)?([^/:\s']+)", listing)) - {"127.0.0.1", "localhost"}
