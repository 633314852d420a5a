/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** Who may know whom in the engine: the middle is pure, the platform is at the edge, and nothing looks upwards. */
class LayersTest {
    private static final String ROOT = "io.vmguard.lease";
    private static final String[] PLATFORM = {
        "java.io..", "java.net..", "java.nio.file..", "java.nio.channels..", "com.sun.jna.."
    };

    private static final JavaClasses ENGINE = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(ROOT);

    @Test
    void theBottomKnowsNothingAboveIt() {
        mayKnow(ROOT);
    }

    @Test
    void theDiskFormatTheStepsAndTheClocksKnowOnlyTheBottom() {
        mayKnow(ROOT + ".ondisk", ROOT);
        mayKnow(ROOT + ".step", ROOT);
        mayKnow(ROOT + ".time", ROOT);
    }

    @Test
    void theDeltaLeaseKnowsTheFormatTheStepsAndTheClocks() {
        mayKnow(ROOT + ".delta", ROOT, ROOT + ".ondisk", ROOT + ".step", ROOT + ".time");
    }

    @Test
    void theResourceLeaseKnowsTheDeltaLeaseToo() {
        mayKnow(ROOT + ".paxos", ROOT, ROOT + ".ondisk", ROOT + ".step", ROOT + ".time", ROOT + ".delta");
    }

    @Test
    void thePortToStorageKnowsOutcomesAndNoProtocol() {
        mayKnow(ROOT + ".device", ROOT, ROOT + ".step");
        mayKnow(ROOT + ".device.linux", ROOT, ROOT + ".step", ROOT + ".time", ROOT + ".device");
    }

    @Test
    void aLocationKnowsTheFormatAndTheStorageAndNoProtocol() {
        mayKnow(
                ROOT + ".location",
                ROOT,
                ROOT + ".ondisk",
                ROOT + ".step",
                ROOT + ".time",
                ROOT + ".device",
                ROOT + ".device.linux");
    }

    @Test
    void theInspectorKnowsNoEngineAndNoPlatform() {
        mayKnow(
                ROOT + ".inspect",
                ROOT,
                ROOT + ".ondisk",
                ROOT + ".step",
                ROOT + ".time",
                ROOT + ".delta",
                ROOT + ".device");
    }

    /** In {@code pack} itself, not below it. */
    private static void mayKnow(String pack, String... others) {
        String[] known = new String[others.length + 1];
        known[0] = pack;
        System.arraycopy(others, 0, known, 1, others.length);
        classes()
                .that()
                .resideInAPackage(pack)
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage(known)
                        .or(com.tngtech.archunit.base.DescribedPredicate.not(resideInAPackage("io.vmguard.."))))
                .check(ENGINE);
    }

    @Test
    void theMachinesTouchNoFileNoSocketAndNoThread() {
        noClasses()
                .that()
                .resideInAnyPackage(ROOT, ROOT + ".ondisk", ROOT + ".step", ROOT + ".delta", ROOT + ".paxos")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(PLATFORM)
                .orShould()
                .dependOnClassesThat()
                .areAssignableTo(Thread.class)
                .orShould()
                .dependOnClassesThat()
                .areAssignableTo(java.util.concurrent.Executor.class)
                .check(ENGINE);
    }

    @Test
    void onlyTheLinuxAdapterCallsNativeCode() {
        noClasses()
                .that()
                .resideOutsideOfPackage(ROOT + ".device.linux")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.sun.jna..")
                .check(ENGINE);
    }

    @Test
    void nothingInTheEngineKnowsTheAgent() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.vmguard.agent..", "org.libvirt..")
                .check(ENGINE);
    }

    @Test
    void thereAreNoCyclesAmongPackages() {
        slices().matching("io.vmguard.lease.(**)").should().beFreeOfCycles().check(ENGINE);
    }
}
