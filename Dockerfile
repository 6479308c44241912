# An image of one static binary: no shell, no libraries, no package manager, nobody but its user. Docs: docs/kubernetes.md.
#   docker build --tag tollgate:0.1.0 .
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
# The binary has a page of the documentation in it.
COPY docs docs
# Benches and tests are named in Cargo.toml; cargo wants to see the files, the image does not need them.
COPY benches benches
COPY tests/it tests/it
# `dev` builds sooner and larger.
ARG PROFILE=release
# A target is named so that only the binary is static, not what runs while it is built.
RUN host=$(rustc --print host-tuple) && \
    case "$PROFILE" in dev) built=debug ;; *) built=$PROFILE ;; esac && \
    RUSTFLAGS='-C target-feature=+crt-static' \
      cargo build --profile "$PROFILE" --locked --bin tollgate --target "$host" && \
    install -D "target/$host/$built/tollgate" /image/tollgate && \
    install -d /image/etc /image/tmp && \
    echo 'tollgate:x:65532:65532:Tollgate:/var/lib/tollgate:/' >/image/etc/passwd && \
    echo 'tollgate:x:65532:' >/image/etc/group && \
    echo 'hosts: files dns' >/image/etc/nsswitch.conf && \
    install -d -o 65532 -g 65532 -m 0700 /image/var/lib/tollgate

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tollgate" \
      org.opencontainers.image.description="The gateway between tenants' agents and the models and tools they use" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /var/lib/tollgate
# Agents; probes and metrics. The admin port listens on loopback.
EXPOSE 8080 8082
ENTRYPOINT ["/tollgate"]
CMD ["serve", "--config", "/etc/tollgate/tollgate.yaml"]
