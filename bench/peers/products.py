"""How each product is installed, started and asked for the same things: ours, Arize Phoenix and MLflow.

The same thing is a chat prompt of about 1 KB with the label ``production``; a list of 50; and 10,000 test cases (a
dataset, where it is called that) sent in one request. All run as their own documentation starts them, embedded
database included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.load.mix import CONTENT, COUNTER, http
from tests.servers import free_port

ROWS = 10_000
Answer = dict[str, Any]


class Api:
    """A connection for what is not timed, or timed one at a time. RuntimeError for an answer that is no success."""

    def __init__(self, port: int, key: str = "") -> None:
        self._connection, self.key = HTTPConnection("127.0.0.1", port, timeout=600), key

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return self.send(method, path, b"" if body is None else json.dumps(body).encode())

    def send(self, method: str, path: str, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        found = json.loads(text) if text else {}
        return found if isinstance(found, dict) else {"items": found}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that is timed, its right status, and what has to be in the answer."""

    request: bytes
    status: str
    marker: str


@dataclass(frozen=True, slots=True)
class Product:
    """``create`` are the requests that make one prompt, in order; ``named`` the one that reads a prompt by label.

    ``label`` gives the prompt of a name its label, where creating does not; ``dataset`` is the request that stores the
    test cases (method, path, body), made anew for every round.
    """

    name: str
    packages: Sequence[str]
    command: Callable[[Path, Path, int], list[str]]
    environment: Callable[[Path, int], Mapping[str, str]]
    health: str
    create: Callable[[str], Sequence[Ask]]
    named: Callable[[str, str], Ask]
    listed: Callable[[str], Ask]
    dataset: Callable[[Api, int], tuple[str, str, bytes]]
    label: Callable[[Api, str], None] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def prompt_name(number: int | str) -> str:
    return f"prompt-{number:0>8}"


_NAMED = prompt_name(COUNTER)


# --- Arize Phoenix ----------------------------------------------------------------------------------------------------


def _phoenix_create(_key: str) -> list[Ask]:
    template = {"type": "chat", "messages": [{"role": "user", "content": CONTENT}]}
    version: Answer = {"model_provider": "OPENAI", "model_name": "model-a", "template": template}
    version |= {"template_type": "CHAT", "template_format": "NONE"}
    version |= {"invocation_parameters": {"type": "openai", "openai": {}}}
    body = {"prompt": {"name": _NAMED}, "version": version}
    return [Ask(http("POST", "/v1/prompts", body=body), "200", '"id"')]


def _phoenix_label(api: Api, name: str) -> None:
    version = api.ask("GET", f"/v1/prompts/{name}/latest")["data"]["id"]
    api.ask("POST", f"/v1/prompt_versions/{version}/tags", {"name": "production"})


def _phoenix_dataset(_api: Api, number: int) -> tuple[str, str, bytes]:
    inputs = [{"question": f"What is {n}?"} for n in range(ROWS)]
    outputs = [{"answer": f"answer {n}"} for n in range(ROWS)]
    body = {"action": "create", "name": f"dataset-{number}", "inputs": inputs, "outputs": outputs}
    return "POST", "/v1/datasets/upload?sync=true", json.dumps(body).encode()


PHOENIX = Product(
    "Arize Phoenix 20.26.1",
    ["arize-phoenix==20.26.1"],
    lambda environment, _folder, _port: [str(environment / "bin" / "phoenix"), "serve"],
    lambda folder, port: {
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false",
    },
    "/healthz",
    _phoenix_create,
    lambda _key, name: Ask(http("GET", f"/v1/prompts/{name}/tags/production"), "200", '"template"'),
    lambda _key: Ask(http("GET", "/v1/prompts?limit=50"), "200", '"data"'),
    _phoenix_dataset,
    _phoenix_label,
)  # fmt: skip


# --- MLflow -----------------------------------------------------------------------------------------------------------

_ML = "/api/2.0/mlflow"
_IS_PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}


def _mlflow_create(_key: str) -> list[Ask]:
    text = [_IS_PROMPT, {"key": "mlflow.prompt.text", "value": CONTENT}]
    model = {"name": _NAMED, "tags": [_IS_PROMPT]}
    version = {"name": _NAMED, "source": "dummy-source", "tags": text}
    return [
        Ask(http("POST", f"{_ML}/registered-models/create", body=model), "200", '"registered_model"'),
        Ask(http("POST", f"{_ML}/model-versions/create", body=version), "200", '"model_version"'),
    ]


def _mlflow_named(_key: str, name: str) -> Ask:
    path = f"{_ML}/registered-models/alias?name={name}&alias=production"
    return Ask(http("GET", path), "200", "mlflow.prompt.text")


def _mlflow_label(api: Api, name: str) -> None:
    api.ask("POST", f"{_ML}/registered-models/alias", {"name": name, "alias": "production", "version": "1"})


def _mlflow_dataset(api: Api, number: int) -> tuple[str, str, bytes]:
    made = api.ask("POST", "/api/3.0/mlflow/datasets/create", {"name": f"dataset-{number}", "experiment_ids": ["0"]})
    records = [
        {"inputs": {"question": f"What is {n}?"}, "expectations": {"answer": f"answer {n}"}} for n in range(ROWS)
    ]
    path = f"/api/3.0/mlflow/datasets/{made['dataset']['dataset_id']}/records"
    return "POST", path, json.dumps({"records": json.dumps(records)}).encode()


MLFLOW = Product(
    "MLflow 3.17.2",
    ["mlflow==3.17.2"],
    lambda environment, _folder, port: [str(environment / "bin" / "mlflow"), "server", "--port", str(port)],
    lambda _folder, _port: {"MLFLOW_DISABLE_TELEMETRY": "true"},
    "/health",
    _mlflow_create,
    _mlflow_named,
    lambda _key: Ask(
        http("GET", f"{_ML}/registered-models/search?max_results=50&filter="
             + quote("tags.`mlflow.prompt.is_prompt` = 'true'")),
        "200", '"registered_models"',
    ),
    _mlflow_dataset,
    _mlflow_label,
)  # fmt: skip


# --- ours -------------------------------------------------------------------------------------------------------------


def _our_create(key: str) -> list[Ask]:
    content = {"messages": [{"role": "user", "content": CONTENT}]}
    body = {"name": _NAMED, "content": content, "labels": ["production"]}
    return [Ask(http("POST", "/api/v1/prompts", key, body), "201", '"id"')]


def _our_dataset(_api: Api, number: int) -> tuple[str, str, bytes]:
    tests = [
        {"vars": {"question": f"What is {n}?"}, "assert": [{"type": "equals", "value": f"answer {n}"}]}
        for n in range(ROWS)
    ]
    return "POST", "/api/v1/suites", json.dumps({"name": f"suite-{number}", "tests": tests}).encode()


_MAIN = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"

OURS = Product(
    "AutoForgeNexus",
    [],
    lambda environment, folder, port: [
        str(environment / "bin" / "python"), "-c", _MAIN, "serve", "--port", str(port), "--data", str(folder / "data"),
        "--no-samples",
    ],
    lambda _folder, _port: {"AUTOFORGE_LOG_REQUESTS": "true", "AUTOFORGE_REQUESTS_PER_MINUTE": "6000000"},
    "/api/v1/health",
    _our_create,
    lambda key, name: Ask(http("GET", f"/api/v1/prompts/served/{name}@production", key), "200", '"content"'),
    lambda key: Ask(http("GET", "/api/v1/prompts?limit=50", key), "200", '"items"'),
    _our_dataset,
)  # fmt: skip
