# What one does with this checkout. As root, packages that are missing are installed, and whatever
# starts a server runs as a throwaway unprivileged user; as anybody else, everything runs in place.

# Most of the time of an end-to-end test is spent waiting, so several files run at once; what measures
# answers under load runs by itself. What only computes fills the end.
DEV    = dev=$$(tools/dev-env)
PYTEST = $(DEV) && tools/as-user tools/pytests "$$dev/bin/python"
MANY   = -n 6 --dist loadfile --no-loadscope-reorder
LOAD   = tests/faults/test_no_lost_request.py
# These have a target of their own, so that `make test` stays quick.
SLOW   = $(addprefix tests/faults/test_, every_moment.py full_disk.py many_pushes.py platform_killed.py \
	relocate.py rounds.py)
DATABASES = tests/extras/databases $(addprefix tests/runtimes/test_, backup.py howto_databases.py)
MORE   = $(addprefix tests/e2e/, test_copy.py test_cron.py test_examples.py test_logs.py test_platform.py \
	test_plugins.py test_ports.py test_push_again.py test_processes.py test_ps.py test_run.py test_slow_clients.py \
	test_supervision.py test_tutorial.py test_uwsgi_settings.py)
# The other end-to-end tests of the core: `make test` runs them on servers without extras.
CORE   = $(filter-out $(MORE),$(wildcard tests/e2e/test_*.py))
BARE   = PIKU_EXTRAS=none $(MANY)
ARGS   =

.DEFAULT_GOAL = help
.PHONY: help demo test test-core test-extras test-databases test-e2e test-faults test-web test-http test-browser test-hostile test-runtimes \
	test-runtimes-inside test-limits test-cluster test-install install-transcript lint types format bench bench-board soak docs pictures zipapp \
	deb clean demo-packages test-packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: demo-packages ## Deploy an example to a server of its own, here and now (ARGS=--once: end by itself)
	@tools/as-user /usr/bin/python3 -B tools/demo.py $(ARGS)

test: lint types ## Lint, types, and the tests of the core (ARGS="-k name" picks some)
	@$(PYTEST) $(LOAD) $(ARGS) \
		-- $(BARE) $(CORE) $(ARGS) \
		-- $(MANY) $(addprefix --ignore=,$(LOAD) $(SLOW)) tests/faults tests/golden tests/unit $(ARGS)

test-core: test-packages ## All end-to-end tests of the core, on servers that have no extras
	@$(PYTEST) $(BARE) tests/e2e tests/web $(ARGS)

test-extras: test-packages ## What goes beyond the specification, and the client
	@$(PYTEST) $(MANY) $(addprefix tests/e2e/test_, deploy.py releases.py config.py) \
		$(addprefix --ignore=,$(DATABASES)) tests/extras tests/client $(ARGS)

test-databases: test-packages ## Real servers of PostgreSQL, Redis and MariaDB, and apps that use them
	@tools/install-packages databases runtimes
	@$(PYTEST) -n 2 --dist loadfile $(DATABASES) $(ARGS)

test-e2e: test-packages ## The core's other end-to-end tests: processes, cron, logs, the platform, examples
	@$(PYTEST) $(MANY) $(MORE) $(ARGS)

test-faults: test-packages ## Kill deploys at every change they make, fill the disk, push twenty times at once
	@$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder $(SLOW) $(ARGS)

test-web: test-packages ## What nginx does: TLS, Cloudflare, static files, caching, access
	@$(PYTEST) $(MANY) tests/web $(ARGS)

test-http: test-packages ## What people send to an app of each kind, and what comes back
	@tools/install-packages runtimes
	@$(PYTEST) tests/http $(ARGS)

test-browser: test-packages ## Look at the status page in Chromium: widths, colours, what axe finds
	@tools/install-packages browser
	@dev=$$(tools/dev-env browser) && tools/as-user tools/pytests "$$dev/bin/python" tests/browser $(ARGS)

test-hostile: test-packages ## Hostile command lines, files, settings and names: 20,000 of each (an hour)
	@$(PYTEST) HOSTILE_CASES=20000 --timeout 7200 -n 2 tests/unit/test_hostile.py $(ARGS)

test-runtimes: test-packages ## Deploy an app of every language: real builds
	@tools/install-packages runtimes
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(DATABASES)) \
		tests/runtimes $(ARGS)

test-runtimes-inside: ## The same, with all apps behind walls
	@$(MAKE) --no-print-directory test-runtimes ARGS="PIKU_SANDBOX=on $(ARGS)"

test-limits: test-packages ## Limit apps by cgroups of version 2, in a virtual machine if need be (as root)
	@tools/install-packages limits
	@$(DEV) && /usr/bin/python3 -B tests/limits/vm.py /usr/bin/python3 -B tests/limits/delegated.py \
		tools/as-user tools/pytests "$$dev/bin/python" -p no:cacheprovider --timeout 400 tests/limits $(ARGS)

test-cluster: test-packages ## Deploy apps to two Docker engines, and kill one of them (as root)
	@tools/install-packages cluster
	@$(DEV) && /usr/bin/python3 -B tests/cluster/engines.py \
		tools/as-user tools/pytests "$$dev/bin/python" -p no:cacheprovider --timeout 900 tests/cluster $(ARGS)

test-install: test-packages ## Install on fresh machines, in systemd-nspawn (as root; SUITE=trixie, SUITE=noble: of another system)
	@tools/install-packages package install
	@$(DEV) && tools/pytests "$$dev/bin/python" -p no:cacheprovider tests/install $(ARGS)

install-transcript: test-packages ## Write docs/install-transcript.md anew, from such an installation
	@tools/install-packages package install
	@$(DEV) && TRANSCRIPT=docs/install-transcript.md tools/pytests "$$dev/bin/python" \
		-p no:cacheprovider tests/install/test_fresh_machine.py $(ARGS)

deb: ## Build the Debian package: dist/piku_VERSION_all.deb
	@tools/install-packages package
	@/usr/bin/python3 -B tools/deb.py $(ARGS)

zipapp: ## Build dist/piku: the command line in one file, for laptops
	@python3 -m venv build/zipapp && build/zipapp/bin/pip install --quiet 'click>=8.1,<9'
	@build/zipapp/bin/python -B tools/build_zipapp.py

lint: test-packages ## Check style and formatting
	@$(DEV) && "$$dev/bin/ruff" check && "$$dev/bin/ruff" format --check
	@sh -n tools/install-packages && sh -n install.sh && sh -n contrib/server.sh && sh -n contrib/checkout.sh

types: test-packages ## Check types
	@$(DEV) && "$$dev/bin/mypy"

format: test-packages ## Rewrite the code as "make lint" wants it, where that can be done by itself
	@$(DEV) && "$$dev/bin/ruff" check --fix && "$$dev/bin/ruff" format

bench: demo-packages ## Measure deploys, requests, memory beside bare tools (ARGS="--quick", "--only push,many")
	@tools/install-packages bench
	@mkdir -p build
	@tools/as-user env PYTHONPATH=tools /usr/bin/python3 -B tests/bench $(ARGS) >build/benchmarks.json
	@/usr/bin/python3 -B tests/bench/report.py build/benchmarks.json

bench-board: demo-packages ## Measure pushes and commands on a quarter of a core with 256 MB (as root)
	@tools/install-packages bench
	@mkdir -p build
	@/usr/bin/python3 -B tests/bench/small.py tools/as-user env PYTHONPATH=tools /usr/bin/python3 -B tests/bench \
		--board $(ARGS) >build/benchmarks.json
	@/usr/bin/python3 -B tests/bench/report.py build/benchmarks.json

soak: demo-packages ## Work on apps for half an hour, and see what is left of it (ARGS="--minutes 5")
	@tools/as-user env PYTHONPATH=tools /usr/bin/python3 -B tests/soak $(ARGS)

docs: test-packages ## Write the references anew, and build the site of the documentation: build/site
	@$(DEV) && PYTHONPATH=src "$$dev/bin/python" -B tools/docs.py
	@docs=$$(tools/dev-env docs) && NO_MKDOCS_2_WARNING=1 "$$docs/bin/mkdocs" build --strict --quiet

pictures: demo-packages ## Draw the terminals of the documentation anew, from what the tutorial does
	@tools/as-user env PYTHONPATH=tools /usr/bin/python3 -B -m tests.e2e.pictures | tar -x -C docs/img

clean: ## Remove what the commands above left in this folder
	@rm -rf build dist src/*.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

demo-packages:
	@tools/install-packages demo

test-packages:
	@tools/install-packages demo test
