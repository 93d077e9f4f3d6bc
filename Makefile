# What there is to do here. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup check test image-test fmt lint doc docs openapi k8s deny advisories image sbom

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need and this machine lacks, without a prompt
	@scripts/setup.sh

check: ## after each change: formatting, clippy and unit tests, in under a minute
	@scripts/check.sh

test: ## before a change is merged: everything but the image. AREA=orders runs the tests of one folder or name alone
	@AREA='$(AREA)' scripts/test.sh
image-test: ## build the images without a registry and start each once, confined (root on Debian 12; minutes)
	@scripts/image-test.sh

fmt: ## format the Rust code
	cargo fmt

lint: ## formatting and clippy, as the tests ask for them
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

doc: ## the documentation of the code, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

openapi: ## write openapi/numberdesk.json and .yaml anew from the code
	@scripts/openapi.sh

docs: ## write docs/errors.md and docs/metrics.md anew from the code
	WRITE_DOCS=1 cargo test --quiet --test it the_guide_to_

k8s: setup ## render the Kubernetes manifests and check them; have every alert fire
	.venv/bin/python tests/python/manifests_are_valid.py
	.venv/bin/python tests/python/alerts_fire.py
	.venv/bin/python tests/python/policies_hold.py

deny: ## licences, banned crates and sources of the dependencies (installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

advisories: ## known vulnerabilities of the dependencies (reaches github.com; installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check advisories

image: ## build the container image with docker, podman or buildah
	@scripts/image.sh

sbom: ## the bill of materials of the binary, CycloneDX, in target
	@mkdir -p target && scripts/sbom.py > target/numberdesk.cdx.json && echo target/numberdesk.cdx.json

