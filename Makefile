# What people and the continuous integration both use. Every target sets itself up.

SHELL := bash
.DEFAULT_GOAL := targets
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
PYTHON_OF_PROJECT := .venv/bin/python
TESTS :=
DEMO_BUDGET := 8m
PROTOCOLS :=
REPLICATION_BUDGET := 15m

.PHONY: targets
targets: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 18

.PHONY: setup
setup: ## build .venv from the lock (the other targets do it themselves)
	@PYTHON="$(PYTHON)" tools/setup

.PHONY: demo
demo: setup ## tune the bundled shop: Flask and Postgres behind nginx and uWSGI
	@.venv/bin/labcoat tune --study examples/shop/labcoat.toml --budget $(DEMO_BUDGET)

.PHONY: test
test: setup ## every test, with the real components
	@$(PYTHON_OF_PROJECT) -m pytest $(TESTS)

.PHONY: check
check: setup ## style, types, layers, spelling, stale pages
	@$(PYTHON_OF_PROJECT) tools/check.py

.PHONY: fix
fix: setup ## repair what can be repaired: format, lint, generated pages
	@$(PYTHON_OF_PROJECT) -m ruff check --quiet --fix-only .
	@$(PYTHON_OF_PROJECT) -m ruff format --quiet .
	@$(PYTHON_OF_PROJECT) docs/generate.py

.PHONY: bench
bench: setup ## measure labcoat itself: the generator beside wrk, the cost of switching arms
	@status=0; for script in $$(grep -l __main__ benchmarks/*.py); do \
		echo "== $$script"; $(PYTHON_OF_PROJECT) "$$script" || status=1; \
	done; exit $$status

.PHONY: calibrate
calibrate: setup ## simulate the rates that the method promises
	@$(PYTHON_OF_PROJECT) -m pytest tests/calibration -q -s

.PHONY: docs
docs: setup ## write the generated pages of docs/reference
	@$(PYTHON_OF_PROJECT) docs/generate.py

.PHONY: replications
replications: setup ## replay every shipped protocol here (15 minutes each), and write the page
	@mkdir -p docs/replications; for name in $(or $(PROTOCOLS),$$(.venv/bin/labcoat replicate --list | cut -d' ' -f1)); do \
		.venv/bin/labcoat replicate $$name --budget $(REPLICATION_BUDGET) --json > docs/replications/.half \
			&& mv docs/replications/.half docs/replications/$$name.json || rm -f docs/replications/.half; \
	done; $(PYTHON_OF_PROJECT) docs/generate.py

.PHONY: lock
lock: setup ## renew requirements.lock from pyproject.toml; names no registry
	@.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--all-extras --group dev pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## remove what was built, the environment included
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist
