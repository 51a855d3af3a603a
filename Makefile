# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
BIN := .venv/bin
PIN := $(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: help demo run lab screenshots test check format bench requirements migrations
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

screenshots:  ## Pictures of the running demo for docs/screenshots
	./setup.sh test
	$(BIN)/python -m lab.screenshots

test:  ## Every test, on the embedded default and again on PostgreSQL and Redis
	./setup.sh test
	$(BIN)/python -m pytest
	$(BIN)/python -m tests.production -m services

check:  ## Lint, types, floors, migrations, deployment settings
	./setup.sh run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GESTION_URL=https://gestion.example.org/ $(BIN)/python manage.py check --deploy --fail-level WARNING

bench:  ## Every benchmark, in full; figures go to bench/results
	./setup.sh test
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
