"""A report for people, as Markdown: the findings by harm, then what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator

from autoforge.operations.doctor.finding import Finding, Report, Severity, plural


def markdown(report: Report) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Doctor: {headline(report)}"
    yield ""
    yield f"{plural(report.checks, 'check')} ran to the end, in {report.seconds:.1f} s."
    yield from (f"- {name}: {value}" for name, value in report.figures.items())
    for number, finding in enumerate(report.findings, 1):
        yield from _finding(number, finding)
    if report.unseen:
        yield ""
        yield "## Not looked at"
        yield ""
        yield from (f"- {one.check}: {one.reason}" for one in report.unseen)


def headline(report: Report) -> str:
    """One line, such as ``3 findings (1 critical, 2 medium)``."""
    if report.healthy:
        return "nothing found"
    counts = [(one.value, sum(found.severity is one for found in report.findings)) for one in Severity]
    told = ", ".join(f"{count} {name}" for name, count in counts if count)
    return f"{plural(len(report.findings), 'finding')} ({told})"


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield ""
    yield f"## {number}. {finding.severity.value.capitalize()}: {finding.title}"
    yield ""
    yield f"`{finding.id}`"
    if finding.evidence:
        yield ""
        yield from (f"- {line}" for line in finding.evidence)
    if finding.remedy:
        yield ""
        yield f"**Remedy:** {finding.remedy}"
    yield from _fenced("", finding.commands)
    yield from _fenced("**Proof**, tried on a copy:", finding.proof)


def _fenced(title: str, text: str) -> Iterator[str]:
    if not text:
        return
    yield ""
    if title:
        yield title
        yield ""
    fence = "```"
    while fence in text:
        fence += "`"
    yield from (fence, text, fence)
