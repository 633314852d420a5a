/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import org.libvirt.jna.ConnectionPointer;
import org.libvirt.jna.DomainPointer;
import org.libvirt.jna.StoragePoolPointer;
import org.libvirt.jna.StorageVolPointer;

/**
 * The operator's side of libvirt's built-in test driver: a host that exists in this process only. Every connection to {@link
 * #URI} sees the same domains, as long as one of them is open.
 */
final class TestDriver implements AutoCloseable {

    static final String URI = "test:///default";

    /** A domain that the driver brings along, running. */
    static final String FIRST_DOMAIN = "test";

    /** How long the connections of an earlier test may take to go. */
    private static final Duration CLOSING = Duration.ofSeconds(20);

    private final LibvirtCalls calls;
    private final ConnectionPointer connection;

    private TestDriver(LibvirtCalls calls, ConnectionPointer connection) {
        this.calls = calls;
        this.connection = connection;
    }

    /**
     * The driver as it comes, with one domain, or the test is skipped with the reason. Connections of an earlier test may
     * still be closing, and keep what that test did: this waits for them.
     */
    static TestDriver orSkip() {
        LibvirtCalls calls;
        try {
            calls = LibvirtLibrary.load();
        } catch (LibvirtFailure failure) {
            return abort("no libvirt on this machine: " + failure.reason());
        }
        long end = System.nanoTime() + CLOSING.toNanos();
        while (true) {
            ConnectionPointer connection = calls.virConnectOpen(URI);
            if (connection == null) {
                return abort("this libvirt has no test driver: " + calls.virGetLastErrorMessage());
            }
            if (calls.virConnectNumOfDomains(connection) == 1 && calls.virConnectNumOfDefinedDomains(connection) == 0) {
                return new TestDriver(calls, connection);
            }
            calls.virConnectClose(connection);
            if (System.nanoTime() - end > 0) {
                throw new AssertionError("the connections of an earlier test are still open");
            }
            Thread.yield();
        }
    }

    /**
     * A host described by a file. Written, and opened once, by one thread: libxml2 makes the lock of its catalogs at the
     * first file it reads, and two threads that do this at once wait for ever for a lock that the other has replaced, at
     * the latest when the process ends.
     */
    static void hostFile(Path file) throws IOException {
        Files.writeString(file, "<node><cpu><mhz>1</mhz><model>m</model><active>1</active></cpu></node>");
        LibvirtCalls calls;
        try {
            calls = LibvirtLibrary.load();
        } catch (LibvirtFailure failure) {
            throw new AssertionError(failure.reason());
        }
        ConnectionPointer connection = calls.virConnectOpen("test://" + file);
        if (connection == null) {
            throw new AssertionError(calls.virGetLastErrorMessage());
        }
        calls.virConnectClose(connection);
    }

    void create(String name, UUID uuid) {
        DomainPointer domain = calls.virDomainCreateXML(connection, """
                <domain type='test'>
                  <name>%s</name><uuid>%s</uuid><memory>1024</memory><os><type>hvm</type></os>
                </domain>""".formatted(name, uuid), 0);
        check(domain != null);
        calls.virDomainFree(domain);
    }

    void define(String name, UUID uuid) {
        DomainPointer domain = calls.virDomainDefineXML(connection, """
                <domain type='test'>
                  <name>%s</name><uuid>%s</uuid><memory>1024</memory><os><type>hvm</type></os>
                </domain>""".formatted(name, uuid));
        check(domain != null);
        calls.virDomainFree(domain);
    }

    void destroy(UUID uuid) {
        DomainPointer domain = calls.virDomainLookupByUUID(
                connection,
                ByteBuffer.allocate(16)
                        .putLong(uuid.getMostSignificantBits())
                        .putLong(uuid.getLeastSignificantBits())
                        .array());
        check(domain != null);
        check(calls.virDomainDestroy(domain) == 0);
        calls.virDomainFree(domain);
    }

    /** A running pool with one volume in it. */
    void createPool(String poolXml, String volumeXml) {
        StoragePoolPointer pool = calls.virStoragePoolCreateXML(connection, poolXml, 0);
        check(pool != null);
        StorageVolPointer volume = calls.virStorageVolCreateXML(pool, volumeXml, 0);
        check(volume != null);
        calls.virStorageVolFree(volume);
        calls.virStoragePoolFree(pool);
    }

    @Override
    public void close() {
        calls.virConnectClose(connection);
    }

    private void check(boolean worked) {
        if (!worked) {
            throw new AssertionError(calls.virGetLastErrorMessage());
        }
    }
}
