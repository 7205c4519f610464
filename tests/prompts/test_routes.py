"""Prompts, versions and templates over HTTP: what is answered, how fresh it is, and what others get of it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database, clock, count_statements
from autoforge.prompts import template_commands
from autoforge.prompts.content import from_text
from autoforge.prompts.template_commands import TemplateDraft
from tests import make
from tests.prompts.test_commands import create as create_for

NOWHERE = "01a1fd37-ee21-7800-bf40-e955a88e89d3"


async def create(api: httpx2.AsyncClient, name: str = "p", content: Any = "one", **more: Any) -> str:
    answer = await api.post("prompts", json={"name": name, "content": content, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def save(api: httpx2.AsyncClient, prompt: str, content: Any, **more: Any) -> httpx2.Response:
    return await api.post(f"prompts/{prompt}/versions", json={"content": content, **more})


async def point(api: httpx2.AsyncClient, prompt: str, head: str, number: int, **more: Any) -> httpx2.Response:
    return await api.put(f"prompts/{prompt}/heads/{head}", json={"number": number, **more})


def pointers(answer: httpx2.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


class TestPrompts:
    async def test_made_read_changed_deleted_and_brought_back(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api, "a/b", "Hi {{name}}", title="T", tags=["x"], labels=["live"])
        read = (await api.get(f"prompts/{prompt}")).json()
        assert (read["name"], read["title"], read["tags"], read["versions"]) == ("a/b", "T", ["x"], 1)
        assert [(head["kind"], head["name"], head["number"]) for head in read["heads"]] == [
            ("branch", "main", 1),
            ("label", "live", 1),
        ]
        assert read["head"]["content"]["messages"] == [{"role": "user", "content": "Hi {{name}}"}]
        assert (await api.patch(f"prompts/{prompt}", json={"title": "New"})).status_code == 204
        assert (await api.get(f"prompts/{prompt}")).json()["title"] == "New"
        assert (await api.delete(f"prompts/{prompt}")).status_code == 204
        assert (await api.get("prompts")).json()["items"] == []
        assert (await api.patch(f"prompts/{prompt}", json={"title": "X"})).status_code == 404
        assert (await api.post(f"prompts/{prompt}/restore")).status_code == 204
        assert [item["name"] for item in (await api.get("prompts")).json()["items"]] == ["a/b"]

    async def test_faults_are_all_named_with_their_places(self, api: httpx2.AsyncClient) -> None:
        content = {"messages": [{"role": "usr", "content": 5}], "colour": 1}
        answer = await api.post("prompts", json={"name": "p", "content": content})
        assert answer.status_code == 422
        assert pointers(answer) == ["/content/colour", "/content/messages/0/role", "/content/messages/0/content"]
        answer = await api.post("prompts", json={"name": "p@1", "content": "x"})
        assert (answer.status_code, pointers(answer)) == (422, ["/name"])
        answer = await api.post("prompts", json={"name": "p", "content": "x", "titel": "T"})
        assert (answer.status_code, pointers(answer)) == (422, ["/titel"])
        await create(api)
        assert (await api.post("prompts", json={"name": "p", "content": "x"})).status_code == 409

    @pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800", "\\udc00\\ud800"])
    async def test_what_no_database_can_keep_is_refused(self, api: httpx2.AsyncClient, text: str) -> None:
        kind = {"Content-Type": "application/json"}
        places = [f'{{"name": "{text}", "content": "x"}}', f'{{"name": "p", "content": "{text}"}}']
        places += [f'{{"name": "p", "content": "x", "title": "{text}"}}', f'{{"name": "p", "{text}": "x"}}']
        places += [f'{{"name": "p", "content": {{"messages": [{{"role": "user", "content": "x", "{text}": 1}}]}}}}']
        for body in places:
            answer = await api.post("prompts", content=body.encode(), headers=kind)
            assert answer.status_code in (400, 422), (body, answer.text)

    async def test_a_tag_is_fresh_until_something_shown_changes(
        self, api: httpx2.AsyncClient, database: Database, owner: Actor
    ) -> None:
        made = await create_for(database, owner)
        path = f"prompts/{made.prompt_id}"

        async def is_known(tag: str) -> bool:
            return (await api.get(path, headers={"If-None-Match": tag})).status_code == 304

        tag = (await api.get(path)).headers["etag"]
        with count_statements() as counting:
            assert await is_known(tag)
        assert counting.count == 1
        await point(api, str(made.prompt_id), "label/live", 1)
        assert not await is_known(tag)
        tag = (await api.get(path)).headers["etag"]
        async with database.write() as session:
            await make.evaluation(session, owner, prompt_id=made.prompt_id, version_id=made.version_id)
        assert not await is_known(tag)  # its evaluations are shown as well

    async def test_a_writer_that_has_not_seen_the_newest_is_refused(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        tag = (await api.get(f"prompts/{prompt}")).headers["etag"]
        for method, body in (("PATCH", {"title": "A"}), ("DELETE", None)):
            stale = await api.request(method, f"prompts/{prompt}", json=body, headers={"If-Match": '"99.0.None"'})
            assert stale.status_code == 412, stale.text
        assert (await api.patch(f"prompts/{prompt}", json={"title": "A"}, headers={"If-Match": tag})).is_success
        answer = await api.patch(f"prompts/{prompt}", json={"title": "B"}, headers={"If-Match": tag})
        assert answer.status_code == 412

    async def test_a_change_of_nothing_is_none_and_null_is_no_value(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api, title="T")
        template = (await api.post("templates", json={"name": "t", "content": "x"})).json()["id"]
        for path in (f"prompts/{prompt}", f"templates/{template}"):
            before = (await api.get(path)).json()
            assert (await api.patch(path, json={})).status_code == 204
            assert (await api.patch(path, json={}, headers={"If-Match": '"7"'})).status_code == 412
            for name in ("name", "description"):
                answer = await api.patch(path, json={name: None})
                assert (answer.status_code, pointers(answer)) == (422, [f"/{name}"])
            assert (await api.get(path)).json() == before
        assert (await api.patch(f"prompts/{prompt}", json={"title": "", "tags": []})).status_code == 204
        assert (await api.get(f"prompts/{prompt}")).json()["title"] == ""

    @pytest.mark.parametrize("number", [True, "1", 1.0, 1.5, None])
    async def test_a_number_is_a_number(self, api: httpx2.AsyncClient, number: Any) -> None:
        prompt = await create(api)
        for method, path in (("PUT", "heads/label/x"), ("POST", "rollback")):
            answer = await api.request(method, f"prompts/{prompt}/{path}", json={"number": number})
            assert (answer.status_code, pointers(answer)) == (422, ["/number"])
            if number is not None:
                body = {"number": 1, "expected": number}
                answer = await api.request(method, f"prompts/{prompt}/{path}", json=body)
                assert (answer.status_code, pointers(answer)) == (422, ["/expected"])

    async def test_a_taken_name_is_pointed_at(self, api: httpx2.AsyncClient) -> None:
        await create(api, "taken")
        other = await create(api, "other")
        for answer in (
            await api.post("prompts", json={"name": "taken", "content": "x"}),
            await api.patch(f"prompts/{other}", json={"name": "taken"}),
        ):
            assert (answer.status_code, pointers(answer)) == (409, ["/name"])

    async def test_what_is_wrong_in_headers_and_addresses_is_pointed_at(self, api: httpx2.AsyncClient) -> None:
        prompt, body = await create(api), {"name": "b", "content": "x"}
        answer = await api.post("prompts", json=body, headers={"Idempotency-Key": "k" * 256})
        assert (answer.status_code, pointers(answer)) == (422, ["Idempotency-Key"])
        assert pointers(await api.get(f"prompts/{prompt}/versions/0")) == ["{number}"]
        assert pointers(await api.get("prompts/served/a@@")) == ["{reference}"]
        assert pointers(await point(api, prompt, "label/a%20b", 1)) == ["{name}"]

    async def test_the_folder_above_all_is_everything(self, api: httpx2.AsyncClient) -> None:
        await create(api, "a/b")
        for folder in ("/", "", "a", "/a/"):
            listed = (await api.get("prompts", params={"folder": folder})).json()["items"]
            assert [item["name"] for item in listed] == ["a/b"], folder

    async def test_lists_page_by_their_links(self, api: httpx2.AsyncClient) -> None:
        for number in range(5):
            await create(api, f"p{number}")
        path, seen = "prompts?limit=2&sort=name&fields=name", []
        while path:
            answer = await api.get(path)
            seen += [item["name"] for item in answer.json()["items"]]
            path = str(api.base_url.join(answer.links["next"]["url"])) if answer.json()["next"] else ""
        assert seen == [f"p{number}" for number in range(5)]

    async def test_a_page_may_end_at_the_longest_name(self, api: httpx2.AsyncClient) -> None:
        for last in "ab":
            await create(api, "🦉" * 199 + last)
        first = (await api.get("prompts?limit=1&sort=name&fields=name")).json()
        second = await api.get("prompts", params={"limit": 1, "sort": "name", "fields": "name", "after": first["next"]})
        assert second.json()["items"] == [{"name": "🦉" * 199 + "b"}]


class TestServing:
    async def test_an_answer_from_memory_is_never_older_than_the_last_change(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api, "mail/answer", "one", labels=["live"])
        assert (await api.get("prompts/served/mail/answer@live")).json()["number"] == 1
        with count_statements() as counting:
            first = await api.get("prompts/served/mail/answer@live")
        assert counting.count == 0
        await save(api, prompt, "two")
        assert (await api.get("prompts/served/mail/answer")).json()["number"] == 2
        assert (await api.get("prompts/served/mail/answer@live")).json()["number"] == 1
        await point(api, prompt, "label/live", 2)
        moved = await api.get("prompts/served/mail/answer@live", headers={"If-None-Match": first.headers["etag"]})
        assert (moved.status_code, moved.json()["number"]) == (200, 2)
        again = await api.get("prompts/served/mail/answer@live", headers={"If-None-Match": moved.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        await api.delete(f"prompts/{prompt}")
        assert (await api.get("prompts/served/mail/answer@live")).status_code == 404

    @pytest.mark.parametrize("reference", ["none", "a@b@c", "a//b", "@1", "a@0", "a@" + "9" * 40, "%00", "%ff"])
    async def test_references_that_mean_nothing(self, api: httpx2.AsyncClient, reference: str) -> None:
        assert (await api.get(f"prompts/served/{reference}")).status_code in (400, 404, 422)


class TestVersions:
    async def test_the_same_content_is_answered_with_the_version_that_is_there(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        second = await save(api, prompt, "two", message="why", expected=1)
        assert (second.status_code, second.json()["number"], second.json()["is_new"]) == (201, 2, True)
        again = await save(api, prompt, {"messages": [{"role": "user", "content": "two"}]})
        assert (again.status_code, again.json()["number"], again.json()["is_new"]) == (200, 2, False)
        assert (await save(api, prompt, "three", expected=1)).status_code == 409
        listed = (await api.get(f"prompts/{prompt}/versions?limit=1")).json()
        assert (listed["items"][0]["number"], listed["items"][0]["parents"], listed["next"]) == (2, [1], "2")
        read = await api.get(f"prompts/{prompt}/versions/2")
        assert read.json()["content"]["messages"][0]["content"] == "two"
        known = {"If-None-Match": read.headers["etag"]}
        assert (await api.get(f"prompts/{prompt}/versions/2", headers=known)).status_code == 304
        assert (await api.get(f"prompts/{prompt}/versions/3")).status_code == 404

    async def test_many_savers_at_once_get_numbers_of_their_own(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        answers = await asyncio.gather(*(save(api, prompt, f"text {n}") for n in range(20)))
        assert sorted(answer.json()["number"] for answer in answers) == list(range(2, 22))

    async def test_a_difference_says_what_came_and_went(self, api: httpx2.AsyncClient) -> None:
        old = {"messages": [{"role": "user", "content": "a red fox"}], "parameters": {"top_p": 1, "seed": 1}}
        new = {
            "messages": [{"role": "user", "content": "a blue fox"}, {"role": "assistant", "content": "yes"}],
            "parameters": {"temperature": 0.5, "seed": 2},
        }
        prompt = await create(api, content=old)
        await save(api, prompt, new)
        found = (await api.get(f"prompts/{prompt}/diff?a=1&b=2")).json()
        assert (found["a"], found["b"], found["is_equal"]) == (1, 2, False)
        assert [message["status"] for message in found["messages"]] == ["changed", "added"]
        runs = [(run["kind"], run["text"]) for run in found["messages"][0]["text"]["runs"]]
        assert runs == [("equal", "a "), ("delete", "red"), ("insert", "blue"), ("equal", " fox")]
        assert sorted(found["changes"], key=lambda change: change["pointer"]) == [
            {"pointer": "/parameters/seed", "old": 1, "new": 2},
            {"pointer": "/parameters/temperature", "new": 0.5},
            {"pointer": "/parameters/top_p", "old": 1},
        ]
        assert (await api.get(f"prompts/{prompt}/diff?a=1&b=1")).json()["is_equal"]
        assert (await api.get(f"prompts/{prompt}/diff?a=1&b=9")).status_code == 404

    async def test_rolling_back_and_heads(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        await save(api, prompt, "two")
        assert (await api.post(f"prompts/{prompt}/rollback", json={"number": 1, "expected": 2})).status_code == 204
        assert (await api.post(f"prompts/{prompt}/rollback", json={"number": 1, "expected": 2})).status_code == 409
        assert (await point(api, prompt, "label/live", 2, expected=0)).status_code == 204
        assert (await point(api, prompt, "label/live", 1, expected=0)).status_code == 409
        heads = (await api.get(f"prompts/{prompt}/heads")).json()
        assert [(head["name"], head["number"]) for head in heads] == [("main", 1), ("live", 2)]
        assert (await api.delete(f"prompts/{prompt}/heads/label/live")).status_code == 204
        assert (await api.delete(f"prompts/{prompt}/heads/label/live")).status_code == 404
        assert (await api.delete(f"prompts/{prompt}/heads/branch/main")).status_code == 422
        for bad in ("label/7", "label/a%20b", "twig/x", "label/%E2%80%AE"):
            assert (await point(api, prompt, bad, 1)).status_code == 422, bad

    async def test_rolling_back_makes_no_branch(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        await save(api, prompt, "two")
        answer = await api.post(f"prompts/{prompt}/rollback", json={"number": 1, "branch": "typo-mian"})
        assert answer.status_code == 404
        assert "no branch 'typo-mian'" in answer.json()["detail"]
        answer = await api.post(f"prompts/{prompt}/rollback", json={"number": 1, "branch": "a b"})
        assert (answer.status_code, pointers(answer)) == (422, ["/branch"])
        assert [head["name"] for head in (await api.get(f"prompts/{prompt}/heads")).json()] == ["main"]

    async def test_heads_are_guarded_against_lost_updates(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api, labels=["live"])
        await save(api, prompt, "two")
        path = f"prompts/{prompt}/heads/label/live"

        async def ask(method: str, tag: int, query: str = "") -> int:
            body = {"json": {"number": 2}} if method == "PUT" else {}
            return (await api.request(method, path + query, headers={"If-Match": f'"{tag}"'}, **body)).status_code

        (_, live) = (await api.get(f"prompts/{prompt}/heads")).json()
        assert await ask("PUT", live["row_version"]) == 204
        assert await ask("PUT", live["row_version"]) == 412
        assert await ask("DELETE", live["row_version"]) == 412
        assert (await api.delete(f"{path}?expected=1")).status_code == 409
        assert (await ask("DELETE", live["row_version"] + 1, "?expected=2")) == 204
        assert await ask("PUT", live["row_version"] + 1) == 412  # it is not there any more

    async def test_merging_with_and_without_conflicts(self, api: httpx2.AsyncClient) -> None:
        base = {"messages": [{"role": "user", "content": "one\ntwo\nthree\n"}], "parameters": {"seed": 1, "top_p": 1}}
        ours = {"messages": [{"role": "user", "content": "ONE\ntwo\nthree\n"}], "parameters": {"seed": 2, "top_p": 1}}
        theirs = {"messages": [{"role": "user", "content": "one\ntwo\nTHREE\n"}], "parameters": {"top_p": 1}}
        prompt = await create(api, content=base)
        await point(api, prompt, "branch/idea", 1)
        await save(api, prompt, theirs, branch="idea")
        await save(api, prompt, ours)
        conflict = await api.post(f"prompts/{prompt}/merge", json={"source": "idea"})
        assert conflict.status_code == 409
        assert conflict.headers["content-type"] == "application/problem+json"
        (place,) = conflict.json()["conflicts"]
        assert place == {"key": "/parameters/seed", "pointer": "/parameters/seed", "base": 1, "ours": 2}
        body = {"source": "idea", "choices": {place["key"]: "theirs"}}
        merged = await api.post(f"prompts/{prompt}/merge", json=body)
        assert (merged.status_code, merged.json()["saved"]["number"]) == (200, 4)
        version = (await api.get(f"prompts/{prompt}/versions/4")).json()
        assert version["parents"] == [3, 2]
        assert version["content"]["messages"][0]["content"] == "ONE\ntwo\nTHREE\n"
        assert version["content"]["parameters"] == {"top_p": 1}

    @pytest.mark.parametrize(
        ("choices", "faults"),
        [
            ({"/messages/0/contnt": "ours"}, ["/choices/~1messages~10~1contnt"]),
            ({"/messages/0/content": "ours", "/engine": "ours"}, ["/choices/~1engine"]),
            ({"/messages/0/content": 5, "/parameters/seed": "ours"}, ["/choices/~1messages~10~1content"]),
            (
                {"/messages/0/content": {"value": "x" * 1_000_001}, "/parameters/seed": "ours"},
                ["/choices/~1messages~10~1content"],
            ),
        ],
    )
    async def test_wrong_choices_of_a_merge_are_pointed_at(
        self, api: httpx2.AsyncClient, choices: dict[str, Any], faults: list[str]
    ) -> None:
        def content(text: str, seed: int) -> dict[str, Any]:
            return {"messages": [{"role": "user", "content": text}], "parameters": {"seed": seed}}

        prompt = await create(api, content=content("one", 1))
        await point(api, prompt, "branch/idea", 1)
        await save(api, prompt, content("theirs", 2), branch="idea")
        await save(api, prompt, content("ours", 3))
        answer = await api.post(f"prompts/{prompt}/merge", json={"source": "idea", "choices": choices})
        assert (answer.status_code, pointers(answer)) == (422, faults)

    async def test_choices_without_a_conflict_are_refused(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api)
        await point(api, prompt, "branch/idea", 1)
        await save(api, prompt, "two", branch="idea")
        merge = {"source": "idea", "choices": {"/messages/0/content": "ours"}}
        for changed, status in ((merge, 422), ({"source": "idea"}, 200), (merge, 422), ({"source": "idea"}, 200)):
            answer = await api.post(f"prompts/{prompt}/merge", json=changed)
            assert answer.status_code == status, answer.text

    async def test_rendering_names_all_missing_variables(self, api: httpx2.AsyncClient) -> None:
        prompt = await create(api, content="{{greeting}} {{name}}!")
        path = f"prompts/{prompt}/versions/1/render"
        missing = await api.post(path, json={"variables": {"greeting": "Hi"}})
        assert (missing.status_code, "name" in missing.json()["detail"]) == (422, True)
        good = await api.post(path, json={"variables": {"greeting": "Hi", "name": "Ada"}})
        assert good.json() == {"messages": [{"role": "user", "content": "Hi Ada!"}]}
        kind = {"Content-Type": "application/json"}
        odd = await api.post(path, content=b'{"variables": {"greeting": NaN, "name": 1}}', headers=kind)
        assert odd.status_code < 500

    @pytest.mark.parametrize(
        ("variables", "places"),
        [
            ('{"a": "\\ud800", "b": "x\\u0000"}', ["/variables/a", "/variables/b"]),
            ('{"a": {"\\ud800": 1}}', ["/variables/a"]),
            ('{"a": [1, NaN], "b": 1e999, "c": -1e999}', ["/variables/a/1", "/variables/b", "/variables/c"]),
            ('{"a/b": {"~": "\\udfff"}}', ["/variables/a~1b/~0"]),
            ('{"a": ' + "[" * 100 + "]" * 100 + "}", ["/variables/a" + "/0" * 60]),
        ],
    )
    async def test_values_that_json_does_not_know_are_refused(
        self, api: httpx2.AsyncClient, variables: str, places: list[str]
    ) -> None:
        prompt = await create(api, content="Hi {{a}}")
        body = f'{{"variables": {variables}}}'
        kind = {"Content-Type": "application/json"}
        answer = await api.post(f"prompts/{prompt}/versions/1/render", content=body, headers=kind)
        assert (answer.status_code, pointers(answer)) == (422, places)

    async def test_what_a_template_makes_must_be_text(self, api: httpx2.AsyncClient) -> None:
        for name, text in (("a", "{{ '\\ud800' }}"), ("b", "{{ {}['\\ud800'] }}")):
            prompt = await create(api, name, text)
            answer = await api.post(f"prompts/{prompt}/versions/1/render", json={})
            assert (answer.status_code, pointers(answer)) == (422, ["/messages/0/content"])

    async def test_many_messages_cost_no_more_than_one(self, api: httpx2.AsyncClient) -> None:
        """While they are rendered others are answered."""
        bomb = "{% for i in range(100000) %}{% for j in range(100000) %}{{ 1 }}{% endfor %}{% endfor %}"
        prompt = await create(api, content={"messages": [{"role": "user", "content": bomb}] * 1000})
        rendering = asyncio.ensure_future(api.post(f"prompts/{prompt}/versions/1/render", json={}))
        other = asyncio.ensure_future(api.get("health"))
        done, _ = await asyncio.wait((rendering, other), return_when=asyncio.FIRST_COMPLETED)
        assert other in done
        answer = await rendering
        assert (answer.status_code, pointers(answer)) == (422, ["/messages/0/content"])


async def test_another_workspace_s_prompt_does_not_exist(
    api: httpx2.AsyncClient, database: Database, stranger: Actor
) -> None:
    theirs = (await create_for(database, stranger, "secret")).prompt_id
    for prompt in (theirs, NOWHERE):
        asked = [
            api.get(f"prompts/{prompt}"),
            api.patch(f"prompts/{prompt}", json={"title": "mine"}),
            api.delete(f"prompts/{prompt}"),
            api.post(f"prompts/{prompt}/restore"),
            api.get(f"prompts/{prompt}/versions"),
            api.get(f"prompts/{prompt}/versions/1"),
            api.get(f"prompts/{prompt}/heads"),
            api.get(f"prompts/{prompt}/diff?a=1&b=1"),
            save(api, str(prompt), "mine"),
            point(api, str(prompt), "label/x", 1),
            api.delete(f"prompts/{prompt}/heads/branch/idea"),
            api.post(f"prompts/{prompt}/rollback", json={"number": 1}),
            api.post(f"prompts/{prompt}/merge", json={"source": "main"}),
            api.post(f"prompts/{prompt}/versions/1/render", json={}),
        ]
        answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers] == [404] * len(asked)
        assert all("secret" not in answer.text for answer in answers)
    assert (await api.get("prompts/served/secret")).status_code == 404
    assert (await api.get("prompts")).json()["items"] == []
    assert (await api.get("prompts?q=secret")).json()["items"] == []


class TestTemplates:
    async def test_made_used_and_counted(self, api: httpx2.AsyncClient) -> None:
        body = {"name": "t", "content": "Hello {{name}}", "category": "mail", "description": "D"}
        made = await api.post("templates", json=body)
        assert made.status_code == 201
        template = made.json()["id"]
        assert [item["name"] for item in (await api.get("templates")).json()["items"]] == ["t"]
        used = await api.post(f"templates/{template}/use", json={"name": "from/t"})
        assert used.status_code == 201
        prompt = (await api.get(f"prompts/{used.json()['id']}")).json()
        assert (prompt["name"], prompt["description"]) == ("from/t", "D")
        assert prompt["head"]["content"]["messages"][0]["content"] == "Hello {{name}}"
        assert (await api.get("templates")).json()["items"][0]["usage_count"] == 1
        assert (await api.post(f"templates/{template}/use", json={"name": "from/t"})).status_code == 409
        assert (await api.get(f"templates/{template}")).json()["usage_count"] == 1

    async def test_changed_with_a_guard_deleted_and_brought_back(self, api: httpx2.AsyncClient) -> None:
        template = (await api.post("templates", json={"name": "t", "content": "x"})).json()["id"]
        tag = (await api.get(f"templates/{template}")).headers["etag"]
        change = {"visibility": "public", "content": "y"}
        assert (await api.patch(f"templates/{template}", json=change, headers={"If-Match": tag})).status_code == 204
        assert (await api.patch(f"templates/{template}", json=change, headers={"If-Match": tag})).status_code == 412
        assert (await api.get(f"templates/{template}")).json()["content"]["messages"][0]["content"] == "y"
        assert (await api.delete(f"templates/{template}")).status_code == 204
        assert (await api.get(f"templates/{template}")).status_code == 404
        assert (await api.get("templates")).json()["items"] == []
        assert (await api.post(f"templates/{template}/restore")).status_code == 204
        assert len((await api.get("templates")).json()["items"]) == 1

    async def test_of_others_only_public_ones(
        self, api: httpx2.AsyncClient, database: Database, stranger: Actor
    ) -> None:
        ids = {}
        async with database.write() as session:
            for visibility in ("private", "public"):
                draft = TemplateDraft(visibility, from_text("x"), visibility=visibility)
                ids[visibility] = await template_commands.create(session, stranger, draft)
        assert [item["name"] for item in (await api.get("templates")).json()["items"]] == ["public"]
        assert (await api.get(f"templates/{ids['private']}")).status_code == 404
        assert (await api.post(f"templates/{ids['private']}/use", json={"name": "x"})).status_code == 404
        for prompt in ids.values():
            assert (await api.patch(f"templates/{prompt}", json={"name": "mine"})).status_code == 404
            assert (await api.delete(f"templates/{prompt}")).status_code == 404
        assert (await api.post(f"templates/{ids['public']}/use", json={"name": "x"})).status_code == 201


async def test_times_are_answered_in_utc(api: httpx2.AsyncClient) -> None:
    before = clock.now()
    prompt = await create(api)
    made = (await api.get(f"prompts/{prompt}")).json()["created_at"]
    assert made.endswith("Z")
    assert made[:10] in (before.isoformat()[:10], clock.now().isoformat()[:10])
