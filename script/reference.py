"""Writes the reference pages of docs/ from the code, so that they cannot fall behind it.

``docs/settings.md`` comes from the fields of ``Settings``, ``docs/cli.md`` from the help texts of the commands,
``docs/metrics.md`` from the families of metrics.
``tests/test_house.py`` compares both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
GENERATED = "<!-- Written by script/docs from the code. Change the text there, then run script/docs. -->"
WIDTH = 100


def settings_page() -> str:
    """Every setting: the environment variable, its default, one sentence; a section per group of settings."""
    from autoforge.settings import Settings

    head = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Each is an environment variable. An option of the command line wins over it.",
    ]
    return "\n".join([*head, *_settings_of(Settings, ""), ""])


def _settings_of(group: Any, title: str) -> Iterator[str]:
    """The table of one settings class, then those of the classes that its fields hold."""
    prefix = group.model_config.get("env_prefix", "")
    nested = {name: field for name, field in group.model_fields.items() if hasattr(field.annotation, "model_fields")}
    if title:
        yield from ("", f"## {title}", "", _in_a_cell(group.__doc__ or ""))
    yield from ("", "| variable | default | what it does |", "|---|---|---|")
    for name, field in group.model_fields.items():
        if name not in nested:
            default = _default(field) + _presets(group, name)
            yield f"| `{(prefix + name).upper()}` | {default} | {_in_a_cell(field.description or '')} |"
    for name, field in nested.items():
        yield from _settings_of(field.annotation, name.replace("_", " ").capitalize())


def _presets(group: Any, name: str) -> str:
    """Where staging and production want another default than the field's own."""
    tables = getattr(sys.modules[group.__module__], f"{group.__name__.removesuffix('Settings').upper()}_PRESETS", {})
    own = group.model_fields[name].default
    differing = {place: values[name] for place, values in tables.items() if values.get(name, own) != own}
    return f" ({', '.join(f'{place} `{value}`' for place, value in differing.items())})" if differing else ""


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == "":
        return "none"
    shown = str(getattr(value, "value", value)).replace(str(Path.home()), "~").replace(str(Path.cwd()), ".")
    return f"`{shown}`"


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def commands_page() -> str:
    """Every command of ``autoforge`` with its help text."""
    from autoforge.cli import autoforge

    head = ["# Commands", "", GENERATED, ""]
    head += ["Exit codes: 0 done, 1 problems found or cases failed, 2 bad input, 3 something outside is broken.", ""]
    return "\n".join([*head, *_help_texts(autoforge, "autoforge")])


def _help_texts(command: Any, path: str, parent: Any = None) -> Iterator[str]:
    """The help of a command, then of those under it. Commands are click's; it is not imported here."""
    context = command.make_context(path.rpartition(" ")[2], [], parent=parent, resilient_parsing=True)
    context.terminal_width = WIDTH
    yield f"## {path}\n\n```\n{_unstyled(command.get_help(context))}\n```\n"
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        if below is not None and not below.hidden:
            yield from _help_texts(below, f"{path} {name}", context)


def _unstyled(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).replace(str(Path.home()), "~")


def metrics_page() -> str:
    """Every metric that the service exports: name, kind, labels, meaning; a section per subject."""
    from autoforge.telemetry.families import FAMILIES, SUBJECTS

    about = "What `/metrics` exports; [monitoring.md](monitoring.md) says how to use it."
    head = ["# Metrics", "", GENERATED, "", about]
    for subject, prefixes in SUBJECTS.items():
        head += ["", f"## {subject}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        for family in FAMILIES.values():
            if family.name.removeprefix("autoforge_").startswith(prefixes):
                labels = ", ".join(f"`{label}`" for label in family.labels) or "none"
                bounds = f" Buckets: {', '.join(f'{bound:g}' for bound in family.buckets)}." if family.buckets else ""
                head.append(f"| `{family.name}` | {family.kind} | {labels} | {_in_a_cell(family.meaning + bounds)} |")
    return "\n".join([*head, ""])


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": commands_page,
    "metrics.md": metrics_page,
}


def outdated(name: str) -> bool:
    """Does the page on disk differ from what the code says?"""
    path = DOCS / name
    return not path.is_file() or path.read_text(encoding="utf-8") != PAGES[name]()


def main(arguments: list[str]) -> int:
    stale = [name for name in PAGES if outdated(name)]
    for name in stale:
        if "--check" in arguments:
            print(f"docs/{name} differs from the code; run script/docs.")
        else:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
            print(f"Wrote docs/{name}.")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
