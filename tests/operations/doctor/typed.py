"""Whether what a remedy says to type can be typed."""

from __future__ import annotations

import shlex
from typing import Any

import click

from autoforge.cli import autoforge


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The name of the command and its parameters. UsageError when there is no such command or option."""
    program, *words = shlex.split(line)
    assert program == "autoforge"
    command: click.Command = autoforge
    path, context = program, None
    while isinstance(command, click.Group):
        context = command.make_context(path, words, parent=context)
        name, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, path = found, f"{path} {name}"
    return path, command.make_context(path, words, parent=context).params


def commands_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("autoforge ")]
