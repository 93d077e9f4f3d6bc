#!/usr/bin/env bash
# Builds the container image with docker, podman or buildah, the first that works. The variable IMAGE sets its name.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(cargo pkgid --offline --quiet 2>/dev/null | sed 's/.*[#@]//')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
image=${IMAGE:-numberdesk:$version}
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$image" .)

# The OCI format has no health check, so podman and buildah write Docker's format.
if docker info >/dev/null 2>&1; then
    docker build "${arguments[@]}"
elif command -v podman >/dev/null; then
    podman build --format docker "${arguments[@]}"
elif command -v buildah >/dev/null; then
    buildah build --format docker "${arguments[@]}"
else
    echo "image: needs a running docker, or podman, or buildah" >&2
    exit 1
fi
echo "image: $image"
