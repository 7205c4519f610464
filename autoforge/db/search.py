"""Full-text search that finds the same rows on SQLite (FTS5) and PostgreSQL (tsvector).

The idea: both databases store a document as a plain *set of tokens* that we make ourselves, so neither one's own
tokenizer has a say. Words are folded (NFKC, case, Latin accents). Scripts that do not put spaces between words
(Han, Kana, Hangul, Thai, ...) are cut into single characters and overlapping pairs, so that a word of two characters
is found, which a trigram index misses. A query must match all of its tokens; the last Latin word matches as a prefix.

Every document carries its workspace as one more token. The index then intersects the two lists itself, and no query
can reach another workspace's rows. Rows are keyed by the table's explicit integer key ``seq``, which follows
creation, so "newest first" is the index's own order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from msgspec import json
from sqlalchemy import TextClause, text

from autoforge.db.bulk import run_batch
from autoforge.db.sessions import WriteSession
from autoforge.db.statements import named

# A longer text is indexed up to here: the head of a prompt is what people remember of it.
MOST_CHARACTERS = 100_000
# PostgreSQL refuses lexemes of 2 KB; no word of any language is this long.
LONGEST_TOKEN = 64

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
RUN = re.compile(rf"([{_UNSPACED}]+)|([^\W_{_UNSPACED}]+)")
"""A run of a script without spaces (group 1), or a word (group 2)."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ASCII_WORDS = bytes(ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else 32 for byte in range(256))
"""What each byte of ASCII text becomes: letters small, all but letters and digits a blank."""
_LATIN_ACCENT = re.compile("([a-z])[\u0300-\u036f]+")


def fold(words: str) -> str:
    """As words are compared: without case, compatibility forms and Latin accents. May be longer or shorter."""
    folded = unicodedata.normalize("NFKC", words).casefold()
    return unicodedata.normalize("NFC", _LATIN_ACCENT.sub(r"\1", unicodedata.normalize("NFD", folded)))


def _runs(words: str) -> Iterator[tuple[bool, str]]:
    """The words in order, each with whether its script is written without spaces."""
    if words.isascii():
        for found in _ASCII_WORD.finditer(words.lower()):
            yield False, found[0][:LONGEST_TOKEN]
        return
    for match in RUN.finditer(fold(words)):
        yield (True, match[1]) if match[1] else (False, match[2][:LONGEST_TOKEN])


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def workspace_token(workspace_id: UUID) -> str:
    return f"workspace{workspace_id.hex}"


def document_tokens(workspace_id: UUID, *texts: str) -> list[str]:
    """The distinct tokens under which a row is found."""
    found = {workspace_token(workspace_id): None}
    for words in texts:
        for unspaced, run in _runs(words[:MOST_CHARACTERS]):
            if unspaced:
                found.update(dict.fromkeys(run))
                found.update(dict.fromkeys(_pairs(run)))
            else:
                found[run] = None
    return list(found)


def document(workspace_id: UUID, *texts: str) -> str:
    """The same tokens with blanks between them, some more than once: made four times as fast, for imports."""
    words = "\n".join([words[:MOST_CHARACTERS] for words in texts])
    if words.isascii():
        plain = words.encode().translate(_ASCII_WORDS).decode()
        if not _has_long_word(plain):
            return f"{workspace_token(workspace_id)} {plain}"
    return " ".join(document_tokens(workspace_id, *texts))


def _has_long_word(plain: str) -> bool:
    start = 0
    while start + LONGEST_TOKEN < len(plain):
        blank = plain.rfind(" ", start, start + LONGEST_TOKEN + 1)
        if blank < 0:
            return True
        start = blank + 1
    return False


def query_terms(words: str) -> list[tuple[str, bool]]:
    """The tokens that must all be there, each with whether a longer word that starts so counts as well."""
    runs = list(_runs(words[:1_000]))
    terms: dict[tuple[str, bool], None] = {}
    for index, (unspaced, run) in enumerate(runs):
        if unspaced:
            terms.update(dict.fromkeys((token, False) for token in (_pairs(run) or [run])))
        else:
            terms[run, index == len(runs) - 1] = None
    return list(terms)


def match_expression(workspace_id: UUID, words: str, dialect: str) -> str | None:
    """The query in the database's own language, or None when ``words`` holds nothing to look for."""
    terms = query_terms(words)
    if not terms:
        return None
    terms.insert(0, (workspace_token(workspace_id), False))
    if dialect == "sqlite":
        return " AND ".join(f'"{token}"{"*" if prefix else ""}' for token, prefix in terms)
    return " & ".join(f"'{token}'{':*' if prefix else ''}" for token, prefix in terms)


def matching(table: str, dialect: str) -> TextClause:
    """A sub-select of the ``seq`` of the rows that match ``:match``; ``table`` is one of ours, never input."""
    if dialect == "sqlite":
        return text(f"SELECT rowid AS seq FROM {table} WHERE {table} MATCH :match")
    return text(f"SELECT seq FROM {table} WHERE document @@ CAST(:match AS tsquery)")


def put_statement(table: str, keyed_by: str, dialect: str) -> TextClause:
    """Writes documents of rows of ``keyed_by``, found by their ``:id``; what was there before is replaced."""
    if dialect == "sqlite":
        sql = (
            f"INSERT OR REPLACE INTO {table} (rowid, document)"
            f" VALUES ((SELECT seq FROM {keyed_by} WHERE id = :id), :document)"
        )
    else:
        sql = (
            f"INSERT INTO {table} (seq, document)"
            f" SELECT seq, array_to_tsvector(CAST(:document AS text[])) FROM {keyed_by} WHERE id = :id"
            f" ON CONFLICT (seq) DO UPDATE SET document = excluded.document"
        )
    return named(f"search.put {table}", text(sql))


def put_parameters(row_id: UUID, tokens: Sequence[str], dialect: str) -> dict[str, Any]:
    if dialect == "sqlite":
        return {"id": row_id.bytes, "document": " ".join(tokens)}
    return {"id": row_id, "document": list(tokens)}


async def put_many(
    session: WriteSession, table: str, keyed_by: str, documents: Sequence[tuple[UUID, str]], *, batch: int = 1000
) -> None:
    """:func:`put_statement` for many rows: their ids and what :func:`document` made of their texts.

    SQLite gets a batch as one statement too: between the rows of ``executemany`` the thread would have to win back the
    interpreter's lock, which a busy event loop keeps for 5 ms each time.
    """
    for start in range(0, len(documents), batch):
        ids, texts = zip(*documents[start : start + batch], strict=True)
        if session.dialect == "sqlite":
            sql = (
                f"INSERT OR REPLACE INTO {table} (rowid, document) SELECT"
                f" (SELECT seq FROM {keyed_by} WHERE id = substr(?2, new.key * 16 + 1, 16)), new.value"
                f" FROM json_each(?1) AS new"
            )
            some: list[tuple[Any, ...]] = [(json.encode(texts).decode(), b"".join(row_id.bytes for row_id in ids))]
        else:
            sql = (
                f"INSERT INTO {table} (seq, document)"
                f" SELECT {keyed_by}.seq, array_to_tsvector(array_remove(string_to_array(new.document, ' '), ''))"
                f" FROM unnest($1::uuid[], $2::text[]) AS new(id, document) JOIN {keyed_by} ON {keyed_by}.id = new.id"
                f" ON CONFLICT (seq) DO UPDATE SET document = excluded.document"
            )
            some = list(zip(ids, texts, strict=True))
        await run_batch(session, sql, some)


def remove_statement(table: str, keyed_by: str, dialect: str) -> TextClause:
    """Takes the row ``:id`` of ``keyed_by`` out of the index."""
    key = "rowid" if dialect == "sqlite" else "seq"
    removal = text(f"DELETE FROM {table} WHERE {key} = (SELECT seq FROM {keyed_by} WHERE id = :id)")
    return named(f"search.remove {table}", removal)
