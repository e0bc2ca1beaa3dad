# `make help` lists the targets. Every target that needs the environment makes it once, by itself.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INTEROP := .venv-interop
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11
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
image = $(shell ALBERT_REGISTRY=$(REGISTRY) $(BIN)/python -c "from components.image import image_name; print(image_name('$(1)'))")

# The targets start hundreds of processes of Python, each of which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock demo run test test-tensorflow test-jax test-interop benchmark lint format clean
.PHONY: test-pretraining test-components test-unit test-parity test-runs kernels test-docker images images-gpu push push-gpu
.PHONY: run-docker audit power-cuts
.PHONY: compile submit schedule estimate leaderboard $(ROLES:%=image-%) $(ROLES:%=push-%) image-trainer-gpu push-trainer-gpu

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv from the locked requirements (done once, by the other targets too)

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

$(READY): requirements/dev.lock pyproject.toml $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q $(VENV)/lib/python3.11/site-packages -j 0 > /dev/null || true
	@sync  # the writes of the installation would stall the first checkpoint
	@touch $@

lock: $(filter .uv/bin/uv,$(UV))  ## resolve the requirements anew into requirements/*.lock
	$(COMPILE) pyproject.toml --all-extras --output-file requirements/dev.lock
	$(COMPILE_ROLE) --extra data --extra dask --output-file requirements/data.lock
	$(COMPILE_ROLE) $(TRAINING) --extra train --extra report --extra export --output-file requirements/trainer.lock
	$(COMPILE_ROLE) $(TRAINING) --extra train --extra report --extra export requirements/gpu.in --output-file requirements/trainer-gpu.lock
	$(COMPILE_ROLE) $(TRAINING) --extra model --extra tpu --output-file requirements/tpu.lock
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

run-docker: setup  ## like `run`, every step a container of its image (after make images)
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert run --runner docker --config $(CONFIG) --output $(OUTPUT) $(ARGS)

compile: setup  ## the pipeline as YAML: make compile TARGET=vertex CONFIG=... OUTPUT=albert.yaml REGISTRY=...
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert compile --target $(TARGET) --config $(CONFIG) --output $(OUTPUT) $(ARGS)

submit: setup  ## run it there: make submit TARGET=vertex CONFIG=... REGISTRY=... ARGS=...
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert submit --target $(TARGET) --config $(CONFIG) $(ARGS)

schedule: setup  ## run it there again and again: make schedule TARGET=vertex CONFIG=... ARGS="--name weekly --cron '0 3 * * 1' ..."
	@ALBERT_REGISTRY=$(REGISTRY) $(BIN)/albert schedule create --target $(TARGET) --config $(CONFIG) $(ARGS)

estimate: setup  ## what a pretraining needs on TPUs: make estimate CONFIG=... ARGS="--accelerator v5e-256"
	@$(BIN)/albert estimate --config $(CONFIG) $(ARGS)

test: setup  ## lint, types and all tests, as continuous integration runs them
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint kernels
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target \
		test-components test-unit test-runs test-jax test-pretraining test-parity

test-tensorflow: test-runs test-pretraining test-components test-unit test-parity  ## all tests, under TensorFlow

kernels: setup
	$(BIN)/python -m tests.helpers.kernels

# For two at a time, the longest first.
test-pretraining: setup
	$(BIN)/pytest tests/components/test_pretrain*.py

test-components: setup
	$(BIN)/pytest tests/components --ignore-glob 'tests/components/test_pretrain*.py'

test-unit: setup
	$(BIN)/pytest tests/unit

test-parity: setup
	$(BIN)/pytest tests/parity tests/interop tests/repository

test-runs: setup
	$(BIN)/pytest tests/e2e tests/pipeline

test-jax: setup  ## those of model, heads, optimizers and checkpoints, under JAX
	KERAS_BACKEND=jax $(BIN)/pytest -m backends $$(grep -rl 'mark\.backends' tests --include='*.py')

power-cuts: setup  ## kill commands at every call that changes files and run them again: ARGS="vocab convert", ARGS="run --every 50"
	$(BIN)/python -m tests.power_cuts $(ARGS)

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

benchmark: setup  ## time what users wait for, next to a peer (after make test-interop: Hugging Face, too); CORPUS=folder of Simple Wikipedia: the data side, too; SQUAD=folder of its files VOCAB=vocabulary: its features, too; MODEL=folder: serve it under load
	$(BIN)/python tests/benchmarks/startup.py
	$(BIN)/python tests/benchmarks/pretrain.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	$(BIN)/python tests/benchmarks/finetune.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	$(BIN)/python tests/benchmarks/export.py $(addprefix --peer ,$(wildcard $(INTEROP)/bin/python))
	@test -z "$(MODEL)" || $(BIN)/python tests/benchmarks/serve.py --model $(MODEL)
	@test -z "$(SQUAD)" || $(BIN)/python tests/benchmarks/squad.py --data $(SQUAD) --vocab $(VOCAB)
	@test -z "$(CORPUS)" || $(BIN)/python tests/benchmarks/data.py $(CORPUS)

leaderboard: setup  ## repeat a row of docs/leaderboard.md and compare with it: make leaderboard ROW=demo ARGS="--finetuning.num_seeds 3"
	@$(BIN)/python -m tests.benchmarks.leaderboard $(ROW) $(ARGS)

lint: setup  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup  ## let ruff fix and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove the environments (runs/ stays)
	rm -rf $(VENV) $(INTEROP) .uv
