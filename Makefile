# `make demo` and `make test` are all that a newcomer needs; the rest is for those who change Gestion.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help check format requirements migrations

help:  ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

check:  ## Lint, types, floors, migrations, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	GESTION_URL=https://gestion.example.org/ $(BIN)/python manage.py check --deploy --fail-level WARNING

format:  ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements:  ## Pin again what requirements*.in ask for
	$(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host -o requirements.txt requirements.in
	$(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host -o requirements-dev.txt requirements-dev.in

migrations:  ## Write the migrations that changed models need
	$(BIN)/python manage.py makemigrations
