# Everything a developer runs. `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT := out
PYTEST := $(BIN)/python -m pytest

# Debian packages that tests can use; a test that needs one says so by name when it is missing.
SYSTEM_PACKAGES := prometheus libpython3.11

# The folder of models beside a checkout, where there is one; an explicit setting wins.
ifeq ($(origin SCREENALYTICS_MODELS__DIR),undefined)
ifneq ($(wildcard ../shared/models),)
export SCREENALYTICS_MODELS__DIR := $(abspath ../shared/models)
endif
endif

# What docs/generate_<name>.py makes from code.
GENERATED_DOCS := settings.md profiles.md state-machine.md messages.md licences.md openapi.json
generator = docs/generate_$$(echo $${doc%.*} | tr - _).py

PROTOS := $(shell find protos/screenalytics -name '*.proto')
PROTOC := $(BIN)/python -m grpc_tools.protoc -Iservices/pb=protos -Iprotos

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make the virtual environment from the lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies (about 1.4 GB; a minute on a fast line)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: setup ## Run the main job on the sample episode, or on yours: make demo VIDEO=my.mp4
ifdef VIDEO
	@$(BIN)/screenalytics run "$(VIDEO)" --allow-cpu-fallback --data-dir $(OUT)/demo
else
	@$(BIN)/screenalytics sample $(OUT)/sample.mp4
	@$(BIN)/screenalytics run $(OUT)/sample.mp4 --truth $(OUT)/sample.json --allow-cpu-fallback --data-dir $(OUT)/demo
endif

.PHONY: dev
dev: setup ## Start the whole system on this machine; Ctrl-C stops it
	@$(BIN)/screenalytics up --allow-cpu-fallback --data-dir $(OUT)/dev

.PHONY: test
test: setup ## Run every test, or those under T=path
	@$(MAKE) --no-print-directory system-packages || true
	@$(MAKE) --no-print-directory triton || true
	@$(MAKE) --no-print-directory chart-models || true
	@$(PYTEST) $(or $(T),tests)

CHART_MODELS := tests/chart/kubernetes_models

$(CHART_MODELS)/node_modules: $(CHART_MODELS)/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $(CHART_MODELS) --no-audit --no-fund --silent; else echo "not installed (needs npm): the models of custom resources" >&2; fi

.PHONY: chart-models
chart-models: $(CHART_MODELS)/node_modules ## Install the models by which tests judge custom resources (needs npm)

.PHONY: chart
chart: setup chart-models ## Test the images, the Helm chart, its alerts and its dashboards
	@$(PYTEST) tests/chart

# A live system that a real Prometheus scrapes, its traces, logs, dashboards, rules and objectives.
OBSERVABILITY := tests/chart/test_alerts.py tests/chart/test_dashboards.py tests/chart/test_processes.py \
  tests/integration/test_metrics.py tests/integration/orchestrator/test_gauges.py tests/e2e/test_observability.py

.PHONY: observability
observability: setup ## Test metrics, dashboards, alerts, traces and logs, against a live system
	@$(MAKE) --no-print-directory system-packages || true
	@$(PYTEST) $(OBSERVABILITY)

.PHONY: check
check: setup ## Format, lint, types, import boundaries, generated files, unit and contract tests
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory check-generated
	@$(MAKE) --no-print-directory check-protos
	@$(PYTEST) tests/unit tests/contract

.PHONY: check-generated
check-generated: setup
	@rm -rf $(OUT)/generated && mkdir -p $(OUT)/generated
	@$(PROTOC) --python_out=$(OUT)/generated --pyi_out=$(OUT)/generated $(PROTOS:protos/%=services/pb/%)
	@$(PROTOC) --grpc_python_out=$(OUT)/generated services/pb/screenalytics/v1/api.proto
	@diff -r -x __pycache__ -x __init__.py $(OUT)/generated/services/pb services/pb || { echo "generated files are stale: make protos" >&2; exit 1; }
	@$(BIN)/python models/build_similarity.py --check
	@for doc in $(GENERATED_DOCS); do \
		$(BIN)/python $(generator) | diff - docs/$$doc || { echo "docs/$$doc is stale: make docs" >&2; exit 1; }; \
	done
	@$(BIN)/python -m deploy.grafana.build --check
	@$(BIN)/python -m deploy.helm.generate --check

BUF := node_modules/.bin/buf

protos/node_modules: protos/package-lock.json protos/package.json
	@npm ci --prefix protos --no-audit --no-fund --silent && touch $@

.PHONY: check-protos
check-protos: ## Judge the protos: their style, and that no older client breaks (needs npm)
	@if command -v npm >/dev/null; then \
		$(MAKE) --silent --no-print-directory protos/node_modules && cd protos && $(BUF) lint && $(BUF) breaking --against baseline.binpb; \
	elif [ "$$SCREENALYTICS_TEST__REQUIRE_ALL" = 1 ]; then echo "required and missing: npm, for buf" >&2; exit 1; \
	else echo "not checked (needs npm): buf lint, buf breaking" >&2; fi

.PHONY: release-protos
release-protos: protos/node_modules ## Hold what follows to the protos as they are now: with a release
	@cd protos && $(BUF) build --exclude-source-info --as-file-descriptor-set -o baseline.binpb

.PHONY: protos
protos: setup ## Generate services/pb from protos
	@$(PROTOC) --python_out=. --pyi_out=. $(PROTOS:protos/%=services/pb/%)
	@$(PROTOC) --grpc_python_out=. services/pb/screenalytics/v1/api.proto

.PHONY: docs
docs: setup ## Generate the tables of docs that are made from code
	@mkdir -p $(OUT)
	@for doc in $(GENERATED_DOCS); do \
		$(BIN)/python $(generator) > $(OUT)/$$doc && mv $(OUT)/$$doc docs/$$doc || exit 1; \
	done
	@$(BIN)/python -m deploy.grafana.build
	@$(BIN)/python -m deploy.helm.generate

.PHONY: sbom
sbom: setup ## Write the bill of materials of the environment, CycloneDX, to out/sbom.json
	@mkdir -p $(OUT)
	@$(BIN)/python deploy/images/sbom.py > $(OUT)/sbom.json
	@echo $(OUT)/sbom.json

.PHONY: record
record: setup ## Write the messages of one real task into docs/architecture.md
	@SCREENALYTICS_TEST__RECORD=1 $(PYTEST) tests/e2e/test_recorded_task.py

UV_COMPILE := PATH="$(BIN):$$PATH" PIP_CONFIG_FILE=/dev/null UV_NO_CONFIG=1 uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes
UV_IMAGE := $(UV_COMPILE) --constraint requirements.lock

.PHONY: lock
lock: ## Resolve requirements.lock and the locks of the images anew (needs uv)
	@$(UV_COMPILE) --extra dev pyproject.toml -o requirements.lock
	@$(UV_IMAGE) --extra orchestrator pyproject.toml -o deploy/images/orchestrator.lock
	@$(UV_IMAGE) --extra detector --extra cuda pyproject.toml -o deploy/images/detector.lock
	@$(UV_IMAGE) --extra embedder --extra clusterer --extra cuda pyproject.toml -o deploy/images/worker.lock
	@$(UV_IMAGE) --extra cli pyproject.toml -o deploy/images/cpu.lock
	@echo "setuptools>=80" | $(UV_IMAGE) - -o deploy/images/build.lock

.PHONY: bench
bench: setup ## Print every figure we claim, one JSON line a script
	@for script in $$($(BIN)/python -m bench); do echo "# $$script" >&2; $(BIN)/python $$script --json || exit 1; done

.PHONY: chaos
chaos: setup ## Prove the job engine in full: storms of kills, freezes, outages (about two hours)
	@SCREENALYTICS_TEST__CHAOS=full $(PYTEST) tests/chaos tests/integration/orchestrator/test_job_model.py

.PHONY: gpu-check
gpu-check: ## Show what only a GPU can show; OUT_FILE=docs/gpu.md writes the page (no network needed)
	@python=$(BIN)/python; test -x $$python || python=$(PYTHON); \
	$$python tests/gpu/gpu_check.py $(if $(OUT_FILE),--out $(OUT_FILE))

.PHONY: system-packages
system-packages: ## Install the Debian packages that tests can use (needs root)
	@missing=""; for p in $(SYSTEM_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then echo "not installed (needs root and apt):$$missing" >&2; exit 1; fi; \
	echo "installing$$missing" >&2; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update && apt-get -qq install -y --no-install-recommends $$missing >/dev/null

# A real Triton server for tests and bench/inference.py; outside of the environment, whose pins it does not share.
.PHONY: triton
triton: setup ## Unpack a Triton server below out/ (55 MB)
	@test -d $(OUT)/triton/pytriton || { echo "fetching a Triton server" >&2; \
	  rm -rf $(OUT)/triton.part && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(OUT)/triton.part nvidia-pytriton==0.7.0 && \
	  mv $(OUT)/triton.part $(OUT)/triton; }

.PHONY: clean
clean: ## Remove the virtual environment and everything that was made
	@rm -rf $(VENV) $(OUT) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
