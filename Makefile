# Everything here works on a machine that has git, Python 3.11, Go and Node 20.
PYTHON ?= python3
BIN := .venv/bin

# Images for containers set it, and every Python here would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-metal twin test check bench docs comments lock clean packages felix languages metallb policies helm \
  reference schema traefik
# What the tests with real packets and the one of the drawings need, and what felix is built and run with. CI installs it;
# elsewhere such a test is skipped, and says what is missing.
DEBIAN_PACKAGES := bpftool busybox curl fio graphviz iproute2 iptables nginx-light openssl procps shellcheck ufw util-linux \
  clang-19 conntrack gcc ipset libc6-dev libelf-dev libpcap-dev llvm-19 make nftables zlib1g-dev frr frr-pythontools

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: setup ## Start the sandbox, bring up us, eu, apac and edge, show what came up
	$(BIN)/fleet demo

# A sandbox of its own, so that the two demos don't take each other's stacks.
METAL := examples/bare-metal
demo-metal: export EDGEFLEET_SANDBOX_DIR = $(CURDIR)/$(METAL)/.sandbox
demo-metal: setup ## The same on servers of one's own: two clusters without VKE, fra and ber
	@$(BIN)/python -m sandbox.toolchain metallb helm
	$(BIN)/fleet sandbox start --dir $(METAL)
	$(BIN)/fleet sandbox kubeadm fra --kubeconfig ~/.kube/edgefleet/fra
	$(BIN)/fleet sandbox kubeadm ber --kubeconfig ~/.kube/edgefleet/ber
	$(BIN)/fleet demo --dir $(METAL)

twin: setup packages ## Run the demo's fleet with real packets, hurt it, draw it: Linux, root
	$(BIN)/fleet twin --svg docs/twin.svg

# Three workers, as clusters and nodes make them wait: two leave a third of two cores idle. Each
# cluster takes a gigabyte. FAST=1 leaves out what starts engines, clusters, networks, the sandbox,
# and the checks; THOROUGH=1 gives properties as many examples as in CI, and has CI build MetalLB and
# Traefik, too: a quarter of an hour. REAL="vultr kubernetes"
# runs the fleet's tests, with these providers' installed plugins: see sandbox/README.md.
WORKERS ?= $(if $(FAST),2,3)
export REAL THOROUGH

test: $(if $(FAST)$(REAL),setup,check packages policies languages helm $(if $(filter true,$(CI)),felix $(if $(THOROUGH),metallb traefik))) ## Run every test; with FAST=1 what takes a minute
	$(if $(and $(FAST),$(REAL)),$(error FAST=1 leaves out the fleet's tests, which REAL= is for))
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder \
	  $(if $(FAST),--fast) $(if $(REAL),tests/fleet)

check: setup ## Formatter, linter, type checkers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	node_modules/.bin/tsc --noEmit -p components/edge/worker

bench: setup ## Measure; writes bench/results.json and docs/benchmarks.md
	$(BIN)/python -m bench

docs: docs/architecture.svg docs/request.svg comments reference schema ## Make anew what is made of other files: pictures, the reference, the plugin's schema

reference: setup
	$(BIN)/python -m docs.reference.generate

schema: setup
	$(BIN)/python -m plugin.generate

comments: setup
	$(BIN)/python docs/comments/draw.py

docs/%.svg: docs/%.dot
	dot -Tsvg $< -o $@

setup: .venv/installed node_modules/installed ## Install what is needed, once
	@$(BIN)/python -m sandbox.toolchain

.venv/installed: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/installed: package-lock.json
	# Not `npm ci`: the lock has workerd for Linux only, as the registry that it was made with had
	# no other, and `ci` takes that for a lock out of step.
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

policies: .venv/policies/installed ## Install what the policy pack runs with

.venv/policies/installed: policies/requirements.txt .venv/installed
	$(PYTHON) -m venv .venv/policies
	.venv/policies/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

# What programs in TypeScript and YAML run with on the sandbox: its tests, and the examples.
TYPESCRIPT := examples/typescript-one-cluster

languages: setup $(TYPESCRIPT)/node_modules/installed ## Build what TypeScript and YAML programs need, once: two minutes
	@$(BIN)/python -m sandbox.toolchain pulumi-nodejs-sdk pulumi-yaml

$(TYPESCRIPT)/node_modules/installed: $(TYPESCRIPT)/package-lock.json
	cd $(TYPESCRIPT) && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

helm: setup
	@$(BIN)/python -m sandbox.toolchain helm

felix: setup ## Build Calico's felix from source, once: ten minutes
	@$(BIN)/python -m sandbox.toolchain felix

traefik: setup ## Build Traefik from source, once: five minutes
	@$(BIN)/python -m sandbox.toolchain traefik

metallb: setup ## Build MetalLB and frr-k8s from source, once: six minutes
	@$(BIN)/python -m sandbox.toolchain metallb frr-k8s helm

packages:
	@if [ "$(CI)" = true ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	   && ! dpkg -s $(DEBIAN_PACKAGES) >/dev/null 2>&1; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $(DEBIAN_PACKAGES) >/dev/null; fi

lock: setup ## Lock the dependencies of pyproject.toml anew
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 -c requirements.txt --all-extras pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 policies/requirements.in -o policies/requirements.txt

clean: ## Stop the sandbox and remove what was installed here
	-$(BIN)/fleet sandbox reset
	rm -rf .venv node_modules .sandbox
