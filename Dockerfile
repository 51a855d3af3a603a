# Two images: `panel` (web, workers, scheduler) and `proxy` (Caddy with the static files).
#
#   docker build --target panel -t gestion/panel .
#   docker build --target proxy -t gestion/proxy .
#
# What deploy/docker/fetch.sh has put into deploy/docker/offline/ is used in the place of the registries.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
ARG NODE_IMAGE=node:22.16.0-bookworm-slim
ARG CADDY_IMAGE=caddy:2.10.0-alpine

# The front end: exactly what package-lock.json says, and no scripts of packages are run.
FROM ${NODE_IMAGE} AS front-end
WORKDIR /build
COPY package.json package-lock.json ./
COPY deploy/docker/offline/ /offline/
RUN if [ -d /offline/npm ]; then set -- --offline --cache /offline/npm; fi; \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund "$@"

# The Python packages, by hash, in an environment without pip.
FROM ${PYTHON_IMAGE} AS packages
COPY requirements.txt /build/
COPY deploy/docker/offline/ /offline/
RUN if [ -d /offline/wheels ]; then set -- --no-index --find-links /offline/wheels; fi; \
    python3 -m venv --without-pip /opt/gestion && \
    python3 -m pip --python /opt/gestion/bin/python3 --disable-pip-version-check --no-cache-dir \
        install --require-hashes --only-binary :all: -r /build/requirements.txt "$@"

# The panel's code without what only this build needs, compiled; and its static files, each beside its gzip.
FROM packages AS app
WORKDIR /app
COPY . .
COPY --from=front-end /build/node_modules node_modules/
RUN DATA_DIR=/tmp/build STATIC_ROOT=/srv/static /opt/gestion/bin/python3 manage.py collectstatic --noinput && \
    /opt/gestion/bin/python3 -m whitenoise.compress --quiet /srv/static && \
    rm -rf /tmp/build node_modules deploy/docker/offline && \
    mkdir -p node_modules/@tabler/core/dist/css node_modules/htmx.org/dist && \
    /opt/gestion/bin/python3 -m compileall -q /app

FROM ${PYTHON_IMAGE} AS panel
# What the panel's own code starts: git and ssh for what git hosts' pushes pull, ssh-keygen for whose signature it is,
# pg_dump and pg_restore for the backup of the panel. Debian's PostgreSQL client is of the server's version as long as
# PYTHON_IMAGE and POSTGRES_IMAGE are of the same Debian release.
ARG PROGRAMS="git ssh ssh-keygen pg_dump pg_restore"
RUN (for program in $PROGRAMS; do command -v "$program" >/dev/null || exit 1; done) || { \
        apt-get update && \
        apt-get install -y --no-install-recommends git openssh-client postgresql-client && \
        rm -rf /var/lib/apt/lists/*; }
RUN groupadd --gid 10001 gestion && \
    useradd --uid 10001 --gid gestion --no-create-home --home-dir /tmp --shell /usr/sbin/nologin gestion && \
    install -d -o gestion -g gestion -m 0755 /secrets /secrets/panel /secrets/postgres /secrets/redis
COPY --from=packages /opt/gestion /opt/gestion
COPY --from=app /app /app
COPY --from=app /srv/static /srv/static
WORKDIR /app
ENV PATH=/opt/gestion/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/tmp/gestion \
    STATIC_ROOT=/srv/static
USER gestion
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=8s --start-period=60s --retries=3 \
    CMD ["python3", "-P", "/app/deploy/docker/healthy.py", "web"]
CMD ["python3", "-m", "gestion.web", "--bind", "0.0.0.0", "--port", "8000"]

FROM ${CADDY_IMAGE} AS proxy
COPY Caddyfile /etc/caddy/Caddyfile
COPY deploy/caddy /etc/caddy/deploy/caddy
COPY deploy/docker/Caddyfile /etc/caddy/deploy/docker/Caddyfile
COPY --from=app /srv/static /srv/static
# Caddy keeps its certificates in /data; new volumes take over the owner of these folders.
RUN mkdir -p /data/caddy /config/caddy && chown -R 10001:10001 /data /config
ENV XDG_DATA_HOME=/data \
    XDG_CONFIG_HOME=/config
USER 10001:10001
EXPOSE 80 443 443/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:2020/"]
CMD ["caddy", "run", "--config", "/etc/caddy/deploy/docker/Caddyfile", "--adapter", "caddyfile"]
