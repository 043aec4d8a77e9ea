# The server, on a Debian without Swift:  docker build -t silo . && docker run -p 7450:7450 -v silo:/var/lib/silo silo
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
USER silo
VOLUME /var/lib/silo
EXPOSE 7450
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/local/bin/siloctl", "cluster", "info"]
# Outside the container nothing is reached but the ports that are published.
ENTRYPOINT ["/usr/local/bin/silo", "--listen", "0.0.0.0:7450", "--data", "/var/lib/silo"]
