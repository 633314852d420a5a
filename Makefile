# SPDX-License-Identifier: Apache-2.0
# The logic is in the scripts; this gives their names. `make` says what there is.

MVN = mvn -B -ntp
# For targets that only need the jars. Formatting is for `make test` to complain about.
PACKAGE = $(MVN) -q -DskipTests -Dspotless.check.skip package

.PHONY: help run test test-virtqemud test-releases chaos soak race sim deb rpm class-list bench bench-agent bench-migration fuzz mutation format clean

help:
	@echo 'make run     try it here: agent in the foreground, hook in place; Ctrl-C undoes it (root or sudo)'
	@echo 'make test    everything: unit tests, real sanlock, two hosts with the built packages (root or sudo)'
	@echo 'make test-virtqemud  the agent beside virtqemud, the modular daemon of libvirt, which is compiled for it (ten minutes)'
	@echo 'make test-releases  the built package on Debian 13 and Ubuntu 22.04, beside a host of the usual release: RELEASES="trixie jammy"'
	@echo 'make deb     target/vmguard_VERSION_all.deb'
	@echo 'make rpm     target/vmguard-VERSION-RELEASE.noarch.rpm'
	@echo 'make chaos   each fault of a host alone and in pairs, and who could write when; HOSTS=2 pairs of hosts at a time (180 rows, two hours on two quiet cores)'
	@echo 'make soak    random operations on 20 domains over three hosts whose agents are killed and restarted meanwhile: MINUTES=10'
	@echo 'make race    four starts for one disk at the same moment on two hosts, over and over: exactly one may win; ROUNDS=1000 (half an hour)'
	@echo 'make sim     millions of schedules of the lease protocol: SEEDS=1000000 FIRST=1 LIMIT=600 (seconds); SEED=n replays one'
	@echo 'make bench   the lease engine beside sanlock; start times beside libvirt alone, libvirt-sanlock and virtlockd'
	@echo 'make bench-agent  the agent with 200 domains and 1,000 disks: memory, CPU, pauses, and how fast all end at a loss; MINUTES=5'
	@echo 'make bench-migration  how long a guest stands still in a live migration with vmguard and without: PAIRS=12'
	@echo 'make fuzz    look for bytes that a decoder cannot take, SECONDS=60 for each; TARGET=pattern for some'
	@echo 'make mutation  break the lease format and its machines in small ways: do the tests notice? (ten minutes)'
	@echo 'make class-list  look again which classes the archive of classes is made of (after new commands, or a new JDK)'
	@echo 'make format  put the sources into the form that the build asks for'
	@echo 'make clean'

run:
	@scripts/install-deps.sh run
	$(PACKAGE) -pl agent -am
	@scripts/run.sh

deb:
	@scripts/install-deps.sh deb
	$(PACKAGE) -pl agent -am
	packaging/deb/build.sh

rpm:
	@scripts/install-deps.sh rpm
	$(PACKAGE) -pl agent -am
	packaging/rpm/build.sh

test:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@scripts/install-deps.sh rpm
	packaging/rpm/build.sh
	@# One shell: what docker-up.sh prints is the environment of the tests.
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify

test-virtqemud:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-virtqemud.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test=VirtqemudIT -Dvirtqemud=true

RELEASES = trixie jammy
test-releases:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	for release in $(RELEASES); do test/infra/build-images.sh "$$release"; done; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test=OtherReleases "-Dreleases=$(RELEASES)"

class-list:
	@scripts/install-deps.sh build
	$(PACKAGE) -pl agent -am
	scripts/class-list.sh

CHAOS = all
HOSTS = 2
chaos:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test=FaultMatrixIT -Dchaos=$(CHAOS) -Dchaos.hosts=$(HOSTS)

MINUTES = 10
soak:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test=Soak -Dsoak.minutes=$(MINUTES)

ROUNDS = 1000
race:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test='GuardedDomainsIT#ofFourStarts*' -Drace.rounds=$(ROUNDS)

SEEDS = 1000000
FIRST = 1
LIMIT = 600
sim:
	@scripts/install-deps.sh build
	@$(MVN) -q -Dspotless.check.skip -pl lease test-compile
	@nice java -XX:+UseParallelGC -cp lease/target/classes:lease/target/test-classes io.vmguard.lease.engine.SimulationRun \
		$(if $(SEED),replay $(SEED),$(SEEDS) $(FIRST) $(LIMIT))

bench:
	@test/bench/lease.sh
	@test/bench/run.sh

bench-agent: MINUTES = 5
bench-agent:
	@VMGUARD_LOAD_MINUTES=$(MINUTES) test/bench/agent-load.sh

PAIRS = 12
bench-migration:
	@test/infra/install-deps.sh
	$(MAKE) --no-print-directory deb
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dit.test=MigrationDowntime -Dmigration.pairs=$(PAIRS)

fuzz:
	@scripts/fuzz.sh $(or $(SECONDS),60) '$(or $(TARGET),.)'

mutation:
	$(MVN) -Pmutation -pl lease test-compile org.pitest:pitest-maven:mutationCoverage

format:
	$(MVN) -q spotless:apply

clean:
	$(MVN) -q clean
	rm -rf target
