# SPDX-License-Identifier: Apache-2.0
# The logic is in the scripts; this gives their names. `make` says what there is.

# Both packages are made of what one Maven run leaves behind, as the tests are.
.NOTPARALLEL:

export MVN = mvn -B -ntp
# For targets that only need the jars. Formatting is for `make test` to complain about.
PACKAGE = $(MVN) -q -DskipTests -Dspotless.check.skip package -pl agent -am

.PHONY: help run test test-virtqemud test-apparmor test-releases storage-kinds chaos migration-faults soak race sim deb rpm reproducible class-list bench bench-agent bench-migration fuzz mutation format clean

help:
	@echo 'make run     try it here: agent in the foreground, hook in place; Ctrl-C undoes it (root or sudo)'
	@echo 'make test    everything: unit tests, real sanlock, two hosts with the built packages (root or sudo)'
	@echo 'make test-virtqemud  the agent, and the RPM, beside virtqemud, the modular daemon of libvirt, which is compiled for it (ten minutes)'
	@echo 'make test-apparmor  hook, kills and doctor under Debian'"'"'s AppArmor profiles, in force in an emulated machine (three minutes)'
	@echo 'make test-releases  the built package on Debian 13 and Ubuntu 22.04, beside a host of the usual release: RELEASES="trixie jammy"'
	@echo 'make deb     target/vmguard_VERSION_all.deb'
	@echo 'make rpm     target/vmguard-VERSION-RELEASE.noarch.rpm'
	@echo 'make reproducible  both packages twice from clean clones, under other umasks, time zones and paths: same bytes? lintian, rpmlint'
	@echo 'make storage-kinds  two agents over NFS, root_squash, Btrfs, NVMe, iSCSI, NBD, krbd, CephFS, the NFS server in the kernel, MD, DRBD in emulated machines with a kernel of their own (six machines, one to two minutes each where the processors are free)'
	@echo 'make chaos   each fault of a host alone and in pairs, and who could write when; HOSTS=2 pairs of hosts at a time (179 rows, two hours on two quiet cores)'
	@echo 'make migration-faults  each fault of a host in each phase of a live migration, a third host trying meanwhile (87 rows, an hour and a quarter); FAULTS=SENT:HOST_LOST,RBD some'
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
	$(PACKAGE)
	@scripts/run.sh

deb:
	@scripts/install-deps.sh deb
	$(PACKAGE)
	packaging/deb/build.sh

rpm:
	@scripts/install-deps.sh rpm
	$(PACKAGE)
	packaging/rpm/build.sh

test: deb
	@test/infra/install-deps.sh
	@scripts/install-deps.sh rpm
	packaging/rpm/build.sh
	@# One shell: what docker-up.sh prints is the environment of the tests.
	@set -e; environment=$$(test/infra/docker-up.sh); eval "$$environment"; \
	VMGUARD_TEST_IMAGE=$$(test/infra/build-images.sh); export VMGUARD_TEST_IMAGE; \
	$(MVN) verify

test-virtqemud: deb rpm
	@test/infra/run-it.sh --on virtqemud VirtqemudIT,RpmIT -Dvirtqemud=true

test-apparmor: deb
	@test/infra/run-it.sh --on apparmor AppArmorIT -Dapparmor=true

RELEASES = trixie jammy
test-releases: deb
	@test/infra/run-it.sh $(RELEASES:%=--also %) OtherReleases "-Dreleases=$(RELEASES)"

reproducible:
	@scripts/install-deps.sh deb
	@scripts/install-deps.sh rpm
	@scripts/reproducible.sh

storage-kinds: deb
	@test/infra/run-it.sh StorageKindsIT -Dstorage.kinds=true

class-list:
	@scripts/install-deps.sh build
	$(PACKAGE)
	scripts/class-list.sh

CHAOS = all
HOSTS = 2
chaos: deb
	@test/infra/run-it.sh FaultMatrixIT -Dchaos=$(CHAOS) -Dchaos.hosts=$(HOSTS)

FAULTS = all
migration-faults: deb
	@test/infra/run-it.sh MigrationFaultsIT -Dmigration.faults=$(FAULTS)

MINUTES = 10
soak: deb
	@test/infra/run-it.sh Soak -Dsoak.minutes=$(MINUTES)

ROUNDS = 1000
race: deb
	@test/infra/run-it.sh 'GuardedDomainsIT#ofFourStarts*' -Drace.rounds=$(ROUNDS)

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
bench-migration: deb
	@test/infra/run-it.sh MigrationDowntime -Dmigration.pairs=$(PAIRS)

fuzz:
	@scripts/fuzz.sh $(or $(SECONDS),60) '$(or $(TARGET),.)'

mutation:
	$(MVN) -Pmutation -pl lease test-compile org.pitest:pitest-maven:mutationCoverage

format:
	$(MVN) -q spotless:apply

clean:
	$(MVN) -q clean
	rm -rf target
