"""What is asked: the mix of the service levels, by Zipf's law over prompts, runs and people; or any fixed requests."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Kind:
    """``status`` is the only right answer, ``marker`` has to be in its body. ``group`` is the row of the report."""

    name: str
    group: str
    status: bytes
    marker: bytes


Asked = tuple[int, bytes]
"""The place of its kind in ``kinds``, and the bytes of the request."""


class Requests(Protocol):
    @property
    def kinds(self) -> Sequence[Kind]: ...

    def batch(self, size: int) -> list[Asked]:
        """The next ones; a batch is made at once, so that making one costs next to nothing."""
        ...


COUNTER = "@@@@@@@@"
"""Stands for the number of the request, eight digits, in fixed requests."""


class Fixed:
    """The same requests again and again, in order: ``{"name", "status", "marker", "requests": [base64]}`` per kind.

    Where a request has :data:`COUNTER`, the first gets ``first`` (of the first kind), each further one the next number.
    """

    def __init__(self, given: Sequence[dict[str, Any]]) -> None:
        self.kinds = [Kind(one["name"], one["name"], one["status"].encode(), one["marker"].encode()) for one in given]
        made = [[(place, base64.b64decode(each)) for each in one["requests"]] for place, one in enumerate(given)]
        every = [asked for some in made for asked in some]
        self._next, self._numbers = itertools.cycle(every), itertools.count(given[0].get("first", 1))
        self._is_numbered = any(COUNTER.encode() in request for _, request in every)

    def batch(self, size: int) -> list[Asked]:
        asked = list(itertools.islice(self._next, size))
        if not self._is_numbered:
            return asked
        old = COUNTER.encode()
        return [(kind, request.replace(old, b"%08d" % next(self._numbers))) for kind, request in asked]


def http(method: str, path: str, key: str = "", body: Any = None, *, accept: str = "") -> bytes:
    """The bytes of a request."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    head += [f"Authorization: Bearer {key}"] if key else []
    head += [f"Accept: {accept}"] if accept else []
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


Make = Callable[["Mix"], bytes]
_API = "/api/v1"
CONTENT = "You answer the mail of a customer. Be brief, be kind, and never invent an order number. " * 11


class Mix:
    """70 % prompts by label, 12 % lists, 6 % evaluation pages, 5 % statistics, 7 % writes; everybody has an API key.

    ``facts`` is what :mod:`bench.site` tells about what it filled. ``only`` names one kind to ask for instead of all.
    """

    def __init__(self, facts: dict[str, Any], seed: int = 1, only: str = "") -> None:
        self.facts, self._chance = facts, random.Random(seed)
        self._prompts = _zipf(len(facts["prompts"]))
        self._people = _zipf(len(facts["keys"]))
        self._runs = _zipf(len(facts["runs"]))
        self.kinds = [kind for kind, _, _ in _MIX]
        self._makes = [make for _, make, _ in _MIX]
        weights = [weight if only in ("", kind.name) else 0.0 for kind, _, weight in _MIX]
        self._weights = list(itertools.accumulate(weights))
        self._numbers = itertools.count(1)
        self._unique = f"{random.SystemRandom().getrandbits(40):x}"

    def batch(self, size: int) -> list[Asked]:
        kinds = self._chance.choices(range(len(self.kinds)), cum_weights=self._weights, k=size)
        return [(kind, self._makes[kind](self)) for kind in kinds]

    def prompt(self) -> tuple[str, str]:
        """Name and id."""
        place = self._chance.choices(self.facts["prompts"], cum_weights=self._prompts)[0]
        return place[0], place[1]

    def key(self) -> str:
        return str(self._chance.choices(self.facts["keys"], cum_weights=self._people)[0])

    def run(self) -> str:
        return str(self._chance.choices(self.facts["runs"], cum_weights=self._runs)[0])

    def suite(self) -> str:
        return str(self._chance.choice(self.facts["suites"]))

    def number(self, most: int) -> int:
        return self._chance.randint(1, most)

    def unique(self) -> str:
        return f"{self._unique}-{next(self._numbers)}"


def _zipf(count: int) -> list[float]:
    return list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


def _get(path: str) -> Make:
    return lambda mix: http("GET", f"{_API}{path}", mix.key())


def _served(mix: Mix) -> bytes:
    return http("GET", f"{_API}/prompts/served/{mix.prompt()[0]}@production", mix.key())


def _folder(mix: Mix) -> bytes:
    return http("GET", f"{_API}/prompts?limit=50&sort=name&folder=team-{mix.number(7) - 1}", mix.key())


def _of_run(before: str, after: str = "", accept: str = "") -> Make:
    return lambda mix: http("GET", f"{before}{mix.run()}{after}", mix.key(), accept=accept)


def _content(mix: Mix) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"{mix.unique()} {CONTENT}"}]}


def _create(mix: Mix) -> bytes:
    body = {"name": f"made/{mix.unique()}", "content": _content(mix), "labels": ["production"]}
    return http("POST", f"{_API}/prompts", mix.key(), body)


def _version(mix: Mix) -> bytes:
    return http("POST", f"{_API}/prompts/{mix.prompt()[1]}/versions", mix.key(), {"content": _content(mix)})


def _label(mix: Mix) -> bytes:
    path = f"{_API}/prompts/{mix.prompt()[1]}/heads/label/production"
    return http("PUT", path, mix.key(), {"number": mix.number(2)})


def _results(mix: Mix) -> bytes:
    outputs = [{"output": f"answer {mix.number(9)}", "latency_ms": 800.0} for _ in range(mix.facts["cases"])]
    body = {"suite_id": mix.suite(), "model": "model-a", "outputs": outputs}
    return http("POST", f"{_API}/evaluations", mix.key(), body | {"prompt": mix.prompt()[0]})


def _statistics(mix: Mix) -> bytes:
    return http("GET", f"{_API}/users/statistics", mix.facts["admin"])


_PAGE = "/w/main/evaluations"
_HTML = "text/html"
_ITEMS = b'"items":['
_MIX: tuple[tuple[Kind, Make, float], ...] = (
    (Kind("prompt by label", "prompt by label", b"200", b'"content":'), _served, 70),
    (Kind("prompts, newest", "list", b"200", _ITEMS), _get("/prompts?limit=50"), 5),
    (Kind("prompts of a folder", "list", b"200", _ITEMS), _folder, 2),
    (Kind("prompts, one's own", "list", b"200", _ITEMS), _get("/prompts?limit=50&owner=me"), 1),
    (Kind("suites", "list", b"200", _ITEMS), _get("/suites?limit=50"), 1),
    (Kind("templates", "list", b"200", _ITEMS), _get("/templates?limit=50"), 1),
    (Kind("evaluations", "list", b"200", _ITEMS), _get("/evaluations?limit=50"), 2),
    (Kind("page of evaluations", "evaluation page", b"200", b"</html>"),
     lambda mix: http("GET", _PAGE, mix.key(), accept=_HTML), 2),
    (Kind("page of a run", "evaluation page", b"200", b"</html>"), _of_run(f"{_PAGE}/", accept=_HTML), 4),
    (Kind("best prompts", "statistics", b"200", _ITEMS), _get("/analysis/prompt-scores?limit=20"), 2),
    (Kind("metrics of a run", "statistics", b"200", b'"metrics":'), _of_run(f"{_API}/evaluations/", "/metrics"), 2),
    (Kind("people in figures", "statistics", b"200", b'"total":'), _statistics, 1),
    (Kind("create a prompt", "write", b"201", b'"id":'), _create, 2),
    (Kind("new version", "write", b"201", b'"number":'), _version, 2),
    (Kind("move a label", "write", b"204", b""), _label, 2),
    (Kind("record results", "write", b"201", b'"id":'), _results, 1),
)  # fmt: skip
"""Kind, how to ask for it, per cent."""
SHARES = {kind.name: per_cent / 100 for kind, _, per_cent in _MIX}
