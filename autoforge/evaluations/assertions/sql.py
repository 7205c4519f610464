"""`is-sql` and `contains-sql`: does the output parse as SQL, and does it touch only what is allowed?

Parsed by sqlglot in the dialect of `databaseType` (default MySQL, as in promptfoo). A parser for many dialects is
lenient, so more is asked: every statement begins with a keyword of SQL and is parsed as a statement, and `SELECT a
b FROM t`, two names without a comma, is taken for a slip. `allowedTables` are patterns of
`{type}::{database}::{table}`, `allowedColumns` of `{type}::{table}::{column}`, with `null` for a name that is not
given and `(.*)` for all columns; every authority that the statement needs must match one of them, ignoring case.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import (
    Kind,
    Settings,
    Subject,
    Verdict,
    check_keys,
    wrong_value,
    yes_or_no,
)
from autoforge.evaluations.patterns import compile_pattern, full_match, shorten
from autoforge.evaluations.scope import Scope

DIALECTS = {
    "athena": "athena",
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "db2": "",
    "duckdb": "duckdb",
    "flinksql": "",
    "hive": "hive",
    "mariadb": "mysql",
    "mssql": "tsql",
    "mysql": "mysql",
    "noql": "mysql",
    "oracle": "oracle",
    "postgres": "postgres",
    "postgresql": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlite": "sqlite",
    "transactsql": "tsql",
    "trino": "trino",
}
LONGEST_SQL = 200_000
_CLAUSE_NAMES = """
SELECT DISTINCT ALL ALIAS FROM CASE WHEN THEN ELSE END NULL TRUE FALSE NOT EXISTS INTERVAL AND OR IS IN LIKE BETWEEN TOP
INTO WHERE UNION DIV MOD CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER STRUCT STRING NUMBER COLLATE
"""
_CLAUSES = frozenset(_CLAUSE_NAMES.split())
# Statements that sqlglot keeps as text or reads from nearly any words; the second word decides.
_SECOND_WORDS = {
    "show": "tables databases columns create index indexes status variables full schemas processlist grants fields",
    "drop": "table view index database schema procedure function trigger sequence user role if materialized type",
    "set": "global session local names character transaction",
    "use": "",
    "call": "",
}


@dataclass(frozen=True, slots=True)
class _Rules:
    database: str
    tables: tuple[str, ...] | None
    columns: tuple[str, ...] | None


def _rules(value: Any, _settings: Settings) -> _Rules:
    if value is None or value == "":
        return _Rules("MySQL", None, None)
    if not isinstance(value, dict):
        raise wrong_value("the value must be an object with databaseType, allowedTables, allowedColumns")
    check_keys(value, ("databaseType", "allowedTables", "allowedColumns"), "/value")
    database = value.get("databaseType") or "MySQL"
    if not isinstance(database, str) or database.lower() not in DIALECTS:
        raise BadInput.at("/value/databaseType", f"databaseType must be one of {', '.join(sorted(DIALECTS))}")
    return _Rules(database, _patterns(value, "allowedTables"), _patterns(value, "allowedColumns"))


def _patterns(value: dict[str, Any], name: str) -> tuple[str, ...] | None:
    listed = value.get(name)
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise BadInput.at(f"/value/{name}", f"{name} must be a list of patterns")
    for index, pattern in enumerate(listed):
        try:
            compile_pattern(f"(?i:{pattern})")
        except BadInput as problem:
            raise BadInput.at(f"/value/{name}/{index}", problem.detail) from problem
    return tuple(listed)


def _is_sql(rules: _Rules, subject: Subject, _threshold: float | None) -> Verdict:
    problem = _problem(subject.text, rules, subject.scope)
    return yes_or_no(problem is None, problem or f"the output is valid {rules.database} SQL")


def _contains_sql(rules: _Rules, subject: Subject, _threshold: float | None) -> Verdict:
    problem = _problem(subject.text, rules, subject.scope)
    if problem is None:
        return yes_or_no(True, f"the output is valid {rules.database} SQL")
    blocks = list(_code_blocks(subject.text))
    for block in blocks:
        problem = _problem(block, rules, subject.scope)
        if problem is None:
            return yes_or_no(True, f"the output contains a block of valid {rules.database} SQL")
    return yes_or_no(False, problem if blocks else f"the output is not SQL and contains no code block ({problem})")


def _code_blocks(text: str) -> Iterator[str]:
    """What stands in code fences without a language or with `sql`."""
    for block in text.split("```")[1::2]:
        first, newline, rest = block.partition("\n")
        if newline and first.strip().lower() in {"", "sql", "mysql", "postgresql", "postgres", "sqlite", "tsql"}:
            yield rest
        elif not newline:
            yield block.removeprefix("sql ")


def _problem(text: str, rules: _Rules, scope: Scope) -> str | None:
    """Why a text is not acceptable SQL, or None."""
    statements = _parse(text, DIALECTS[rules.database.lower()])
    if isinstance(statements, str):
        return f"the output is not valid {rules.database} SQL: {statements}"
    for allowed, needed, noun in (
        (rules.tables, _tables, "table"),
        (rules.columns, _columns, "column"),
    ):
        if allowed is None:
            continue
        for authority in sorted({authority for statement in statements for authority in needed(statement)}):
            if not any(full_match(pattern, authority, scope) for pattern in allowed):
                return f"the SQL needs the {noun} authority {authority}, which is not allowed"
    return None


def _parse(text: str, dialect: str) -> list[Any] | str:
    import sqlglot

    if not text.strip():
        return "there is no statement"
    if len(text) > LONGEST_SQL:
        raise BadInput(f"the SQL is longer than {LONGEST_SQL:,} characters and is not parsed")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of every statement that it keeps as text
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect or None)
        statements = [item for item in sqlglot.parse(text, dialect=dialect or None) if item is not None]
    except sqlglot.errors.SqlglotError as problem:
        return str(problem).splitlines()[0][:200]
    except RecursionError:
        raise BadInput("the SQL is nested too deeply to be checked") from None
    if not statements:
        return "there is no statement"
    if any(not _is_statement(statement) for statement in statements) or not _words_fit(tokens):
        return f"{shorten(text.strip(), 60)} is not a statement"
    if _lacks_comma(tokens):
        return "two names without a comma (or AS) between them"
    return statements


def _is_statement(statement: Any) -> bool:
    from sqlglot import exp

    if isinstance(statement, exp.Select):
        return bool(statement.expressions)
    kinds = (exp.Query, exp.DML, exp.DDL, exp.Command, exp.Drop, exp.Alter, exp.Describe, exp.Show, exp.Use, exp.Set)
    rest = (
        "Grant",
        "Revoke",
        "TruncateTable",
        "Transaction",
        "Commit",
        "Rollback",
        "Merge",
        "Pragma",
        "Analyze",
        "Kill",
    )
    return isinstance(statement, kinds) or type(statement).__name__ in rest


def _words_fit(tokens: list[Any]) -> bool:
    """Whether the first statement, if it is of a kind that any words would fit, goes on as SQL does."""
    words = [token.text.lower() for token in tokens[:3]]
    second = _SECOND_WORDS.get(words[0]) if words else None
    if second is None:
        return True
    if words[0] == "set" and any(token.text in ("=", ":=") for token in tokens[2:6]):
        return True
    if not second:
        return len(tokens) == 2 or "(" in words
    return len(words) > 1 and words[1] in second.split()


def _lacks_comma(tokens: list[Any]) -> bool:
    """`SELECT a b FROM`: in a list of plain column names, one is followed by another without AS."""
    for start, token in enumerate(tokens):
        if token.token_type.name != "SELECT":
            continue
        listed = list(takewhile(_in_plain_list, tokens[start + 1 :]))
        end = start + 1 + len(listed)
        names = [_is_name(item) for item in listed]
        if end < len(tokens) and tokens[end].token_type.name == "FROM" and any(a and b for a, b in pairwise(names)):
            return True
    return False


def _in_plain_list(token: Any) -> bool:
    return token.token_type.name in {"DISTINCT", "ALL", "DOT", "COMMA"} or _is_name(token)


def _is_name(token: Any) -> bool:
    """A quoted name, or a word that no clause of a select list begins with (`first` is a keyword and a fine column)."""
    kind = token.token_type.name
    return kind in {"VAR", "IDENTIFIER"} or (token.text.isidentifier() and kind not in _CLAUSES)


def _action(table: Any) -> str:
    """What is done to a table: the statement whose target it is, or select."""
    from sqlglot import exp

    parent = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    for kind, name in ((exp.Insert, "insert"), (exp.Update, "update"), (exp.Delete, "delete")):
        if isinstance(parent, kind) and (parent.this is table or parent.this is table.parent):
            return name
    if isinstance(parent, exp.Create | exp.Drop | exp.Alter):
        return type(parent).__name__.lower()
    return "select"


def _tables(statement: Any) -> Iterator[str]:
    from sqlglot import exp

    defined = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        if table.name and not (table.name.lower() in defined and not table.db):
            yield f"{_action(table)}::{table.db or 'null'}::{table.name}"


def _columns(statement: Any) -> Iterator[str]:
    from sqlglot import exp

    names = {table.alias: table.name for table in statement.find_all(exp.Table) if table.alias}
    updated: set[int] = set()
    for update in statement.find_all(exp.Update):
        updated.update(id(change.this) for change in update.expressions if isinstance(change, exp.EQ))
    for column in statement.find_all(exp.Column):
        action = "update" if id(column) in updated else "select"
        name = "(.*)" if isinstance(column.this, exp.Star) else column.name
        yield f"{action}::{names.get(column.table, column.table) or 'null'}::{name}"
    for select in statement.find_all(exp.Select):
        if any(isinstance(item, exp.Star) for item in select.expressions):
            yield "select::null::(.*)"
    for delete in statement.find_all(exp.Delete):
        yield f"delete::{delete.this.name or 'null'}::(.*)"
    for insert in statement.find_all(exp.Insert):
        target = insert.this
        listed = [item.name for item in target.expressions] if isinstance(target, exp.Schema) else ["(.*)"]
        yield from (f"insert::{target.find(exp.Table).name}::{name}" for name in listed)


KINDS = (
    Kind("is-sql", _is_sql, _rules),
    Kind("contains-sql", _contains_sql, _rules),
)
