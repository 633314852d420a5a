/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;

/** A host without libvirt gets a sentence, every time it is asked for, and not a LinkageError. */
class LibvirtLibraryTest {

    @Test
    void missingLibraryIsAnAnswerThatNamesIt() {
        for (int attempt = 0; attempt < 2; attempt++) {
            assertThatExceptionOfType(LibvirtFailure.class)
                    .isThrownBy(() -> LibvirtLibrary.prepare("libvirt-absent.so.0"))
                    .withMessageStartingWith("libvirt library not found (libvirt-absent.so.0): ");
        }
    }
}
