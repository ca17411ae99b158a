# `make` alone lists the targets.

VENV := .venv
LOCALSTACK_VENV := .venv-localstack
PYTHON ?= python3
BIN := $(VENV)/bin

SERVICES := producer consumer viewer
IMAGES := $(SERVICES) fanout
# pyproject.toml is the only source of the version; image labels and manifests are written from it.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
DOCKER ?= docker
COMPOSE ?= $(shell $(DOCKER) compose version >/dev/null 2>&1 && echo $(DOCKER) compose || echo docker-compose)
KUBECTL ?= kubectl
# BRANCH-SHA, without the characters that a tag cannot have; -dirty if there are uncommitted changes.
BRANCH = $(shell git rev-parse --abbrev-ref HEAD | tr -c 'A-Za-z0-9_.\n' -)
DIRTY = $(if $(shell git status --porcelain),-dirty)
TAG ?= $(BRANCH)-$(shell git rev-parse --short HEAD)$(DIRTY)
REVISION ?= $(shell git rev-parse HEAD)$(DIRTY)
SOURCE ?= $(or $(shell git remote get-url origin 2>/dev/null | sed 's,//[^/@]*@,//,'),unknown)
# The tags that `make images` sets. The manifests and compose.yaml use `latest`.
IMAGE_TAGS ?= latest $(TAG)
OVERLAY ?= release
STACK ?= fanout
# JavaScript and CSS
OXLINT := --config viewer/web/.oxlintrc.json viewer/web/static examples/*/static
OXFMT := --config viewer/web/.oxfmtrc.json viewer/web/static examples/*/static

export VIRTUAL_ENV_DISABLE_PROMPT := 1
export DOCKER KUBECTL
# uv leaves compiling to the first import. Where nothing is kept, each process compiles all that it imports,
# and a service takes four times as long to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run example watch unwatch samples test chaos attack bench bench-pipeline bench-viewer bench-watch test-containers lint types format readme vendor lock sbom localstack clean distclean
.PHONY: images push compose compose-down deploy forward undeploy secret aws release manifests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.txt $(if $(filter localstack,$(EMULATOR)),$(LOCALSTACK_VENV)/done.txt) ## run the whole system on this machine (EMULATOR=localstack for LocalStack)
	@$(BIN)/python -m local

example: $(VENV)/run.txt $(if $(filter localstack,$(EMULATOR)),$(LOCALSTACK_VENV)/done.txt) ## run the whole system with an example application (NAME=visits)
	@$(BIN)/python -m local.example $(NAME)

watch: $(VENV)/run.txt ## watch the topics of an endpoint of your own (AWS_ENDPOINT_URL=… or AWS_PROFILE=…, WATCH=… for some)
	@$(BIN)/python -m local.watch

unwatch: $(VENV)/run.txt ## remove what a `make watch` that crashed has left on its endpoint
	@$(BIN)/python -m local.unwatch

samples: $(VENV)/run.txt ## publish a sample of each common format to the topic of `make run`
	@$(BIN)/python -m tests.support.samples

test: lint types $(LOCALSTACK_VENV)/done.txt ## run the linters, the type checker and all tests (PYTEST=... for options)
	$(BIN)/python -m pytest $(PYTEST)

test-containers: $(VENV)/dev.txt ## build the images and test the system in Docker Compose (slow)
	@$(DOCKER) info >/dev/null || { echo "Docker is required, but does not respond: $(DOCKER) info" >&2; exit 1; }
	DOCKER="$(DOCKER)" COMPOSE="$(COMPOSE)" $(BIN)/python -m pytest -m containers $(PYTEST)

chaos: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## run the chaos tests at full size (10,000 messages each)
	CHAOS_MESSAGES=10000 $(BIN)/python -m pytest $(addprefix tests/system/,test_chaos.py test_chaos_fifo.py test_failover.py) $(PYTEST)

attack: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## attack a running system (EMULATOR=localstack for LocalStack, REPORT=1 writes docs/attack.md)
	$(BIN)/python -m tests.attack $(if $(REPORT),--report) $(ATTACKS)

bench: bench-pipeline bench-viewer bench-watch ## run the benchmarks; each writes its part of docs/benchmark.md

bench-pipeline: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## benchmark the producer and the consumer against a bare boto3 loop
	$(BIN)/python -m tests.bench.pipeline && $(BIN)/python -m tests.support.documents

bench-viewer: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## benchmark the page, the streams and the search
	$(BIN)/python -m tests.bench.viewer && $(BIN)/python -m tests.support.documents

bench-watch: $(VENV)/dev.txt $(LOCALSTACK_VENV)/done.txt ## benchmark watching an endpoint with 100 topics
	$(BIN)/python -m tests.bench.watch && $(BIN)/python -m tests.support.documents

lint: $(VENV)/dev.txt ## check style and likely errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint $(OXLINT)
	$(BIN)/oxfmt --check $(OXFMT)

types: $(VENV)/dev.txt ## check the static types
	$(BIN)/mypy

format: $(VENV)/dev.txt ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/oxlint --fix $(OXLINT)
	$(BIN)/oxfmt $(OXFMT)

readme: $(VENV)/dev.txt ## write the tables of settings and figures in README.md and docs/
	$(BIN)/python -m tests.support.documents

vendor: ## copy the libraries of viewer/web/package.json into viewer/web/static/vendor (needs npm)
	@npm install --prefix viewer/web --no-package-lock --no-audit --no-fund
	@cd viewer/web/static/vendor && for file in $$(find . -type f); do cp ../../node_modules/$$file $$file || exit 1; done
	@rm -r viewer/web/node_modules

lock: $(VENV)/dev.txt ## lock the requirements of pyproject.toml (UPGRADE=1 to upgrade)
	UV=$(BIN)/uv ./requirements/lock.sh

# Python packages only: scan the images for what their base image brings.
sbom: $(VENV)/sbom.txt ## list the Python packages of each image in sbom/ (CycloneDX)
	@mkdir -p sbom
	@for image in producer:services consumer:services viewer:viewer fanout:watch; do \
	  PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements/$${image#*:}.txt --pyproject pyproject.toml \
	    --output-reproducible --output-file sbom/$${image%:*}.cdx.json && echo "sbom/$${image%:*}.cdx.json" || exit 1; \
	done

localstack: $(LOCALSTACK_VENV)/done.txt ## install LocalStack 4.14.0 without Docker (uv downloads Python 3.13 if it is missing)

images: ## build the images of the three services, and fanout (BASE=python:3.13-slim-bookworm for another base image)
	@for image in $(IMAGES); do \
	  echo "$$image: $(IMAGE_TAGS)"; \
	  $(DOCKER) build --quiet --target $$image $(if $(BASE),--build-arg BASE=$(BASE)) \
	    --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg SOURCE=$(SOURCE) \
	    $(foreach tag,$(IMAGE_TAGS),--tag $$image:$(tag)) . || exit 1; \
	done

push: registry images ## push the images as REGISTRY/image:BRANCH-SHA (REGISTRY=registry.example.com/fanout)
	@for image in $(IMAGES); do \
	  $(DOCKER) tag $$image:$(TAG) $(REGISTRY)/$$image:$(TAG) \
	  && $(DOCKER) push $(REGISTRY)/$$image:$(TAG) || exit 1; \
	done

compose: images ## run the system with Docker Compose, and wait until it is ready
	$(COMPOSE) up --detach
	@for service in $(SERVICES); do \
	  until $(COMPOSE) exec -T $$service curl -fsS -o /dev/null 'http://127.0.0.1:5000/health?probe=readiness' 2>/dev/null; do \
	    tries=$$((tries + 1)); [ $$tries -lt 120 ] || { $(COMPOSE) ps; echo "$$service is not ready" >&2; exit 1; }; \
	    sleep 1; \
	  done; \
	done
	@echo "See the messages   http://localhost:$${VIEWER_PORT:-5000}"
	@echo "Logs               $(COMPOSE) logs --follow"
	@echo "Stop               make compose-down (VOLUMES=1 also deletes the stored messages)"

compose-down: ## stop the system in Docker Compose (VOLUMES=1 also deletes the stored messages)
	$(COMPOSE) down $(if $(VOLUMES),--volumes)

deploy: images ## deploy to minikube, kind, k3d or Docker Desktop, and wait until it is ready
	@kubernetes/deploy.sh

forward: ## forward the page of the cluster to http://localhost:5000
	$(KUBECTL) port-forward service/viewer $(or $(VIEWER_PORT),5000):5000

undeploy: ## remove everything from the cluster, including the stored messages
	@kubernetes/undeploy.sh

secret: ## replace the development password of the cluster's database with a random one
	@kubernetes/secret.sh

aws: ## create topic, queues, roles and alarms on AWS with CloudFormation (STACK=fanout, PARAMETERS="QueueName=… ClusterName=…")
	@overlays/aws.sh $(STACK) $(PARAMETERS)

release: registry ## deploy the images of `make push` with a kustomize overlay (REGISTRY=…, OVERLAY=release or aws)
	@overlays/release.sh $(OVERLAY) $(REGISTRY) $(TAG)

# The manifests of LocalStack and PostgreSQL carry the versions of their images instead.
VERSIONED = $(filter-out kubernetes/localstack%.yaml kubernetes/postgres%.yaml overlays/ha/postgres.yaml,$(wildcard kubernetes/*.yaml kubernetes/*/*.yaml overlays/*/*.yaml examples/*/kubernetes/*.yaml))
# In a ConfigMap, everything after the line with the name of the file is replaced.
define embed
	@sed '/$(notdir $(2)): |/q' $(1) >$(1).new
	@sed 's/^./    &/' $(2) >>$(1).new
	@mv $(1).new $(1)
endef
manifests: ## write the version, create_resources.py and role.sql into the manifests
	@sed -i.old 's,\(app.kubernetes.io/version:\) .*,\1 $(VERSION),' $(VERSIONED)
	@rm $(VERSIONED:=.old)
	$(call embed,kubernetes/localstack-init.yaml,localstack-init/create_resources.py)
	$(call embed,kubernetes/postgres-init.yaml,postgres-init/role.sql)

.PHONY: registry
registry:
	@[ -n "$(REGISTRY)" ] || { echo "REGISTRY is not set. Example: REGISTRY=registry.example.com/fanout" >&2; exit 1; }

clean: ## delete the data and logs of `make run`
	rm -rf .run

distclean: clean ## also delete the virtual environments and caches
	rm -rf sbom $(VENV) $(LOCALSTACK_VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# One venv, with a marker file for each set of requirements installed in it.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required, this is %s. To use another: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# uv takes a tenth of the time. Where it cannot install, pip does: uv does not read pip's configuration.
PIP_INSTALL = $(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r
INSTALL = $(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r $< || $(PIP_INSTALL) $<

$(VENV)/run.txt: requirements/run.txt | $(VENV)/bin/python
	@echo "Installing the requirements into $(VENV) (once) ..."
	@awk '/^[^ #]/ {wanted = /^uv==/} wanted' $< >$(VENV)/uv.txt && $(PIP_INSTALL) $(VENV)/uv.txt
	@$(INSTALL)
	@touch $@

$(VENV)/dev.txt: requirements/dev.txt $(VENV)/run.txt
	@echo "Installing the development requirements into $(VENV) (once) ..."
	@$(INSTALL)
	@touch $@

$(VENV)/sbom.txt: requirements/sbom.txt $(VENV)/run.txt
	@$(INSTALL)
	@touch $@

# uv does not find the Python versions that pyenv installed unless they are in PATH.
$(LOCALSTACK_VENV)/done.txt: requirements/localstack.txt $(VENV)/run.txt
	@echo "Installing LocalStack into $(LOCALSTACK_VENV) (once) ..."
	@PATH="$$PATH:$$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13.*/bin 2>/dev/null | tail -n 1)" $(BIN)/uv venv --quiet --clear --python 3.13 $(LOCALSTACK_VENV)
	@$(BIN)/uv pip install --quiet --require-hashes --python $(LOCALSTACK_VENV)/bin/python -r $<
	@touch $@
