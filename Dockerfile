# docker build -t xc2-analyzer .
# docker run --rm --read-only --tmpfs /tmp xc2-analyzer demo
#
# The bases can be others of the same kind, for example a company's own mirrors or a machine that reaches no registry:
# --build-arg BUILD_BASE=... (Rust, a C compiler) --build-arg RUN_BASE=... (glibc, libgcc_s, CA certificates).
ARG BUILD_BASE=docker.io/library/rust:1-slim-bookworm
ARG RUN_BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /build

# Dependencies first, with stubs for our own code: this layer is made again only when Cargo.toml or Cargo.lock change.
# A registry mirror's settings come as a secret, which no layer keeps: --secret id=cargo,src=$HOME/.cargo/config.toml
COPY Cargo.toml Cargo.lock ./
# hadolint ignore=SC2013
RUN --mount=type=secret,id=cargo,target=/build/.cargo/config.toml \
    mkdir -p src benches \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name *= *"\(.*\)"/\1/p' Cargo.toml); do touch "benches/$bench.rs"; done \
    && cargo build --release --locked --bin xc2-analyzer

COPY . .
# Cargo compares times: what was copied may be older than the stubs' build. Debug information stays outside of the
# image; the names of functions stay inside, for backtraces.
RUN --mount=type=secret,id=cargo,target=/build/.cargo/config.toml \
    touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin xc2-analyzer \
    && strip --strip-debug -o /xc2-analyzer target/release/xc2-analyzer

# The C library of the build image, CA certificates, time zones and the user `nonroot` (65532); no shell.
FROM ${RUN_BASE}
LABEL org.opencontainers.image.title="xc2-analyzer" \
      org.opencontainers.image.description="Advertising logs in S3 to daily reports in MySQL, each file counted exactly once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /xc2-analyzer /usr/local/bin/xc2-analyzer
COPY config.toml /etc/xc2/config.toml
# By number: Kubernetes' runAsNonRoot can't see that a name is not root's.
USER 65532:65532
# SIGTERM drains within shutdown_grace (20 s): stop with more patience than that, `docker stop -t 30`.
STOPSIGNAL SIGTERM
# Where /metrics, /livez and /readyz are answered, inside of the container.
ENV XC2__TELEMETRY__LISTEN=0.0.0.0:9464
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/xc2-analyzer", "healthcheck", "--config", "/etc/xc2/config.toml"]
ENTRYPOINT ["/usr/local/bin/xc2-analyzer"]
CMD ["run", "--config", "/etc/xc2/config.toml"]
