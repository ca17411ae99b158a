# `make` alone lists what there is.

VENV := .venv
LOCALSTACK_VENV := .venv-localstack
PYTHON ?= python3
BIN := $(VENV)/bin

SERVICES := producer consumer viewer
# Stands in pyproject.toml only: the labels of images and manifests are written from there.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BASE ?= python:3.13-slim
DOCKER ?= docker
COMPOSE ?= $(shell $(DOCKER) compose version >/dev/null 2>&1 && echo $(DOCKER) compose || echo docker-compose)
KUBECTL ?= kubectl
# BRANCH-SHA, as a tag may be written; -dirty where the images hold what no commit does.
BRANCH = $(shell git rev-parse --abbrev-ref HEAD | tr -c 'A-Za-z0-9_.\n' -)
DIRTY = $(if $(shell git status --porcelain),-dirty)
TAG ?= $(BRANCH)-$(shell git rev-parse --short HEAD)$(DIRTY)
REVISION ?= $(shell git rev-parse HEAD)$(DIRTY)
SOURCE ?= $(or $(shell git remote get-url origin 2>/dev/null | sed 's,//[^/@]*@,//,'),unknown)
# What `make images` tags: `latest` is what the manifests and compose.yaml name.
IMAGE_TAGS ?= latest $(TAG)
OVERLAY ?= release

export VIRTUAL_ENV_DISABLE_PROMPT := 1
export DOCKER KUBECTL

.DEFAULT_GOAL := help
.PHONY: help run test chaos bench bench-pipeline bench-viewer test-containers lint types format readme lock localstack clean distclean
.PHONY: images push compose compose-down deploy forward undeploy secret release manifests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.txt $(if $(filter localstack,$(EMULATOR)),$(LOCALSTACK_VENV)/done.txt) ## run everything on this machine (EMULATOR=localstack for LocalStack)
	@$(BIN)/python -m local

test: lint types $(LOCALSTACK_VENV)/done.txt ## lint, types and all tests, with their set-up
	$(BIN)/python -m pytest $(PYTEST)

test-containers: $(VENV)/dev.txt ## build the images and run the composed system in Docker (slow)
	@$(DOCKER) info >/dev/null || { echo "Docker is needed, and does not answer: $(DOCKER) info" >&2; exit 1; }
	DOCKER="$(DOCKER)" COMPOSE="$(COMPOSE)" $(BIN)/python -m pytest -m containers $(PYTEST)

chaos: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## the hard tests at full size: 10,000 messages each
	CHAOS_MESSAGES=10000 $(BIN)/python -m pytest tests/system/test_chaos.py $(PYTEST)

bench: bench-pipeline bench-viewer ## measure both; each writes its part of docs/benchmark.md

bench-pipeline: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## measure publishing and consuming, beside a bare boto3 loop
	$(BIN)/python -m tests.bench.pipeline && $(BIN)/python -m tests.support.documents

bench-viewer: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## measure the page, the streams and the search
	$(BIN)/python -m tests.bench.viewer && $(BIN)/python -m tests.support.documents

lint: $(VENV)/dev.txt ## style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.txt ## static types
	$(BIN)/mypy

format: $(VENV)/dev.txt ## write the code in the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(VENV)/dev.txt ## write settings and figures into README.md and docs/
	$(BIN)/python -m tests.support.documents

lock: $(VENV)/dev.txt ## lock the requirements from pyproject.toml (UPGRADE=1: newer versions)
	UV=$(BIN)/uv ./requirements/lock.sh

localstack: $(LOCALSTACK_VENV)/done.txt ## install LocalStack 4.14.0 without Docker (needs Python 3.13; uv fetches one)

images: ## build the images of producer, consumer and viewer (BASE=python:3.13-slim)
	@for service in $(SERVICES); do \
	  echo "$$service: $(IMAGE_TAGS)"; \
	  $(DOCKER) build --quiet --target $$service --build-arg BASE=$(BASE) \
	    --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg SOURCE=$(SOURCE) \
	    $(foreach tag,$(IMAGE_TAGS),--tag $$service:$(tag)) . || exit 1; \
	done

push: registry images ## push the images as REGISTRY/service:BRANCH-SHA (REGISTRY=registry.example.com/fanout)
	@for service in $(SERVICES); do \
	  $(DOCKER) tag $$service:$(TAG) $(REGISTRY)/$$service:$(TAG) \
	  && $(DOCKER) push $(REGISTRY)/$$service:$(TAG) || exit 1; \
	done

compose: images ## the whole system by docker compose, until it is ready
	$(COMPOSE) up --detach
	@for service in $(SERVICES); do \
	  until $(COMPOSE) exec -T $$service curl -fsS -o /dev/null 'http://127.0.0.1:5000/health?probe=readiness' 2>/dev/null; do \
	    tries=$$((tries + 1)); [ $$tries -lt 120 ] || { $(COMPOSE) ps; echo "$$service is not ready" >&2; exit 1; }; \
	    sleep 1; \
	  done; \
	done
	@echo "See the messages   http://localhost:$${VIEWER_PORT:-5000}"
	@echo "Logs               $(COMPOSE) logs --follow"
	@echo "Stop               make compose-down (VOLUMES=1 removes what was stored, too)"

compose-down: ## stop it again (VOLUMES=1: and remove what was stored)
	$(COMPOSE) down $(if $(VOLUMES),--volumes)

deploy: images ## images, manifests and a wait until all is ready, on minikube, kind, k3d or Docker Desktop
	@kubernetes/deploy.sh

forward: ## the page of the cluster at http://localhost:5000
	$(KUBECTL) port-forward service/viewer $(or $(VIEWER_PORT),5000):5000

undeploy: ## remove it from the cluster, with all that was stored
	@kubernetes/undeploy.sh

secret: ## give the cluster a random database password in place of the one for development
	@kubernetes/secret.sh

release: registry ## deploy what `make push` pushed, by a kustomize overlay (REGISTRY=…, OVERLAY=release or aws)
	@overlays/release.sh $(OVERLAY) $(REGISTRY) $(TAG)

# Those of LocalStack and PostgreSQL carry the versions of their images.
VERSIONED = $(filter-out kubernetes/localstack%.yaml kubernetes/postgres.yaml,$(wildcard kubernetes/*.yaml kubernetes/*/*.yaml overlays/*/*.yaml))
# In the ConfigMap, the line above the file's text stays; what follows it is written anew.
manifests: ## write the version, and localstack-init's file, into the manifests
	@sed -i.old 's,\(app.kubernetes.io/version:\) .*,\1 $(VERSION),' $(VERSIONED)
	@rm $(VERSIONED:=.old)
	@sed '/create_resources.py: |/q' kubernetes/localstack-init.yaml >kubernetes/localstack-init.new
	@sed 's/^./    &/' localstack-init/create_resources.py >>kubernetes/localstack-init.new
	@mv kubernetes/localstack-init.new kubernetes/localstack-init.yaml

.PHONY: registry
registry:
	@[ -n "$(REGISTRY)" ] || { echo "Which registry? make push REGISTRY=registry.example.com/fanout" >&2; exit 1; }

clean: ## remove what was stored and logged
	rm -rf .run

distclean: clean ## remove everything that make has made
	rm -rf $(VENV) $(LOCALSTACK_VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# One venv; a mark for each set of requirements that is in it.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %s: make PYTHON=python3.12 ... names another" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/run.txt: requirements/run.txt | $(VENV)/bin/python
	@echo "Installing what is needed into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/dev.txt: requirements/dev.txt $(VENV)/run.txt
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# pyenv keeps its Pythons where uv does not look by itself.
$(LOCALSTACK_VENV)/done.txt: requirements/localstack.txt $(VENV)/run.txt
	@echo "Installing LocalStack into $(LOCALSTACK_VENV) (once) ..."
	@PATH="$$PATH:$$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13.*/bin 2>/dev/null | tail -n 1)" $(BIN)/uv venv --quiet --clear --python 3.13 $(LOCALSTACK_VENV)
	@$(BIN)/uv pip install --quiet --require-hashes --python $(LOCALSTACK_VENV)/bin/python -r $<
	@touch $@
