# Built by `make image`; `make image-test` builds it without a registry and starts it once, confined.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
WORKDIR /src

# One file without a loader: glibc is linked in. Naming the target keeps the flags from build scripts and macros. No path
# of this stage is left in the binary, so that the same sources make the same bytes.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=numberdesk --remap-path-prefix=/usr/local/cargo/registry/src=crates"
RUN rustc -vV | sed -n 's/^host: //p' > /target

# The dependencies, in a layer that only a change of Cargo.toml or Cargo.lock makes anew.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches \
    && echo '//! Stands in for the sources.' | tee src/lib.rs > src/main.rs \
    && echo 'fn main() {}' | tee -a src/main.rs $(sed -n '/^\[\[bench\]\]/ { n; s|^name = "\(.*\)"$|benches/\1.rs|p }' Cargo.toml) \
    && cargo build --locked --profile dist --bin numberdesk --target "$(cat /target)"

# The desk itself. Cargo goes by the time of the files, and COPY keeps that of the originals: older than the layer above.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --locked --profile dist --bin numberdesk --target "$(cat /target)" \
    && install -D -m 0755 "target/$(cat /target)/dist/numberdesk" /image/usr/local/bin/numberdesk \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /image/tmp \
    && install -d -o 65532 -g 65532 /image/var/lib/numberdesk


# Nothing but the binary, the certificates of authorities and two folders: no shell, no package manager, no libc.
FROM scratch

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="numberdesk" \
      org.opencontainers.image.description="Rents phone numbers in Close for internal apps, under team policy" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# The only folder that is written to; the root may be read-only.
VOLUME /var/lib/numberdesk
WORKDIR /var/lib/numberdesk

# By number: Kubernetes cannot tell of a name that it is not root's.
USER 65532:65532
# 8080: API, docs, webhooks. 9090: health and metrics, for the inside only.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/numberdesk", "health"]

ENTRYPOINT ["/usr/local/bin/numberdesk"]
CMD ["serve", "--config", "/etc/numberdesk/numberdesk.toml"]
