/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.UUID;

/**
 * A domain that cannot start: its only disk is not there, which libvirt finds out after it has called the hook and before it makes any
 * process. So whether the hook is called or not, nothing runs.
 */
final class HookProbe {
    private static final String MISSING = "/var/lib/vmguard/.there-is-no-such-disk";

    private HookProbe() {}

    static String xml(String name, UUID uuid, boolean kvm) {
        return "<domain type='" + (kvm ? "kvm" : "qemu") + "'><name>" + name + "</name><uuid>" + uuid + "</uuid>"
                + "<description>vmguard doctor asks whether the hook is called; this never starts</description>"
                + "<memory unit='MiB'>16</memory><os><type>hvm</type></os><devices>"
                + "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='" + MISSING
                + "'/><target dev='vda' bus='virtio'/></disk></devices></domain>\n";
    }
}
