"""What suites, runs and results look like outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, JsonValue

from autoforge.evaluations.recorded import MOST_OUTPUTS
from autoforge.prompts.schemas import PromptIn, Strict
from autoforge.web.text import Line, Prose, storable_json

MOST_CASES = 20_000
"""Cases that one request may bring, and that a suite may have to be scored over HTTP."""

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
OutcomeName = Literal["pass", "fail", "error"]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


Storable = Annotated[JsonValue, AfterValidator(storable_json)]
Tests = Annotated[
    list[dict[str, Any]],  # JsonValue would call Python for each value of a body that is JSON
    Field(
        max_length=MOST_CASES,
        description="Test cases in promptfoo's shape: {description, vars, assert, threshold, options, metadata}.",
        examples=[[{"vars": {"question": "2 + 2"}, "assert": [{"type": "equals", "value": "4"}]}]],
    ),
]


class SuiteIn(Strict):
    name: Line
    description: Prose = ""
    tests: Tests
    default_test: dict[str, JsonValue] | None = Field(None, description="What every test starts from.")


class SuiteEdit(Strict):
    name: Line | None = None
    description: Prose | None = None
    tests: Tests | None = Field(None, description="The suite then holds exactly these; same cases keep their ids.")


class SuiteItem(BaseModel):
    """A row of the list. ``evaluations`` counts up to 1,000."""

    id: UUID
    name: str
    description: str
    cases: int
    evaluations: int
    latest_score: float | None
    is_sample: bool
    created_at: datetime
    updated_at: datetime
    row_version: int


class SuitePage(BaseModel):
    items: list[SuiteItem]
    next: str | None


class CaseItem(BaseModel):
    id: UUID
    position: int
    name: str
    variables: dict[str, Any]
    expected: Any = None
    assertions: list[dict[str, Any]]
    threshold: float | None = None


class CasePage(BaseModel):
    items: list[CaseItem]
    next: str | None


class SuiteCreated(BaseModel):
    """``notices`` tell what of the input was left out or ignored."""

    id: UUID
    cases: int
    notices: list[str]


class CaseCreated(BaseModel):
    id: UUID


class OutputIn(Strict):
    """One recorded output; it belongs to the case at the same place."""

    output: Storable = Field(None, description="Text or any JSON value; null: none was recorded.")
    latency_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    cost_nano: Count | None = Field(None, description="Nano-dollars.")
    finish_reason: Line | None = None
    error: Prose | None = Field(None, description="Why there is no output.")


class ScoreIn(Strict):
    """Outputs of one model for the cases of a suite, in the order of its cases."""

    suite_id: UUID
    model: Line
    outputs: list[OutputIn] = Field(max_length=MOST_OUTPUTS)
    name: Line = ""
    provider: Line = ""


class RunIn(ScoreIn):
    prompt: Line | None = Field(None, description="The stored prompt that made them.", examples=["mail@production"])


class PromptWithRun(Strict):
    prompt: PromptIn
    evaluation: ScoreIn


class PromptWithRunOut(BaseModel):
    prompt_id: UUID
    version_id: UUID
    evaluation_id: UUID


class RunCreated(BaseModel):
    id: UUID
    model: str
    cases: int
    passed: int
    failed: int
    errors: int
    score: float | None


class RunItem(BaseModel):
    """A row of the list. With ``fields=`` only what was asked for is there."""

    id: UUID
    name: str
    provider: str
    model: str
    source: str
    status: Status
    score: float | None
    cases: int
    passed: int
    failed: int
    errors: int
    latency_ms: float | None
    tokens_in: int | None
    tokens_out: int | None
    cost_nano: int | None
    prompt_id: UUID | None
    prompt_name: str | None
    version_id: UUID | None
    version_number: int | None
    suite_id: UUID | None
    suite_name: str | None
    batch_id: UUID
    is_sample: bool
    created_at: datetime
    completed_at: datetime | None
    row_version: int


class RunPage(BaseModel):
    items: list[RunItem]
    next: str | None


class RunOut(RunItem):
    problem: str | None


class AssertionOut(BaseModel):
    type: str
    metric: str | None
    outcome: OutcomeName
    score: float
    reason: str
    weight: float


class ResultItem(BaseModel):
    """A row of the results. With ``fields=`` only what was asked for is there."""

    position: int
    case_id: UUID | None
    case: str
    outcome: OutcomeName
    score: float
    reason: str
    output: str
    assertions: list[AssertionOut]
    latency_ms: float | None
    tokens_in: int | None
    tokens_out: int | None
    cost_nano: int | None
    finish_reason: str | None


class ResultPage(BaseModel):
    items: list[ResultItem]
    next: str | None


class ResultOut(ResultItem):
    variables: dict[str, Any]
    expected: Any = None


class MetricOut(BaseModel):
    name: str
    cases: int
    passed: int
    score: float


class MetricsOut(BaseModel):
    metrics: list[MetricOut]
    latency_p95_ms: float | None


class ComparedRow(BaseModel):
    """One case in both runs; the output is cut at 4,000 characters. ``change`` is None where a side is an error."""

    case: str
    position_a: int
    position_b: int
    outcome_a: OutcomeName
    outcome_b: OutcomeName
    score_a: float
    score_b: float
    change: float | None
    reason_a: str
    reason_b: str
    output_a: str
    output_b: str


class ComparisonOut(BaseModel):
    """Run b against run a. Differences are shares (-1..1); None where there is too little to say."""

    a: RunItem
    b: RunItem
    verdict: Literal["better", "worse", "cannot tell"]
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    smallest_detectable: float | None
    mean_a: float | None
    mean_b: float | None
    method: str
    compared: int
    regressions: int
    improvements: int
    errors: int
    only_in_a: int
    only_in_b: int
    items: list[ComparedRow]
    next: str | None
