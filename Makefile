# Every target makes what it needs by itself; Python 3.11 or later and make are enough, uv only makes it faster.
# PIP_INDEX_URL or UV_DEFAULT_INDEX in the environment choose another package index, PYTHON another interpreter.

VENV := .venv
BIN := $(VENV)/bin
RUNNING := $(VENV)/.ready-to-run
DEVELOPING := $(VENV)/.ready-to-develop
# A tool of one target alone: no lock names it.
MUTMUT := 'mutmut==3.8.1'
TESTS := $(BIN)/pytest -n auto --maxprocesses 8 --dist loadgroup
LOCK := uv pip compile --quiet --universal --generate-hashes --only-binary :all: --python-version 3.11 \
	--no-emit-index-url --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo venv test test-slow soak test-browser mutants lint bench bench-all lock clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

demo: $(RUNNING) ## run everything on this machine: API, worker, gateway simulator (ARGS="--port 8001" adds options)
	@$(BIN)/python -m compileall -q otp_service
	@exec $(BIN)/otp-service demo $(ARGS)

venv: $(DEVELOPING) ## make .venv with everything that tests, linters and examples need

test: $(DEVELOPING) ## run the everyday tests, in parallel (ARGS="-k resend" chooses)
	$(TESTS) $(ARGS)

test-slow: $(DEVELOPING) ## run the full-size attacks, races, fuzzing and soaks
	$(TESTS) -m slow $(ARGS)

soak: $(DEVELOPING) ## run everything at half load with a fault a minute, for ten minutes (SOAK=48h, 90m, 120s)
	$(BIN)/python -m tests.soak

test-browser: $(DEVELOPING) ## run the tests that drive Chromium
	$(BIN)/pytest -m browser $(ARGS)

mutants: $(DEVELOPING) ## see which small faults in limits and checks no test notices, in half an hour
	@$(BIN)/python -c 'import mutmut' 2>/dev/null || $(BIN)/python -m pip install -q $(MUTMUT) \
		|| uv pip install -q --python $(BIN)/python $(MUTMUT)
	-$(BIN)/python -m tests.mutants.lua_mutants $(ARGS)
	$(BIN)/python -m mutmut run
	$(BIN)/python -m mutmut results

lint: $(DEVELOPING) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --extend-exclude '*.md' .
	$(BIN)/mypy

bench: $(DEVELOPING) ## compare with others, and see how costs grow, in ten minutes (ARGS="--peer peer.toml")
	$(BIN)/python bench/comparison.py $(ARGS)
	$(BIN)/python bench/growth.py $(filter --write --quick --help,$(ARGS))

bench-all: bench ## run the other scripts of bench/ as well
	@set -e; for script in $(filter-out bench/comparison.py bench/growth.py,$(wildcard bench/[a-z]*.py)); do \
		echo "# $$script"; $(BIN)/python $$script; done

lock: ## lock the dependencies anew (ARGS=--upgrade takes the newest versions)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) $(ARGS) -o requirements/dev.txt \
		pyproject.toml --extra demo --group test --group lint --group examples --group build
	$(LOCK) -c requirements/dev.txt -o requirements/demo.txt pyproject.toml --extra demo --extra email --group build
	$(LOCK) -c requirements/dev.txt -o requirements/runtime.txt pyproject.toml --extra email
	$(LOCK) -c requirements/dev.txt -o requirements/build.txt --group build

clean: ## remove .venv, caches and builds
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNNING): requirements/demo.txt pyproject.toml .ci/venv
	@.ci/venv $(VENV) requirements/demo.txt
	@touch $@

$(DEVELOPING): requirements/dev.txt pyproject.toml .ci/venv
	@.ci/venv $(VENV) requirements/dev.txt
	@touch $(RUNNING) $@
