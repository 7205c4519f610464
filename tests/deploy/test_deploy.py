"""Dashboards and alert rules: well formed, about metrics that the service has, and understood by a real Prometheus."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests import servers
from tests.deploy.prometheus import DEPLOY, Prometheus, program, prometheus
from tests.servers import ROOT, Missing

DASHBOARDS = ("service", "database", "jobs")
ONLY_AFTER_FAULTS = {
    "autoforge_cache_redis_up": "no Redis is configured",
    "autoforge_cache_redis_failures_total": "no Redis is configured",
    "autoforge_http_query_budget_exceeded_total": "no route takes too many statements",
}
"""Metrics that a healthy service names without having values, and why."""
QUIET = re.compile(r'redis|query_budget|status="error"|5\.\.\|429|dead\|retried\|lost|deriv\(')
"""Queries that find nothing while nothing is wrong."""


@cache
def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / f"{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


@cache
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    return [*(query for name in DASHBOARDS for query in queries(name)), *(rule["expr"] for rule in rules())]


# --- well formed ------------------------------------------------------------------------------------------------------


def test_each_dashboard_has_a_name_of_its_own() -> None:
    found = [dashboard(name) for name in DASHBOARDS]
    assert len({one["uid"] for one in found}) == len({one["title"] for one in found}) == len(DASHBOARDS)
    assert {path.stem for path in (DEPLOY / "grafana" / "dashboards").iterdir()} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_used_with_any_data_source(name: str) -> None:
    found = dashboard(name)
    assert found["schemaVersion"] >= 36
    assert [variable["name"] for variable in found["templating"]["list"]] == ["datasource", "job"]
    sources = [panel["datasource"] for panel in panels(name)]
    sources += [target["datasource"] for panel in panels(name) for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert all('job="$job"' in query for query in queries(name))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_side_by_side(name: str) -> None:
    every = dashboard(name)["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken = set[tuple[int, int]]()
    for panel in every:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x + place["x"], y + place["y"]) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
            assert "for" in rule or "increase(" in rule["expr"], rule["alert"]
            named = re.findall(r"AUTOFORGE_[A-Z_]+", rule["annotations"]["description"])
            assert all(f"`{name}`" in settings for name in named), rule["alert"]


def test_provisioning_names_what_there_is() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    assert source["type"] == "prometheus"
    provider = yaml.safe_load((folder / "dashboards" / "autoforge.yml").read_text())["providers"][0]
    assert provider["type"] == "file"


# --- with Prometheus' own programs ------------------------------------------------------------------------------------


def promtool(*arguments: str) -> None:
    try:
        command = [program("promtool"), *arguments]
    except Missing as missing:
        pytest.skip(str(missing))
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_accepts_the_configuration() -> None:
    promtool("check", "config", "deploy/prometheus/prometheus.yml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "tests/deploy/alerts_test.yml")
    tested = (ROOT / "tests" / "deploy" / "alerts_test.yml").read_text()
    assert {rule["alert"] for rule in rules() if "alert" in rule and rule["alert"] not in tested} == set()


# --- against the running product --------------------------------------------------------------------------------------


def ask(url: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=servers.PATIENCE)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def figures(url: str) -> dict[tuple[str, str], float]:
    """What is scraped, by name and by route or process."""
    return {
        (sample.name, sample.labels.get("route", sample.labels.get("process", ""))): sample.value
        for family in text_string_to_metric_families(ask(url, "GET", "/metrics")[1])
        for sample in family.samples
    }


def wait_for_both(url: str) -> None:
    """The server answers as soon as its first worker does."""
    deadline = time.monotonic() + servers.PATIENCE
    while figures(url)["autoforge_processes", ""] < 2:
        assert time.monotonic() < deadline, "the second worker did not come up"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Served]:
    """Two workers after somebody has read, written, asked for what is not there, and run a job."""
    with servers.serve(tmp_path_factory.mktemp("data"), "--workers", "2") as served:
        wait_for_both(served.url)
        for path in (
            "/w/main/prompts",
            "/api/v1/prompts",
            "/api/v1/prompts/served/support%2Freply@production",
            "/nothing",
        ):
            ask(served.url, "GET", path)
        content = {"messages": [{"role": "user", "content": "Hello"}]}
        assert ask(served.url, "POST", "/api/v1/templates", {"name": "mine", "content": content})[0] == 201
        assert ask(served.url, "POST", "/api/v1/users/cleanup", {})[0] == 202
        yield served


def test_one_scrape_tells_of_all_workers(used: servers.Served) -> None:
    for _ in range(40):  # each over a connection of its own, so that the system chooses who answers
        assert ask(used.url, "GET", "/api/v1/health")[0] == 200
    for _ in range(4):  # both are asked, as likely as not
        seen = figures(used.url)
        assert seen["autoforge_http_requests_total", "/api/v1/health"] == 40
        assert all(seen["autoforge_process_resident_memory_bytes", number] > 10_000_000 for number in ("1", "2"))


def scraped(url: str) -> tuple[set[str], set[str], dict[str, set[str]]]:
    """The families that are named, those that have values, and the labels of each (as samples are called)."""
    families = list(text_string_to_metric_families(ask(url, "GET", "/metrics")[1]))
    named = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    labels: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    return named, set(labels), labels


def test_queries_are_about_metrics_that_the_service_exports(used: servers.Served) -> None:
    named, samples, labels = scraped(used.url)
    wanted = {name for expression in expressions() for name in re.findall(r"(?<!:)\bautoforge_\w+", expression)}
    assert wanted - samples - set(ONLY_AFTER_FAULTS) == set()
    assert set(ONLY_AFTER_FAULTS) <= named
    known = set().union(*labels.values()) | {"job", "instance", "le"}
    for expression in expressions():
        grouped = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
        matched = set(re.findall(r'(\w+)=~?"', expression))
        assert (grouped | matched) <= known, expression


def test_every_metric_is_documented_and_every_documented_metric_is_exported(used: servers.Served) -> None:
    documented = set(re.findall(r"^\| `(autoforge_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    assert documented == scraped(used.url)[0]


@pytest.fixture(scope="module")
def scraping(used: servers.Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the product a few times."""
    try:
        with prometheus(tmp_path_factory.mktemp("prometheus"), urlsplit(used.url).netloc) as running:
            running.wait_for('count_over_time(autoforge_build_info{job="autoforge"}[1m]) >= 3')
            yield running
    except Missing as missing:
        pytest.skip(str(missing))


def test_every_query_of_the_dashboards_finds_something(scraping: Prometheus) -> None:
    empty = []
    for query in (query for name in DASHBOARDS for query in queries(name)):
        concrete = query.replace("$job", "autoforge").replace("$__rate_interval", "10s")
        if not scraping.query(concrete) and not QUIET.search(query):
            empty.append(query)
    assert empty == []


def test_every_rule_can_be_evaluated_and_none_fires(scraping: Prometheus) -> None:
    deadline = time.monotonic() + servers.PATIENCE
    while True:
        found = [rule for group in scraping.get("rules")["groups"] for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in found) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert len(found) == len(rules())
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}
    assert [rule["name"] for rule in found if rule.get("state") == "firing"] == []
