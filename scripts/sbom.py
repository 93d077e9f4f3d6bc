#!/usr/bin/env python3
"""Writes the bill of materials of the binary to stdout, as CycloneDX 1.6: every linked crate of Cargo.lock, and with
scope `excluded` the crates that only the build needs. Each has its licence, hash and dependencies. The same sources
give the same bytes."""

import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = "x86_64-unknown-linux-gnu"  # of the image
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def main():
    command = ["cargo", "metadata", "--locked", "--offline", "--no-default-features", "--format-version=1", f"--filter-platform={TARGET}"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {node["id"]: [need["pkg"] for need in node["deps"]] for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    linked, built = tree("normal"), tree("normal,build")
    hashes = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    }
    used = sorted((known(package), part) for part, package in packages.items() if known(package) in built)
    parts = [part for _, part in used if part != root]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(packages[root], "application", None)},
        "components": [
            {
                **component(packages[part], "library", hashes[known(packages[part])]),
                "scope": "required" if known(packages[part]) in linked else "excluded",
            }
            for part in parts
        ],
        "dependencies": [
            {
                "ref": reference(packages[part]),
                "dependsOn": sorted({reference(packages[need]) for need in needs[part] if known(packages[need]) in built}),
            }
            for part in [root, *parts]
        ],
    }
    print(json.dumps(document, indent=2))


def tree(kinds):
    """Returns names and versions of the compiled crates: `cargo metadata` also lists crates of inactive features."""
    command = ["cargo", "tree", "--locked", "--offline", "--package=numberdesk", "--no-default-features", f"--edges={kinds}", f"--target={TARGET}", "--prefix=none", "--format={p}"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {(name, version.removeprefix("v")) for name, version, *_ in (line.split() for line in lines if line)}


def known(package):
    return package["name"], package["version"]


def component(package, kind, sha256):
    if package["source"] not in (None, REGISTRY):
        raise SystemExit(f"sbom: {package['name']} comes from {package['source']}, which has no package URL here")
    part = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        # Some crates use the deprecated `/` for OR, which is not valid SPDX.
        part["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if sha256:
        part["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return part


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


if __name__ == "__main__":
    main()
