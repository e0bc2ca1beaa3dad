# `make help` lists the targets. Every target that needs the environment makes it once, by itself.
IS_PYTHON_GIVEN := $(filter command environment,$(origin PYTHON))
# The oldest that is installed, since the images have it; PYTHON=3.13, or a path, takes another.
PYTHON ?= $(shell for v in 3.11 3.12 3.13; do python$$v -c '' 2>/dev/null && echo python$$v && break; done)
override PYTHON := $(patsubst 3.%,python3.%,$(PYTHON))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_ALL := $(VENV)/.ready-all
INTEROP := .venv-interop
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11
# For every Python and machine that pyproject.toml names; the others are for the images alone.
COMPILE_UNIVERSAL := $(COMPILE) --universal
# What the targets of users need; `setup-all` has all extras.
RUN_EXTRAS := data docker export mlflow pipeline report s3 serve setup train wandb
# In an image the versions that were tested.
COMPILE_ROLE := $(COMPILE) pyproject.toml --extra pipeline --constraint requirements/dev.lock
# Trackers that a training may be told to use.
TRAINING := --extra mlflow --extra wandb --extra vertex

CONFIG ?= pipeline/configs/demo.yaml
OUTPUT ?= runs/$(basename $(notdir $(CONFIG)))
ARGS ?=
TARGET ?= kubeflow

DOCKER ?= docker
ROLES := data trainer tpu
REGISTRY ?= $(or $(ALBERT_REGISTRY),local)
IMAGE_ARGS ?=
BUCKET ?= gs://mine-albert
fill_manifest = sed -e 's|local/albert-python-data:TAG|$(call image,data)|' -e 's|gs://mine-albert|$(BUCKET)|'
image = $(shell ALBERT_REGISTRY=$(REGISTRY) $(BIN)/python -c "from components.image import image_name; print(image_name('$(1)'))")

# How many targets of tests run at a time. Tests wait for processes, servers and disks for a quarter of
# their time, so that two targets do not fill two cores.
TEST_JOBS ?= 3

# To see what oneDNN has a kernel for, TensorFlow looks through all kernels for each node of each
# graph: a tenth of what tests take that build and run small models. Those of parity, of optimizers,
# of pretraining and of whole runs compute as users do, and so does pytest by hand.
WITHOUT_ONEDNN := TF_ENABLE_ONEDNN_OPTS=0

# The targets start hundreds of processes of Python, each of which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-all lock demo run test test-tensorflow test-jax test-interop benchmark lint format clean
.PHONY: test-pretraining test-components test-unit test-parity test-runs kernels test-docker images images-gpu push push-gpu
.PHONY: run-docker audit power-cuts stops test-engines test-engines-installed
.PHONY: kubernetes-flink kubernetes-records
.PHONY: compile submit schedule estimate leaderboard $(ROLES:%=image-%) $(ROLES:%=push-%) image-trainer-gpu push-trainer-gpu

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv from the locked requirements: PYTHON=3.12 for another than the oldest (done once, by the other targets too)
	@test -z "$(IS_PYTHON_GIVEN)" || $(PYTHON) -c 'import os, sys; sys.exit(not os.path.isdir("$(VENV)/lib/python%d.%d" % sys.version_info[:2]))' 2>/dev/null || { echo "make: $(VENV) is not of $(PYTHON), which is missing or another version; make clean, then again" >&2; exit 2; }

setup-all: $(READY_ALL)  ## the same with what Vertex AI, estimates and tests need (done by the targets that need it)

define check_python
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make setup PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { echo "make: $(PYTHON) is no Python 3.11, 3.12 or 3.13; name another: make setup PYTHON=/path/to/python" >&2; exit 2; }
endef

.uv/bin/uv:
	$(check_python)
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

# What most processes import. Python compiles the rest, three quarters of all, where it is imported.
IMPORTED := apache_beam google/protobuf jax jaxlib keras kfp numba numpy scipy tensorflow

# TensorFlow's headers are of use only to those who compile operations.
define install
	$(check_python)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/$(1).lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	rm -rf $(VENV)/lib/python3.*/site-packages/tensorflow/include
	cd $(VENV)/lib/python3.*/site-packages && ../../../bin/python -m compileall -q -j 0 $(IMPORTED) > /dev/null || true
	@sync  # the writes of the installation would stall the first checkpoint
	@touch $@
endef

$(READY): requirements/run.lock pyproject.toml $(filter .uv/bin/uv,$(UV))
	$(call install,run)

$(READY_ALL): requirements/dev.lock pyproject.toml $(filter .uv/bin/uv,$(UV))
	$(call install,dev)
	@touch $(READY)

lock: $(filter .uv/bin/uv,$(UV))  ## resolve the requirements anew into requirements/*.lock
	$(COMPILE_UNIVERSAL) pyproject.toml --all-extras --output-file requirements/dev.lock
	$(COMPILE_UNIVERSAL) pyproject.toml $(RUN_EXTRAS:%=--extra %) --constraint requirements/dev.lock --output-file requirements/run.lock
	$(COMPILE_ROLE) --extra s3 --extra data --extra dataflow --extra dask --output-file requirements/data.lock
	$(COMPILE_ROLE) $(TRAINING) --extra s3 --extra train --extra report --extra export --extra serve --output-file requirements/trainer.lock
	$(COMPILE_ROLE) $(TRAINING) --extra s3 --extra train --extra report --extra export --extra serve requirements/gpu.in --output-file requirements/trainer-gpu.lock
	$(COMPILE_ROLE) $(TRAINING) --extra s3 --extra model --extra tpu --output-file requirements/tpu.lock
	$(COMPILE) pyproject.toml requirements/interop.in --output-file requirements/interop.lock

demo: setup  ## from nothing to a scored ALBERT in minutes, on text already on this machine
	@$(BIN)/albert demo-data --output runs/demo-data
	@$(BIN)/albert run --config pipeline/configs/demo.yaml --output runs/demo $(ARGS)

run: setup  ## the whole pipeline: make run CONFIG=pipeline/configs/small.yaml OUTPUT=runs/mine ARGS="--corpus.files 'text/*.txt'"
	@$(BIN)/albert run --config $(CONFIG) --output $(OUTPUT) $(ARGS)

images: $(ROLES:%=image-%)  ## build the images of the three roles: REGISTRY=..., IMAGE_ARGS="--build-arg BASE=..." (docker/README.md)

$(ROLES:%=image-%) image-trainer-gpu: image-%: setup
	$(eval IMAGE := $(call image,$*))
	$(DOCKER) build $(IMAGE_ARGS) --file docker/$(*:-gpu=).Dockerfile --tag $(IMAGE) $(if $(filter %-gpu,$*),--build-arg LOCK=$*) \
		--build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		--build-arg TAG=$(lastword $(subst :, ,$(IMAGE))) .

images-gpu: image-trainer-gpu  ## build the trainer's image with CUDA, for steps with an `accelerator`; then push-gpu

push: $(ROLES:%=push-%)  ## push them: make images push REGISTRY=...

$(ROLES:%=push-%) push-trainer-gpu: push-%: setup
	$(DOCKER) push $(call image,$*)

push-gpu: push-trainer-gpu  ## push it: make images-gpu push-gpu REGISTRY=...

kubernetes-flink: setup  ## print the manifests of a Flink cluster for the records: make kubernetes-flink REGISTRY=... > flink.yaml
	@$(fill_manifest) docker/kubernetes/flink.yaml

kubernetes-records: setup  ## print that of a job that makes them there: make kubernetes-records REGISTRY=... BUCKET=gs://mine > records.yaml
	@$(fill_manifest) docker/kubernetes/records.yaml

run-docker: setup  ## like `run`, every step a container of its image (after make images)
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert run --runner docker --config $(CONFIG) --output $(OUTPUT) $(ARGS)

compile: setup-all  ## the pipeline as YAML: make compile TARGET=vertex CONFIG=... OUTPUT=albert.yaml REGISTRY=...
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert compile --target $(TARGET) --config $(CONFIG) --output $(OUTPUT) $(ARGS)

submit: setup-all  ## run it there: make submit TARGET=vertex CONFIG=... REGISTRY=... ARGS=...
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert submit --target $(TARGET) --config $(CONFIG) $(ARGS)

schedule: setup-all  ## run it there again and again: make schedule TARGET=vertex CONFIG=... ARGS="--name weekly --cron '0 3 * * 1' ..."
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert schedule create --target $(TARGET) --config $(CONFIG) $(ARGS)

estimate: setup-all  ## what a training needs on TPUs or GPUs: make estimate CONFIG=... ARGS="--accelerator v5e-256"
	@$(BIN)/albert estimate --config $(CONFIG) $(ARGS)

test: setup-all  ## lint, types and all tests, as continuous integration runs them
	@$(MAKE) --no-print-directory --jobs $(TEST_JOBS) --output-sync=target kernels lint \
		test-unit test-runs test-pretraining test-components test-jax test-parity test-engines-installed

test-tensorflow: test-runs test-pretraining test-components test-unit test-parity  ## all tests, under TensorFlow

kernels: setup-all
	$(BIN)/python -m tests.helpers.kernels

test-pretraining: setup-all
	$(BIN)/pytest tests/components/test_pretrain*.py

test-components: setup-all
	$(WITHOUT_ONEDNN) $(BIN)/pytest tests/components --ignore-glob 'tests/components/test_pretrain*.py'

test-unit: setup-all
	$(WITHOUT_ONEDNN) $(BIN)/pytest tests/unit --ignore tests/unit/optimizers

test-parity: setup-all
	$(BIN)/pytest tests/parity tests/interop tests/repository tests/unit/optimizers

test-runs: setup-all
	$(BIN)/pytest tests/e2e tests/pipeline

test-jax: setup-all  ## those of model, heads, optimizers and checkpoints, under JAX
	KERAS_BACKEND=jax $(BIN)/pytest -m backends $$(grep -rl 'mark\.backends' tests --include='*.py')

power-cuts: setup-all  ## kill commands at every call that changes files and run them again: ARGS="vocab convert", ARGS="run --every 50"
	$(BIN)/python -m tests.power_cuts $(ARGS)

stops: setup  ## stop commands by SIGTERM and Ctrl-C at random moments and run them again: ARGS="vocab run --times 10 --seed 1"
	$(BIN)/python -m tests.stops $(ARGS)

test-engines: setup-all  ## records on real clusters of Flink and Spark, and kills; installs these into ALBERT_ENGINES=folder (900 MB)
	$(BIN)/python -m tests.engines.installation
	$(BIN)/pytest tests/engines $(ARGS)

test-engines-installed: setup-all  # a short form, which installs nothing
	@if [ -n "$$ALBERT_ENGINES" ]; then \
		$(BIN)/pytest $(foreach engine,flink spark,'tests/engines/test_same_bytes.py::test_the_same_bytes[$(engine)-2]'); \
	else echo "LEFT OUT: records on real clusters of Flink and Spark: set ALBERT_ENGINES to the folder of 'make test-engines'"; fi

test-docker: images  ## the images, and a run in them, on a Docker engine
	ALBERT_REGISTRY=$(REGISTRY) $(BIN)/pytest tests/docker

audit: $(filter .uv/bin/uv,$(UV))  ## known vulnerabilities of the locked packages; asks the database osv.dev
	@for lock in requirements/*.lock; do echo $$lock; \
		$(UV) tool run --quiet pip-audit==2.10.1 --disable-pip --require-hashes --vulnerability-service osv \
			--requirement $$lock || failed=1; done; test -z "$$failed"

test-interop:  ## our models and tokenizers beside Hugging Face's, in an environment of their own
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --require-hashes -r requirements/interop.lock
	$(INTEROP)/bin/pip install --quiet torch==2.13.0
	KERAS_BACKEND=jax $(INTEROP)/bin/python -m pytest tests/interop

benchmark: setup-all  ## time what users wait for, next to a peer (after make test-interop: Hugging Face, too); CORPUS=folder of Simple Wikipedia: the data side, too; SQUAD=folder of its files VOCAB=vocabulary: its features, too; MODEL=folder: serve it under load
	$(BIN)/python tests/benchmarks/startup.py
	$(BIN)/python tests/benchmarks/pretrain.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	$(BIN)/python tests/benchmarks/finetune.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	$(BIN)/python tests/benchmarks/auto_settings.py
	$(BIN)/python tests/benchmarks/tpu_precision.py
	$(BIN)/python tests/benchmarks/export.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	$(BIN)/python tests/benchmarks/serving_comparison.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	@test -z "$(MODEL)" || $(BIN)/python tests/benchmarks/serve.py --model $(MODEL)
	@test -z "$(SQUAD)" || $(BIN)/python tests/benchmarks/squad.py --data $(SQUAD) --vocab $(VOCAB)
	@test -z "$(CORPUS)" || $(BIN)/python tests/benchmarks/data.py $(CORPUS)

leaderboard: setup-all  ## repeat a row of docs/leaderboard.md and compare with it: make leaderboard ROW=demo ARGS="--finetuning.num_seeds 3"
	@$(BIN)/python -m tests.benchmarks.leaderboard $(ROW) $(ARGS)

lint: setup-all  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup-all  ## let ruff fix and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove the environments (runs/ stays)
	rm -rf $(VENV) $(INTEROP) .uv
