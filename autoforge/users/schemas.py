"""What people and workspaces look like outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from autoforge.web.text import JsonObject, Line

Role = Literal["admin", "manager", "user"]
MemberRole = Literal["manager", "member"]


class Strict(BaseModel):
    """Unknown keys are errors: a typing mistake must not silently change nothing."""

    model_config = ConfigDict(extra="forbid")


class UserIn(Strict):
    email: Line = Field(examples=["ada@example.com"])
    name: Line = Field(examples=["Ada Lovelace"])
    role: Role = "user"
    profile: JsonObject = Field(default_factory=dict, description="Whatever else is known of the person.")


class UserEdit(Strict):
    email: Line | None = None
    name: Line | None = None
    role: Role | None = None
    profile: JsonObject | None = None


class TransferIn(Strict):
    to: UUID = Field(description="Who takes over prompts, templates, suites and evaluations.")


class UserItem(BaseModel):
    """A line of the list; with `fields`, only those."""

    id: UUID | None = None
    name: str | None = None
    email: str | None = None
    role: Role | None = None
    is_active: bool | None = None
    last_login_at: datetime | None = None
    created_at: datetime | None = None


class UserPage(BaseModel):
    items: list[UserItem]
    next: str | None


class PlaceOut(BaseModel):
    slug: str
    name: str
    kind: str
    role: MemberRole


class UserOut(BaseModel):
    id: UUID
    name: str
    email: str
    role: Role
    is_active: bool
    has_password: bool
    profile: dict[str, Any]
    workspaces: list[PlaceOut]
    last_login_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    row_version: int


class StatisticsOut(BaseModel):
    total: int
    active: int
    new_today: int
    admins: int


class MadeOut(BaseModel):
    id: UUID


class LinkOut(BaseModel):
    link: str = Field(description="Works once. It is shown this once; hand it over on a safe way.")


class TransferredOut(BaseModel):
    """How much of each kind changed hands."""

    prompts: int
    templates: int
    suites: int
    evaluations: int
    keys: int


class WorkspaceIn(Strict):
    name: Line = Field(examples=["Compilers"])
    slug: Line = Field("", description="Its place in addresses; made from the name when empty.")


class WorkspaceEdit(Strict):
    name: Line


class WorkspaceOut(BaseModel):
    id: UUID
    slug: str
    name: str
    kind: str
    created_at: datetime
    row_version: int
    members: int


class WorkspaceMade(BaseModel):
    slug: str


class MemberIn(Strict):
    email: Line = Field(examples=["grace@example.com"])
    role: MemberRole = "member"


class MemberEdit(Strict):
    role: MemberRole


class MemberOut(BaseModel):
    user_id: UUID
    name: str
    email: str
    role: Role
    member_role: MemberRole
    is_active: bool
    last_login_at: datetime | None
    joined_at: datetime


class MemberPage(BaseModel):
    items: list[MemberOut]
    next: str | None


class InvitationOut(BaseModel):
    id: UUID
    email: str
    role: MemberRole
    created_at: datetime
    expires_at: datetime
    invited_by: str | None
