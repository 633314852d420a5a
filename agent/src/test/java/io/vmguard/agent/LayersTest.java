/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.vmguard.lease.ondisk.HostName;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who may know whom in the agent: decisions in the middle, the platform at the edge, and only the root wires them together. */
class LayersTest {
    private static final String ROOT = "io.vmguard.agent";
    private static final DescribedPredicate<JavaClass> OURS = resideInAPackage("io.vmguard..");

    private static final JavaClasses AGENT = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(ROOT);

    /** Packages that each may know, beside itself. {@code lease} is the bottom package of the engine alone. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "config             | identity",
                "domain             |",
                "identity           | domain",
                "identity.linux     | identity",
                "derive             | domain identity",
                "hypervisor         |",
                "hypervisor.libvirt | hypervisor",
                "hypervisor.statusfile | domain",
                "process            |",
                "process.linux      | process",
                "systemd            |",
                "fence              | lease",
                "deadman            | fence lease lease.time",
                "status             | derive",
                "watchdog           | lease lease.time",
                "watchdog.linux     | watchdog lease lease.time",
                "migration          |",
                "guard              | derive domain fence hypervisor migration process watchdog lease lease.time HostName",
                "upkeep             | lease lease.inspect lease.time",
                "stop               | guard lease",
                "doctor             | config derive domain hook identity status",
                "events             |",
                "setup              | doctor",
                "hook               | derive domain events guard status stop upkeep lease lease.time",
                "manual             |",
                "cli                | config derive doctor setup domain identity hook status lease lease.inspect lease.time HostName",
            })
    void eachPackageKnowsOnlyWhatItNeeds(String name, String others) {
        DescribedPredicate<JavaClass> known = Arrays.stream(others == null ? new String[0] : others.split(" "))
                .map(LayersTest::meant)
                .reduce(meant(name), (one, other) -> one.or(other));
        classes()
                .that()
                .resideInAPackage(ROOT + "." + name)
                .should()
                .onlyDependOnClassesThat(DescribedPredicate.not(OURS).or(known))
                .check(AGENT);
    }

    private static DescribedPredicate<JavaClass> meant(String name) {
        if (name.equals("HostName")) {
            return belongTo(equivalentTo(HostName.class));
        }
        return resideInAPackage(name.startsWith("lease") ? "io.vmguard." + name : ROOT + "." + name);
    }

    @Test
    void nativeCodeIsCalledAtTheEdgeOnly() {
        noClasses()
                .that(resideOutsideOfPackages(
                        ROOT + ".hypervisor.libvirt",
                        ROOT + ".identity.linux",
                        ROOT + ".process.linux",
                        ROOT + ".watchdog.linux",
                        ROOT + ".systemd"))
                .should()
                .dependOnClassesThat(resideInAnyPackage("com.sun.jna..", "org.libvirt.."))
                .check(AGENT);
        noClasses()
                .that(resideOutsideOfPackages(ROOT + ".hypervisor.libvirt"))
                .should()
                .dependOnClassesThat(resideInAPackage("org.libvirt.."))
                .check(AGENT);
    }

    @Test
    void onlyTheHookServerKnowsAboutItsHttpServer() {
        noClasses()
                .that(resideOutsideOfPackages(ROOT + ".hook"))
                .should()
                .dependOnClassesThat(resideInAPackage("org.eclipse.jetty.."))
                .check(AGENT);
    }

    @Test
    void adaptersAreNamedByTheRootAlone() {
        noClasses()
                .that(resideOutsideOfPackages(
                        ROOT,
                        ROOT + ".hypervisor.libvirt",
                        ROOT + ".process.linux",
                        ROOT + ".identity.linux",
                        ROOT + ".watchdog.linux"))
                .should()
                .dependOnClassesThat(resideInAnyPackage(
                        ROOT + ".hypervisor.libvirt",
                        ROOT + ".process.linux",
                        ROOT + ".identity.linux",
                        ROOT + ".watchdog.linux"))
                .check(AGENT);
    }

    @Test
    void nothingLooksUpAtTheRoot() {
        noClasses()
                .that(resideOutsideOfPackages(ROOT))
                .should()
                .dependOnClassesThat(resideInAPackage(ROOT))
                .check(AGENT);
    }

    @Test
    void packagesFormNoCycle() {
        slices().matching(ROOT + ".(**)").should().beFreeOfCycles().check(AGENT);
    }
}
