"""Runs checkov on the manifests that kustomize renders for every overlay and example.

checkov.yaml lists the policies that are skipped, with reasons. `make k8s` runs this script. It needs the tools that
`make setup` installs."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".venv/bin/kubectl"
CHECKOV = ROOT / ".venv-policy/bin/checkov"
ROOTS = ROOT / "k8s/overlays", ROOT / "k8s/examples"
sys.path.insert(0, str(Path(__file__).parent))
from manifests_are_valid import installations  # noqa: E402


def main() -> int:
    with tempfile.TemporaryDirectory() as rendered:
        for folder in sorted(folder for root in ROOTS for folder in installations(root)):
            with Path(rendered, f"{'-'.join(folder.relative_to(ROOT).parts)}.yaml").open("w") as file:
                subprocess.run([KUBECTL, "kustomize", folder], check=True, stdout=file)
        config = Path(__file__).with_name("checkov.yaml")
        checked = subprocess.run(
            [CHECKOV, "--config-file", config, "--directory", rendered], capture_output=True, text=True
        )
    print(checked.stdout.strip())
    # checkov also exits with 0 if it found nothing to check.
    if checked.returncode or "Passed checks:" not in checked.stdout:
        print(checked.stderr, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
