"""What people send with the forms of pages, and where an error belongs in a form.

A form arrives as a mapping of names to texts. Line ends are made plain line feeds, since browsers send CR LF for every
line of a text area. What is wrong comes back as a mapping of field to message, which the macros of
``components/forms.html`` show at the fields; the empty name stands for the form as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ValidationError

from autoforge.errors import AutoforgeError, BadInput, FieldError, NotFound
from autoforge.web.text import storable

MOST_FIELDS = 10_000
MOST_BYTES = 16 * 1024 * 1024
_LARGEST = 2**31 - 1

Model = TypeVar("Model", bound=BaseModel)


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form(max_fields=MOST_FIELDS, max_part_size=MOST_BYTES)
    return {name: plain_lines(value) for name, value in form.items() if isinstance(value, str)}


Typed = Annotated[dict[str, str], Depends(_typed)]
"""As :data:`Posted`, unchecked: for forms whose commands look at each text, so that a fault stands at its field."""


async def _posted(fields: Typed) -> dict[str, str]:
    if faults := [fault for name, text in fields.items() if (fault := _fault(name, text)) is not None]:
        raise BadInput("; ".join(fault.message for fault in faults[:3]), errors=faults[:50])
    return fields


def _fault(name: str, text: str) -> FieldError | None:
    """What no database of ours could keep."""
    try:
        storable(name)
        storable(text)
    except ValueError as error:
        return FieldError(f"/{name}", _sentence(str(error)))
    return None


Posted = Annotated[dict[str, str], Depends(_posted)]
"""The fields of a posted form, the last one of each name. BadInput for text that is not storable."""


def plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def whole(fields: Mapping[str, str], name: str) -> int:
    """A number from 0 that the form must have. BadInput at its field."""
    text = fields.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _LARGEST):
        raise BadInput.at(f"/{name}", f"This must be a whole number, not {text[:20]!r}." if text else "This is empty.")
    return int(text)


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The values as a model; BadInput with all its faults."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [FieldError("/" + "/".join(map(str, one["loc"])), _sentence(one["msg"])) for one in error.errors()]
        raise BadInput(faults[0].message, errors=faults) from None


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{message[:1].upper()}{message[1:]}."


def errors_by_field(error: AutoforgeError, field_of: Callable[[str], str], otherwise: str = "") -> dict[str, str]:
    """The messages of an error by field; one that points nowhere goes to the field ``otherwise``."""
    found: dict[str, str] = {}
    for one in error.errors:
        found.setdefault(field_of(one.pointer), one.message)
    return found or {otherwise: error.detail}


def _page_id(value: Any) -> Any:
    """In the address of a page anything that is no id is a page that does not exist, and no bad input."""
    try:
        return UUID(str(value))
    except ValueError:
        raise NotFound(f"There is nothing with the id {str(value)[:50]!r}.") from None


def _page_number(value: Any) -> Any:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= _LARGEST):
        raise NotFound(f"There is no number {text[:20]!r} here.")
    return int(text)


PageId = Annotated[UUID, BeforeValidator(_page_id)]
PageNumber = Annotated[int, BeforeValidator(_page_number)]
