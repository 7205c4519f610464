"""What prompts look like outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from autoforge.web.text import Line, Prose

Status = Literal["draft", "active", "archived"]
Content = Annotated[
    dict[str, JsonValue] | str,
    Field(
        description="A text, or {messages: [{role, content}], engine, variables, parameters, tools, response_schema}.",
        examples=["Summarise {{text}} in one sentence."],
    ),
]


Whole = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
"""A number, and neither true nor "1"."""


class Strict(BaseModel):
    """Unknown keys are errors: a typing mistake must not silently change nothing."""

    model_config = ConfigDict(extra="forbid")


class PromptIn(Strict):
    name: Line
    content: Content
    title: Line = ""
    description: Prose = ""
    status: Status = "draft"
    tags: list[Line] = Field(default_factory=list, max_length=50)
    message: Prose = Field("", description="What this first version is about.")
    labels: list[Line] = Field(default_factory=list, max_length=20)


class PromptEdit(Strict):
    """What is not there stays as it is; the values here only stand for it. null is no value of any of them."""

    name: Line = Field(default_factory=str)
    title: Line = Field(default_factory=str)
    description: Prose = Field(default_factory=str)
    status: Status = Field(default_factory=lambda: "draft")
    tags: list[Line] = Field(default_factory=list, max_length=50)


class VersionIn(Strict):
    content: Content
    branch: Line = "main"
    message: Prose = ""
    expected: Whole | None = Field(None, description="The number that the branch must be at now.")


class VersionMessage(BaseModel):
    message: Prose = ""


class TemplateAbout(BaseModel):
    category: Line = ""


class HeadIn(Strict):
    number: Whole = Field(description="The version to point at.")
    expected: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = Field(
        None, description="The number that it must point at now; 0: it must not exist."
    )


class RollBackIn(Strict):
    number: Whole = Field(description="The version to go back to.")
    branch: Line = "main"
    expected: Whole | None = None


class MergeIn(Strict):
    source: Line
    into: Line = "main"
    message: Prose = ""
    choices: dict[str, JsonValue] = Field(
        default_factory=dict, description="For each conflict's key: 'ours', 'theirs', 'base', or a value."
    )


class RenderIn(Strict):
    variables: dict[str, JsonValue] = Field(default_factory=dict)


class HeadOut(BaseModel):
    kind: str
    name: str
    number: int
    row_version: int
    updated_at: datetime
    updated_by: str


class LatestEvaluation(BaseModel):
    evaluation_id: UUID
    score: float | None
    cases: int
    model: str
    version: int | None


class PromptItem(BaseModel):
    """A row of the list. With ``fields=`` only what was asked for is there."""

    id: UUID
    name: str
    title: str
    status: Status
    tags: list[str]
    labels: list[dict[str, Any]]
    head_number: int
    owner: str
    latest: LatestEvaluation | None
    created_at: datetime
    updated_at: datetime
    row_version: int


class PromptPage(BaseModel):
    items: list[PromptItem]
    next: str | None


class VersionItem(BaseModel):
    id: UUID
    prompt_id: UUID
    number: int
    content_hash: str
    message: str
    author: str
    created_at: datetime
    parents: list[int]
    latest_score: float | None = None
    latest_model: str | None = None


class VersionOut(VersionItem):
    content: dict[str, Any]


class PromptOut(BaseModel):
    id: UUID
    name: str
    title: str
    description: str
    status: Status
    tags: list[str]
    owner: str
    versions: int = Field(description="How many there are; 1,001 stands for more than 1,000.")
    evaluations: int
    average_score: float | None
    row_version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    heads: list[HeadOut]
    head: VersionOut


class VersionPage(BaseModel):
    items: list[VersionItem]
    next: str | None


class SavedOut(BaseModel):
    number: int
    version_id: UUID
    is_new: bool


class CreatedOut(BaseModel):
    id: UUID
    version_id: UUID


class Served(BaseModel):
    """The version that a reference means, ready to be sent to a model."""

    prompt_id: UUID
    name: str
    title: str
    status: Status
    version_id: UUID
    number: int
    content_hash: str
    created_at: datetime
    content: dict[str, Any]


class MergeOut(BaseModel):
    saved: SavedOut | None
    conflicts: list[dict[str, Any]]


class Run(BaseModel):
    kind: Literal["equal", "insert", "delete"]
    text: str


class TextDifference(BaseModel):
    """In order; a deletion stands before the insertion that replaces it."""

    runs: list[Run]


class KeyDifference(BaseModel):
    """One value, by its JSON Pointer; ``old`` or ``new`` is absent where there was nothing, which is not null."""

    pointer: str
    old: JsonValue = None
    new: JsonValue = None


class MessageDifference(BaseModel):
    status: Literal["equal", "changed", "added", "removed"]
    old_index: int | None
    new_index: int | None
    old_role: str | None
    new_role: str | None
    text: TextDifference
    changes: list[KeyDifference]


class DiffOut(BaseModel):
    """``messages`` in reading order, and ``changes`` of everything that is no message."""

    a: int
    b: int
    is_equal: bool
    messages: list[MessageDifference]
    changes: list[KeyDifference]


class RenderOut(BaseModel):
    messages: list[dict[str, Any]]
