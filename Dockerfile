# The server, on a Debian without Swift; docs/operating.md says how it is run.
#   docker build -t silo . && docker run -p 127.0.0.1:7450:7450 -v silo:/var/lib/silo silo
FROM swift:6.3-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
COPY . .
ARG SILO_COMMIT=unknown
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv patchelf \
    && scripts/setup dist \
    && SILO_COMMIT=$SILO_COMMIT swift build -c release --static-swift-stdlib --scratch-path .build/static \
    && PREFIX=/usr/local scripts/install-tree \
       "$(swift build -c release --static-swift-stdlib --scratch-path .build/static --show-bin-path)" /out --bundle \
    && rm -rf /var/lib/apt/lists/*

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/silo --create-home --shell /usr/sbin/nologin silo && chmod 0700 /var/lib/silo
COPY --from=build /out /usr/local
COPY deploy/docker/silo.toml /etc/silo/silo.toml
USER silo
VOLUME /var/lib/silo
EXPOSE 7450 9090
# It needs no token. A server with TLS or elsewhere needs --health-cmd with the options of siloctl.
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s CMD ["/usr/local/bin/siloctl", "health"]
# Settings are in the file, so that another one in its place has its way; options after the image's name override it.
ENTRYPOINT ["/usr/local/bin/silo", "--config", "/etc/silo/silo.toml"]
