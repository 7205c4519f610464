"""Statements that may scan or sort a large table, and why: by the name that :func:`autoforge.db.named` gave them."""

from __future__ import annotations

ACCEPTED: dict[str, str] = {
    "access.by_session": "sorts one person's workspaces, which are few",
    "access.workspaces_of": "sorts one person's workspaces, which are few",
    "audit.page": "walks the whole log by its key, newest first: one page of it",
    "evaluations.score_of_prompt": "aggregates the runs of one prompt, found by index, into one row",
    "evaluations.list_of_batch": "sorts the runs that were started together, which are few",
    "export.heads": "streams one workspace in the order of names; only the branches of one prompt are sorted at a time",
    "export.parents": "as export.heads",
    "export.versions": "as export.heads",
    "overview.activity": "groups the results of the last days of one workspace, found by index",
    "prompts.folders": "sorts the folders on one level, not the prompts in them",
    "prompts.lineage": "sorts the lineage of one prompt",
    "prompts.search": "sorts what the search found, which its index gives in another order",
    "queue.due": "reads the schedules, of which there is one per recurring task",
    "templates.categories": "reads the categories of one workspace's templates",
    "templates.page": "merges two lists that are in order already: at most two pages of rows",
    "users.admin_seen_last": "sorts the admins of the server, who are few",
    "users.admins": "sorts the admins of the server, who are few",
    "users.cleanup_undos": "sorts the undone clean-ups, which are fewer than the clean-ups",
    "users.cleanups": "sorts the last fifty runs of one task",
    "users.figures": "the statistics of all people in one statement, kept for half an hour",
    "users.import_known": "sorts one batch, at most a thousand people, so that two imports lock them in one order",
    "users.places": "sorts one person's workspaces, which are few",
    "users.search": "merges a page of names with a page of addresses",
    "versions.by_head": "sorts the branch and the label of one name: two rows",
}
