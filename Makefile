# The doors of the project. The first one used on a fresh clone makes the virtual environment.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ROOMS := $(wildcard shared functions layers edge_node hearthwatch local_stack benchmarks docs tests)
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# A variable's text as one word of the shell, whatever it contains.
quoted = '$(subst ','\'',$(value $(1)))'
# $(call option,--name,VARIABLE): the option with its value when the variable is set, else nothing.
option = $(if $(value $(2)),$(1) $(call quoted,$(2)))

# SAM tells nobody, and asks AWS nothing but to deploy; a region is named so that it validates without an account too.
SAM = SAM_CLI_TELEMETRY=0 $(BIN)/sam
OFFLINE = AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1}

# What to build for: Lambda's processors by their names in wheels, or this machine's own processor and Python.
ARCHITECTURE = $(or $(filter arm64 x86_64 host,$(or $(value ARCH),arm64)),$(error ARCH is arm64, x86_64 or host))
RUNTIME = $(or $(filter python3.12 python3.13,$(or $(value PY),python3.13)),$(error PY is python3.12 or python3.13))
wheels_arm64 := aarch64
wheels_x86_64 := x86_64
wheels_host := host
# Only what Lambda can run lies where a deploy looks for it.
BUILT = $(if $(filter host,$(ARCHITECTURE)),build/lambda,.aws-sam/build)

# The answers to the first deploy's questions, which SAM keeps. The stack itself remembers its parameters, so they leave
# that file as soon as it has them; while they are in it, the first deploy has not come to its end.
ANSWERS := samconfig.toml
answer = $$(sed -n 's/^$(1) *= *"\(.*\)"$$/\1/p' $(ANSWERS) | head -n 1)
FIND_STACK = [ -e $(ANSWERS) ] || { echo "No $(ANSWERS) here: nothing was deployed from this folder." >&2; exit 1; }; \
	stack=$(call answer,stack_name); AWS_DEFAULT_REGION=$(call answer,region); export AWS_DEFAULT_REGION
# Secrets may come before the first deploy: then the stack has the name that a deploy suggests.
IF_DEPLOYED = stack=hearthwatch; [ ! -e $(ANSWERS) ] || { $(FIND_STACK); }
# What the kill switch is set in: the run on this machine, or the deployed stack.
TARGET = $(if $(filter 1,$(LOCAL)),target=--local,$(FIND_STACK); target="--stack $$stack")
CHOSEN = Architecture=$(ARCHITECTURE) Runtime=$(RUNTIME) $(if $(value STAGE),Stage=$(call quoted,STAGE)) $(ROWS) $(PARAMETERS)
# SAM takes the quotes out of a value that is not in quotes of its own.
ROWS = $(if $(value PRICES),"ModelPrices='$$(tr -d ' \n' <$(call quoted,PRICES))'")

.DEFAULT_GOAL := help
.PHONY: help setup test check format validate build runtime deploy secrets preflight mode kill freeze flatten clear ask models cost grant teardown run replay simulate chaos verify bench stress mutants lock clean

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
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

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
	@echo "sam validate"
	@$(OFFLINE) $(SAM) validate --lint
	@echo "forecast"
	@$(BIN)/python -m hearthwatch cost --forecast --quiet

## Format the code and mend what can be mended safely.
format: $(READY)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

## Validate the template, and hold what it deploys against the rules; needs neither an account nor a network.
validate: $(READY)
	@$(OFFLINE) $(SAM) validate --lint
	@$(BIN)/python -m pytest -q tests/architecture/test_template.py tests/architecture/test_template_mutations.py

## Build the functions and layers for Lambda, and print their sizes; needs no Docker.
## ARCH=x86_64    the processor; arm64 without it, and host is this machine's own, to be tried here
## PY=python3.12  the Python; python3.13 without it, and this environment's own with ARCH=host
build: $(READY)
	@mkdir -p build
	@export BUILD_MACHINE=$(wheels_$(ARCHITECTURE)) BUILD_PYTHON=$(RUNTIME:python%=%) architecture=$(ARCHITECTURE); \
	if [ $(ARCHITECTURE) = host ]; then \
		BUILD_PYTHON=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		case $$(uname -m) in aarch64|arm64) architecture=arm64;; *) architecture=x86_64;; esac; \
	fi; \
	$(OFFLINE) $(SAM) build --build-dir $(BUILT) \
		--parameter-overrides Architecture=$$architecture Runtime=$(RUNTIME) >build/sam-build.log 2>&1 \
		|| { cat build/sam-build.log >&2; exit 1; }; \
	[ -d $(BUILT)/CoreLayer/python/shared/__pycache__ ] \
		|| echo "Python $$BUILD_PYTHON is not here: nothing is compiled ahead, and cold starts take longer." >&2
	@$(BIN)/python layers/measure.py $(BUILT)

## Start every function as Lambda does, built for this machine, and feed it its specimens; names whatever is missing.
## ARGS="check_risk"  only these functions
runtime: $(READY)
	@$(MAKE) --no-print-directory build ARCH=host >/dev/null
	@$(BIN)/python -m tests.runtime_check $(ARGS)

## Deploy to AWS: build, deploy, preflight, and only then let the schedules run. Asks for everything the first time.
## STAGE=live-1    the stage; it stays what it was without it, and is paper at first
## ARCH=x86_64     as for build
## PY=python3.12   as for build
## PRICES=prices.json  prices of models beside the shipped ones (docs/operations.md)
## PARAMETERS="Watchlist=TSLA,NVDA PriceFeed=sip"  other parameters of the template; those not named stay
deploy: build
	@$(if $(filter host,$(ARCHITECTURE)),echo "Lambda runs arm64 or x86_64." >&2; exit 1,:)
	@set -e; \
	if [ -e $(ANSWERS) ] && ! grep -q '^parameter_overrides' $(ANSWERS); then \
		$(SAM) deploy --no-fail-on-empty-changeset --parameter-overrides $(CHOSEN); \
	else \
		$(SAM) deploy --guided --stack-name hearthwatch --capabilities CAPABILITY_IAM \
			--parameter-overrides $(CHOSEN) Schedules=DISABLED; \
		sed -i.full '/^parameter_overrides/d' $(ANSWERS); rm $(ANSWERS).full; \
	fi; \
	$(FIND_STACK); \
	$(BIN)/python -m hearthwatch preflight --stack "$$stack" || { \
		echo "The schedules stay as they were. Mend what is named above, then: make deploy" >&2; exit 1; }; \
	$(if $(findstring Schedules=DISABLED,$(value PARAMETERS)),echo "The schedules are off.",\
		$(SAM) deploy --no-fail-on-empty-changeset --parameter-overrides $(CHOSEN) Schedules=ENABLED)

## Store the keys and addresses that a stack needs: asks without showing, tries each one, stores it encrypted.
## ROTATE=alpaca-paper-secret  replace only this; a key id and its secret go together
## LIST=1                      say what is stored and how old it is
secrets: $(READY)
	@$(IF_DEPLOYED); $(BIN)/python -m hearthwatch secrets --stack "$$stack" \
		$(call option,--rotate,ROTATE) $(if $(filter 1,$(LIST)),--list)

## Check everything that a stack needs before it trades, and say what to do about what is not well.
## QUIET=1  send no test message
preflight: $(READY)
	@$(FIND_STACK); $(BIN)/python -m hearthwatch preflight --stack "$$stack" $(if $(filter 1,$(QUIET)),--quiet)

## Show whether real money trades, or confirm that it may.
## STAGE=live-1  the stage to confirm
mode: $(READY)
	@$(FIND_STACK); $(BIN)/python -m hearthwatch mode --stack "$$stack" $(if $(value STAGE),$(call quoted,STAGE))

## Stop everything that buys, at once; protective exits go on. Shows what is held and open, and asks once.
## WHY="too wild"  the reason, for the record and the alert
## YES=1           do not ask
## LOCAL=1         the run on this machine instead of the deployed stack
kill: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch kill $$target $(call option,--why,WHY) $(if $(filter 1,$(YES)),--yes)

## Stop everything, protective exits included; stops at the broker stay. Wants typed words.
## WHY="broken into"  the reason; must be given
## LOCAL=1            the run on this machine instead of the deployed stack
freeze: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch freeze $$target $(call option,--why,WHY)

## Sell every position and stop everything that buys. Lists the positions, and wants typed words.
## WHY="leaving"  the reason; must be given
## LOCAL=1        the run on this machine instead of the deployed stack
flatten: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch flatten $$target $(call option,--why,WHY)

## End a kill, freeze or flatten. Shows who set it, when and why, and wants a typed word.
## WHY="looked into it"  the reason; must be given
## LOCAL=1               the run on this machine instead of the deployed stack
clear: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch clear $$target $(call option,--why,WHY)

## Ask the models one question, within the budget; shows what it cost.
## Q="why do prices gap?"  the question; must be given
## OPUS=1                  request the dearest model, should the others not suffice
## LOCAL=1                 in the run on this machine instead of the deployed stack
## ARGS="--timeout 120"    more words (python -m hearthwatch ask --help)
ask: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch ask $$target $(if $(filter 1,$(OPUS)),--opus) $(ARGS) -- $(call quoted,Q)

## Show which models serve and what they cost today, or switch them without a deployment.
## ON=deepseek OFF=gemini  providers that are asked from now on, or no more
## RUNG=haiku=MODEL        the model of a rung
## TASK=news=MODEL         the model of a task on the edge
## RESET=1                 forget every change; back to what is shipped
## WHY="cheaper"           the reason, for the record
## LOCAL=1                 the run on this machine instead of the deployed stack
models: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch models $$target $(call option,--on,ON) $(call option,--off,OFF) \
		$(call option,--rung,RUNG) $(call option,--task,TASK) $(if $(filter 1,$(RESET)),--reset) $(call option,--why,WHY)

## Forecast what a month costs, from the template and what is chosen; fails above the cap. Needs no account.
## CAP=30                        dollars a month at list prices
## ARGS="--decision-model haiku"  more words (python -m hearthwatch cost --help)
cost: $(READY)
	@$(BIN)/python -m hearthwatch cost --forecast $(call option,--cap,CAP) $(ARGS)

## Allow one model call beyond today's money, once. Shows what was spent, and asks once.
## WHY="earnings night"  the reason; must be given
## YES=1                 do not ask
## LOCAL=1               the run on this machine instead of the deployed stack
grant: $(READY)
	@$(TARGET); $(BIN)/python -m hearthwatch grant $$target $(call option,--why,WHY) $(if $(filter 1,$(YES)),--yes)

## Take the deployment down: says what is protected, exports it first, and asks twice.
teardown: $(READY)
	@$(FIND_STACK); $(BIN)/python -m hearthwatch teardown --stack "$$stack"

## Run the whole system on this machine and watch it live; Ctrl-C stops it, and the next start goes on.
## BARS=path            the bars to play; without any, the synthetic crash day
## SYMBOLS=AAPL,MSFT    only these
## FROM=2026-03-02      first day, as New York dates it
## TO=2026-03-06        last day, included
## PORTFOLIO=path       what is held at the start
## ACTIONS=path         splits and dividends
## QUOTES=1             use the recorded quotes
## SPEED=60             simulated seconds in a real one, or max
## FRESH=1              forget the saved state and start anew
## PORT=8642            where the page with the messages is
## PLAIN=1              lines instead of a drawn view
run: $(READY)
	@$(BIN)/python -m hearthwatch run \
		$(call option,--bars,BARS) $(call option,--symbols,SYMBOLS) \
		$(call option,--from,FROM) $(call option,--to,TO) \
		$(call option,--portfolio,PORTFOLIO) $(call option,--actions,ACTIONS) \
		$(call option,--speed,SPEED) $(call option,--port,PORT) \
		$(if $(filter 1,$(QUOTES)),--quotes) $(if $(filter 1,$(FRESH)),--fresh) $(if $(filter 1,$(PLAIN)),--plain)

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

## Break one part after the other while a stop must fire, and show what became of it.
## ARGS="--row prices-none --column gap"  only this cell; --list names the rows, --json FILE writes the results
chaos: $(READY)
	@$(BIN)/python -m hearthwatch chaos $(ARGS)

## Verify the chain of a journal.
## JOURNAL=path  the journal
verify: $(READY)
	@$(BIN)/python -m hearthwatch verify $(call option,--journal,JOURNAL)

## Measure against peers, side by side.
## ARGS="..."  more words for the benchmarks
bench: $(READY)
	@$(BIN)/python -m benchmarks $(ARGS)

## Let many workers spend a small budget while they die, repeat themselves and come late; shows that no limit broke.
## CALLS=3000  calls on tables, and ten times as many in memory
## SEED=7      another course of events
stress: $(READY)
	@$(BIN)/python -m tests.end_to_end.stress $(call option,--calls,CALLS) $(call option,--seed,SEED)

## Put known bugs in, one at a time, and show which test or how many seeds notice each.
## SEEDS=200  seeds a bug
mutants: $(READY)
	@$(BIN)/python -m tests.mutants $(call option,--seeds,SEEDS)

## Compile the locks again: requirements.txt, requirements-dev.txt, those of the layers and that of the peers.
## ARGS=--upgrade  take the newest versions too
lock: $(READY)
	@$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	@$(COMPILE) -c requirements-dev.txt requirements.in -o requirements.txt
	@$(COMPILE) -c requirements.txt layers/core.in -o layers/core.txt
	@$(COMPILE) -c requirements.txt $$(sed -n 's/^\([^ ]*\)==.*/--no-emit-package \1/p' layers/core.txt) \
		layers/broker.in -o layers/broker.txt
	@$(COMPILE) $(ARGS) benchmarks/peers.in -o benchmarks/peers.txt

## Delete the virtual environment, the build folder and every cache.
clean:
	@rm -rf $(VENV) build dist .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
