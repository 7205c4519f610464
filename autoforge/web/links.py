"""Where each page lives: the one place that spells page addresses.

Templates and routes both ask here, so that an address can change in one line and a link can never be a typing error.
Pages carry the workspace in the path (``/w/main/prompts``); prompts are addressed by id because names contain ``/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlencode
from uuid import UUID

Query = str | int | None


def with_query(path: str, query: dict[str, Query]) -> str:
    """``path`` with the parameters that are set; ``None`` and the empty string leave one out."""
    if not query:
        return path
    kept = [(name, str(value)) for name, value in query.items() if value not in (None, "")]
    return f"{path}?{urlencode(kept)}" if kept else path


@lru_cache(256)
def _quoted(slug: str) -> str:
    return quote(slug, safe="")


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of one workspace's pages. A name is a page, or a form's target where the comment says POST."""

    workspace: str = "main"

    @property
    def overview(self) -> str:
        return f"/w/{_quoted(self.workspace)}"

    def prompts(self, **query: Query) -> str:
        """List: ``q``, ``folder``, ``status``, ``sort``, ``after``. POST creates a prompt."""
        return with_query(f"{self.overview}/prompts", query)

    @property
    def new_prompt(self) -> str:
        return f"{self.overview}/prompts/new"

    def prompt_files(self, part: str, **query: Query) -> str:
        """``part`` is import (a form; POST imports: ``folder``) or export (a download: ``format``, ``folder``)."""
        return with_query(f"{self.overview}/prompts/{part}", query)

    def prompt(self, prompt_id: UUID | str, part: str = "", **query: Query) -> str:
        """One prompt. ``part`` is a tab (versions, evaluations, settings), a page (edit, diff, merge), or the target
        of a form (versions, labels, branches, rollback, rename, status, template, delete, restore, render)."""
        path = f"{self.overview}/prompts/{prompt_id}"
        return with_query(f"{path}/{part}" if part else path, query)

    def version(self, prompt_id: UUID | str, number: int) -> str:
        return f"{self.overview}/prompts/{prompt_id}/versions/{number}"

    def templates(self, **query: Query) -> str:
        """List: ``category``, ``visibility``, ``sort``, ``after``."""
        return with_query(f"{self.overview}/templates", query)

    def template(self, template_id: UUID | str, part: str = "") -> str:
        """``part`` use, delete and restore are targets of forms; use makes a prompt from it."""
        path = f"{self.overview}/templates/{template_id}"
        return f"{path}/{part}" if part else path

    def suites(self, **query: Query) -> str:
        return with_query(f"{self.overview}/suites", query)

    def suite(self, suite_id: UUID | str, part: str = "", **query: Query) -> str:
        """``part`` edit is a form; delete and restore are targets of forms."""
        path = f"{self.overview}/suites/{suite_id}"
        return with_query(f"{path}/{part}" if part else path, query)

    def evaluations(self, **query: Query) -> str:
        """List: ``q``, ``suite``, ``prompt``, ``status``, ``sort``, ``after``."""
        return with_query(f"{self.overview}/evaluations", query)

    def evaluation(self, evaluation_id: UUID | str, **query: Query) -> str:
        """One run: ``outcome``, ``metric``, ``sort``, ``after``."""
        return with_query(f"{self.overview}/evaluations/{evaluation_id}", query)

    def result(self, evaluation_id: UUID | str, position: int) -> str:
        return f"{self.overview}/evaluations/{evaluation_id}/results/{position}"

    def compare(self, **query: Query) -> str:
        """``a`` and ``b`` are runs; ``show`` filters the cases; ``after`` pages."""
        return with_query(f"{self.overview}/compare", query)

    def analysis(self, **query: Query) -> str:
        return with_query(f"{self.overview}/analysis", query)

    def palette(self, **query: Query) -> str:
        """JSON: ``{"entries": [{"title", "kind", "url", "hint"}]}`` for the words in ``q``."""
        return with_query(f"{self.overview}/palette", query)

    def keys(self, part: str = "") -> str:
        """API keys; POST makes one. ``part`` is ``ID/revoke`` or ``ID/rotate`` (POST)."""
        path = f"{self.overview}/keys"
        return f"{path}/{part}" if part else path

    def audit(self, **query: Query) -> str:
        """The audit log: ``subject``, ``by`` (a person's id), ``everywhere``, ``after``."""
        return with_query(f"{self.overview}/audit", query)

    def members(self, part: str = "", **query: Query) -> str:
        """The people of the workspace: ``q``, ``after``. ``part`` (POST): add, invite, ID/role, ID/remove,
        invitations/ID/revoke."""
        path = f"{self.overview}/people"
        return with_query(f"{path}/{part}" if part else path, query)

    @property
    def workspace_settings(self) -> str:
        """POST renames the workspace."""
        return f"{self.overview}/settings"

    @staticmethod
    def everybody(part: str = "", **query: Query) -> str:
        """All people of the server, for admins: ``q``, ``role``, ``active``, ``sort``, ``after``. POST creates."""
        return with_query(f"/people/{part}" if part else "/people", query)

    @staticmethod
    def person(user_id: UUID | str, part: str = "") -> str:
        """One person. ``part`` (POST): edit, activate, deactivate, delete, restore, link, sign-out, transfer."""
        return f"/people/{user_id}/{part}" if part else f"/people/{user_id}"

    @staticmethod
    def account(part: str = "") -> str:
        return f"/account/{part}" if part else "/account"

    @staticmethod
    def operations(part: str, **query: Query) -> str:
        """The operator's pages: ``service``, ``statements``, ``statements/SHAPE``, ``profiles``, ``profiles/ID``,
        ``doctor``."""
        return with_query(f"/operations/{part}", query)

    def jobs(self, **query: Query) -> str:
        """List: ``status``, ``scope``, ``after``."""
        return with_query(f"{self.overview}/jobs", query)

    def job(self, job_id: UUID | str, part: str = "") -> str:
        """One job. ``part`` (POST): cancel, retry."""
        path = f"{self.overview}/jobs/{job_id}"
        return f"{path}/{part}" if part else path

    @property
    def remove_samples(self) -> str:
        """POST."""
        return f"{self.overview}/samples/remove"
