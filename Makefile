# The doors of the project. The first one used on a fresh clone makes the virtual environment.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ROOMS := $(wildcard shared functions edge_node hearthwatch local_stack benchmarks docs tests)
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# A variable's text as one word of the shell, whatever it contains.
quoted = '$(subst ','\'',$(value $(1)))'
# $(call option,--name,VARIABLE): the option with its value when the variable is set, else nothing.
option = $(if $(value $(2)),$(1) $(call quoted,$(2)))

.DEFAULT_GOAL := help
.PHONY: help setup test check format replay simulate verify bench mutants lock clean

## List the targets and the variables they take.
help:
	@echo "make TARGET [VARIABLE=value ...]"
	@echo
	@awk '/^## / { text[++n] = substr($$0, 4); next } \
		n && /^[a-z]+:/ { \
			sub(/:.*/, ""); printf "  %-10s %s\n", $$0, text[1]; \
			for (i = 2; i <= n; i++) printf "  %-10s   %s\n", "", text[i] } \
		{ n = 0 }' $(firstword $(MAKEFILE_LIST))

## Make the virtual environment from the locks; every target below does it first when needed.
## PYTHON=python3.12  the interpreter, 3.11 to 3.13; without it, the newest that runs (`make clean` before a change)
setup: $(READY)
	@echo "$(VENV) is ready."

$(READY): requirements.txt requirements-dev.txt
	@if cat $^ | cmp -s - $@; then touch $@; exit; fi; \
	suitable='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'; \
	for python in $(if $(value PYTHON),$(call quoted,PYTHON),python3.13 python3.12 python3.11 python3) ''; do \
		if [ -n "$$python" ] && "$$python" -c "$$suitable" >/dev/null 2>&1; then break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "No suitable Python found"$(if $(value PYTHON),' as PYTHON='$(call quoted,PYTHON)): "Python 3.11, 3.12 or 3.13 with its venv module is needed."; \
		echo "On Debian and Ubuntu: apt-get install python3 python3-venv. Or name one: make setup PYTHON=python3.12"; \
		exit 1; \
	fi >&2; \
	echo "Making $(VENV) with $$("$$python" --version) from requirements-dev.txt; this takes a minute or two."; \
	"$$python" -m venv --clear $(VENV) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements-dev.txt && \
	cat $^ >$@

## Run the tests on all cores.
## ARGS="-k stop"   more words for pytest
## SIM_SECONDS=20   how long the simulation tries new seeds
test: $(READY)
	@$(BIN)/python -m pytest -n auto $(ARGS)

## Check style, formatting, types and imports; must pass before and after a merge.
check: $(READY)
	@echo "ruff check"
	@$(BIN)/ruff check .
	@echo "ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "mypy"
	@$(BIN)/python -m mypy $(ROOMS)
	@echo "lint-imports"
	@$(BIN)/lint-imports --no-logo

## Format the code and mend what can be mended safely.
format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

## Replay recorded bars on a simulated clock.
## BARS=path            the bars
## SYMBOLS=AAPL,MSFT    only these
## FROM=2026-03-02      first day, as New York dates it
## TO=2026-03-06        last day, included
## PORTFOLIO=path       what is held at the start
## ACTIONS=path         splits and dividends
## QUOTES=1             use the recorded quotes
## REPORT=path          where the report goes
## JOURNAL=path         where the records go
replay: $(READY)
	@$(BIN)/python -m hearthwatch replay \
		$(call option,--bars,BARS) $(call option,--symbols,SYMBOLS) \
		$(call option,--from,FROM) $(call option,--to,TO) \
		$(call option,--portfolio,PORTFOLIO) $(call option,--report,REPORT) \
		$(call option,--journal,JOURNAL) $(call option,--actions,ACTIONS) \
		$(if $(filter 1,$(QUOTES)),--quotes)

## Run the system under seeded faults on a simulated clock.
## SEED=7       this seed only, or the first of SEEDS
## SEEDS=1000   this many new seeds, after those that once failed
## MINUTES=60   simulated minutes under faults in each
## SECONDS=300  begin no new seed after this long
simulate: $(READY)
	@$(BIN)/python -m hearthwatch simulate \
		$(call option,--seed,SEED) $(call option,--seeds,SEEDS) \
		$(call option,--minutes,MINUTES) $(call option,--seconds,SECONDS)

## Verify the chain of a journal.
## JOURNAL=path  the journal
verify: $(READY)
	@$(BIN)/python -m hearthwatch verify $(call option,--journal,JOURNAL)

## Measure against peers, side by side.
## ARGS="..."  more words for the benchmarks
bench: $(READY)
	@$(BIN)/python -m benchmarks $(ARGS)

## Put known bugs in, one at a time, and show that the simulation notices.
## SEEDS=200  seeds a bug
mutants: $(READY)
	@$(BIN)/python -m tests.mutants $(call option,--seeds,SEEDS)

## Compile the locks again from requirements.in and requirements-dev.in.
## ARGS=--upgrade  take the newest versions too
lock: $(READY)
	@$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	@$(COMPILE) -c requirements-dev.txt requirements.in -o requirements.txt

## Delete the virtual environment, the build folder and every cache.
clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
