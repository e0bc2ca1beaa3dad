# Vocabulary and records: Beam's driver and its workers, on Dataflow, Dask, Flink and Spark, too. No TensorFlow.
ARG BASE=python:3.11-slim
ARG BEAM_SDK=apache/beam_python3.11_sdk:2.77.0
ARG JAVA=eclipse-temurin:17-jre

FROM ${BEAM_SDK} AS beam
USER root
RUN mkdir -p /opt/apache/beam

# For Beam's job servers, which submit to Flink and Spark.
FROM ${JAVA} AS java
USER root
RUN mkdir -p /opt/java/openjdk

FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONHASHSEED=0
# With pip: Beam's boot asks it whether Beam is installed.
RUN python -m venv /opt/albert
COPY requirements/data.lock /build/
RUN /opt/albert/bin/python -m pip install --no-deps --no-cache-dir --no-compile \
        --require-hashes -r /build/data.lock \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/albert/lib \
    && find /opt/albert -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +
COPY albert_core /app/albert_core
COPY components /app/components
COPY pipeline /app/pipeline
COPY docker/bin /app/bin
RUN chmod -R a+rX,go-w /app \
    && find /app -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
# Where Kubeflow's launcher leaves artifacts, whatever user a cluster makes it run as.
RUN mkdir -m 1777 /gcs /minio /s3 && touch -d @0 /gcs /minio /s3
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=java /opt/java/openjdk /opt/java/openjdk
COPY --from=build /opt/albert /opt/albert
COPY --from=build /app /app
ENV PATH=/app/bin:/opt/albert/bin:$PATH:/opt/java/openjdk/bin PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp USER=albert RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
WORKDIR /tmp
USER 1000:0
ENTRYPOINT ["/app/bin/entrypoint"]
CMD ["albert", "--help"]
ARG VERSION
ARG TAG
ENV ALBERT_TAG=${TAG}
LABEL org.opencontainers.image.title="albert-python-data" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TAG}" \
      org.opencontainers.image.licenses="Apache-2.0"
