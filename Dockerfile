FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/fleetpost
COPY requirements-production.lock /tmp/
RUN /opt/fleetpost/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements-production.lock

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin fleetpost \
    && install -d -o fleetpost -g fleetpost -m 0700 /data
COPY --from=build /opt/fleetpost /opt/fleetpost
COPY manage.py /app/
COPY controlpanel /app/controlpanel
COPY servers /app/servers
COPY gateway /app/gateway
COPY templates /app/templates
COPY static /app/static
WORKDIR /app
ENV PATH=/opt/fleetpost/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 FLEETPOST_DATA=/data
USER fleetpost
VOLUME /data
EXPOSE 8000
CMD ["uvicorn", "controlpanel.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--lifespan", "off"]
