"""All tables, a file per subject. Use as ``from autoforge.db import models as m``."""

from __future__ import annotations

from autoforge.db.models.access import (
    ApiKey,
    AuditEntry,
    AuditHead,
    IdempotencyKey,
    OneTimeLink,
    RateLimit,
    SignInSession,
)
from autoforge.db.models.base import Base
from autoforge.db.models.cache import CacheOutbox
from autoforge.db.models.evaluations import Evaluation, Suite, TestCase, TestResult
from autoforge.db.models.jobs import ImportFault, Job, Lease, Schedule
from autoforge.db.models.operations import ServiceLevel
from autoforge.db.models.people import Membership, User, Workspace
from autoforge.db.models.prompts import (
    Prompt,
    PromptHead,
    PromptHeadMove,
    PromptLineage,
    PromptScore,
    PromptVersion,
    Template,
)

__all__ = [
    "ApiKey",
    "AuditEntry",
    "AuditHead",
    "Base",
    "CacheOutbox",
    "Evaluation",
    "IdempotencyKey",
    "ImportFault",
    "Job",
    "Lease",
    "Membership",
    "OneTimeLink",
    "Prompt",
    "PromptHead",
    "PromptHeadMove",
    "PromptLineage",
    "PromptScore",
    "PromptVersion",
    "RateLimit",
    "Schedule",
    "ServiceLevel",
    "SignInSession",
    "Suite",
    "Template",
    "TestCase",
    "TestResult",
    "User",
    "Workspace",
]
