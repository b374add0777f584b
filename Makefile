# Every target does its own set-up on a fresh Debian or Ubuntu with Python >= 3.11.
SHELL := /bin/sh
PYTHON := .venv/bin/python
SERVERS ?= 3

.PHONY: help install install-dev up demo test test-all bench lint clean

help:
	@echo "make up        the panel on http://127.0.0.1:8000"
	@echo "make demo      the main job on real throw-away servers (root on Debian); ONCE=1 runs it without a browser"
	@echo "make bench     speed beside Ansible, pyinfra and tuned ssh (half an hour); QUICK=1, SERVERS=\"20 50\", ROUNDS=3, ONLY=a,b"
	@echo "make test      every test; test-all adds Debian 11, 13 and Ubuntu 22.04"

install:
	@sh .ci/install requirements.lock

install-dev:
	@sh .ci/install requirements-dev.lock
	@sh .ci/system-packages

up: install
	@exec $(PYTHON) manage.py up

demo: install-dev
	@exec $(PYTHON) -m tests.demo --servers $(SERVERS) $(if $(ONCE),--once)

test: install-dev
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check -q .
	@exec .ci/test

test-all: install-dev
	@FLEETPOST_FLEET_DISTROS=all exec .ci/test

# SERVERS here is a list of sizes; its default above is the demo's.
bench: install-dev
	@sh benchmarks/environment
	@exec $(PYTHON) -m benchmarks $(if $(filter-out file,$(origin SERVERS)),--servers $(SERVERS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

lint: install-dev
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .

clean:
	@rm -rf .venv .pytest_cache .ruff_cache test-results
