# What one does with this checkout. As root, packages that are missing are installed, and whatever
# starts a server runs as a throwaway unprivileged user; as anybody else, everything runs in place.

# Most of the time of an end-to-end test is spent waiting, so several files run at once; what measures
# answers under load runs by itself. What only computes fills the end.
LOAD   = tests/faults/test_no_lost_request.py
PYTEST = dev=$$(tools/dev-env) && tools/as-user "$$dev/bin/python" -B -m pytest
MANY   = --dist loadfile --no-loadscope-reorder
ARGS   =

.DEFAULT_GOAL = help
.PHONY: help demo test test-web test-processes test-tools test-runtimes test-limits test-install install-transcript \
	lint types format bench soak docs zipapp deb clean demo-packages test-packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: demo-packages ## Deploy an example to a server of its own, here and now (ARGS=--once: end by itself)
	@tools/as-user /usr/bin/python3 -B tools/demo.py $(ARGS)

test: lint types ## Lint, types, and the tests of the core (ARGS="-k name" picks some)
	@$(PYTEST) $(LOAD) $(ARGS)
	@$(PYTEST) -n 6 $(MANY) --ignore=$(LOAD) tests/faults tests/e2e tests/golden tests/unit $(ARGS)

test-web: test-packages ## What nginx does: TLS, Cloudflare, static files, caching, access (ARGS="-k name" picks some)
	@$(PYTEST) -n 6 $(MANY) tests/web $(ARGS)

test-processes: test-packages ## What runs: cron, logs, scaling, limits, sleep, supervision (ARGS="-k name" picks some)
	@$(PYTEST) -n 6 $(MANY) tests/processes $(ARGS)

test-tools: test-packages ## The client on a laptop, piku doctor and piku status (ARGS="-k name" picks some)
	@$(PYTEST) -n 4 --dist loadfile tests/client tests/doctor $(ARGS)

test-runtimes: test-packages ## Deploy an app of every language: real builds (ARGS="-k name" picks some)
	@tools/install-packages runtimes
	@$(PYTEST) tests/runtimes $(ARGS)

test-limits: test-packages ## Limit apps by real cgroups: this machine's, and of version 2 in a virtual one (as root)
	@tools/install-packages limits
	@dev=$$(tools/dev-env) && /usr/bin/python3 -B tools/delegated.py tools/as-user \
		"$$dev/bin/python" -B -m pytest tests/limits $(ARGS)
	@[ -e /sys/fs/cgroup/cgroup.controllers ] || { dev=$$(tools/dev-env) && \
		/usr/bin/python3 -B tools/vm.py /usr/bin/python3 -B tools/delegated.py tools/as-user \
		"$$dev/bin/python" -B -m pytest -p no:cacheprovider --timeout 400 tests/limits/test_limits.py $(ARGS); }

test-install: test-packages ## Install on fresh machines, in systemd-nspawn (as root; SUITE=trixie, SUITE=noble: of another system)
	@tools/install-packages package install
	@dev=$$(tools/dev-env) && "$$dev/bin/python" -B -m pytest -p no:cacheprovider tests/install $(ARGS)

install-transcript: test-packages ## Write docs/install-transcript.md anew, from such an installation
	@tools/install-packages package install
	@dev=$$(tools/dev-env) && TRANSCRIPT=docs/install-transcript.md "$$dev/bin/python" -B -m pytest \
		-p no:cacheprovider tests/install/test_fresh_machine.py $(ARGS)

deb: ## Build the Debian package: dist/piku_VERSION_all.deb
	@tools/install-packages package
	@/usr/bin/python3 -B tools/deb.py $(ARGS)

zipapp: test-packages ## Build dist/piku: the command line in one file, for laptops
	@dev=$$(tools/dev-env) && "$$dev/bin/python" -B tools/zipapp.py

lint: test-packages ## Check style and formatting
	@dev=$$(tools/dev-env) && "$$dev/bin/ruff" check && "$$dev/bin/ruff" format --check
	@sh -n tools/install-packages && sh -n install.sh && sh -n contrib/server.sh && sh -n contrib/checkout.sh

types: test-packages ## Check types
	@dev=$$(tools/dev-env) && "$$dev/bin/mypy"

format: test-packages ## Rewrite the code as "make lint" wants it, where that can be done by itself
	@dev=$$(tools/dev-env) && "$$dev/bin/ruff" check --fix && "$$dev/bin/ruff" format

bench: demo-packages ## Measure deploys
	@tools/as-user /usr/bin/python3 -B tools/bench.py $(ARGS)

soak: demo-packages ## Work on apps for half an hour, and see what is left of it (ARGS="--minutes 5")
	@tools/as-user /usr/bin/python3 -B tools/soak.py $(ARGS)

docs: test-packages ## Write the references anew, and build the site of the documentation: build/site
	@dev=$$(tools/dev-env) && PYTHONPATH=src "$$dev/bin/python" -B tools/docs.py
	@docs=$$(tools/dev-env docs) && NO_MKDOCS_2_WARNING=1 "$$docs/bin/mkdocs" build --strict --quiet

clean: ## Remove what the commands above left in this folder
	@rm -rf build dist src/*.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

demo-packages:
	@tools/install-packages demo

test-packages:
	@tools/install-packages demo test
