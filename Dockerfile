# One image for serve, worker and simulator. The second stage holds no compiler, no build backend and no sources.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# Another package index: --build-arg PIP_INDEX_URL=…
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/otp-service \
 && python -m pip --python /opt/otp-service/bin/python install --compile --only-binary :all: --require-hashes -r requirements/runtime.txt \
 && python -m pip install --only-binary :all: --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY otp_service otp_service
RUN python -m hatchling build -t wheel -d /dist \
 && python -m pip --python /opt/otp-service/bin/python install --compile --no-deps --no-index /dist/*.whl

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 otp \
 && useradd --system --uid 10001 --gid otp --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin otp \
 && install -d -o otp -g otp -m 0750 /etc/otp-service
# Official images hold Python's own library uncompiled, and who runs this may not write there: each process would compile
# what it imports anew, the health check every ten seconds, and keep 2 MB of that.
RUN python -m compileall -q -x '/(site-packages|ensurepip|idlelib|lib2to3|tkinter|turtledemo|test|tests)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/otp-service /opt/otp-service
ENV PATH=/opt/otp-service/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OTP_CONFIG=/etc/otp-service/otp.toml
USER 10001:10001
WORKDIR /etc/otp-service
EXPOSE 8000 8025 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["python", "-m", "otp_service.health"]
ENTRYPOINT ["otp-service"]
CMD ["serve"]
