"""A setting that is wrong is named as it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoforge.db.engines import file_of, parse_url
from autoforge.errors import BadInput
from autoforge.settings import load_settings

WRONG = {
    "AUTOFORGE_DATABASE_POOL_SIZE": "0",
    "AUTOFORGE_DATABASE_ENVIRONMENT": "moon",
    "AUTOFORGE_CACHE_SIZE_MB": "much",
    "AUTOFORGE_JOBS_KEEP_DAYS": "0",
    "AUTOFORGE_STOP_SECONDS": "-1",
    "AUTOFORGE_SECRET": "short",
    "AUTOFORGE_TRUSTED_PROXIES": "here",
    "AUTOFORGE_PUBLIC_HOSTS": "forge.example.org, http://x/y",
    "AUTOFORGE_JOBS_MOST_WORKERS": "0",
}


@pytest.mark.parametrize("name", WRONG)
def test_the_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(BadInput) as raised:
        load_settings()
    assert [one.pointer for one in raised.value.errors] == [name]
    assert name in raised.value.detail


def test_a_pool_may_not_keep_more_workers_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_JOBS_LEAST_WORKERS", "9")
    with pytest.raises(BadInput, match="8 is less than AUTOFORGE_JOBS_LEAST_WORKERS=9"):
        load_settings()


def test_a_group_that_is_no_json_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_DATABASE", "postgresql://somewhere")
    with pytest.raises(BadInput, match='"database"'):
        load_settings()


def test_every_path_of_a_data_folder_can_be_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "a 100%20 #1? 'data'"
    assert file_of(parse_url(load_settings(data=folder).database_url)) == folder / "autoforge.db"


def test_names_and_addresses_of_hosts_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_PUBLIC_HOSTS", "forge.example.org, bücher.example,10.0.0.1, fe80::1,")
    assert load_settings().public_hosts.count(",") == 4


def test_the_short_name_of_the_environment_chooses_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_ENVIRONMENT", "production")
    settings = load_settings()
    assert (settings.database.environment, settings.database.pool_size) == ("production", 10)
