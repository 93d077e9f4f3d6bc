"""Prepares the OpenAPI document for the generator; writes the prepared one to standard output.

The hand-written layer raises every error answer as an exception, so the generated operations need only the answers of
success. Without error answers, an operation has one result type instead of a union with `Problem`."""

import json
import sys
from pathlib import Path
from typing import Any

METHODS = {"get", "put", "post", "delete", "patch"}


def prepare(document: dict[str, Any]) -> dict[str, Any]:
    """Keeps what the generator should see of each operation; the components stay complete."""
    for path in document["paths"].values():
        for method in METHODS & path.keys():
            operation = path[method]
            operation["responses"] = {code: answer for code, answer in operation["responses"].items() if code[0] == "2"}
            for answer in operation["responses"].values():
                content = answer.get("content", {})
                # The generator does not know NDJSON; it reads every `text/…` as a string.
                if "application/x-ndjson" in content:
                    content["text/plain"] = content.pop("application/x-ndjson")
                # An answer in JSON is typed; its other formats are left out.
                if "application/json" in content:
                    answer["content"] = {"application/json": content["application/json"]}
            content = operation.get("requestBody", {}).get("content", {})
            # `application/merge-patch+json` has the same schema, and the service accepts both.
            if "application/json" in content:
                operation["requestBody"]["content"] = {"application/json": content["application/json"]}
    return document


if __name__ == "__main__":
    json.dump(prepare(json.loads(Path(sys.argv[1]).read_text())), sys.stdout)
