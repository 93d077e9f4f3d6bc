"""Makes a client with each generator, compiles it, and runs one small program with it against `numberdesk dev`.

Each program does what an app does first. It prints one line for each step, which this script compares with the answers
of the service: `rents ORDER NUMBER`, `pages ORDER ORDER`, `problem TYPE RULE`. `make generators` runs this script."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target/generators"
DOCUMENT, DOCUMENT_3_0 = ROOT / "openapi/numberdesk.json", WORK / "openapi-3.0.json"
BINARY = os.environ.pop("NUMBERDESK_BIN")  # the service takes variables with this prefix for settings
SCRIPTS = Path(sys.executable).parent
ANNOTATIONS = Path("/usr/share/java/geronimo-annotation-1.3-spec.jar")
STARTUP = 120  # seconds
MAX_LINES = 30  # of the output of a command that failed
STEPS = ("rents", "pages", "problem")


class Failed(Exception):
    """A command of a tool failed."""


def run(*command, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=environment.pop("cwd", WORK),
        env=os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stdout + done.stderr).strip().splitlines()
        line = " ".join(map(str, command))[:200]
        raise Failed("\n".join([f"`{line}` failed with {done.returncode}:", *output[:MAX_LINES]]))
    return done.stdout + done.stderr


# Node and TypeScript.


def node():
    """The Node of the lock file: Debian's is too old for @hey-api/openapi-ts."""
    return next(HERE.glob("node_modules/node-linux-*/bin/node"), None) or shutil.which("node")


def npm_version(package):
    return json.loads((HERE / "node_modules" / package / "package.json").read_text())["version"]


def typescript_project(folder):
    """Prepares a folder for a generated client and the program, and returns it."""
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    options = {
        "strict": True,
        "target": "es2022",
        "module": "nodenext",
        "moduleResolution": "nodenext",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": ["node"],
        "outDir": "built",
        "rootDir": ".",
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["main.ts", "generated"]}))
    return folder


def compile_typescript(folder):
    shutil.copy(HERE / folder.name / "main.ts", folder)
    run(node(), HERE / "node_modules/typescript/bin/tsc", "--project", folder)
    return [node(), folder / "built/main.js"]


def openapi_typescript(folder):
    typescript_project(folder)
    cli = HERE / "node_modules/openapi-typescript/bin/cli.js"
    run(node(), cli, DOCUMENT, "--output", folder / "generated/schema.d.ts")
    return compile_typescript(folder)


def hey_api(folder):
    typescript_project(folder)
    config = HERE / "hey-api/openapi-ts.config.ts"
    cli = HERE / "node_modules/@hey-api/openapi-ts/bin/run.js"
    run(node(), cli, "--file", config, "--silent", DOCUMENT=str(DOCUMENT), OUTPUT=str(folder / "generated"))
    return compile_typescript(folder)


# openapi-generator.


def jar():
    return next(SCRIPTS.parent.glob("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar"))


def openapi_generator(generator, output, *options, document=DOCUMENT_3_0):
    """Generates from OpenAPI 3.0: of the webhooks of 3.1 this tool makes functions that send events to the service."""
    log = run("java", "-jar", jar(), "generate", "-i", document, "-g", generator, "-o", output, *options)
    if "FILEPATH_COLLISION" in log:
        raise Failed(f"two parts of the document lead to one file:\n{log}")


def typescript_fetch(folder):
    typescript_project(folder)
    openapi_generator("typescript-fetch", folder / "generated", "--additional-properties=importFileExtension=.js")
    return compile_typescript(folder)


def java(folder):
    openapi_generator(
        "java",
        folder / "generated",
        "--library=native",
        "--additional-properties=openApiNullable=false,invokerPackage=com.numberdesk.client,"
        "apiPackage=com.numberdesk.client.api,modelPackage=com.numberdesk.client.model",
    )
    sources = [*(folder / "generated/src/main/java").rglob("*.java"), HERE / "java/Main.java"]
    # The jar of the generator contains the libraries of the client too: Jackson, and javax.annotation in part.
    path = f"{jar()}:{ANNOTATIONS}"
    run("javac", "-Werror", "-encoding", "UTF-8", "-classpath", path, "-d", folder / "built", *sources)
    return ["java", "-classpath", f"{folder}/built:{jar()}", "Main"]


def go(folder):
    client = folder / "client"
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(WORK / "go-cache")}
    # Without `enumClassPrefix` the constants of all enums share one namespace. They must not collide even so.
    openapi_generator("go", folder / "without-prefix", document=DOCUMENT)
    run("go", "vet", ".", cwd=folder / "without-prefix", **offline)
    options = "packageName=numberdesk,enumClassPrefix=true,disallowAdditionalPropertiesIfNotPresent=false"
    openapi_generator("go", client, f"--additional-properties={options}")
    shutil.rmtree(client / "test", ignore_errors=True)  # needs testify
    (client / "go.mod").write_text("module numberdesk.example/client\n\ngo 1.19\n")
    (folder / "go.mod").write_text(
        "module numberdesk.example/program\n\ngo 1.19\n\n"
        "require numberdesk.example/client v0.0.0\n\nreplace numberdesk.example/client => ./client\n"
    )
    shutil.copy(HERE / "go/main.go", folder)
    run("go", "vet", ".", "numberdesk.example/client", cwd=folder, **offline)
    run("go", "build", "-o", folder / "program", ".", cwd=folder, **offline)
    return [folder / "program"]


# Python.


IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    importlib.import_module(module.name)
"""


def check_python(folder, package):
    """Imports each module of the package, and checks the types of the package and of the program."""
    shutil.copy(HERE / folder.name / "main.py", folder)
    run(sys.executable, "-W", "error", "-c", IMPORT_ALL, package, cwd=folder)
    options = ["--no-error-summary", f"--config-file={HERE}/mypy.ini", f"--cache-dir={WORK}/mypy"]
    run(SCRIPTS / "mypy", *options, package, "main.py", cwd=folder)
    return [sys.executable, folder / "main.py"]


def openapi_generator_python(folder):
    openapi_generator("python", folder, "--additional-properties=packageName=numberdesk_client")
    return check_python(folder, "numberdesk_client")


def openapi_python_client(folder):
    folder.mkdir(parents=True)
    options = ["--meta=none", "--fail-on-warning", f"--config={HERE}/openapi-python-client/config.yaml"]
    output = f"--output-path={folder}/numberdesk_client"
    run(SCRIPTS / "openapi-python-client", "generate", f"--path={DOCUMENT}", output, *options)
    return check_python(folder, "numberdesk_client")


# Rust.


def progenitor(folder):
    run("cargo", "build", "--locked", "--quiet", "--target-dir", folder, cwd=HERE / "progenitor")
    return [folder / "debug/progenitor-client-test"]


def progenitor_version():
    return re.search(r'name = "progenitor"\nversion = "(.*)"', (HERE / "progenitor/Cargo.lock").read_text())[1]


def java_version():
    return re.search(r"javac (\S+)", run("javac", "-version"))[1]


def tools():
    """Returns each tool with its name in the table, its version, and the function that makes its client."""
    typescript = f"{npm_version('openapi-typescript')}, {npm_version('openapi-fetch')}"
    python_client, generator = version("openapi-python-client"), version("openapi-generator-cli")
    return {
        "openapi-typescript": ("openapi-typescript, openapi-fetch", typescript, openapi_typescript),
        "hey-api": ("@hey-api/openapi-ts", npm_version("@hey-api/openapi-ts"), hey_api),
        "typescript-fetch": ("openapi-generator typescript-fetch, OpenAPI 3.0", generator, typescript_fetch),
        "openapi-python-client": ("openapi-python-client", python_client, openapi_python_client),
        "python": ("openapi-generator python, OpenAPI 3.0", generator, openapi_generator_python),
        "java": ("openapi-generator java (native), OpenAPI 3.0", generator, java),
        "go": ("openapi-generator go, OpenAPI 3.0", generator, go),
        "progenitor": ("progenitor, OpenAPI 3.0", progenitor_version(), progenitor),
    }


# The service.


class Dev:
    """A running `numberdesk dev`."""

    def __init__(self, folder):
        options = ["--dir", f"{folder}/dev", "--port", str(free_port()), "--no-tour"]
        self.env = Path(folder) / "dev/env"
        self.log = Path(folder) / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([BINARY, "dev", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        deadline = time.monotonic() + STARTUP
        while not self.is_ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"`numberdesk dev` did not start:\n{self.log.read_text()}")
            time.sleep(0.2)
        self.rent()  # the first program needs two orders for two pages
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def is_ready(self):
        """Whether the service is ready and has written its tokens."""
        if not self.env.exists():
            return False
        variables = dict(re.findall(r"(?m)^(?:export )?(\w+)='?([^'\n]*)'?$", self.env.read_text()))
        if not {"API", "ALICE"} <= variables.keys():
            return False
        self.api, self.token = variables["API"], variables["ALICE"]
        try:
            self.get("/v1/me")
        except urllib.error.URLError:
            return False
        return True

    def get(self, path):
        return self.send(urllib.request.Request(self.api + path))

    def rent(self):
        headers = {"Content-Type": "application/json", "Idempotency-Key": "before-the-programs"}
        order = b'{"country": "DE", "carrier_type": "local"}'
        return self.send(urllib.request.Request(f"{self.api}/v1/orders", order, headers))

    def send(self, request):
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# The steps of a program.


def check(dev, steps):
    """Returns what is wrong with the steps that a program printed."""
    faults = {}
    try:
        order, number = steps["rents"]
        if dev.get(f"/v1/orders/{order}")["phone_number"]["number"] != number:
            faults["rents"] = f"{number} is not the number of {order}"
    except (KeyError, TypeError, ValueError, urllib.error.URLError) as error:
        faults["rents"] = f"{steps.get('rents')}: {error!r}"
    listed = [row["id"] for row in dev.get("/v1/orders?limit=2")["data"]]
    if steps.get("pages") != listed or len(set(listed)) != 2:
        faults["pages"] = f"{steps.get('pages')}, the service lists {listed}"
    if steps.get("problem") != ["/problems/policy-denied", "teams.sales-emea.countries"]:
        faults["problem"] = f"{steps.get('problem')}"
    return faults


def main() -> int:
    known = tools()
    wanted = sys.argv[1:] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"unknown tool {unknown[0]}; the tools are {', '.join(known)}")
    WORK.mkdir(parents=True, exist_ok=True)
    DOCUMENT_3_0.write_text(run(BINARY, "openapi", "--version", "3.0"))
    rows, faults = [("tool", "version", "compiles", *STEPS)], []
    with tempfile.TemporaryDirectory() as folder, Dev(folder) as dev:
        for name in wanted:
            began = time.monotonic()
            title, number, make = known[name]
            cells, wrong = attempt(dev, name, make)
            rows.append((title, number, *cells))
            faults += [f"{title}: {fault}" for fault in wrong]
            print(f"{title}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    compilers = f"TypeScript {npm_version('typescript')}, mypy {version('mypy')}, javac {java_version()}"
    print(f"\n{compilers}, {run('go', 'version').strip()}, {run('rustc', '--version').strip()}")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def attempt(dev, name, make):
    """Makes a client and runs its program. Returns the cells of the table, and the faults."""
    folder = WORK / name
    if name != "progenitor":  # its folder is a cache of compiled crates
        shutil.rmtree(folder, ignore_errors=True)
    try:
        program = make(folder)
    except Failed as failure:
        return ["no", *("-" for _ in STEPS)], [failure]
    faults, printed = [], ""
    try:
        printed = run(*program, API=dev.api, TOKEN=dev.token)
    except Failed as failure:
        faults, printed = [failure], str(failure)
    lines = [line.split() for line in printed.splitlines()]
    steps = {words[0]: words[1:] for words in lines if words and words[0] in STEPS}
    wrong = check(dev, steps)
    faults += [f"{step}: {fault}" for step, fault in wrong.items()]
    return ["yes", *("no" if step in wrong else "yes" for step in STEPS)], faults


if __name__ == "__main__":
    sys.exit(main())
