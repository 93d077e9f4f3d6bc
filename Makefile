# The tasks of a developer. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup check test clients image-test generators fmt lint doc docs openapi schemas k8s
.PHONY: deny advisories image sbom

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the tools that the tests need, without a prompt
	@scripts/setup.sh

check: ## after each change: formatting, clippy and unit tests, in under a minute
	@scripts/check.sh

test: ## before a merge: all but clients, generators and images. AREA=orders runs only the tests of one folder or name
	@AREA='$(AREA)' scripts/test.sh

clients: ## check and test the clients in clients/ against a real service (Node.js 20.11)
	@scripts/clients.sh

image-test: ## build both images without a registry and start each once, confined (root on Debian 12; minutes)
	@scripts/image-test.sh

generators: ## make a client with each of eight generators, and rent a number with it (minutes). TOOL=go tries one
	@scripts/generators.sh $(TOOL)

fmt: ## format the Rust code
	cargo fmt

lint: ## check formatting and clippy, as `make test` does
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

doc: ## build the documentation of the code in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

openapi: schemas ## generate openapi/numberdesk.json, schema/*.json, docs/errors.md and docs/metrics.md from the code
	@scripts/openapi.sh

schemas: ## generate schema/*.json, which describe numberdesk.toml and policy.toml, from the code
	@scripts/schemas.sh

docs: ## generate docs/errors.md and docs/metrics.md from the code
	WRITE_DOCS=1 cargo test --quiet --test it the_guide_to_

k8s: setup ## render and check the Kubernetes manifests; check that every alert fires
	.venv/bin/python tests/python/manifests_are_valid.py
	.venv/bin/python tests/python/alerts_fire.py
	.venv/bin/python tests/python/policies_hold.py
	.venv/bin/python tests/python/guides_hold.py

deny: ## check licences, banned crates and sources of the dependencies (installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

advisories: ## check the dependencies for known vulnerabilities (reaches github.com; installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check advisories

image: ## build the container image with docker, podman or buildah
	@scripts/image.sh

sbom: ## write the binary's bill of materials (CycloneDX) to target
	@mkdir -p target && scripts/sbom.py > target/numberdesk.cdx.json && echo target/numberdesk.cdx.json

