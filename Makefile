# make run    build without TLS to Kafka, and run with the shipped configuration
# make dist   the static binary for packages: links twice, for less resident memory
# make packages, make test-packages   .deb, .rpm, tar archive, SBOM and checksums in target/packages; their test, as root
# make lint-deploy   workflows, Ansible play and Kubernetes files, by their linters
# make web    web/dist, the built page, from web/src
# make test   every check there is, real servers included
# make test-web   the whole of the browser tests; writes the pictures of the docs
# make fuzz   every fuzz target for a bounded time (FUZZ_SECONDS each)
# make book   docs as a book in target/book
# make bench  benchmarks, the comparison with node_exporter, client_golang and Prometheus, and hardship for minutes
# make build, then make install or make uninstall (PREFIX, SYSCONFDIR, DESTDIR)

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR    ?=

BINDIR      = $(PREFIX)/bin
UNITDIR     = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
SHAREDIR    = $(PREFIX)/share/bellwether
CONFDIR     = $(SYSCONFDIR)/bellwether
# The shipped configuration, with the path of the installed schema for editors.
SHIPPED     = $(DESTDIR)$(SHAREDIR)/bellwether.yaml

CARGO_TARGET_DIR ?= target
BINARY           ?= $(CARGO_TARGET_DIR)/release/bellwether
CONFIG           ?= config/bellwether.yaml

.PHONY: build dist packages test-packages lint-deploy run web test test-web book fuzz bench install uninstall

build:
	@scripts/need cargo cc c++ make perl
	cargo build --release --locked

# The binary for packages: static, so that it runs on every Linux of its architecture. Functions that an idle agent runs stand
# side by side and relocations are packed, so that less of it is resident. The functions are those of a run under valgrind;
# FUNCTION_ORDER=FILE takes them from a run before, so that the same binary can be built again. A binary for another
# architecture than the host's (DIST_TARGET=aarch64-unknown-linux-musl) cannot be run here and goes without; zig compiles its C.
ARCH            = $(shell uname -m)
DIST_TARGET    ?= $(ARCH)-unknown-linux-musl
DIST_BINARY     = $(CARGO_TARGET_DIR)/$(DIST_TARGET)/release/bellwether
DIST_CARGO      = CC_$(subst -,_,$(DIST_TARGET))=musl-gcc CXX_$(subst -,_,$(DIST_TARGET))=g++ \
                  cargo rustc --release --locked --target $(DIST_TARGET) --bin bellwether --
DIST_LINK       = -C strip=symbols -C link-arg=-fuse-ld=lld -C link-arg=-Wl,--pack-dyn-relocs=relr
FUNCTION_ORDER ?=
ORDER           = $(abspath $(CARGO_TARGET_DIR))/$(DIST_TARGET)/function-order
ifneq ($(DIST_TARGET),$(ARCH)-unknown-linux-musl)
dist:
	@scripts/need $(NEED_INSTALL) cargo cc c++ make perl python3 cargo-zigbuild $(DIST_TARGET)
	scripts/cross $(DIST_TARGET)
else
dist:
	@scripts/need $(NEED_INSTALL) cargo c++ make perl musl-gcc ld.lld $(DIST_TARGET)
ifneq ($(FUNCTION_ORDER),)
	install -D -m 0644 $(FUNCTION_ORDER) $(ORDER)
else
	@scripts/need $(NEED_INSTALL) bash curl valgrind
	$(DIST_CARGO) -C strip=none
	scripts/order-functions $(DIST_BINARY) $(ORDER)
endif
	$(DIST_CARGO) $(DIST_LINK) -C link-arg=-Wl,--no-warn-symbol-ordering,--symbol-ordering-file=$(ORDER)
endif

# NEED_INSTALL=--install has the tools installed, as root on Debian.
NEED_INSTALL ?=
packages: dist
	@scripts/need $(NEED_INSTALL) bash python3 cargo-deb cargo-generate-rpm cargo-cyclonedx
	scripts/packages $(DIST_BINARY) $(DIST_TARGET)

test-packages:
	tests/packages

# actionlint is a Go program, ansible-lint and kubernetes-validate are Python packages.
lint-deploy:
	@scripts/need actionlint ansible-lint kubectl kubernetes-validate systemd-analyze
	actionlint
	ansible-lint --offline --profile production deploy/ansible/install.yml
	kubectl kustomize deploy/kubernetes | kubernetes-validate --strict /dev/stdin
	systemd-analyze security --offline=true --threshold=13 --no-pager deploy/bellwether.service > /dev/null

# Without OpenSSL, whose compilation is the longest part of a build: no TLS and no SCRAM to Kafka, as `check` says where
# they are configured. Commands, channels and collectors of services are not optimized.
run:
	@scripts/need cargo cc c++ make
	cargo build --release --locked --config .cargo/run.toml --no-default-features --features kafka,neo4j
	$(BINARY) run --config $(CONFIG)

# The built page is committed, so that nothing else needs Node.
web:
	@scripts/need node npm
	cd web && npm ci --silent && npm run --silent check && npm run --silent build

test:
	@scripts/need --install cargo cargo-fmt cargo-clippy cc c++ make perl python3 bash curl nc java jar mvn prometheus promtool prometheus-alertmanager amtool prometheus-blackbox-exporter prometheus-node-exporter prometheus-nginx-exporter prometheus-apache-exporter prometheus-redis-exporter nginx apache2 memcached redis-server systemd-journal-remote postgresql mariadbd aiosmtpd victoria-metrics systemd-analyze node npm chromium tmux openssl schemathesis python-clients go statsd_exporter telegraf prometheus-process-exporter mtail haproxy grpc-health
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --no-default-features -- -D warnings
	scripts/deny
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cargo test --locked --workspace --quiet --doc
	cargo test --locked --quiet -p bellwether-notify --no-default-features --lib kafka
	cargo test --locked --quiet -p bellwether-collectors-services --no-default-features --lib -- neo4j sql
	cargo test --locked --workspace --no-fail-fast --lib --bins --tests
	tests/openapi/run
	tests/clients/run
	npm --prefix web ci --silent
	cd tests/web && npm ci --silent && npm run --silent short

# Every view in three sizes and two themes, and everything that people do, in Debian's Chromium against the debug binary.
test-web:
	@scripts/need --install cargo cc c++ make perl node npm chromium
	cargo build --locked
	npm --prefix web ci --silent
	cd tests/web && npm ci --silent && WRITE_IMAGES=1 IMAGES=$(abspath $(CARGO_TARGET_DIR))/pictures npm test

# Links, blocks and command lines are checked by `make test`, without mdbook.
book:
	@scripts/need mdbook
	mdbook build docs

# With libFuzzer, which needs the nightly compiler and cargo-fuzz; FUZZ_SECONDS for each target. Without a sanitizer: there is
# no unsafe code of ours, and librdkafka's build rejects libraries that AddressSanitizer is built into.
FUZZ_SECONDS ?= 30
fuzz:
	@scripts/need cargo cargo-fuzz
	cp Cargo.lock fuzz/Cargo.lock  # the versions that are shipped; what libFuzzer needs is added
	for target in $$(ls fuzz/corpus); do \
	    mkdir -p $(CARGO_TARGET_DIR)/fuzz/$$target; \
	    cargo +nightly fuzz run --sanitizer none --fuzz-dir fuzz $$target $(CARGO_TARGET_DIR)/fuzz/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -dict=fuzz/dictionary -max_len=65536 -rss_limit_mb=2048 -timeout=10 || exit 1; \
	done

bench:
	@scripts/need cargo cc c++ make perl python3 bash java mvn aiosmtpd
	cargo build --release --locked
	cargo bench --locked
	BELLWETHER=$(abspath $(BINARY)) python3 -B benches/peers
	CRASH_SECONDS=300 OUTAGE_SECONDS=120 STORM_ALERTS=100000 \
	  cargo test --release --locked --test stress -- --nocapture --test-threads 1

# A configuration that is there stays as it is; the shipped one then goes beside it as .new.
install:
	@test -x $(BINARY) || { echo "nothing to install: $(BINARY) is missing; hint: make build" >&2; exit 1; }
	@case "$$($(BINARY) --version 2>/dev/null)" in *kafka-ssl*) ;; *kafka*) \
	    echo "not installed: $(BINARY) has no TLS to Kafka, as after make run; hint: make build" >&2; exit 1 ;; esac
	install -D -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/bellwether
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/bin/|$(BINDIR)/|; s|/etc/bellwether/|$(CONFDIR)/|' deploy/bellwether.service > $(DESTDIR)$(UNITDIR)/bellwether.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/bellwether.service
	install -D -m 0644 deploy/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/bellwether.conf
	install -d $(DESTDIR)$(CONFDIR) $(DESTDIR)$(SHAREDIR)
	install -d -m 2750 $(DESTDIR)$(CONFDIR)/conf.d
	install -m 0644 config/bellwether.schema.json $(DESTDIR)$(SHAREDIR)/bellwether.schema.json
	sed 's|$$schema=bellwether.schema.json|$$schema=$(SHAREDIR)/bellwether.schema.json|' config/bellwether.yaml > $(SHIPPED)
	chmod 0644 $(SHIPPED)
	@if [ ! -e $(DESTDIR)$(CONFDIR)/bellwether.yaml ]; then \
	    set -x; install -m 0640 $(SHIPPED) $(DESTDIR)$(CONFDIR)/bellwether.yaml; \
	elif ! cmp -s $(SHIPPED) $(DESTDIR)$(CONFDIR)/bellwether.yaml; then \
	    echo "kept $(DESTDIR)$(CONFDIR)/bellwether.yaml; the shipped one is bellwether.yaml.new beside it"; \
	    install -m 0640 $(SHIPPED) $(DESTDIR)$(CONFDIR)/bellwether.yaml.new; \
	fi
	cp -R grafana config/presets $(DESTDIR)$(SHAREDIR)/
	install -m 0644 deploy/prometheus.yml $(DESTDIR)$(SHAREDIR)/prometheus.yml
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
	    set -ex; systemd-sysusers $(SYSUSERSDIR)/bellwether.conf; \
	    chgrp bellwether $(CONFDIR)/bellwether.yaml* $(CONFDIR)/conf.d; \
	    systemctl daemon-reload; \
	fi

# Leaves the configuration, the state, the logs and the user.
uninstall:
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl disable --now bellwether || true; fi
	rm -f $(DESTDIR)$(BINDIR)/bellwether $(DESTDIR)$(UNITDIR)/bellwether.service $(DESTDIR)$(SYSUSERSDIR)/bellwether.conf
	rm -rf $(DESTDIR)$(SHAREDIR)
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
