"""Checks the OpenAPI document, in 3.1 as committed and in 3.0 as rendered, with tools of others and our own rules.

A document that is sound here is one that generators accept; `make generators` tries them. `make test` runs this
script. It needs the tools that `make setup` installs, and the binary: of NUMBERDESK_BIN, or else cargo builds it."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openapi_schema_validator import (
    OAS30ReadValidator,
    OAS31Validator,
    oas30_format_checker,
    oas31_format_checker,
)
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

ROOT = Path(__file__).resolve().parents[2]
LINTERS = ROOT / "tests/openapi"
LARGEST = 200_000  # bytes, as the service sends it without compression
# Members of a schema that hold one schema, a list of schemas, or schemas by name.
ONE, LIST, NAMED = ("items", "additionalProperties", "not"), ("allOf", "anyOf", "oneOf"), ("properties",)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        committed = ROOT / "openapi/numberdesk.json"
        rendered = Path(folder) / "openapi-3.0.json"
        rendered.write_text(run([numberdesk(), "openapi", "--version", "3.0"]).stdout)
        files = {"3.1": committed, "3.0": rendered}
        linters = {
            (version, tool): threads.submit(lint, file, "" if version == "3.1" else "-3.0")
            for version, file in files.items()
            for tool, lint in (("Spectral", spectral), ("Redocly", redocly))
        }
        results, faults = [], []
        for version, file in files.items():
            document = json.loads(file.read_text())
            found = {"references": references_resolve(document), "size": is_small(document)}
            _, dangling = found["references"]
            if not dangling:  # the other checks follow references
                found |= {"openapi-spec-validator": is_valid(document), "examples": examples_fit(document)}
            found |= {tool: linter.result() for (of, tool), linter in linters.items() if of == version}
            for name, (note, wrong) in found.items():
                results.append((name, f"OpenAPI {version}", note, f"{len(wrong)} faults" if wrong else "ok"))
                faults += [f"OpenAPI {version}, {name}: {fault}" for fault in wrong]
    widths = [max(map(len, column)) for column in zip(*results, strict=True)]
    for row in results:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def numberdesk() -> str:
    if binary := os.environ.pop("NUMBERDESK_BIN", None):
        return binary
    run(["cargo", "build", "--locked", "--quiet", "--bin", "numberdesk"])
    return str(ROOT / "target/debug/numberdesk")


def run(command, **options):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


# Each check returns a note for the table, and the faults.


def is_valid(document):
    validator = OpenAPIV31SpecValidator if document["openapi"].startswith("3.1") else OpenAPIV30SpecValidator
    faults = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator(document).iter_errors()]
    return importlib.metadata.version("openapi-spec-validator"), faults


def references_resolve(document):
    references = [value["$ref"] for _, value in objects(document) if isinstance(value.get("$ref"), str)]
    return f"{len(references)} references", sorted(
        f"{reference} points to nothing" for reference in set(references) if not points(document, reference)
    )


def points(document, reference):
    try:
        follow(document, {"$ref": reference})
    except (KeyError, IndexError, ValueError):
        return False
    return True


def is_small(document):
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    pretty = len(json.dumps(document, ensure_ascii=False, indent=2).encode())
    faults = [] if size < LARGEST else [f"{size} bytes, must be below {LARGEST}"]
    return f"{size:,} bytes as served, {pretty:,} with indents", faults


def examples_fit(document):
    schemas = Schemas(document)
    count, faults = 0, []
    for where, schema, example in examples(document):
        count += 1
        faults += [f"{where}: {fault}" for fault in schemas.faults(schema, example)]
    used = {value["$ref"] for _, value in objects(document) if isinstance(value.get("$ref"), str)}
    shared = [f"#/components/examples/{name}" for name in document["components"].get("examples", {})]
    faults += [f"{name} belongs to no body" for name in shared if name not in used]
    faults += [f"no check of the format `{name}`" for name in sorted(schemas.unknown_formats(document))]
    return f"{count} examples", faults


class Schemas:
    """The schemas of a document, as JSON Schema of its version."""

    def __init__(self, document):
        is_31 = document["openapi"].startswith("3.1")
        self.validator = OAS31Validator if is_31 else OAS30ReadValidator
        self.formats = oas31_format_checker if is_31 else oas30_format_checker
        resource = Resource.from_contents(document, default_specification=DRAFT202012 if is_31 else DRAFT4)
        self.registry = Registry().with_resource("urn:document", resource)

    def faults(self, schema, example):
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in schema)
        checked = {"$ref": f"urn:document#/{pointer}"}
        validator = self.validator(checked, registry=self.registry, format_checker=self.formats)
        return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(example)]

    def unknown_formats(self, document):
        used = {value["format"] for _, value in objects(document) if isinstance(value.get("format"), str)}
        return used - set(self.formats.checkers)


def examples(document):
    """Yields each example of a body, a parameter, a header and a schema, with the path of its schema."""
    for path, value in objects(document):
        if "schema" in value:
            named = {"example": {"value": value["example"]}} if "example" in value else value.get("examples", {})
            for name, example in named.items():
                yield f"{text(path)}, example {name}", (*path, "schema"), follow(document, example)["value"]
    for path, schema in all_schemas(document):
        listed = schema.get("examples", [schema["example"]] if "example" in schema else [])
        for example in listed:
            yield text(path), path, example
        if "default" in schema:
            yield f"{text(path)}, default", path, schema["default"]


def all_schemas(document):
    for name, schema in document["components"]["schemas"].items():
        yield from nested(("components", "schemas", name), schema)
    for path, value in objects(document):
        if "schema" in value:
            yield from nested((*path, "schema"), value["schema"])


def nested(path, schema):
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name in ONE:
        if name in schema:
            yield from nested((*path, name), schema[name])
    for name in LIST:
        for index, part in enumerate(schema.get(name, [])):
            yield from nested((*path, name, str(index)), part)
    for name in NAMED:
        for key, part in schema.get(name, {}).items():
            yield from nested((*path, name, key), part)


def objects(value, path=()):
    """Yields each object of the document with its path. The values of examples are no part of the document."""
    if isinstance(value, dict):
        yield path, value
        for name, member in value.items():
            if name not in ("example", "value", "default"):
                yield from objects(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*path, str(index)))


def follow(document, value):
    while "$ref" in value:
        parts = value["$ref"].removeprefix("#/").split("/")
        if not value["$ref"].startswith("#/"):
            raise ValueError(value["$ref"])
        value = document
        for part in parts:
            value = value[part.replace("~1", "/").replace("~0", "~")]
    return value


def text(path):
    return "/".join(path)


def node():
    """The Node of the lock file, because Debian's may be too old for the linters."""
    for bundled in LINTERS.glob("node_modules/node-linux-*/bin/node"):
        return bundled
    return shutil.which("node")


def version_of(package):
    return json.loads((LINTERS / "node_modules" / package / "package.json").read_text())["version"]


def spectral(file, suffix):
    cli = LINTERS / "node_modules/@stoplight/spectral-cli/dist/index.js"
    done = lint([node(), cli, "lint", "--quiet", "--format=json", f"--ruleset={LINTERS}/spectral{suffix}.yaml", file])
    faults = [f"{text(map(str, fault['path']))}: {fault['message']} ({fault['code']})" for fault in json.loads(done)]
    return version_of("@stoplight/spectral-cli"), faults


def redocly(file, suffix):
    command = [node(), LINTERS / "node_modules/@redocly/cli/bin/cli.js", "lint", "--format=json", "--max-problems=1000"]
    report = json.loads(lint([*command, f"--config={LINTERS}/redocly{suffix}.yaml", file]))
    faults = [
        f"{problem['location'][0].get('pointer', '')}: {problem['message']} ({problem['ruleId']})"
        for problem in report["problems"]
    ]
    return version_of("@redocly/cli"), faults


def lint(command):
    """Returns the report of a linter. Its exit code says only that there are faults, which the report lists."""
    quiet = os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise SystemExit(f"`{' '.join(map(str, command))}` failed with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
