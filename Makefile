# One-word tasks. Each makes what it needs from Python 3.11+, git and make alone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS := local,ukis,dask,cubes,stac,export,openvino
# Side by side, those of a file in one process, in half the time: make test WORKERS='$(BESIDE)'
BESIDE  := --numprocesses=2 --max-worker-restart=0 --dist=loadfile
WORKERS ?=
# Without what takes minutes, and is left to `make nightly`: make test MARKED='$(QUICK)'
QUICK   := -m 'not nightly'
MARKED  ?=
# Real openEO back-ends for the tests; each pins versions that the others cannot live with.
BACKENDS := $(VENV)/backends

.DEFAULT_GOAL := help
.PHONY: help demo test test-torch lint format docs notebooks fuzz unprotected soak audit compat nightly bench bench-inner wheel release-check clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "pip>=25.1"

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing openeo-cloudmask[$(EXTRAS)] into $(VENV) ..."
	$(PIP) install --editable ".[$(EXTRAS)]"
	@touch $@

# openeo-processes-dask asks for a "gdal" that it never imports and that rarely builds.
$(VENV)/.openeo: pyproject.toml $(VENV)/.run
	@echo "installing openEO's client and local processes into $(VENV) ..."
	$(PIP) install --editable ".[$(EXTRAS),openeo-local]"
	$(PIP) install --no-deps "openeo-processes-dask>=2026.9"
	@touch $@

$(BACKENDS)/%/.made: pyproject.toml
	@echo "installing the openEO back-end $* into $(BACKENDS) ..."
	$(PYTHON) -m venv $(BACKENDS)/$*
	$(BACKENDS)/$*/bin/python -m pip --disable-pip-version-check --quiet install "pip>=25.1"
	$(BACKENDS)/$*/bin/python -m pip --disable-pip-version-check --quiet install \
		--editable ".[ukis]" --group backend-$*
	@touch $@

# clouds2mask asks for a timm that nothing else here can live with; its code runs with a newer one.
$(VENV)/torch/.made: pyproject.toml
	@echo "installing torch and the authors' networks into $(VENV)/torch ..."
	$(PYTHON) -m venv $(VENV)/torch
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install "pip>=25.1"
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install --group torch
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install --no-deps clouds2mask==1.1.3
	@touch $@

# Masks to compare with that need neither torch nor us.
$(VENV)/peers/.made: pyproject.toml
	@echo "installing s2cloudless into $(VENV)/peers ..."
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip --disable-pip-version-check --quiet install "pip>=25.1"
	$(VENV)/peers/bin/python -m pip --disable-pip-version-check --quiet install --group peers
	@touch $@

$(VENV)/.%: pyproject.toml $(VENV)/.run
	@echo "installing the $* tools into $(VENV) ..."
	$(PIP) install --group $*
	@touch $@

demo: $(VENV)/.run ## simulate a scene, mask it with a trained network, draw it (demo/)
	$(BIN)/cloudmask demo --output demo

test: $(VENV)/.test $(VENV)/.openeo $(VENV)/.docs $(BACKENDS)/driver/.made $(BACKENDS)/titiler/.made ## run all tests but those that need torch
	$(BIN)/python -m pytest --ignore=tests/export/torch --ignore=tests/fuzz $(MARKED) $(WORKERS)
# These limit the memory of their process, where threads of other tests may still be at work.
	$(BIN)/python -m pytest $(MARKED) tests/fuzz

test-torch: $(VENV)/.test $(VENV)/torch/.made ## compare exports with the authors' networks (installs torch)
	CLOUDMASK_REQUIRE_TORCH=1 $(BIN)/python -m pytest $(MARKED) tests/export/torch

lint: $(VENV)/.test $(VENV)/.openeo $(VENV)/.lint $(VENV)/.bench ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.lint ## rewrite the sources in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.openeo $(VENV)/.docs ## build the documentation site, offline, into build/docs
	$(BIN)/python -m sphinx -W --keep-going -n -q -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

notebooks: $(VENV)/.test $(VENV)/.openeo ## run the examples' notebooks and store what they show
	$(BIN)/python examples/make.py

fuzz: $(VENV)/.test ## try 5,000 cubes and 100,000 damaged files, manifests, archives and contexts
	$(BIN)/python -m fuzz

unprotected: $(VENV)/.test $(VENV)/.openeo $(BACKENDS)/driver/.made ## take each protection away and see its test fail
	$(BIN)/python -m tools.unprotected

soak: $(VENV)/.test $(VENV)/.openeo $(BACKENDS)/driver/.made ## eight batch jobs at once for five minutes at a back-end on loopback
	$(BIN)/python tests/backends/driver/soak.py

audit: $(VENV)/.test $(VENV)/.openeo $(VENV)/.audit ## known holes and licences of all that is installed
	$(BIN)/python -m tools.audit $(AUDIT)

compat: $(VENV)/.test $(VENV)/.release ## test the wheel on the oldest, the newest and VITO's dependencies
	$(BIN)/python -m tools.compat

nightly: $(VENV)/.bench $(VENV)/torch/.made $(VENV)/peers/.made test test-torch fuzz soak unprotected compat release-check ## all that is too long for every merge
	$(BIN)/python -m benchmarks.run --smoke

bench: $(VENV)/.test $(VENV)/.openeo $(VENV)/.bench $(VENV)/torch/.made $(VENV)/peers/.made $(BACKENDS)/driver/.made ## measure us and the peers, update the tables
	$(BIN)/python -m benchmarks.run

bench-inner: $(VENV)/.test $(VENV)/.bench ## time the core's inner functions
	$(BIN)/python -m pytest benchmarks/inner --benchmark-columns=min,median,max,rounds

wheel: $(VENV)/.lint ## build the wheel and the source archive into dist/
	$(BIN)/python -m build

release-check: $(VENV)/.test $(VENV)/.release ## build a release, and try it before it is one
	$(BIN)/python -m tools.release_check $(RELEASE)

clean: ## remove what the other tasks made
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
