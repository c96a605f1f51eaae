# What a newcomer needs, in two commands: `make up` and `make test`. `make help` lists the rest.
# The first Python that really starts, is new enough and can make an environment.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
ifeq ($(PYTHON),)
$(error No Python >= 3.11 and < 3.14 with venv was found. Debian: apt-get install python3-venv)
endif
DEV := $(PYTHON) -m deployment.dev
BIN := .venv/bin
# FROZEN=1 takes no other packages than the locked ones.
FROZEN ?=
OPTIONS := $(if $(FROZEN),--frozen)
PYTEST_ARGS ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: up test check bench lock setup help

up: ## Set everything up and run it in the foreground, until Ctrl-C
	@exec $(DEV) up $(OPTIONS)

setup: ## Bring the Python environment, the servers and the browser; start nothing
	@$(DEV) setup $(OPTIONS)

test: setup ## Every test, with real servers and a real browser; all of them run, whichever fails
	@status=0; \
	$(MAKE) --no-print-directory check || status=1; \
	$(BIN)/python -c "from deployment.dev import interface as ui; ui.npm(['test'])" || status=1; \
	MURIMA_CHROMIUM="$$($(BIN)/python -c 'from deployment.dev import tools; print(tools.chromium())')" \
		$(BIN)/python -m pytest $(PYTEST_ARGS) || status=1; \
	exit $$status

check: ## Lint, format, types, import contracts, migrations complete
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy .
	@$(BIN)/python -m telephony.schemas --check
	@$(BIN)/python -m deployment.dev.checks
	@$(BIN)/python -c "from deployment.dev import interface as ui; ui.npm(['run', '--silent', 'types']); ui.npm(['run', '--silent', 'lint'])"

bench: setup ## The benchmarks of the README; ARGS=--quick for a short run
	@$(BIN)/python -m tests.bench $(ARGS)

lock: ## Resolve every dependency anew: Python, Debian
	@$(BIN)/python -m pip install -q pip-tools
	@for name in base s3 dev; do (cd requirements && ../$(BIN)/python -m piptools compile -q --strip-extras --no-emit-index-url --no-emit-trusted-host --generate-hashes -o $$name.txt $$name.in); done
	@$(DEV) lock

help: ## This list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
