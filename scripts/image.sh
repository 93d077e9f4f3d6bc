#!/usr/bin/env bash
# Builds the container image with docker, podman or buildah, the first that works. The variable IMAGE sets its name.
# PLATFORMS=linux/amd64,linux/arm64 builds for several architectures, where the builder can run or emulate them. An image of
# several architectures is a list, which docker can only push: it must be able to write to the registry in IMAGE.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(cargo pkgid --offline --quiet 2>/dev/null | sed 's/.*[#@]//')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
image=${IMAGE:-numberdesk:$version}
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" .)
tag=(--tag "$image") list=(--tag "$image") # podman and buildah name a list of images by --manifest

if [[ -n ${PLATFORMS-} ]]; then
    arguments=(--platform "$PLATFORMS" "${arguments[@]}")
    list=(--manifest "$image")
fi

# The OCI format has no health check, so podman and buildah write Docker's format.
if docker info >/dev/null 2>&1; then
    if [[ -n ${PLATFORMS-} ]]; then
        docker buildx build --push "${tag[@]}" "${arguments[@]}"
    else
        docker build "${tag[@]}" "${arguments[@]}"
    fi
elif command -v podman >/dev/null; then
    podman build --format docker "${list[@]}" "${arguments[@]}"
elif command -v buildah >/dev/null; then
    buildah build --format docker "${list[@]}" "${arguments[@]}"
else
    echo "image: needs a running docker, or podman, or buildah" >&2
    exit 1
fi
echo "image: $image"
