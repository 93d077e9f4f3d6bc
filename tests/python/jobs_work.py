"""Runs the scripts of the CronJobs in k8s/components against a service of `numberdesk dev`, and the toolbox without a cluster.

The audit export must be complete and go on at its cursor, a copy of SQLite must pass the verification of its chain, and a
restored copy too. For k8s/toolbox.sh a small program stands in for the API server; the Job that would be created must be
valid, and its command is run. Under scripts/with-postgres.sh, the commands of backup-postgres are run too. NUMBERDESK_BIN is the binary, by default target/debug/numberdesk."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".venv/bin/kubectl"
BINARY = Path(os.environ.get("NUMBERDESK_BIN", ROOT / "target/debug/numberdesk")).resolve()
COMPONENTS = ROOT / "k8s/components"
POSTGRES = os.environ.get("NUMBERDESK_TEST_POSTGRES")
# The binary takes variables that begin with NUMBERDESK_ for settings.
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("NUMBERDESK_")}


def main() -> int:
    connections_verify_as_the_service_does()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        service, dev = start(folder)
        try:
            export_goes_on_at_its_cursor(folder, dev)
            copy = sqlite_is_copied_while_the_service_runs(folder)
            toolbox_runs_commands_as_jobs(folder)
            service_calls_the_sandbox_by_https(folder, dev)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)
        sqlite_is_restored(folder, copy)
        if POSTGRES:
            postgres_is_copied_and_restored(folder)
        else:
            print("backup-postgres: not run, run this under scripts/with-postgres.sh")
    return 0


def start(folder):
    """Starts `numberdesk dev`, and returns it with its URLs and tokens, which it prints when it is ready."""
    command = [BINARY, "dev", "--json", "--no-tour"]
    service = subprocess.Popen(command, cwd=folder, env=CLEAN, stdout=subprocess.PIPE, text=True)
    decoder, printed = json.JSONDecoder(), ""
    for line in service.stdout:
        printed += line
        try:
            return service, decoder.decode(printed)
        except json.JSONDecodeError:
            continue
    raise SystemExit(f"numberdesk dev has ended: {printed}")


def numberdesk(folder, *arguments, **options):
    return run([BINARY, *arguments], cwd=folder, **options)


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **{"env": CLEAN, **options})
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def export_goes_on_at_its_cursor(folder, dev):
    """Runs the command of the CronJob, with folders of this machine, and with the collector of the lines in comments."""
    received = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.headers["authorization"], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(500 if len(received) == 2 else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    sink = HTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    exported, token, sink_token = folder / "export", folder / "token", folder / "sink-token"
    exported.mkdir()
    token.write_text(dev["OLAF"])
    sink_token.write_text("secret\n")
    text = (COMPONENTS / "audit-export/cron-job.yaml").read_text().replace("# - --", "- --")
    (container,) = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert "command" not in container, "the image starts the binary"
    here = {
        "--api": dev["API"],
        "--token-file": str(token),
        "--folder": str(exported),
        "--send-to": f"http://127.0.0.1:{sink.server_port}/",
        "--send-token-file": str(sink_token),
    }
    names = [word.split("=")[0] for word in container["args"]]
    assert names == ["audit", "export", *here]
    command = [BINARY, *(f"{name}={here[name]}" if name in here else name for name in names)]

    def export():
        return subprocess.run(command, env=CLEAN, capture_output=True, text=True)

    def change():
        """Makes an audit row."""
        body = '{"country":"US","carrier_type":"local"}'
        key = f"export-{len(received)}"
        headers = ["-H", f"Authorization: Bearer {dev['ALICE']}", "-H", "Content-Type: application/json"]
        run(["curl", "-sS", f"{dev['API']}/v1/orders", *headers, "-H", f"Idempotency-Key: {key}", "-d", body])

    change()
    assert export().returncode == 0
    first = (exported / "cursor").read_text()
    change()
    failed = export()
    assert failed.returncode == 1 and (exported / "cursor").read_text() == first, failed
    change()
    again = export()
    assert again.returncode == 0 and received[1] == received[2] and len(received) == 4, again
    nothing = export()
    assert nothing.returncode == 0 and "none after" in nothing.stdout, nothing
    whole = b"".join(path.read_bytes() for path in sorted(exported.glob("audit-*.ndjson")))
    assert whole == b"".join(body for _, body in [received[0], *received[2:]])
    assert {authorization for authorization, _ in received} == {"Bearer secret"}
    (folder / "whole.ndjson").write_bytes(whole)
    head = (exported / "cursor").read_text().strip()
    verified = numberdesk(folder, "audit", "verify", "--export", "whole.ndjson", "--head", head)
    # A cursor that does not fit the chain is no success.
    (exported / "cursor").write_text(f"{head.split(':')[0]}:{'0' * 64}\n")
    change()
    assert export().returncode == 1
    sink.shutdown()
    print("audit-export:", verified.splitlines()[-2])


def sqlite_is_copied_while_the_service_runs(folder):
    backups = folder / "backups"
    backups.mkdir()
    (backups / "numberdesk-19700101T000000Z.db").write_text("old")
    env = {"DATABASE": str(folder / ".dev/numberdesk.db"), "BACKUPS": str(backups), "KEPT": "1"}
    printed = run([sys.executable, COMPONENTS / "backup-sqlite/backup.py"], env=env)
    (copy,) = backups.iterdir()
    assert str(copy) in printed
    return env | {"COPY": str(copy)}


def sqlite_is_restored(folder, env):
    head = head_of(numberdesk(folder, "audit", "verify", "--config", ".dev/numberdesk.toml"))
    Path(env["DATABASE"]).write_text("destroyed")
    restore = [sys.executable, COMPONENTS / "backup-sqlite/restore.py"]
    run(restore, env=env)
    verify = ["audit", "verify", "--config", ".dev/numberdesk.toml", "--head", head]
    print("backup-sqlite:", head_of(numberdesk(folder, *verify)))
    database = Path(env["DATABASE"])
    assert database.stat().st_mode & 0o777 == 0o600
    # A copy by its name, and what the first restore replaced stays.
    run([*restore, Path(env["COPY"]).name], env=env)
    replaced = sorted(path for path in database.parent.glob("*.replaced-*") if path.suffix not in ("-wal", "-shm"))
    assert [path.read_bytes() == b"destroyed" for path in replaced].count(True) == 1 and len(replaced) >= 2, replaced
    assert run([*restore, "--list"], env=env).split() == [Path(env["COPY"]).name]
    absent = subprocess.run([*restore, "numberdesk-absent.db"], env=env, capture_output=True, text=True)
    assert absent.returncode == 1 and "--list" in absent.stderr, absent
    with open(f"{database}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        used = subprocess.run(restore, env=env, capture_output=True, text=True)
    assert used.returncode == 1 and "stop the service" in used.stderr, used


def head_of(verified):
    return next(line.split()[1] for line in verified.splitlines() if line.startswith("head "))


def toolbox_runs_commands_as_jobs(folder):
    rendered = run([KUBECTL, "kustomize", ROOT / "k8s/examples/small"])
    cron_jobs = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "CronJob"]
    cron_job = next(one for one in cron_jobs if one["metadata"]["name"] == "numberdesk-toolbox")
    tools, job = folder / "tools", folder / "job.json"
    tools.mkdir()
    template = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "toolbox", "namespace": "numberdesk"},
        "spec": cron_job["spec"]["jobTemplate"]["spec"],
    }
    (tools / "template.json").write_text(json.dumps(template))
    # What needs an API server is answered here; the rest is the real kubectl.
    (tools / "kubectl").write_text(f"""#!/bin/sh
case " $* " in
*" create job "*) cat '{tools}/template.json' ;;
*" patch --local "*) exec '{KUBECTL}' "$@" ;;
*" create --filename=- "*) cat > '{job}' ;;
*" get job "*) echo "${{CONDITION:-SuccessCriteriaMet Complete}}" ;;
*" logs "*) echo 'the output' ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
""")
    (tools / "kubectl").chmod(0o755)
    env = CLEAN | {"PATH": f"{tools}:{CLEAN['PATH']}"}
    toolbox = [ROOT / "k8s/toolbox.sh", "numberdesk"]
    arguments = ["audit", "verify", "--config", "/etc/numberdesk/numberdesk.toml", "--head", '9:a"b\\c d']
    assert run([*toolbox, *arguments], env=env) == "the output\n"
    created = json.loads(job.read_text())
    kubernetes_validate.validate(created, "1.37", strict=True)
    assert created["spec"]["template"]["spec"]["containers"][0]["args"] == arguments
    run(toolbox, env=env)
    command = json.loads(job.read_text())["spec"]["template"]["spec"]["containers"][0]["args"]
    local = [".dev/numberdesk.toml" if word == "/etc/numberdesk/numberdesk.toml" else word for word in command]
    numberdesk(folder, *local)
    failed = subprocess.run(toolbox, env=env | {"CONDITION": "Failed"}, capture_output=True, text=True)
    assert failed.returncode == 1 and "failed" in failed.stderr, failed
    print("toolbox:", " ".join(command))


def service_calls_the_sandbox_by_https(folder, dev):
    """Runs the nginx of the component sandbox in front of a simulated Close, and asks it as the component's variables say."""
    nginx = shutil.which("nginx") or ROOT / ".tools/nginx"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tls = folder / "tls"
    tls.mkdir()
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    run([*request, "-subj", "/CN=authority", "-keyout", tls / "ca.key", "-out", tls / "ca.crt"])
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]
    signer = ["-CA", tls / "ca.crt", "-CAkey", tls / "ca.key"]
    run([*request, *signer, *names, "-keyout", tls / "tls.key", "-out", tls / "tls.crt"])
    text = (COMPONENTS / "sandbox/nginx.conf").read_text()
    for old, new in {
        "/tmp/": f"{tls}/",  # first, because the other folders are below it
        "8443": str(port),
        "/run/secrets/tls": str(tls),
        "http://127.0.0.1:8081": dev["CLOSE"],
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (tls / "nginx.conf").write_text(text)
    command = [nginx, "-c", tls / "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    proxy = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = f"https://localhost:{port}"
        curl = ["curl", "-sS", "--cacert", tls / "ca.crt", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
        status = run([*curl, "-o", "/dev/null", "-w", "%{http_code}", f"{url}/_control/settings"])
        assert status == "404", f"the control routes answer {status}"
        env = CLEAN | {"NUMBERDESK_CLOSE__BASE_URL": f"{url}/api/v1", "NUMBERDESK_CLOSE__CA_FILE": str(tls / "ca.crt")}
        report = numberdesk(folder, "doctor", "--config", ".dev/numberdesk.toml", env=env)
        print("sandbox:", next(line for line in report.splitlines() if " close " in line))
    finally:
        proxy.terminate()
        proxy.wait(30)


def connections_verify_as_the_service_does():
    """What connection.sh makes of a URL: the parameters that libpq knows, and the mode and authorities of the service."""
    public = "/etc/ssl/certs/ca-certificates.crt"
    full = f"verify-full {public}"
    for url, files, want in [
        ("postgres://u:p@db.example.com/d", [], f"postgres://u:p@db.example.com/d {full} -"),
        ("postgres://u@db/d?pool_timeout=9&sslmode=require&schema=x", [], "postgres://u@db/d?sslmode=require - - -"),
        ("postgres://u@db/d?sslmode=verify-ca", [], f"postgres://u@db/d?sslmode=verify-ca - {public} -"),
        ("postgres://u@db/d?ssl-mode=disable&pgbouncer=true", [], "postgres://u@db/d?sslmode=disable - - -"),
        ("postgres://u@db/d?options[endpoint]=e-1&search_path=x", [], f"postgres://u@db/d?options=-c%20endpoint%3De-1 {full} -"),
        ("postgres://u@db/d?sslrootcert=system", [], "postgres://u@db/d?sslrootcert=system verify-full - -"),
        ("postgres://u@localhost:5432,db/d", [], f"postgres://u@localhost:5432,db/d {full} -"),
        ("postgres://u@localhost:5432/d?connection_limit=3", [], "postgres://u@localhost:5432/d - - -"),
        ("postgres://u@[::1]:5432/d", [], "postgres://u@[::1]:5432/d - - -"),
        ("postgres:///d?host=/run/postgresql", [], "postgres:///d?host=/run/postgresql - - -"),
        ("postgres://u@db/d", ["password"], f"postgres://u@db/d {full} secret"),
        ("postgres://u@localhost/d", ["ca.crt"], "postgres://u@localhost/d verify-full AUTHORITIES -"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "url").write_text(url + "\n")
            for file in files:
                Path(folder, file).write_text("secret")
            script = '. "$0"; connection "$1"; echo "$url ${PGSSLMODE:--} ${PGSSLROOTCERT:--} ${PGPASSWORD:--}"'
            env = {key: value for key, value in CLEAN.items() if not key.startswith("PG")} | {"TMPDIR": folder}
            got = run(["sh", "-euc", script, COMPONENTS / "backup-postgres/connection.sh", folder], env=env).strip()
        assert got == want.replace("AUTHORITIES", f"{folder}/authorities.pem"), (got, want)
    print("backup-postgres: connections are verified as the service's")


def postgres_is_copied_and_restored(folder):
    """Runs the commands of the two CronJobs, with folders of this machine."""
    backups, secrets = folder / "dumps", folder / "secrets"
    (secrets / "numberdesk-db").mkdir(parents=True)
    (secrets / "numberdesk-db-new").mkdir()
    backups.mkdir()
    urls = [urlsplit(POSTGRES)._replace(path=f"/{one}").geturl() for one in ("desk_to_copy", "desk_restored")]
    for url, secret in zip(urls, ("numberdesk-db", "numberdesk-db-new")):
        run(["psql", POSTGRES, "-c", f"CREATE DATABASE {urlsplit(url).path[1:]}"])
        (secrets / secret / "url").write_text(url)
    copy = ["store", "copy", "--from", f"sqlite://{folder}/.dev/numberdesk.db"]
    numberdesk(folder, *copy, "--to-file", secrets / "numberdesk-db/url")
    # Parameters that only the service knows, and a password that is a file.
    address = urlsplit(urls[0])
    (secrets / "numberdesk-db/url").write_text(f"{urls[0]}{'&' if address.query else '?'}connection_limit=5&pgbouncer=true")
    env = CLEAN | {"BACKUPS": str(backups), "SECRETS": str(secrets), "SCRIPTS": str(COMPONENTS / "backup-postgres")}
    for job, argument in (("backup", []), ("restore", ["--list"]), ("restore", [])):
        cron_job = yaml.safe_load((COMPONENTS / f"backup-postgres/{job}.yaml").read_text())
        (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        command = [word.replace("/opt/numberdesk", env["SCRIPTS"]) for word in container["command"]]
        print("backup-postgres:", run([*command, *argument], env=env).strip())
    tables = "SELECT count(*) FROM audit"
    counts = [run(["psql", "-At", url, "-c", tables]) for url in urls]
    assert counts[0] == counts[1] != "0\n", counts


if __name__ == "__main__":
    sys.exit(main())
