# syntax=docker/dockerfile:1
# docker build -t xc2-analyzer .        docker run --rm xc2-analyzer check --config /etc/xc2/config.toml

FROM rust:1-slim-bookworm AS build
WORKDIR /build

# Dependencies first, with stubs for our own code: this layer is made again only when Cargo.toml or Cargo.lock change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name *= *"\(.*\)"/\1/p' Cargo.toml); do touch "benches/$bench.rs"; done \
    && cargo build --release --locked --bin xc2-analyzer

COPY . .
# Cargo compares times: what was copied may be older than the stubs' build.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin xc2-analyzer

# The C library of the build image, CA certificates, time zones and the user `nonroot` (65532); no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/xc2-analyzer /usr/local/bin/xc2-analyzer
COPY config.toml /etc/xc2/config.toml
USER nonroot
# SIGTERM drains within shutdown_grace (20 s): stop with more patience than that, `docker stop -t 30`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/xc2-analyzer"]
CMD ["run", "--config", "/etc/xc2/config.toml"]
