# Built by `make image`; `make image-test` builds it without a registry and starts it once.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
WORKDIR /src

# The dependencies, in a layer that only a change of Cargo.toml or Cargo.lock makes anew.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && echo '//! Stands in for the sources.' | tee src/lib.rs > src/main.rs \
    && echo 'fn main() {}' >> src/main.rs \
    && cargo build --locked --profile dist --bin numberdesk

# The desk itself. Cargo goes by the time of the files, and COPY keeps that of the originals: older than the layer above.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --locked --profile dist --bin numberdesk \
    && mkdir /data


# No shell, no package manager: libc, libgcc, certificates of authorities and time zones.
FROM gcr.io/distroless/cc-debian12:nonroot

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="numberdesk" \
      org.opencontainers.image.description="Rents phone numbers in Close for internal apps, under team policy" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /src/target/dist/numberdesk /usr/local/bin/numberdesk
# The only folder that is written to; the root may be read-only.
COPY --from=build --chown=65532:65532 /data /var/lib/numberdesk
VOLUME /var/lib/numberdesk
WORKDIR /var/lib/numberdesk

# By number: Kubernetes cannot tell of a name that it is not root's.
USER 65532:65532
# 8080: API, docs, webhooks. 9090: health and metrics, for the inside only.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/numberdesk", "health"]

ENTRYPOINT ["/usr/local/bin/numberdesk"]
CMD ["serve", "--config", "/etc/numberdesk/numberdesk.toml"]
