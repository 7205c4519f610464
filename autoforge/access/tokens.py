"""Secrets that are shown once: session ids, API keys, one-time links.

Each has 256 random bits. What is stored is its HMAC-SHA256 under the installation's secret, so that neither a copy of
the database nor a guess is worth anything without it. The secret is a setting, or a file that the first start writes
into the data directory; all processes of an installation must share it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from autoforge.db.private import make_folder
from autoforge.errors import BadInput
from autoforge.settings import Settings

KEY_PREFIX = "afn_"
_SHOWN = len(KEY_PREFIX) + 8
_MOST_KEPT = 4_096
_latest: dict[bytes, bytes] = {}


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def shown_prefix(api_key: str) -> str:
    """The part by which people recognise a key."""
    return api_key[:_SHOWN]


def digest(secret: bytes, token: str) -> bytes:
    """32 bytes to store and to look up by.

    OpenSSL's HMAC takes 20 µs in a busy process, at every request. So those of the latest tokens are kept, each under
    the token's own keyed BLAKE2b, which takes one: the tokens themselves stay nowhere.
    """
    given = token.encode("utf-8", "surrogatepass")
    mark = hashlib.blake2b(given, key=secret).digest()
    found = _latest.get(mark)
    if found is None:
        found = hmac.digest(secret, given, hashlib.sha256)
        if len(_latest) >= _MOST_KEPT:
            _latest.clear()
        _latest[mark] = found
    return found


def installation_secret(settings: Settings) -> bytes:
    """The configured secret, or the one in the data directory (made, readable by its owner alone, when missing)."""
    if settings.secret:
        return hashlib.sha256(settings.secret.get_secret_value().encode()).digest()
    return _secret_file(settings.data / "secret")


def _secret_file(path: Path) -> bytes:
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_bytes()
        if len(found) != 32:
            raise BadInput(
                f"{path} is not a secret of ours: it must hold 32 bytes. Remove it to get a new one."
            ) from None
        return found
    with os.fdopen(descriptor, "wb") as file:
        made = secrets.token_bytes(32)
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made
