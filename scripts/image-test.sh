#!/usr/bin/env bash
# Builds the image as the Dockerfile says and starts it once as Kubernetes would: read-only root, the user of the image,
# the settings of k8s/base. Needs no container registry: stand-ins for the two base images are made from Debian's
# packages and this machine's Rust. Debian 12 and root only. Arguments go to buildah, such as --layers.
# What it keeps for the next time lies in target/image-test.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'image-test: %s (%d s)\n' "$*" "$SECONDS" >&2; }

if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo 'image-test: needs root on Debian 12; elsewhere build with `make image`' >&2
    exit 1
fi

missing=()
command -v buildah >/dev/null || missing+=(buildah)
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v ip >/dev/null || missing+=(iproute2)
if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    apt-get update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}" >/dev/null </dev/null
fi

store=$PWD/target/image-test
mkdir -p "$store"
work=$(mktemp -d)
export BUILDAH_ISOLATION=chroot # works inside a container too
buildah=(buildah --root "$store/storage" --runroot "$work/run" --storage-driver vfs)
containers=()
finish() {
    for container in "${containers[@]}"; do
        "${buildah[@]}" rm "$container" >/dev/null 2>&1 || true
    done
    rm -rf "$work"
}
trap finish EXIT

# Commits a folder as an image: name, folder, then settings for `buildah config`.
commit() {
    local name=$1 folder=$2 container
    shift 2
    container=$("${buildah[@]}" from scratch)
    containers+=("$container")
    "${buildah[@]}" add --quiet "$container" "$folder" / >/dev/null
    "${buildah[@]}" config "$@" "$container"
    "${buildah[@]}" commit --quiet --rm "$container" "$name" >/dev/null
}

have() { "${buildah[@]}" inspect --type image "$1" >/dev/null 2>&1; }

mapfile -t bases < <(awk '/^FROM/ { print $2 }' Dockerfile)
rust_base=${bases[0]}
final_base=${bases[1]}

pinned=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if [[ $rust_base != *:"$pinned"-* || $(rustc --version) != "rustc $pinned "* ]]; then
    echo "image-test: rust-toolchain.toml says $pinned, the Dockerfile $rust_base, this machine $(rustc --version)" >&2
    exit 1
fi

if ! have "$rust_base"; then
    say "making $rust_base"
    debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$work/rust" >"$work/debootstrap.log" ||
        { tail "$work/debootstrap.log" >&2; exit 1; }
    rm -rf "$work"/rust/var/cache/apt/archives/*.deb
    for part in bin lib libexec; do
        cp -a "$(rustc --print sysroot)/$part" "$work/rust/usr/local/"
    done
    commit "$rust_base" "$work/rust" --env CARGO_HOME=/usr/local/cargo \
        --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fi

if ! have "$final_base"; then
    say "making $final_base"
    mkdir -p "$work/debs" "$work/final"
    chmod 755 "$work" "$work/final"
    (cd "$work/debs" && apt-get download -o APT::Sandbox::User=root \
        base-files netbase tzdata ca-certificates libc6 libgcc-s1 libstdc++6 libgomp1 libssl3 >/dev/null)
    for deb in "$work"/debs/*.deb; do
        dpkg-deb --extract "$deb" "$work/final"
    done
    (
        cd "$work/final"
        mkdir -p etc/ssl/certs home/nonroot tmp
        cat usr/share/ca-certificates/mozilla/*.crt >etc/ssl/certs/ca-certificates.crt
        printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >etc/passwd
        printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' >etc/group
        chown 65532:65532 home/nonroot
        chmod 1777 tmp
        rm -rf usr/share/doc usr/share/man usr/share/locale
    )
    commit "$final_base" "$work/final" --user 65532 --workingdir /home/nonroot \
        --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
fi

# The crates come from this machine's cache, so the build needs no network of its own.
cargo fetch --locked --quiet
registry=${CARGO_HOME:-$HOME/.cargo}/registry
version=$(cargo pkgid --locked | sed 's/.*[#@]//')
image=localhost/numberdesk:$version
say "building $image"
"${buildah[@]}" build --pull-never --format docker --volume "$registry:/usr/local/cargo/registry:ro" --quiet \
    --build-arg "VERSION=$version" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --tag "$image" "$@" . >/dev/null

container=$("${buildah[@]}" from --pull-never "$image")
containers+=("$container")
root=$("${buildah[@]}" mount "$container")
say "built: $(du -sm "$root" | cut -f1) MB in all, $(du -m "$root/usr/local/bin/numberdesk" | cut -f1) MB of it numberdesk"

# The folders of deployment.yaml.
mkdir -p "$root/etc/numberdesk" "$root/run/secrets/numberdesk" "$work/config" "$work/secrets"
cp k8s/base/*.toml "$work/config/"
echo 'api_not.areal.key' >"$work/secrets/close-api-key"
chmod -R a+rX "$work/config" "$work/secrets"

"${buildah[@]}" inspect --type image "$image" | python3 -c '
import json, shlex, sys
config = json.load(sys.stdin)["Docker"]["config"]
print("user=" + shlex.quote(config["User"]))
print("command=(" + shlex.join(config["Entrypoint"] + config["Cmd"]) + ")")
print("health=(" + shlex.join(config["Healthcheck"]["Test"][1:]) + ")")
' >"$work/image"

# In namespaces of its own: it can listen where the settings say, reach nobody, and leave no mount behind.
unshare --net --mount-proc --pid --fork --kill-child bash -euo pipefail -s "$root" "$work" <<'INSIDE'
root=$1 work=$2
source "$work/image"
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind "$work/config" "$root/etc/numberdesk"
mount --bind "$work/secrets" "$root/run/secrets/numberdesk"
mount -t tmpfs -o uid="${user%:*}",gid="${user#*:}",mode=0700 tmpfs "$root/var/lib/numberdesk"
mount -t tmpfs tmpfs "$root/tmp"
confined=(setpriv --no-new-privs env -i PATH=/usr/sbin:/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
    chroot --userspec="$user" --groups= "$root")

began=$EPOCHREALTIME
"${confined[@]}" "${command[@]}" </dev/null &
desk=$!
for attempt in {1..150}; do
    if [[ ! -e /proc/$desk ]]; then
        wait "$desk" || code=$?
        echo "image-test: the desk ended by itself, exit code ${code-0}" >&2
        exit 1
    fi
    "${confined[@]}" "${health[@]}" </dev/null >/dev/null 2>&1 && break
    sleep 0.2
done
"${confined[@]}" "${health[@]}" </dev/null # says what is wrong when the loop gave up
echo "image-test: healthy after $(awk "BEGIN { print $EPOCHREALTIME - $began }") s, as user $(stat -c %u "/proc/$desk")" >&2
kill -TERM "$desk"
for attempt in {1..200}; do # as long as Kubernetes waits
    [[ -e /proc/$desk ]] || break
    sleep 0.2
done
if [[ -e /proc/$desk ]]; then
    echo 'image-test: SIGTERM did not end the desk within 40 s' >&2
    exit 1
fi
wait "$desk" # fails unless the desk ended with 0
INSIDE
say "$image builds, starts confined, answers its health check and ends when told to"
