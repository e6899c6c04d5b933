# streams: run `make help`.
PYTHON ?= python3
ARGS ?=
NAME ?=
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show what can be done here
	@echo "streams: real-time risk and identity intelligence for Bitcoin."
	@echo "You need Python 3.11 to 3.13 and a package index; everything else is set up in .venv."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
	  || grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "streams needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 demo" % v)'
	@echo "setting up .venv (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	@echo "setting up the test tools (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

.PHONY: demo
demo: $(VENV)/.run ## Run the main job on real input: make demo ARGS="--output out"
	@$(BIN)/streams demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Set up and run the tests: make test ARGS="-k joins"
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-deep
test-deep: $(VENV)/.dev ## The tests with many more generated examples
	@STREAMS_DEEP=1 $(BIN)/python -m pytest $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## Break Kafka and the workers in every way: make faults ARGS="--only zombie" (90 minutes)
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## A million mutations through each decoder and each guard
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: record-demo
record-demo: $(VENV)/.dev ## Make the demo's recording again, from fresh real servers
	@$(BIN)/python -m tests.demo.record_demo $(ARGS)

.PHONY: bench
bench: ## Measure: make bench NAME=keyed_count ARGS=--json (see bench/RESULTS.md)
	@$(MAKE) -s --no-print-directory $(VENV)/.run >&2
	@$(BIN)/python -m bench $(NAME) $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## Style, types, import rule, spelling
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell schemas joins sinks streams tests docs README.md CHANGELOG.md CONTRIBUTING.md

.PHONY: docs
docs: $(VENV)/.dev ## Write the generated parts of README and docs again
	@$(BIN)/python -m tests.docs.render

.PHONY: site
site: $(VENV)/.dev ## Build the documentation into out/site; broken links are errors
	@$(BIN)/zensical build --strict --clean

.PHONY: lock
lock: $(VENV)/.dev ## Resolve the lock files again (needs uv on the PATH)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/run.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/build.in -o requirements/build.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra test --extra dev --extra registry --extra postgres --extra webhook --extra rocks --extra docs -c requirements/run.lock -o requirements/dev.lock
	@$(BIN)/python -m tests.deploy.extras

.PHONY: clean
clean: ## Remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
