/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import org.libvirt.jna.ConnectionPointer;
import org.libvirt.jna.DomainPointer;
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

    /** {@code virDomainJobType} in libvirt-domain.h. */
    int VIR_DOMAIN_JOB_NONE = 0;

    /** {@code virConnectListAllDomainsFlags} in libvirt-domain.h. */
    int VIR_CONNECT_LIST_DOMAINS_ACTIVE = 1;

    /** {@code virDomainEventID} in libvirt-domain.h. */
    int VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0;

    int VIR_DOMAIN_EVENT_ID_DISK_CHANGE = 9;

    int VIR_DOMAIN_EVENT_ID_TRAY_CHANGE = 10;

    int VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED = 15;

    /** Names the disk by its target; the older event 8 names a path, after a pivot another one. */
    int VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2 = 16;

    int VIR_DOMAIN_EVENT_ID_DEVICE_ADDED = 19;

    int VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION = 20;

    int VIR_DOMAIN_EVENT_ID_JOB_COMPLETED = 21;

    /** {@code virConnectDomainEventDeviceAddedCallback}, and the same for removed ones. */
    interface DeviceCallback extends VirDomainEventCallback {
        void happened(ConnectionPointer connection, DomainPointer domain, String alias, Pointer opaque);
    }

    /** {@code virConnectDomainEventTrayChangeCallback}. */
    interface TrayCallback extends VirDomainEventCallback {
        void happened(ConnectionPointer connection, DomainPointer domain, String alias, int reason, Pointer opaque);
    }

    /** {@code virConnectDomainEventDiskChangeCallback}; either source may be NULL. */
    interface DiskChangeCallback extends VirDomainEventCallback {
        void happened(
                ConnectionPointer connection,
                DomainPointer domain,
                Pointer oldSource,
                Pointer newSource,
                String alias,
                int reason,
                Pointer opaque);
    }

    /** {@code virConnectDomainEventBlockJobCallback}. */
    interface BlockJobCallback extends VirDomainEventCallback {
        void happened(
                ConnectionPointer connection, DomainPointer domain, String disk, int type, int status, Pointer opaque);
    }

    /** {@code virConnectDomainEventMigrationIterationCallback}. */
    interface MigrationPassCallback extends VirDomainEventCallback {
        void happened(ConnectionPointer connection, DomainPointer domain, int pass, Pointer opaque);
    }

    /** {@code virConnectDomainEventJobCompletedCallback}; the parameters are not read. */
    interface JobCompletedCallback extends VirDomainEventCallback {
        void happened(
                ConnectionPointer connection, DomainPointer domain, Pointer parameters, int count, Pointer opaque);
    }

    /** The code of this thread's last error, {@code VIR_ERR_OK} (0) if there is none. */
    int virGetLastErrorCode();

    /** The text of this thread's last error; never NULL. */
    String virGetLastErrorMessage();

    /** {@code VIR_DOMAIN_PAUSED} of {@code virDomainState} in libvirt-domain.h. */
    int VIR_DOMAIN_PAUSED = 3;

    /** {@code virDomainDeviceModifyFlags} in libvirt-domain.h. */
    int VIR_DOMAIN_DEVICE_MODIFY_LIVE = 1;

    int VIR_DOMAIN_DEVICE_MODIFY_FORCE = 4;

    /** {@code virErrorNumber}: no such device, for instance. */
    int VIR_ERR_DEVICE_MISSING = 99;

    /** Orders a device to be unplugged, by its alias, and does not wait for it; since libvirt 4.4. */
    int virDomainDetachDeviceAlias(DomainPointer domain, String alias, int flags);

    /** State and reason of a domain; see libvirt-domain.c. */
    int virDomainGetState(DomainPointer domain, IntByReference state, IntByReference reason, int flags);
}
