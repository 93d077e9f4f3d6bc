"""The package: its version, its modules, its operations, its size, and that it runs on trio."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pkgutil
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
import trio

import numberdesk
from numberdesk import AsyncDesk
from numberdesk.models import OrderRequest
from numberdesk.timestamp import read_time
from support.dev import REPOSITORY, Dev, binary

PACKAGE = Path(__file__).resolve().parents[1]
DOCUMENT = json.loads((REPOSITORY / "openapi/numberdesk.json").read_text())


def test_the_version_is_that_of_the_service_and_of_the_document() -> None:
    cargo = (REPOSITORY / "Cargo.toml").read_text()
    version = importlib.metadata.version("numberdesk-client")

    assert f'[workspace.package]\nversion = "{version}"' in cargo
    assert DOCUMENT["info"]["version"] == version


def test_the_document_is_that_of_the_binary() -> None:
    output = subprocess.run([binary(), "openapi"], check=True, capture_output=True).stdout

    assert json.loads(output) == DOCUMENT


def test_every_module_can_be_imported() -> None:
    modules = [module.name for module in pkgutil.walk_packages(numberdesk.__path__, "numberdesk.")]
    assert len(modules) > 100
    for module in modules:
        importlib.import_module(module)


def test_every_operation_and_object_of_the_document_is_there() -> None:
    api, models = importlib.import_module("numberdesk.api"), importlib.import_module("numberdesk.models")
    operations = {
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for method, operation in path.items()
        if method in ("get", "put", "post", "delete", "patch")
    }
    objects = {name for name, schema in DOCUMENT["components"]["schemas"].items() if schema.get("type") == "object"}

    assert {name for name in operations if not callable(getattr(api, name, None))} == set()
    assert {name for name in objects if not isinstance(getattr(models, name, None), type)} == set()


def test_every_problem_type_of_the_document_has_a_class() -> None:
    types = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["x-extensible-enum"]

    classes = {kind: numberdesk.Problem._classes.get(kind.rpartition("/")[2]) for kind in types}

    assert {kind for kind, found in classes.items() if found is None} == set()
    assert len(set(classes.values())) == len(types)


def test_the_hand_written_layer_stays_small() -> None:
    files = {path: path.read_text().splitlines() for path in (PACKAGE / "src/numberdesk").glob("*.py")}

    assert max(len(lines) for lines in files.values()) < 300
    assert sum(1 for lines in files.values() for line in lines if line.strip()) < 920


def test_the_licences_are_those_of_the_repository() -> None:
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert (PACKAGE / name).read_text() == (REPOSITORY / name).read_text()


def test_the_client_runs_on_trio(dev: Dev) -> None:
    async def main() -> list[str]:
        async with AsyncDesk(dev.api, dev.env["ALICE"]) as desk:
            order = await desk.rent(OrderRequest(country="GB", carrier_type="local"))
            return [row.id async for row in desk.orders(idempotency_key=order.idempotency_key)]

    assert len(trio.run(main)) == 1


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [("2026-11-23T10:00:01Z", 0), ("2026-11-23t10:00:01.5z", 500000), ("2026-11-23T11:00:01.12345678+01:00", 123456)],
)
def test_times_have_any_number_of_digits(text: str, microsecond: int) -> None:
    assert read_time(text) == datetime(2026, 11, 23, 10, 0, 1, microsecond, timezone.utc)


@pytest.mark.parametrize("text", ["", "2026-11-23", "2026-11-23T10:00:01", "2026-13-23T10:00:01Z", "now"])
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_time(text)


def test_the_readme_names_only_what_exists() -> None:
    readme = (PACKAGE / "README.md").read_text()
    imports = re.findall(r"^from (numberdesk[.\w]*) import (.+)$", readme, re.MULTILINE)
    assert imports
    for module, names in imports:
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.strip())
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", readme):
        assert (PACKAGE / path).exists(), path
