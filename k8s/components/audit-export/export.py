"""Exports the audit rows that were sealed since the last run: to a file, and to the collector of a SIEM if one is named.

The file `cursor` has the sequence number and the time of the last exported row. It moves only after the rows are stored and
sent, so a run that fails is repeated, and a row may arrive twice, with the same `seq`. The chain has no gaps: if a row is
missing in the answer, the run asks for the whole chain, and fails if the row is missing there too."""

import json
import os
import ssl
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

API = os.environ["API"]
FOLDER = Path(os.environ.get("EXPORT", "/export"))
TOKEN_FILE = Path(os.environ.get("TOKEN_FILE", "/run/secrets/numberdesk/token"))
CA_FILE = os.environ.get("CA_FILE")
SINK_URL = os.environ.get("SINK_URL")
SINK_TOKEN_FILE = Path(os.environ.get("SINK_TOKEN_FILE", "/run/secrets/sink/token"))
OVERLAP = timedelta(days=1)  # rows are sealed in an order of their own, soon after their time
TIMEOUT = 300  # seconds


def main():
    cursor = FOLDER / "cursor"
    last = json.loads(cursor.read_text()) if cursor.exists() else {"seq": 0, "at": None}
    rows = list(read(last, last["at"]))
    if last["at"] and has_gap(rows, last):
        rows = list(read(last, None))
    if has_gap(rows, last):
        sys.exit(f"the row after {last['seq']} is missing; run `numberdesk audit verify`")
    if not rows:
        print(f"no row after {last['seq']}")
        return
    first, end = json.loads(rows[0]), json.loads(rows[-1])
    name = f"audit-{first['seq']:012}-{end['seq']:012}.ndjson"
    body = b"".join(rows)
    write(FOLDER / name, body)
    if SINK_URL:
        send(body)
    write(cursor, json.dumps({"seq": end["seq"], "at": end["at"]}).encode())
    print(f"{name}: {len(rows)} rows")


def read(last, at):
    """Yields the lines of the rows after the last one."""
    query = ""
    if at:
        since = datetime.fromisoformat(at.replace("Z", "+00:00")) - OVERLAP
        query = "?" + urllib.parse.urlencode({"since": since.isoformat().replace("+00:00", "Z")})
    headers = {"authorization": f"Bearer {TOKEN_FILE.read_text().strip()}"}
    request = urllib.request.Request(f"{API}/v1/audit/export{query}", headers=headers)
    context = ssl.create_default_context(cafile=CA_FILE) if API.startswith("https:") else None
    with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:
        for line in answer:
            if json.loads(line)["seq"] > last["seq"]:
                yield line


def has_gap(rows, last):
    numbers = [json.loads(row)["seq"] for row in rows]
    return numbers != list(range(last["seq"] + 1, last["seq"] + 1 + len(numbers)))


def send(body):
    headers = {"content-type": "application/x-ndjson"}
    if SINK_TOKEN_FILE.exists():
        headers["authorization"] = f"Bearer {SINK_TOKEN_FILE.read_text().strip()}"
    request = urllib.request.Request(SINK_URL, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        answer.read()


def write(path, body):
    """Writes a file so that it is complete or absent, also after a power failure."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


if __name__ == "__main__":
    main()
