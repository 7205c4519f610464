"""The HTTP contract, asked of every route: one error shape, tags, guards, freshness, and a complete description."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from autoforge.db.trace import count_statements
from autoforge.web.openapi import operations
from tests.web.examples import Asked, everything
from tests.web.site import Site, signed_in

pytestmark = pytest.mark.anyio

PROBLEM = {"type", "title", "status", "detail", "errors", "request_id"}
JSON = {"Content-Type": "application/json"}


def must_be_problem(answer: httpx2.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == PROBLEM
    assert body["status"] == answer.status_code
    assert body["type"].startswith("urn:autoforge:problem:")
    assert body["title"]
    assert body["detail"]
    assert all(set(error) == {"pointer", "message"} for error in body["errors"])
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "private, no-store"


async def api(site: Site, *methods: str) -> list[Asked]:
    return [one for one in await everything(site) if not one.page and one.method in methods]


class TestErrors:
    """Whatever is wrong, and wherever: the same document."""

    async def test_of_methods(self, site: Site) -> None:
        for template in sorted({one.path for one in await api(site, "GET", "POST", "PUT", "PATCH", "DELETE")}):
            answer = await site.client.request("TRACE", template)
            must_be_problem(answer, 405)
            assert "OPTIONS" in answer.headers["allow"]

    @pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1/prompts/a/b/c/d", "/api/v2/prompts"])
    async def test_of_addresses(self, site: Site, path: str) -> None:
        must_be_problem(await site.client.get(path), 404)

    @pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"a":1}}', b"\xff\xfe\xfd", b'"\xed\xa0\x80"', b"\x00"])
    async def test_of_bodies_that_are_not_json(self, site: Site, body: bytes) -> None:
        for one in await api(site, "POST", "PUT", "PATCH"):
            if one.body is not None:
                answer = await site.client.request(one.method, one.path, content=body, headers=JSON)
                must_be_problem(answer, 400, 422)

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"])
    async def test_of_bodies_of_another_kind(self, site: Site, kind: str) -> None:
        for one in await api(site, "POST", "PUT", "PATCH"):
            if one.body is not None:
                headers = {"Content-Type": kind}
                must_be_problem(await site.client.request(one.method, one.path, content=b"a=1", headers=headers), 415)

    async def test_of_bodies_of_another_shape(self, site: Site) -> None:
        for one in await api(site, "POST", "PUT", "PATCH"):
            if one.body is not None:
                for body in ([], "text", 1, None):
                    must_be_problem(await site.client.request(one.method, one.path, json=body), 422)

    async def test_of_unknown_parameters(self, site: Site) -> None:
        for one in await api(site, "GET", "POST", "PUT", "PATCH", "DELETE"):
            if not one.open:
                sign = "&" if "?" in one.path else "?"
                answer = await site.client.request(one.method, f"{one.path}{sign}unknown_one=1", **one.sent())
                must_be_problem(answer, 422)
                assert [error["pointer"] for error in answer.json()["errors"]] == ["?unknown_one"], one.place

    async def test_of_misspelled_parameters(self, site: Site) -> None:
        answer = await site.client.get("/api/v1/prompts?stauts=active")
        must_be_problem(answer, 422)
        assert "Did you mean 'status'?" in answer.json()["detail"]

    async def test_of_ids(self, site: Site) -> None:
        for one in await api(site, "GET", "POST", "PUT", "PATCH", "DELETE"):
            if "_id}" in one.template:
                known = next(part for part in one.path.split("/") if len(part) == 36)
                answer = await site.client.request(one.method, one.path.replace(known, "nonsense"), **one.sent())
                must_be_problem(answer, 404, 422)
                unknown = one.path.replace(known, "01890000-0000-7000-8000-000000000000")
                must_be_problem(await site.client.request(one.method, unknown, **one.sent()), 404, 422)

    async def test_of_pages_too_for_programs(self, site: Site) -> None:
        must_be_problem(await site.client.get("/w/main/prompts/nonsense"), 404)
        must_be_problem(await site.client.get("/w/other/prompts"), 404)

    async def test_people_get_a_page(self, site: Site) -> None:
        answer = await site.client.get("/w/main/prompts/nonsense", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


class TestFreshness:
    """Tags on all single reads; nobody's data in anybody else's cache."""

    async def test_single_reads_are_tagged_and_a_304_costs_one_read(self, site: Site) -> None:
        wrong = {}
        for one in await single_reads(site):
            first = await site.client.get(one.path)
            if first.status_code != 200 or "etag" not in first.headers:
                wrong[one.place] = f"{first.status_code} without ETag"
                continue
            await site.client.get("/api/v1/me")  # who is asking is known now, and costs nothing
            with count_statements() as counted:
                again = await site.client.get(one.path, headers={"If-None-Match": first.headers["etag"]})
            if (again.status_code, again.content) != (304, b"") or counted.count > 1:
                wrong[one.place] = f"{again.status_code} after {counted.names}"
            elif again.headers["etag"] != first.headers["etag"]:
                wrong[one.place] = "the 304 has another tag"
        assert wrong == {}

    async def test_nothing_is_cached_for_others(self, site: Site) -> None:
        for one in await everything(site):
            if one.method == "GET":
                answer = await site.client.get(one.path)
                control, vary = answer.headers["cache-control"], answer.headers["vary"]
                assert "private" in control or control == "no-store", one.place
                assert "public" not in control, one.place
                assert {"Cookie", "Authorization", "Accept-Encoding", "Accept"} <= set(vary.split(", ")), one.place

    @pytest.mark.parametrize("value", ["nonsense", "3", '"3', '"3", "4"', 'w/"3"'])
    async def test_a_malformed_guard_is_refused(self, site: Site, value: str) -> None:
        for one in await guarded(site):
            answer = await site.client.request(one.method, one.path, headers={"If-Match": value}, **one.sent())
            must_be_problem(answer, 422)

    @pytest.mark.parametrize("value", ['"999"', 'W/"1"', '"abc"', '""', '"999-gzip"'])
    async def test_a_lost_update_is_refused(self, site: Site, value: str) -> None:
        for one in await guarded(site):
            answer = await site.client.request(one.method, one.path, headers={"If-Match": value}, **one.sent())
            must_be_problem(answer, 412)

    @pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
    async def test_the_tag_of_a_read_guards_a_write(self, site: Site, encoding: str) -> None:
        for one in await guarded(site):
            if one.method == "PATCH":
                read = await site.client.get(one.path, headers={"Accept-Encoding": encoding})
                headers = {"If-Match": read.headers["etag"]}
                field = "description" if "description" in one.properties else "name"
                first = await site.client.patch(one.path, json={field: encoding}, headers=headers)
                second = await site.client.patch(one.path, json={field: "again"}, headers=headers)
                assert (first.status_code, second.status_code) == (204, 412), one.place


STREAMED = ("/export", "/events")


async def single_reads(site: Site) -> list[Asked]:
    """Reads of one thing: what ends in the id or number of something, and what belongs to it."""
    return [one for one in await api(site, "GET") if one.template.endswith(("}", "/me", "/metrics"))]


async def guarded(site: Site) -> list[Asked]:
    """Writes that take If-Match, as the document says."""
    return [one for one in await api(site, "PUT", "PATCH", "DELETE") if "If-Match" in one.headers]


class TestDescription:
    """The OpenAPI document says all of it."""

    async def test_every_operation_names_its_errors(self, site: Site) -> None:
        document = site.app.openapi()
        for path, method, operation in operations(document):
            place = f"{method} {path}"
            responses = operation["responses"]
            assert {"400", "422", "429", "500", "503"} <= set(responses), place
            for status, response in responses.items():
                if status >= "400":
                    assert response == {"$ref": f"#/components/responses/Problem{status}"}, place
            if operation.get("security") != []:
                assert {"401", "403", "404"} <= set(responses), place
            assert operation["summary"], place
            assert operation["tags"], place

    async def test_every_read_has_a_budget(self, site: Site) -> None:
        missing = [
            one.place for one in await api(site, "GET") if one.budget is None and not one.path.endswith(STREAMED)
        ]
        assert missing == []

    async def test_there_are_two_ways_to_sign_in(self, site: Site) -> None:
        document = site.app.openapi()
        assert document["security"] == [{"key": []}, {"session": []}]
        schemes = document["components"]["securitySchemes"]
        assert (schemes["key"]["scheme"], schemes["session"]["in"]) == ("bearer", "cookie")

    async def test_all_references_lead_somewhere(self, site: Site) -> None:
        document = site.app.openapi()
        for reference in set(_references(document)):
            target: Any = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]

    async def test_guards_are_described_where_they_are_kept(self, site: Site) -> None:
        assert {one.place for one in await guarded(site)} >= {
            "PATCH /api/v1/prompts/{prompt_id}",
            "DELETE /api/v1/prompts/{prompt_id}",
            "PATCH /api/v1/suites/{suite_id}",
            "PATCH /api/v1/templates/{template_id}",
        }


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


async def test_whatever_a_form_posts_to_leads_to_a_page_when_opened_by_hand(site: Site) -> None:
    """An error leaves its address in the address bar: Enter there must not end in a problem."""
    browser = {**await signed_in(site, site.owner), "Accept": "text/html", "Authorization": ""}
    asked = [one for one in await everything(site) if one.page and one.method == "POST"]
    assert len(asked) > 50
    for one in asked:
        answer = await site.client.get(one.path, headers=browser, follow_redirects=True)
        assert answer.status_code == 200, (one.path, answer.url)


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/account/password", "/account"),
        ("/w/main/people/add", "/w/main/people"),
        ("/w/main/settings", "/w/main/people"),
        ("/operations/profiles/cancel", "/operations/profiles"),
        ("/welcome/open", "/welcome"),
        ("/sign-out", "/"),
    ],
)
async def test_it_is_the_page_with_the_form(site: Site, address: str, page: str) -> None:
    browser = {**await signed_in(site, site.owner), "Accept": "text/html", "Authorization": ""}
    answer = await site.client.get(address, headers=browser)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    program = await site.client.get(address, headers={**browser, "Accept": "*/*"})
    assert program.status_code in (303, 405)
