# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
BIN := .venv/bin
PIN := $(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# Processes that run tests side by side, a file each: the tests of one file share costly fixtures, and each process has a
# database and a fleet of its own. Of the three lanes two run at once; each says what it has to say at its end.
WORKERS ?= 2
LAB_WORKERS ?= 3
LANES ?= 2
PYTEST := $(BIN)/python -m pytest --dist loadfile

# Also where the environment wants no bytecode: every process of the tests starts sooner, and asserts are rewritten once.
unit hosts services soak: export PYTHONDONTWRITEBYTECODE :=

ROUNDS := 10

.PHONY: help demo run lab screenshots quick test unit hosts services ready durations soak fuzz mutants check format bench \
	requirements migrations
.DEFAULT_GOAL := help

help:  ## What there is
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo:  ## The panel with a small fleet of real hosts to play with (as root, for the hosts); Ctrl-C ends it
	./setup.sh demo
	$(BIN)/python -m lab.demo

run:  ## The panel on this machine, empty, for your own servers; Ctrl-C ends it
	./setup.sh run
	$(BIN)/python manage.py panel

lab:  ## Only the demo's hosts: `python -m lab status|run|down` for the rest
	./setup.sh demo
	$(BIN)/python -m lab up

screenshots: ready  ## Pictures of the running demo for docs/screenshots
	$(BIN)/python -m lab.screenshots

quick:  ## What a change is likely to break, in a minute: lint, types, the tests of what it touches; no hosts, no browser
	./setup.sh run
	$(BIN)/python -m tests.quick

test:  ## Every test, on the embedded default and again on PostgreSQL and Redis; a lane that fails fails it
	$(MAKE) --keep-going --jobs=$(LANES) --output-sync=target unit hosts services

unit: ready  ## Of the tests, those that need no host and no browser
	$(PYTEST) -n $(WORKERS) -m "not lab and not browser"

hosts: ready  ## Of the tests, those on real hosts and in the browser
	$(PYTEST) -n $(LAB_WORKERS) -m "lab or browser"

services: ready  ## Of the tests, those that can differ on PostgreSQL and Redis
	$(BIN)/python -m tests.production --dist loadfile -n $(WORKERS) -m services

ready:
	./setup.sh test

durations: ready  ## Note how long each file of tests takes, so that the longest begin first; on a quiet machine
	$(PYTEST) -n $(WORKERS) --keep-durations

soak: ready  ## Lab and browser tests again and again, in random order: ROUNDS=10, LOADED=yes for a busy machine; takes hours
	$(BIN)/python -m tests.soak --rounds $(ROUNDS) $(if $(LOADED),--loaded) -- --dist loadfile -n $(LAB_WORKERS) -m "lab or browser"

fuzz: ready  ## Hostile input for every parser, form and page, a hundred times as much as in CI; may take an hour
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/fuzz tests/pages tests/gestion/test_request_limits.py --timeout 0

# How many mutants, and which: the same number makes the same ones.
SAMPLE := 300
SEED := 1

mutants: ready  ## Small faults made in what must never be wrong, and which of them no test sees; about an hour
	DJANGO_SETTINGS_MODULE=gestion.settings nice -n 15 $(BIN)/python -m tests.mutants --sample $(SAMPLE) --seed $(SEED)

check:  ## Lint, types, floors, migrations, deployment settings
	./setup.sh run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GESTION_URL=https://gestion.example.org/ $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: ready  ## Every benchmark, in full; figures go to bench/results
	mkdir -p bench/results
	for script in bench/[a-z]*.py; do \
	  if grep -q -- '--json' $$script && grep -q __main__ $$script; then \
	    $(BIN)/python -m bench.$$(basename $$script .py) --json bench/results/$$(basename $$script .py).json || exit 1; fi; done

format:  ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements:  ## Pin again, newest first, what requirements*.in ask for
	$(PIN) -o requirements.txt requirements.in
	$(PIN) -o requirements-dev.txt requirements-dev.in

migrations:  ## Write the migrations that changed models need
	$(BIN)/python manage.py makemigrations
