# Pretraining, fine-tuning and evaluation on TPUs under JAX. No TensorFlow, no Beam.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONHASHSEED=0
RUN python -m venv --without-pip /opt/albert
COPY requirements/tpu.lock /build/
RUN python -m pip --python /opt/albert/bin/python install --no-deps --no-cache-dir --no-compile \
        --require-hashes -r /build/tpu.lock \
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
COPY --from=build /opt/albert /opt/albert
COPY --from=build /app /app
ENV PATH=/app/bin:/opt/albert/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp USER=albert KERAS_BACKEND=jax
WORKDIR /tmp
USER 1000:0
CMD ["albert", "--help"]
ARG VERSION
ARG TAG
ENV ALBERT_TAG=${TAG}
LABEL org.opencontainers.image.title="albert-python-tpu" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TAG}" \
      org.opencontainers.image.licenses="Apache-2.0"
