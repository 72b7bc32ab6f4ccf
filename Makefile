# One way to do each thing; each target works from nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-host host-shell wheelhouse debs lint-ansible ansible-sanity ansible-readme check constraints catalogues format clean

help:
	@echo "make demo    the whole story on this machine's kernel, about two minutes"
	@echo "make run     watch this host: limiter, agent and controller, state under var/"
	@echo "make test    the tests        make check   ruff, mypy, import-linter"
	@echo "make wheelhouse   files that install Fairuse without a network, for deploy/ansible"
	@echo "make test-host   tests on a booted Debian 12; make host-shell opens a shell in one"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt tools/setup
	@PYTHON="$(PYTHON)" VENV="$(VENV)" tools/setup
	@touch $(STAMP)

demo: setup
	@$(BIN)/fairuse demo $(ARGS)

run: setup
	@$(BIN)/fairuse run $(ARGS)

test: setup
	VENV="$(VENV)" tools/test $(ARGS)

# On a Debian 12 that is built, booted in a virtual machine and thrown away; see docs/testing.md.
BOOTED ?= tests/booted
test-host: setup
	$(BIN)/pytest $(BOOTED) $(ARGS)

host-shell: setup
	@$(BIN)/python -m tests.testhost shell

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Files that install themselves on hypervisors and controllers, for the Python that makes them.
wheelhouse: setup
	$(BIN)/python -m tools.wheelhouse $(ARGS)

# For the Debian whose Python this is.
debs: wheelhouse
	$(BIN)/python -m tools.debs

# Ansible is no part of the product's environment, so it has one of its own.
ANSIBLE := .venv-ansible
$(ANSIBLE)/.installed: deploy/ansible/constraints.txt
	"$(PYTHON)" -m venv $(ANSIBLE)
	$(ANSIBLE)/bin/pip install --quiet --disable-pip-version-check \
	    --constraint deploy/ansible/constraints.txt ansible-core ansible-lint
	@touch $@

lint-ansible: $(ANSIBLE)/.installed
	PATH="$(CURDIR)/$(ANSIBLE)/bin:$$PATH" tools/lint-ansible

ansible-sanity: $(ANSIBLE)/.installed
	PATH="$(CURDIR)/$(ANSIBLE)/bin:$$PATH" tools/ansible-sanity $(ARGS)

ansible-readme: setup
	$(BIN)/python tools/ansible_readme.py

# Newest versions that pyproject.toml allows, tried in a fresh environment.
constraints:
	rm -rf $(VENV) && : > constraints.txt && $(MAKE) setup
	(echo "# Every package by name and version, as tested. Made by: make constraints"; \
	 $(BIN)/pip freeze --exclude-editable) > constraints.txt

# Brings every catalogue up to date with the texts in the code; what is new stands in it untranslated.
CATALOGUES := controller/language/catalogues
catalogues: setup
	@mkdir -p var
	$(BIN)/pybabel -q extract -F babel.cfg -k message -k messages:1,2 --sort-by-file \
	    --add-location=file --project=Fairuse -o var/fairuse.pot .
	for file in $(CATALOGUES)/*.po; do \
	    $(BIN)/pybabel -q update -i var/fairuse.pot -o $$file -l $$(basename $$file .po) \
	        -w 100 --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date; \
	done

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(ANSIBLE) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
