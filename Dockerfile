# docker build --tag oncegate .
# docker run --publish 8080:8080 --volume ./gateway.json:/etc/oncegate/gateway.json:ro \
#     --volume oncegate:/var/lib/oncegate oncegate
# In the container the listener's address has to be 0.0.0.0:8080. A relative store path lies in
# the volume.

FROM swift:6.3-bookworm AS build
WORKDIR /src
COPY .ci/apt-packages .ci/apt-packages
RUN apt-get update && xargs -a .ci/apt-packages apt-get install -y --no-install-recommends
COPY Package.swift ./
COPY Sources Sources
COPY Tests Tests
COPY Examples Examples
RUN swift build -c release --static-swift-stdlib --product oncegate

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libbrotli1 libcurl4 libsqlite3-0 libssl3 libzstd1 zlib1g && rm -rf /var/lib/apt/lists/*
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/oncegate
COPY --from=build /src/.build/release/oncegate /usr/local/bin/oncegate
USER 10001:10001
WORKDIR /var/lib/oncegate
VOLUME /var/lib/oncegate
EXPOSE 8080
# Asks the admin listener at its default address.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/9901 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 3 line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["oncegate"]
CMD ["serve", "--config", "/etc/oncegate/gateway.json"]
