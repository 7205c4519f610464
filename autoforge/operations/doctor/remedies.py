"""What the doctor says to type: to the letter, quoted for a shell, and leading to the database that was examined."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from sqlalchemy import URL

from autoforge.db.engines import file_of
from autoforge.operations.doctor.patient import Patient

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def command(patient: Patient, words: str) -> str:
    """``autoforge WORDS`` for the data directory and the database that were examined, wherever it is typed."""
    return f"autoforge {words} {shlex.join(_options(patient))}"


def commands(patient: Patient, *words: str) -> str:
    """One line for each."""
    return "\n".join(command(patient, one) for one in words)


def _options(patient: Patient) -> list[str]:
    data = patient.data.resolve()
    options = ["--data", str(data)]
    url = patient.url
    if patient.is_sqlite:
        if patient.path.resolve() == data / "autoforge.db":
            return options
        url = url.set(database=str(patient.path))
    return [*options, "--database-url", without_password(url).render_as_string()]


def without_password(url: URL) -> URL:
    """The address as it may be shown. Our commands also find PostgreSQL's password in PGPASSWORD or ~/.pgpass."""
    query = {name: value for name, value in url.query.items() if "password" not in name.lower()}
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)


def on_file(patient: Patient, sql: str) -> str:
    """``sqlite3 FILE SQL``."""
    return shlex.join(["sqlite3", str(file_of(patient.url)), sql])


def quoted(path: Path) -> str:
    return shlex.quote(str(path))


def identifier(name: str) -> str:
    """A name that somebody gave, for SQL."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
