"""Jinja2 templates of strangers: parsed and compiled within bounds, rendered in the sandbox on a budget."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from traceback import walk_tb
from typing import Any

import jinja2
from jinja2 import meta, nodes

from autoforge.errors import BadInput
from autoforge.llm.budget import Budget, BudgetSpent, OutputTooLong, Refused
from autoforge.llm.faults import all_of, missing, sentence
from autoforge.llm.plain import plain
from autoforge.llm.sandbox import PromptEnvironment

MAX_CHARACTERS = 250_000
"""Of one template; compiling takes time and memory for each tag, so tags are bounded too."""
MAX_TAGS = 5_000
MAX_TOKENS = 30_000
"""Names, signs, blanks and texts of one template: a single tag with a list of a hundred thousand numbers compiles for
seconds as well. Where several templates are looked at in one go, it is the bound of all of them together."""
CACHED = 32_768
"""Characters; longer templates are compiled anew, so that the cache stays small."""
_environment = PromptEnvironment()


def within_bounds(templates: Sequence[str]) -> Sequence[str]:
    """As many of the templates, from the first on, as may be parsed or compiled in one go."""
    left = MAX_TOKENS
    if sum(map(len, templates)) <= left:  # no token is shorter than a character
        return templates
    for count, template in enumerate(templates):
        left -= _tokens(template, left)
        if left < 0:
            return templates[:count]
    return templates


def parses(template: str) -> bool:
    """Whether it is valid; one beyond the bounds is not."""
    try:
        _check_bounds(template)
        _environment.parse(template)
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError):
        return False
    return True


def compiled(template: str, at: str) -> jinja2.Template:
    """The compiled template. Raises BadInput with the line when it is not valid."""
    with _told(at):
        return _compile_new(template) if len(template) > CACHED else _compile_cached(template)


def undeclared(template: str, at: str) -> list[str]:
    """The names that the template needs, in order of first use. Raises BadInput with the line as :func:`compiled`."""
    with _told(at):
        _check_bounds(template)
        tree = _environment.parse(template)
        free = meta.find_undeclared_variables(tree) - _environment.globals.keys()
    named = (node.name for node in tree.find_all(nodes.Name))
    return list(dict.fromkeys(name for name in named if name in free))


def render(template: str, variables: Mapping[str, Any], at: str, budget: Budget) -> str:
    """The text. Raises BadInput, BudgetSpent or OutputTooLong."""
    code = compiled(template, at)
    try:
        values = {str(key): plain(value) for key, value in variables.items()}
    except RecursionError:
        raise BadInput.at("/variables", "The variables are nested too deeply.") from None
    try:
        with budget.text(values):
            return _collect(code, values, budget)
    except (BudgetSpent, OutputTooLong):
        raise
    except MemoryError:
        raise BudgetSpent from None
    except jinja2.UndefinedError as error:
        raise _undefined(template, variables, at, error) from None
    except RecursionError:
        raise BadInput.at(at, "The template calls itself too deeply.") from None
    except Exception as error:
        # Whatever an expression of the template can raise (a sum of a list and a text, a division by zero) is the
        # template's fault: nothing of ours runs in there but checks.
        reason = "uses " + str(error) if isinstance(error, Refused) else str(error) or type(error).__name__
        raise BadInput.at(at, f"{_line(code, error)}{sentence(reason)}") from None


def _check_bounds(template: str) -> None:
    """Raises TemplateSyntaxError for what would take too long to parse and to compile."""
    too_many = template.count("{{") + template.count("{%") > MAX_TAGS
    if len(template) > MAX_CHARACTERS or too_many or not within_bounds((template,)):
        bounds = f"{MAX_CHARACTERS:,} characters, {MAX_TAGS:,} tags, and {MAX_TOKENS:,} names and signs"
        raise _TooMuch(f"A Jinja2 template may have {bounds} at most.", 1)


class _TooMuch(jinja2.TemplateSyntaxError):
    """The template as a whole is too large: its line is none that could be mended."""


def _tokens(template: str, most: int) -> int:
    """How many tokens the template has up to its first fault, counted no further than one beyond ``most``."""
    count = 0
    with suppress(jinja2.TemplateSyntaxError):
        for _ in islice(_environment.lexer.tokeniter(template, None), most + 1):
            count += 1
    return count


@contextmanager
def _told(at: str) -> Iterator[None]:
    """Every way in which a template can be malformed as one error."""
    try:
        yield
    except _TooMuch as error:
        raise BadInput.at(at, str(error.message)) from None
    except jinja2.TemplateSyntaxError as error:
        raise BadInput.at(at, f"Line {error.lineno}: {sentence(str(error.message))}") from None
    except (RecursionError, MemoryError, SyntaxError):
        raise BadInput.at(at, "The template is nested too deeply.") from None
    except (ValueError, OverflowError) as error:
        raise BadInput.at(at, sentence(str(error))) from None


def _compile_new(template: str) -> jinja2.Template:
    _check_bounds(template)
    return _environment.from_string(template)


_compile_cached = functools.lru_cache(maxsize=256)(_compile_new)


def _collect(code: jinja2.Template, values: dict[str, Any], budget: Budget) -> str:
    pieces: list[str] = []
    for piece in code.root_render_func(code.new_context(values)):
        budget.put(len(piece))
        pieces.append(piece)
    return "".join(pieces)


def _line(code: jinja2.Template, error: BaseException) -> str:
    """``Line 3: `` for the innermost line of the template that the error passed through, else nothing."""
    number = None
    for frame, line in walk_tb(error.__traceback__):
        if frame.f_code.co_filename == code.filename or frame.f_code.co_filename == "<template>":
            number = code.get_corresponding_lineno(line)
    return f"Line {number}: " if number else ""


def _undefined(template: str, variables: Mapping[str, Any], at: str, error: jinja2.UndefinedError) -> BadInput:
    """All variables that are missing at once; else what the template looked for inside of one."""
    tolerated = _tolerated(template)
    absent = [n for n in undeclared(template, at) if n not in variables and n not in tolerated]
    if absent:
        return all_of(map(missing, absent))
    return BadInput.at(at, sentence(str(error)))


def _tolerated(template: str) -> set[str]:
    """Names that the template itself asks whether they are there: ``x is defined``, ``x|default(...)``."""
    tree = _environment.parse(template)
    filtered = (node.node for node in tree.find_all(nodes.Filter) if node.name in ("default", "d"))
    tested = (node.node for node in tree.find_all(nodes.Test) if node.name in ("defined", "undefined"))
    return {node.name for node in (*filtered, *tested) if isinstance(node, nodes.Name)}
