# Two images: the service (default), and with `--target sandbox` the simulated Close for teams that test their apps.
# `make image` builds the service; `make image-test` builds both without a registry and starts each once, confined.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS base
WORKDIR /src

# Static binaries without a loader: glibc is linked in. An explicit target keeps the flags away from build scripts and
# macros. The binaries contain no path of this stage, so that the same sources give the same bytes.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=numberdesk --remap-path-prefix=/usr/local/cargo/registry/src=crates"
RUN rustc -vV | sed -n 's/^host: //p' > /target

# Placeholder sources: the layer with the dependencies is rebuilt only when a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY crates/close-sandbox/Cargo.toml crates/close-sandbox/
RUN mkdir -p src benches tests/it crates/close-sandbox/src \
    && echo '//! A placeholder.' | tee src/lib.rs crates/close-sandbox/src/lib.rs > src/main.rs \
    && echo 'fn main() {}' | tee -a src/main.rs crates/close-sandbox/src/main.rs tests/it/main.rs \
        $(sed -n '/^\[\[bench\]\]/ { n; s|^name = "\(.*\)"$|benches/\1.rs|p }' Cargo.toml)


FROM base AS build-sandbox
# The sandbox need not be fast, so it is built with the profile that compiles sooner.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo build --locked --release --package close-sandbox --target "$(cat /target)"
# Cargo compares file times, and COPY keeps the times of the originals, which are older than the layer above.
COPY crates crates
RUN touch crates/close-sandbox/src/main.rs crates/close-sandbox/src/lib.rs \
    && cargo build --locked --release --package close-sandbox --target "$(cat /target)" \
    && install -D -m 0755 "target/$(cat /target)/release/close-sandbox" /image/usr/local/bin/close-sandbox \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt


# Only the binary, and the CA certificates that verify the receivers of webhooks.
FROM scratch AS sandbox

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="close-sandbox" \
      org.opencontainers.image.description="A simulated Close CRM for tests and development" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build-sandbox /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# By number: Kubernetes cannot verify that a user name is not root.
USER 65532:65532
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/close-sandbox", "health"]

ENTRYPOINT ["/usr/local/bin/close-sandbox"]
CMD ["--listen", "0.0.0.0:8081"]


FROM base AS build
RUN cargo build --locked --profile dist --no-default-features --package numberdesk --target "$(cat /target)"
# Cargo compares file times, and COPY keeps the times of the originals, which are older than the layer above.
# The binary contains the guides, and the snapshot of Close's API.
COPY README.md CHANGELOG.md ./
COPY docs docs
# Only the guides in it, see .dockerignore.
COPY clients clients
COPY crates/close-sandbox/close-api.json crates/close-sandbox/
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --locked --profile dist --no-default-features --package numberdesk --target "$(cat /target)" \
    && install -D -m 0755 "target/$(cat /target)/dist/numberdesk" /image/usr/local/bin/numberdesk \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /image/tmp \
    && install -d -o 65532 -g 65532 /image/var/lib/numberdesk


# The default target. Only the binary, the CA certificates and two folders: no shell, no package manager, no libc.
FROM scratch AS service

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="numberdesk" \
      org.opencontainers.image.description="Rents phone numbers in Close for internal apps, under team policy" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# The only writable folder; the root file system may be read-only.
VOLUME /var/lib/numberdesk
WORKDIR /var/lib/numberdesk

# By number: Kubernetes cannot verify that a user name is not root.
USER 65532:65532
# 8080: API, docs, webhooks. 9090: health and metrics, for the cluster only.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/numberdesk", "health"]

ENTRYPOINT ["/usr/local/bin/numberdesk"]
CMD ["serve", "--config", "/etc/numberdesk/numberdesk.toml"]
