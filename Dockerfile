# rtcprobe serve in a container: not root, and a file system that may be read-only (give it a /tmp).
FROM python:3.13-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/uv
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY rtcprobe rtcprobe
COPY scenarios scenarios
# The locked versions of what runs; what only tests and checks need stays out.
RUN uv venv /opt/rtcprobe && \
    uv pip install --python /opt/rtcprobe --no-cache --constraints requirements.lock . && \
    find /opt/rtcprobe -name tests -type d -prune -exec rm -rf {} +

FROM python:3.13-slim-bookworm AS run
COPY --from=build /opt/rtcprobe /opt/rtcprobe
COPY grafana/probes.yaml /etc/rtcprobe/probes.yaml
RUN useradd --system --uid 10817 --home-dir /var/lib/rtcprobe --create-home rtcprobe && \
    install -d -o rtcprobe /etc/rtcprobe/reports
ENV PATH=/opt/rtcprobe/bin:$PATH PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib
USER 10817
WORKDIR /var/lib/rtcprobe
EXPOSE 9817
HEALTHCHECK --interval=30s --timeout=5s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9817/-/healthy', timeout=4)"]
ENTRYPOINT ["rtcprobe"]
CMD ["serve", "--config", "/etc/rtcprobe/probes.yaml", "--listen", "0.0.0.0:9817"]

# With Chromium and what drives it, for pages as targets: docker build --target browser .
FROM build AS build-browser
RUN uv pip install --python /opt/rtcprobe --no-cache "playwright>=1.50"

FROM run AS browser
USER 0
# libatomic1 is what playwright's own node asks for, and no package says so.
RUN apt-get update && apt-get install --yes --no-install-recommends chromium libatomic1 && rm -rf /var/lib/apt/lists/*
COPY --from=build-browser /opt/rtcprobe /opt/rtcprobe
USER 10817

# What a build makes unless told: without a browser.
FROM run
