"""Every metric that the service exports: its name, labels, and what it means. ``docs/metrics.md`` is written from here.

Labels have few values, known in advance: templates of routes, tables, tasks; never an id, a name that somebody chose,
or an address. Units are seconds and bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

REQUEST_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0, 5.0)
"""Around the service levels of a request: 20, 150 and 200 ms."""
STATEMENT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Around the service levels of a statement: 10, 30, 50 and 100 ms."""
WAIT_BUCKETS = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
JOB_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0)
BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric. Of a gauge without the label ``process``, the values of all processes are added up.

    A gauge that is ``asked`` is found out when somebody scrapes, once for the whole service.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()
    asked: bool = False

    @property
    def width(self) -> int:
        """How many numbers a series has: a histogram the sum, then what fell into each bucket and beyond the last."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


FAMILIES: dict[str, Family] = {}
SUBJECTS: dict[str, tuple[str, ...]] = {
    "The service": ("build_", "processes", "disk_"),
    "Requests": ("http_",),
    "Database": ("db_",),
    "Cache": ("cache_",),
    "Jobs": ("job_", "jobs_"),
    "Processes": ("process_", "event_loop_"),
}
"""What metrics are about, and how the names of each subject begin (after ``autoforge_``)."""


def _family(kind: Kind, name: str, labels: str, meaning: str, buckets: tuple[float, ...] = ()) -> Family:
    family = Family(f"autoforge_{name}", kind, tuple(labels.split()), meaning, buckets)
    FAMILIES[family.name] = family
    return family


def _counter(name: str, labels: str, meaning: str) -> Family:
    return _family("counter", name, labels, meaning)


def _gauge(name: str, labels: str, meaning: str) -> Family:
    return _family("gauge", name, labels, meaning)


def _histogram(name: str, labels: str, meaning: str, buckets: tuple[float, ...]) -> Family:
    return _family("histogram", name, labels, meaning, buckets)


def _asked(name: str, labels: str, meaning: str) -> Family:
    family = Family(f"autoforge_{name}", "gauge", tuple(labels.split()), meaning, asked=True)
    FAMILIES[family.name] = family
    return family


BUILD = _asked("build_info", "version python sqlite database", "Always 1; the labels say what runs.")
PROCESSES = _asked("processes", "", "Processes that count at present: servers and workers of the data folder.")

REQUESTS = _counter(
    "http_requests_total",
    "method route status",
    "Requests answered. `route` is the template of the address (`unmatched` without one), `status` 499 when the client "
    "went away before there was an answer.",
)
REQUEST_SECONDS = _histogram(
    "http_request_duration_seconds",
    "method route",
    "Seconds from a request's arrival to the end of its answer; streams of events are left out.",
    REQUEST_BUCKETS,
)
IN_FLIGHT = _gauge("http_requests_in_flight", "", "Requests that are being answered.")
SHED = _counter("http_shed_total", "", "Requests answered 503 before any work was done, since too many waited already.")
OVER_BUDGET = _counter("http_query_budget_exceeded_total", "route", "Requests that took more statements than allowed.")

STATEMENTS = _counter(
    "db_statements_total", "operation table status", "Statements that ran; `status` is ok or error, `table` the first."
)
STATEMENT_SECONDS = _histogram(
    "db_statement_duration_seconds", "operation table", "Seconds that a statement took.", STATEMENT_BUCKETS
)
DATABASE_UP = _asked("db_up", "", "1 when the database answered this scrape, else 0.")
DATABASE_BYTES = _asked("db_size_bytes", "", "Bytes of the database (SQLite: the file and its write-ahead log).")
DISK_FREE = _asked("disk_free_bytes", "", "Bytes that are free where the data folder is.")
DISK_SIZE = _asked("disk_size_bytes", "", "Bytes of the file system that the data folder is on.")
POOL_SIZE = _gauge("db_pool_size", "pool", "Connections that may be in use at once (`pool`: readers or connections).")
POOL_USED = _gauge("db_pool_checked_out", "pool", "Connections in use.")
POOL_WAITING = _gauge("db_pool_waiting", "pool", "Who waits for a connection.")
POOL_WAIT = _histogram(
    "db_pool_wait_seconds", "pool", "Seconds that those waited who did not get a connection at once.", WAIT_BUCKETS
)
POOL_REFUSED = _counter("db_pool_refused_total", "pool", "Who was turned away: too many waited, or it took too long.")
WRITER_WAITING = _gauge("db_writer_waiting", "", "SQLite: blocks of writing that queue for the writer.")
WRITER_QUEUE = _gauge("db_writer_queue_size", "", "SQLite: how many may queue before the answer is 503.")
WRITER_WAIT = _histogram(
    "db_writer_wait_seconds", "", "SQLite: seconds that those waited who could not write at once.", WAIT_BUCKETS
)
WRITER_REFUSED = _counter("db_writer_refused_total", "", "SQLite: who was turned away from the writer's queue.")
COMMITS = _counter("db_commits_total", "", "SQLite: commits; several blocks of writing may share one.")
BATCH = _histogram("db_commit_batch_size", "", "SQLite: blocks of writing that shared a commit.", BATCH_BUCKETS)

CACHE_HITS = _counter(
    "cache_hits_total", "kind tier", "Values found: in the memory of the process (`tier` near) or in Redis (far)."
)
CACHE_MISSES = _counter("cache_misses_total", "kind", "Values that were not in the memory of the process.")
CACHE_LOADS = _counter("cache_loads_total", "kind", "Values that were computed.")
CACHE_LOAD_SECONDS = _histogram(
    "cache_load_duration_seconds", "kind", "Seconds that computing a value took.", STATEMENT_BUCKETS
)
CACHE_SHARED = _counter("cache_shared_total", "kind", "Requests that joined a computation that ran already.")
CACHE_RENEWED = _counter("cache_renewed_total", "kind", "Values that were computed ahead of their end.")
CACHE_STALE = _counter("cache_refused_stale_total", "kind", "Values that were there, and too old or forgotten.")
CACHE_ENTRIES = _gauge("cache_entries", "", "Values in the memory of the processes.")
CACHE_BYTES = _gauge("cache_bytes", "", "Bytes that they take, about.")
FAR_UP = _gauge("cache_redis_up", "process", "1 while the process uses Redis, 0 while its circuit is open.")
FAR_FAILURES = _counter("cache_redis_failures_total", "", "Exchanges with Redis that failed.")

ENQUEUED = _counter("jobs_enqueued_total", "task", "Jobs made.")
STARTED = _counter("jobs_started_total", "task", "Attempts at jobs begun.")
OUTCOMES = ("completed", "dead", "retried", "cancelled", "handed_back", "lost")
FINISHED = _counter(
    "jobs_finished_total",
    "task outcome",
    "Attempts ended: completed, dead (failed for good), retried (failed, and waits again), cancelled, handed_back (the "
    "process stopped) or lost (another worker has it).",
)
JOB_SECONDS = _histogram("job_duration_seconds", "task", "Seconds that an attempt took.", JOB_BUCKETS)
RUNNING = _gauge("jobs_running", "queue", "Jobs that run.")
WAITING = _asked("jobs_waiting", "queue", "Jobs that could run and wait, up to 10,000.")
OLDEST = _asked("jobs_oldest_waiting_seconds", "queue", "Seconds that the job has waited whose turn is next.")

START_TIME = _gauge("process_start_time_seconds", "process", "When the process began, in seconds since 1970.")
CPU = _counter("process_cpu_seconds_total", "process", "Processor time, user and system.")
RSS = _gauge("process_resident_memory_bytes", "process", "Resident memory.")
OPEN_FILES = _gauge("process_open_fds", "process", "Open files and sockets.")
MOST_FILES = _gauge("process_max_fds", "process", "How many it may open.")
COLLECTIONS = _counter("process_gc_collections_total", "process generation", "Runs of Python's garbage collector.")
LAG = _histogram(
    "event_loop_lag_seconds",
    "process",
    "How late the event loop was for an appointment, four times a second.",
    LAG_BUCKETS,
)
