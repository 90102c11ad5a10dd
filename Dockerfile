# All services of docker-compose.yml, from Debian's packages alone. Needs nothing that only
# BuildKit knows.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        autoconf automake make gcc libc6-dev pkg-config \
        libfcgi-dev libhiredis-dev libcurl4-openssl-dev libevent-dev libjansson-dev libinih-dev \
        libssl-dev libcmark-gfm-dev libcmark-gfm-extensions-dev
COPY . /src
RUN cd /src && autoreconf -fi && mkdir /build && cd /build \
    && /src/configure -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var --runstatedir=/run \
    && make -s -j"$(nproc)" && make -s install-strip DESTDIR=/installed

FROM debian:bookworm-slim AS base
# One uid and gid in every image: the pool's socket lies on a volume that two services share.
RUN groupadd -g 900 confab && useradd -u 900 -g confab -d /var/lib/confab -s /usr/sbin/nologin confab \
    && install -d -o confab -g confab /run/confab /var/lib/confab /var/lib/confab/documents

# api and jobrunner
FROM base AS confab
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates libcmark-gfm0.29.0.gfm.6 libcmark-gfm-extensions0.29.0.gfm.6 libcurl4 \
        libevent-2.1-7 libevent-core-2.1-7 libevent-extra-2.1-7 libfcgi0ldbl libfcgi-bin \
        libhiredis0.14 libinih1 libjansson4 libssl3 multiwatch spawn-fcgi \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /installed /
USER confab

FROM confab AS nginx
USER root
RUN apt-get update && apt-get install -y --no-install-recommends curl nginx-light \
    && rm -rf /var/lib/apt/lists/*

FROM base AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server redis-tools \
    && rm -rf /var/lib/apt/lists/* && install -d -o redis -g redis /data
USER redis
