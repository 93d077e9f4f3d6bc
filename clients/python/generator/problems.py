"""Writes the module with one exception class for each problem type in the OpenAPI document to standard output."""

import json
import re
import sys
from pathlib import Path

# Members that every answer of a type has: with these, the class narrows the optional ones of `Problem`.
MEMBERS = {
    "policy-denied": {"decision": "Decision"},
    "quota-exceeded": {"limit": "int", "used": "int", "reserved": "int"},
    "budget-exceeded": {"limit": "str", "used": "str", "reserved": "str"},
    "team-required": {"teams": "list[str]"},
    "permission-missing": {"need": "str"},
    "not-rented": {"order_id": "str", "evidence": "str"},
}

HEAD = '''"""One exception for each problem type. `generate.sh` writes it from openapi/numberdesk.json."""

from ..problem import Problem
from .models import Decision
'''


def main(document: dict[str, object]) -> None:
    """Prints the module."""
    schema = document["components"]["schemas"]["Problem"]["properties"]["type"]  # type: ignore[index,call-overload]
    titles = dict(re.findall(r"^\* `/problems/([a-z0-9-]+)`: (.+)$", schema["description"], re.MULTILINE))
    listed = {path.rpartition("/")[2] for path in schema["x-extensible-enum"]}
    if listed != titles.keys():
        sys.exit(f"types without a title, or titles without a type: {listed ^ titles.keys()}")
    names = {name: "".join(part.capitalize() for part in name.split("-")) for name in sorted(titles)}
    print(HEAD)
    for name, class_name in names.items():
        print(f'\n\nclass {class_name}(Problem):\n    """{titles[name]}."""\n')
        for member, kind in MEMBERS.get(name, {}).items():
            print(f"    {member}: {kind}")
    print(f"\n\n__all__ = {sorted(names.values())!r}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
