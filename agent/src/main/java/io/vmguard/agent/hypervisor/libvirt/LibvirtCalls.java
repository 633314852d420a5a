/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import org.libvirt.jna.Libvirt;

/**
 * The C functions of libvirt. Those that libvirt-java declares come from there with its pointer types; its classes above
 * them are not used: they drop the details of newer events and leak a connection that is closed with a listener on it.
 */
interface LibvirtCalls extends Libvirt {

    /** {@code virErrorNumber} in virterror.h. */
    int VIR_ERR_NO_SUPPORT = 3;

    /** {@code virErrorNumber}: domain not found. */
    int VIR_ERR_NO_DOMAIN = 42;

    /** {@code virErrorNumber}: for a destroy, the domain is not running. */
    int VIR_ERR_OPERATION_INVALID = 55;

    /** {@code virConnectListAllDomainsFlags} in libvirt-domain.h. */
    int VIR_CONNECT_LIST_DOMAINS_ACTIVE = 1;

    /** {@code virDomainEventID} in libvirt-domain.h. */
    int VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0;

    /** The code of this thread's last error, {@code VIR_ERR_OK} (0) if there is none. */
    int virGetLastErrorCode();

    /** The text of this thread's last error; never NULL. */
    String virGetLastErrorMessage();
}
