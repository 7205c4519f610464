"""Traces as a real collector receives them from OpenTelemetry's own SDK, and nothing at all where nobody wants them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from autoforge.errors import BadInput
from autoforge.telemetry import traces
from tests import servers
from tests.servers import ROOT
from tests.telemetry.collector import Received, attributes, collector
from tests.web.site import key, opened, settings

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra autoforge-nexus[otel] is not installed")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "a text that nobody else should see"
JOB_SECONDS = 20


@pytest.fixture
async def received(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Received:
    """What the collector got of three requests and a job, once the service has ended."""
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "our-forge")
        chosen = settings(tmp_path / "data", sqlite_url, samples=False, traces=True)
        chosen.jobs.executor = "inprocess"
        async with opened(chosen) as site:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            await site.client.get("/api/v1/prompts", params={"q": SECRET}, headers=headers)
            content = {"messages": [{"role": "user", "content": SECRET}]}
            body = {"name": "greeting", "content": content}
            assert (await site.client.post("/api/v1/prompts", json=body)).status_code == 201
            for _ in range(3):  # from the database, then from memory, before routing
                assert (await site.client.get("/api/v1/prompts/served/greeting")).status_code == 200
            assert site.app.serving.answered
            fresh = await key(site.app, site.owner)
            await site.client.get(f"/api/v1/prompts/{uuid4()}", headers=fresh)
            started = await site.client.post("/api/v1/users/cleanup")
            job = f"/api/v1/jobs/{started.json()['job_id']}"
            async with site.client.stream("GET", f"{job}/events", timeout=JOB_SECONDS) as events:
                async for _ in events.aiter_lines():
                    pass  # it ends with the job
        return found


async def test_a_collector_receives_requests_statements_loads_and_jobs(received: Received) -> None:
    (listing,) = received.named("GET /api/v1/prompts")
    assert (listing.trace_id.hex(), listing.parent_span_id.hex()) == (TRACE, PARENT)
    about = attributes(listing)
    assert about["http.route"] == "/api/v1/prompts"
    assert (about["http.request.method"], about["http.response.status_code"]) == ("GET", 200)
    (missing,) = received.named("GET /api/v1/prompts/{prompt_id}")
    assert attributes(missing)["http.response.status_code"] == 404
    assert missing.status.code == 0  # the caller's mistake is no fault of the service

    served = received.named("GET /api/v1/prompts/served/{reference}")
    assert [attributes(span)["http.response.status_code"] for span in served] == [200, 200, 200]

    (load,) = [span for span in received.below(missing) if span.name == "cache load access"]
    (asked,) = received.below(load)
    assert attributes(asked)["db.system.name"] == "sqlite"
    assert attributes(asked)["db.operation.name"] == "SELECT"
    assert asked.start_time_unix_nano >= load.start_time_unix_nano

    (creating,) = received.named("POST /api/v1/prompts")
    inserts = [span for span in received.below(creating) if span.name == "INSERT prompts"]
    assert inserts
    assert "?" in attributes(inserts[0])["db.query.text"]

    (job,) = received.named("job users.cleanup")
    assert attributes(job)["autoforge.job.attempt"] == 1
    assert received.below(job)
    assert {about["service.name"] for about, _ in received.spans} == {"our-forge"}

    every = " ".join(str(span) for _, span in received.spans)
    assert SECRET not in every
    assert "afn_" not in every


def test_nothing_is_loaded_where_nobody_wants_traces() -> None:
    program = """
import sys
from autoforge.app import create
from autoforge.telemetry import traces
create()
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
with traces.span("nothing"):
    pass
sys.modules["opentelemetry.sdk"] = None  # as where it is not installed
from autoforge.settings import load_settings
try:
    create(load_settings(traces=True))
except Exception as error:
    print(type(error).__name__, error)
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("BadInput")
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in ran.stdout


def test_a_protocol_that_is_not_spoken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(BadInput, match="not by grpc"):
        traces.check()


def test_the_end_does_not_wait_for_a_collector_that_is_away() -> None:
    program = f"""
import asyncio, os
from autoforge.telemetry import traces
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:{servers.free_port()}"
traces.PATIENCE = 0.05

async def main():
    async with traces.sending("1"):
        with traces.span("unsent"):
            pass
    print("ended")

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout == "ended\n", ran.stderr
    assert "the last traces are lost" in ran.stderr
