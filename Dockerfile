# A static-ish image of one binary: nothing in it but tollgate, its libraries and a user.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
# Benches and tests are named in Cargo.toml; cargo wants to see the files, the image does not need them.
COPY benches benches
COPY tests/it tests/it
RUN cargo build --release --locked --bin tollgate

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tollgate --create-home tollgate
COPY --from=build /src/target/release/tollgate /usr/local/bin/tollgate
USER 10001
WORKDIR /var/lib/tollgate
EXPOSE 8080 8081
ENTRYPOINT ["tollgate"]
CMD ["serve", "--config", "/etc/tollgate/tollgate.yaml"]
