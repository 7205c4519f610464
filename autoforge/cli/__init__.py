"""``autoforge ...``: thin commands over the rooms below.

Each command lives in a module of its own that is imported only when it is asked for, so that ``--help`` answers at
once. Exit codes: 0 fine, 1 found problems or failed cases, 2 bad input, 3 infrastructure.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from autoforge import __version__
from autoforge.errors import AutoforgeError

# The command's name -> where it is, and its one line of help (so that listing them imports none).
COMMANDS = {
    "serve": ("autoforge.cli.serve:serve", "Serve the pages and the API on this machine."),
    "worker": ("autoforge.cli.worker:worker", "Run background jobs in a process of their own."),
    "db": ("autoforge.cli.database:database", "Upgrade, check and back up the database."),
    "prompts": ("autoforge.cli.prompts:prompts", "Import, export, list, show and compare prompts."),
    "evaluate": ("autoforge.cli.evaluate:evaluate", "Score recorded outputs against test cases."),
    "jobs": ("autoforge.cli.jobs:jobs", "List, show, cancel and retry background jobs."),
    "users": ("autoforge.cli.users:users", "Make, list and import people, and hand out links to sign in."),
    "keys": ("autoforge.cli.keys:keys", "Make, list and revoke API keys."),
    "audit": ("autoforge.cli.audit:audit", "Verify and export the audit log."),
    "doctor": ("autoforge.cli.doctor:doctor", "Review the installation: what is wrong, and the exact remedy."),
    "samples": ("autoforge.cli.samples:samples", "Add or remove the sample data."),
}


class _Lazy(click.Group):
    """A group that knows its commands by name and imports one only to run it or to explain it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="autoforge")
def autoforge() -> None:
    """AutoForgeNexus: prompts, evaluations, chats and agent sessions, on your own machine."""


def main() -> Any:
    """The entry point: expected errors become one line on stderr and their exit code."""
    try:
        return autoforge(prog_name="autoforge")
    except AutoforgeError as error:
        click.echo(f"autoforge: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"autoforge: {error}", err=True)
        sys.exit(3)


def _one_line(error: AutoforgeError) -> str:
    """The detail, with the first places that it speaks of when the detail itself names none."""
    places = [f"{one.pointer}: {one.message}" for one in error.errors if one.message not in error.detail]
    places += [f"at {one.pointer}" for one in error.errors[:1] if one.pointer and one.message in error.detail]
    shown = "; ".join(places[:5])
    return " ".join(f"{error.detail} ({shown})".split()) if shown else " ".join(error.detail.split())
