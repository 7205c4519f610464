"""Statements that may sort, or scan a table, and why: by the name that :func:`autoforge.db.named` gave them.

The reason to sort is that what is sorted is little, however large the tables are; it is no reason to scan one.
"""

from __future__ import annotations

MAY_SORT: dict[str, str] = {
    "users.search": "merges a page of names with a page of addresses",
    "users.admins": "sorts the admins of the server, who are few",
    "prompts.lineage": "sorts the versions of one prompt with their parents, found by index",
    "prompts.search": "sorts what the search found, which its index gives in another order",
    "access.by_session": "sorts one person's workspaces, which are few",
    "access.workspaces_of": "sorts one person's workspaces, which are few",
    "evaluations.score_of_prompt": "aggregates the runs of one prompt, found by index, into one row",
    "export.heads": "streams one workspace in the order of names; only the branches of one prompt are sorted at a time",
    "export.parents": "as export.heads",
    "export.versions": "as export.heads",
    "overview.activity": "groups the results of the last days of one workspace, found by index",
    "prompts.folders": "sorts the folders on one level, not the prompts in them",
    "templates.page": "merges two lists that are in order already: at most two pages of rows",
    "users.admin_seen_last": "sorts the admins of the server, who are few",
    "users.cleanups": "sorts the last fifty runs of one task",
    "users.cleanup_undos": "sorts the undone clean-ups, which are fewer than the clean-ups",
    "users.import_known": "sorts one batch, at most a thousand people, so that two imports lock them in one order",
    "users.owned_places": "sorts what one person owns, found by index, to name each of its workspaces once",
    "users.places": "sorts one person's workspaces, which are few",
    "versions.by_head": "sorts the branch and the label of one name: two rows",
}

MAY_SCAN: dict[str, str] = {
    "audit.page": "walks the log backwards by its key, one page; SQLite calls a walk by the key of a table a scan",
    "operations.revision": "reads the table of the migrations, which has one row",
    "queue.due": "reads the schedules, of which there is one per recurring task",
    "users.figures": "the statistics of all people in one statement, kept for half an hour",
    "users.import_known": "asks for a thousand addresses, a third of what is here: tests/users/test_import_plans.py"
    " holds it to its index among twenty thousand",
}
