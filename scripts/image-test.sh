#!/usr/bin/env bash
# Builds both images of the Dockerfile and starts each once. The service starts as in Kubernetes: read-only root file
# system, the user of the image, the settings of k8s/overlays/embedded. Needs no container registry: the script makes a
# replacement for the base image from Debian's packages and this machine's Rust. Needs Debian 12 and root. Arguments,
# such as --layers, go to buildah. target/image-test caches the replacement for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

# In bytes. The binary contains the guides, Swagger UI and the numbering plans of all countries.
LARGEST=32000000

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

rust_base=$(awk '/^FROM/ { print $2; exit }' Dockerfile)

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

# The build takes the crates from this machine's cache, so it needs no network.
cargo fetch --locked --quiet
registry=${CARGO_HOME:-$HOME/.cargo}/registry
version=$(cargo pkgid --locked | sed 's/.*[#@]//')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# Builds an image and mounts it: name of the binary, image, then arguments of `buildah build`. Sets `root`.
build() {
    local binary=$1 image=$2 container bytes
    shift 2
    say "building $image"
    "${buildah[@]}" build --pull-never --format docker --volume "$registry:/usr/local/cargo/registry:ro" --quiet \
        --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$image" "$@" . >/dev/null
    container=$("${buildah[@]}" from --pull-never "$image")
    containers+=("$container")
    root=$("${buildah[@]}" mount "$container")
    bytes=$(du --apparent-size -sb "$root" | cut -f1)
    say "built: $bytes bytes in all, sha256 of the binary $(sha256sum "$root/usr/local/bin/$binary" | cut -c1-16)"
    if ((bytes > LARGEST)); then
        echo "image-test: the image must not be larger than $LARGEST bytes" >&2
        exit 1
    fi
    if [[ -n $(find "$root" -type f ! -name "$binary" ! -name ca-certificates.crt) ]]; then
        echo 'image-test: the image has files other than the binary and the certificates:' >&2
        find "$root" -type f >&2
        exit 1
    fi
}

# Prints the settings of an image as shell variables.
settings() {
    "${buildah[@]}" inspect --type image "$1" | python3 -c '
import json, shlex, sys
config = json.load(sys.stdin)["Docker"]["config"]
print("user=" + shlex.quote(config["User"]))
print("command=(" + shlex.join(config["Entrypoint"] + config["Cmd"]) + ")")
print("environment=(" + shlex.join(config["Env"]) + ")")
print("health=(" + shlex.join(config["Healthcheck"]["Test"][1:]) + ")")
'
}

sandbox_image=localhost/close-sandbox:$version
build close-sandbox "$sandbox_image" --target sandbox "$@"
settings "$sandbox_image" >"$work/image"
mkdir -p "$root"/{proc,dev,etc}
unshare --net --mount-proc --pid --fork --kill-child bash -euo pipefail -s "$root" "$work" <<'INSIDE'
root=$1 work=$2
source "$work/image"
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
confined=(setpriv --no-new-privs env -i PATH=/usr/sbin:/usr/bin "${environment[@]}"
    chroot --userspec="$user" --groups= "$root")
"${confined[@]}" "${command[@]}" </dev/null >/dev/null 2>&1 &
sandbox=$!
for attempt in {1..50}; do
    "${confined[@]}" "${health[@]}" </dev/null >/dev/null 2>&1 && break
    sleep 0.2
done
"${confined[@]}" "${health[@]}" </dev/null # prints the error if the loop gave up
echo "image-test: the sandbox is healthy, as user $(stat -c %u "/proc/$sandbox")" >&2
kill -TERM "$sandbox"
wait "$sandbox" # fails unless the exit code is 0
INSIDE

image=localhost/numberdesk:$version
build numberdesk "$image" "$@" # no target: the service is the default
help=$(chroot "$root" /usr/local/bin/numberdesk --help)
for command in dev sandbox token; do
    if grep -q "^  $command " <<<"$help"; then
        echo "image-test: the image has the development command \`$command\`" >&2
        exit 1
    fi
done

# The folders of deployment.yaml.
mkdir -p "$root"/{proc,dev,etc/numberdesk,run/secrets/numberdesk} "$work/config" "$work/secrets"
touch "$root/etc/resolv.conf"
echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
cp k8s/overlays/embedded/numberdesk.toml k8s/base/policy.toml "$work/config/"
echo 'api_not.areal.key' >"$work/secrets/close-api-key"
chmod -R a+rX "$work/config" "$work/secrets"

settings "$image" >"$work/image"

# In separate namespaces: the service can use the configured ports, reaches no network, and leaves no mounts behind.
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
mount --bind "$work/resolv.conf" "$root/etc/resolv.conf"
mount -t tmpfs -o uid="${user%:*}",gid="${user#*:}",mode=0700 tmpfs "$root/var/lib/numberdesk"
mount -t tmpfs tmpfs "$root/tmp"
confined=(setpriv --no-new-privs env -i PATH=/usr/sbin:/usr/bin "${environment[@]}"
    chroot --userspec="$user" --groups= "$root")

began=$EPOCHREALTIME
"${confined[@]}" "${command[@]}" </dev/null &
service=$!
for attempt in {1..150}; do
    if [[ ! -e /proc/$service ]]; then
        wait "$service" || code=$?
        echo "image-test: the service exited by itself, exit code ${code-0}" >&2
        exit 1
    fi
    "${confined[@]}" "${health[@]}" </dev/null >/dev/null 2>&1 && break
    sleep 0.2
done
"${confined[@]}" "${health[@]}" </dev/null # prints the error if the loop gave up
echo "image-test: healthy after $(awk "BEGIN { print $EPOCHREALTIME - $began }") s, as user $(stat -c %u "/proc/$service")" >&2

# The static binary contains its own resolver. Check it with a name that only this DNS server knows.
python3 - <<'DNS' &
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    query, client = server.recvfrom(512)
    end = 12 + query[12:].index(0) + 5
    address = query[end - 4:end - 2] == b"\x00\x01"  # A, not AAAA
    answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01" if address else b""
    server.sendto(query[:2] + b"\x81\x80\x00\x01" + bytes([0, address]) + b"\x00\x00\x00\x00" + query[12:end] + answer, client)
DNS
dns=$!
for attempt in {1..50}; do
    "${confined[@]}" /usr/local/bin/numberdesk health --url http://desk.example.test:9090/livez </dev/null >/dev/null 2>&1 && break
    sleep 0.2
done
"${confined[@]}" /usr/local/bin/numberdesk health --url http://desk.example.test:9090/livez </dev/null
kill "$dns"
echo 'image-test: the binary resolves a name by DNS' >&2

kill -TERM "$service"
for attempt in {1..200}; do # as long as Kubernetes waits
    [[ -e /proc/$service ]] || break
    sleep 0.2
done
if [[ -e /proc/$service ]]; then
    echo 'image-test: the service did not exit within 40 s after SIGTERM' >&2
    exit 1
fi
wait "$service" # fails unless the exit code is 0
INSIDE
say "$image builds, starts confined, passes its health check and exits on SIGTERM"
