# Two commands need nothing set up beforehand: `make demo` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode
# Chosen for two cores: the tests wait about as much as they compute.
WORKERS ?= 4
N       ?= 1000000
FROM    ?= 10000
AREA    ?= core
SAMPLE  ?=
FUZZ    ?= 20000
ROUNDS  ?= 200
COVERED := $(CURDIR)/$(VENV)/coverage
BESIDE_CORE := tests --ignore=tests/core --ignore=tests/shared
CORE    := core/**/*,src/subcli/shared/protocol.py,src/subcli/shared/messages.py,src/subcli/shared/decoding.py,src/subcli/shared/lenient_json.py,src/subcli/shared/encoding.py,src/subcli/shared/secret.py

.PHONY: help demo test test-core test-pythons test-windows coverage soak trials mutation bench lint format generate \
  picture recording docs dist zipapp requirements audit sbom release clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# uv takes a third of pip's time. It does not read pip's configuration: where it cannot install, pip does, or says why.
install = $(UV) $(1) 2>/dev/null || { $(PIP) --upgrade pip && $(PIP) $(1); }

# Created once, with the PYTHON given then: recreating a venv in place would mix two interpreters.
$(BIN)/python:
	@echo "Setting up $(VENV) (once, about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) uv || true

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@$(call install,--editable '.[server]')
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	@echo "Installing what the tests need ..."
	@$(call install,--group test)
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@echo "Installing the development tools ..."
	@$(call install,--group dev)
	@touch $@

demo: $(VENV)/.runtime  ## submit a bundled solution to a temporary server and watch it
	@$(BIN)/subcli demo

test: $(VENV)/$(if $(SUBCLI_TEST_ALL),.dev,.test)  ## run the tests, the core first; SUBCLI_TEST_ALL=1 adds the slow ones, COVERAGE=1 measures
	$(MAKE) --no-print-directory test-core
	$(if $(COVERAGE),$(MAKE) --no-print-directory coverage,$(BIN)/python -m pytest $(BESIDE_CORE) -n $(WORKERS))

# Without plug-ins: loading them would take longer than these thousand small tests.
test-core: $(VENV)/.test  ## test the core; requires 100 % branch coverage
	@PYTHONPATH=. PYTHONDONTWRITEBYTECODE= PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 COVERAGE_FILE=$(VENV)/.coverage-core \
	  $(BIN)/python -m coverage run --rcfile=pyproject.toml --source=subcli \
	  -m pytest tests/core tests/shared -q -c /dev/null --rootdir=. --import-mode=importlib -W error -p no:logging
	@COVERAGE_FILE=$(VENV)/.coverage-core $(BIN)/python -m coverage report --rcfile=pyproject.toml --fail-under=100 \
	  --include='src/subcli/$(CORE)'

test-pythons: $(VENV)/.dev  ## test core, client and a demo on each Python 3.11 to 3.14 found (PYTHONS names more)
	$(BIN)/python -m tests.pythons

# Through a pipe: Python in Wine cannot write to a file that it inherits.
test-windows:  ## test the client with a Windows Python in Wine: make test-windows WINDOWS_PYTHON=…/python.exe
	WINEPREFIX=$${WINEPREFIX:-$$HOME/.wine} WINEDEBUG=-all PYTHONPATH='Z:$(CURDIR)/src;Z:$(CURDIR)' \
	  bash -o pipefail -c 'wine $(WINDOWS_PYTHON) -m pytest -v -c NUL --rootdir=. --import-mode=importlib --noconftest \
	  -p no:cacheprovider -o markers=thorough -W error tests/portable tests/core tests/shared/platform </dev/null | cat'

# test-core measures the core.
coverage: $(VENV)/.dev  ## run the tests, measure their branch coverage, and check each area's minimum
	@rm -rf $(COVERED)
	@mkdir -p -m 1777 $(COVERED)  # some tests run as another user
	COVERAGE_FILE=$(COVERED)/data $(BIN)/python -m coverage run --rcfile=tests/coverage.toml \
	  -m pytest $(BESIDE_CORE) -n $(WORKERS)
	cd $(COVERED) && COVERAGE_FILE=$(COVERED)/data $(CURDIR)/$(BIN)/python -m coverage combine -q --rcfile=$(CURDIR)/tests/coverage.toml
	@COVERAGE_FILE=$(COVERED)/data $(BIN)/python -m coverage json -q --rcfile=tests/coverage.toml -o $(COVERED)/coverage.json
	@$(BIN)/python -m tests.coverage_gates $(COVERED)/coverage.json

soak: $(VENV)/.dev  ## run fault simulations overnight: make soak N=1000000
	$(BIN)/python -m tests.simulation --count $(N) --from $(FROM)
	$(BIN)/python -m tests.simulation --count $$(($(N) / 10)) --from $(FROM) --wire
	$(BIN)/python -m tests.simulation --count $$(($(N) / 100)) --from $(FROM) --feed
	SUBCLI_FUZZ=$(FUZZ) SUBCLI_TEST_ALL=1 $(BIN)/python -m pytest tests/fuzz tests/output tests/cli/test_hostile_server.py \
	  tests/server/api/test_openapi.py tests/server/edge/test_hostile_values.py tests/system/test_traces.py \
	  tests/system/test_empty_environment.py -q -n $(WORKERS) --timeout 0
	$(BIN)/python -m tests.cluster --rounds $(ROUNDS) --from $(FROM)
	SUBCLI_TEST_BACKENDS=all $(BIN)/python -m pytest tests/server -n $(WORKERS)
	SUBCLI_TEST_ALL=1 SUBCLI_TEST_CORPUS=all $(BIN)/python -m pytest tests/judge/test_corpus.py -n $(WORKERS)

# What the judge is compared with, away from what it is built of.
$(VENV)/.oracle: pyproject.toml | $(BIN)/python
	@$(call install,--upgrade --target $(VENV)/oracle --group oracle)
	@touch $@

trials: $(VENV)/.dev $(VENV)/.oracle  ## frozen readers, a great shutdown, the watchdog, verdicts under load and while workers die, timing, a year
	$(BIN)/python -m bench.frozen_readers
	$(BIN)/python -m bench.sent_away
	$(BIN)/python -m bench.looks
	$(BIN)/python -m bench.busy_machine
	$(BIN)/python -m bench.herd
	$(BIN)/python -m bench.foreign
	$(BIN)/python -m bench.default_validator
	$(BIN)/python -m bench.packages
	$(BIN)/python -m bench.floods
	$(BIN)/python -m bench.long_output
	$(BIN)/python -m bench.year

$(VENV)/.mutation: $(VENV)/.dev
	@$(call install,--group mutation)
	@touch $@

mutation: $(VENV)/.mutation  ## mutation testing: make mutation AREA=output SAMPLE=200
	$(BIN)/python -m tests.mutation $(AREA) --workers $(WORKERS) $(if $(SAMPLE),--sample $(SAMPLE))

bench: $(VENV)/.dev  ## run all benchmarks (twenty minutes) and write docs/performance.md; make bench ONLY=startup
	$(BIN)/python -m bench $(or $(ONLY),--write)

# The client half: all but the server and the judge, which run on Linux only.
CLIENT := $(addprefix src/subcli/,__init__.py __main__.py library.py shared core settings workspace client output cli) \
  --exclude src/subcli/cli/commands/server/

lint: $(VENV)/.dev  ## run ruff, mypy --strict (for Linux, and the client for macOS and Windows) and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(CLIENT)
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(CLIENT)
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.dev  ## generate completions, man pages, the JSON Schema and tables of the docs
	$(BIN)/python -m generate

picture: $(VENV)/.dev  ## render docs/live.svg from a real run
	$(BIN)/python -m generate.picture

recording: $(VENV)/.dev  ## record docs/live.cast (asciicast) and docs/recording.svg from a real run
	$(BIN)/python -m generate.recording

$(VENV)/.docs: $(VENV)/.runtime
	@$(call install,--group docs)
	@touch $@

SPHINX := $(BIN)/python -m sphinx -W --keep-going -n -q -c docs/site -d build/doctrees

# Sphinx checks the links between pages, the last line what became of them.
docs: $(VENV)/.docs  ## build the documentation site into build/site and check its links; LINKS=all: foreign ones too
	$(BIN)/python -m generate.site build/docs
	$(SPHINX) -E build/docs build/site
	$(BIN)/python -m generate.site_links build/site
	$(if $(filter all,$(LINKS)),$(SPHINX) -b linkcheck build/docs build/links)

$(VENV)/.dist: $(VENV)/.dev
	@$(call install,--group dist)
	@touch $@

# The wheel is built from the sdist, as others will build it.
dist: $(VENV)/.dist  ## build sdist and wheel into dist/, twice; check that they are the same, and what is in them
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist/again .
	for file in dist/*.*; do cmp "$$file" "dist/again/$${file#dist/}"; done
	rm -r dist/again
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

zipapp: $(VENV)/.dist  ## build dist/subcli.pyz, the client in one file for machines without pip; PYTHONS=… for several
	@mkdir -p dist
	$(BIN)/pex . --constraints constraints.txt --console-script subcli $(addprefix --python=,$(or $(PYTHONS),$(BIN)/python)) \
	  --venv prepend --sh-boot --output-file dist/subcli.pyz

$(VENV)/.release: $(VENV)/.dev
	@$(call install,--group release)
	@touch $@

IMAGE := docs/deploy/requirements.txt

requirements: $(VENV)/.release  ## pin what the server's image installs, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra server --group image --constraint constraints.txt --python-version 3.13 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file $(IMAGE)

audit: $(VENV)/.release  ## look for known vulnerabilities in what the server's image installs
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $(IMAGE)

sbom: $(VENV)/.release  ## write dist/subcli.cdx.json, the parts of the server's image (CycloneDX)
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements $(IMAGE) --pyproject pyproject.toml --output-reproducible --validate \
	  --output-file dist/subcli.cdx.json

release: audit dist zipapp sbom  ## everything that a release consists of, into dist/

clean:
	rm -rf $(VENV) mutants dist build .mypy_cache .ruff_cache .pytest_cache
