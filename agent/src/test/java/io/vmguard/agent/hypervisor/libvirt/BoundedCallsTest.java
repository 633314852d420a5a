/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A call that hangs costs its caller the limit and the pool one thread, and is not carried on behind anybody's back. */
@Timeout(30)
class BoundedCallsTest {

    private static final Duration SHORT = Duration.ofMillis(20);
    private static final Duration LONG = Duration.ofSeconds(10);

    private final BoundedCalls calls = new BoundedCalls("test", 2);
    private final CountDownLatch release = new CountDownLatch(1);

    @Test
    void answerAndRefusalReachTheCaller() throws LibvirtFailure {
        assertThat(calls.<Integer>run("a sum", LONG, call -> 1 + 1)).isEqualTo(2);
        assertThatExceptionOfType(LibvirtFailure.class)
                .isThrownBy(() -> calls.run("a refusal", LONG, call -> {
                    throw LibvirtFailure.local("no");
                }))
                .withMessage("no");
    }

    @Test
    void hangingCallIsAbandonedAndDoesNotGoOnLater() throws InterruptedException {
        LinkedBlockingQueue<String> later = new LinkedBlockingQueue<>();
        assertThatExceptionOfType(LibvirtFailure.class)
                .isThrownBy(() -> calls.run("a destroy", SHORT, call -> {
                    hang();
                    try {
                        call.proceed();
                        later.add("sent");
                    } catch (LibvirtFailure failure) {
                        later.add(failure.reason());
                    }
                    return true;
                }))
                .withMessage("a destroy: no answer from libvirt within 20 ms");
        release.countDown();
        assertThat(later.poll(10, TimeUnit.SECONDS)).isEqualTo("given up before it was sent to libvirt");
    }

    @Test
    void furtherCallIsRefusedAtOnceWhenAllThreadsHang() {
        for (int i = 0; i < 2; i++) {
            assertThatExceptionOfType(LibvirtFailure.class).isThrownBy(() -> calls.run("stuck", SHORT, call -> hang()));
        }
        assertThatExceptionOfType(LibvirtFailure.class)
                .isThrownBy(() -> calls.run("a list", LONG, call -> true))
                .withMessage("a list: 2 earlier calls to libvirt have not returned");
        release.countDown();
    }

    private boolean hang() {
        try {
            return release.await(20, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
