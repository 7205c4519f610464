"""``autoforge doctor``: a review of a running system: findings by harm, with evidence, remedy and proof.

Each area has a module with its checks; a check is an asynchronous generator of findings over a :class:`Patient`, and
:mod:`~autoforge.operations.doctor.review` runs them all, each within its time. Nothing is written to what is examined:
what has to be tried out is tried on a copy. ``docs/doctor.md`` explains every finding by its id.
"""
