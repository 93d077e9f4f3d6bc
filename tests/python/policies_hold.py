"""Has checkov look at what kustomize renders for every overlay and example; checkov.yaml says what is excepted and why.
Needs what `make setup` installs; run by `make k8s`."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".venv/bin/kubectl"
CHECKOV = ROOT / ".venv-policy/bin/checkov"
WHOLE = ROOT / "k8s/overlays", ROOT / "k8s/examples"


def main() -> int:
    with tempfile.TemporaryDirectory() as rendered:
        for folder in sorted(path.parent for part in WHOLE for path in part.rglob("kustomization.yaml")):
            with Path(rendered, f"{folder.name}.yaml").open("w") as file:
                subprocess.run([KUBECTL, "kustomize", folder], check=True, stdout=file)
        config = Path(__file__).with_name("checkov.yaml")
        looked = subprocess.run(
            [CHECKOV, "--config-file", config, "--directory", rendered], capture_output=True, text=True
        )
    print(looked.stdout.strip())
    # Exit 0 also where it found nothing to look at.
    if looked.returncode or "Passed checks:" not in looked.stdout:
        print(looked.stderr, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
