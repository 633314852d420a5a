/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads a domain XML as libvirt writes it: a {@code <domain>}, or the {@code <domstatus>} around one in libvirt's status
 * files.
 *
 * <p>Takes any bytes: the answer is a {@link DomainSpec} or a {@link DomainXmlException}. The work is bounded by
 * {@link #MAX_BYTES}, {@link #MAX_DISKS} and a nesting depth of 256. Format: libvirt's {@code domaincommon.rng}.
 */
public final class DomainXml {

    /** A domain XML has 2 to 20 KiB; 4 MiB is the largest string libvirt's own RPC carries. */
    public static final int MAX_BYTES = 4 * 1024 * 1024;

    /** Far above what QEMU can attach (about 500 on SCSI and PCI bridges); bounds the work of one start. */
    public static final int MAX_DISKS = 1024;

    /** Memory modules, PCI devices and file systems: QEMU takes fewer of each than of disks. */
    static final int MAX_OTHERS = 1024;

    private static final Pattern UUID_DIGITS = Pattern.compile("[0-9a-f]{32}");

    private final XmlCursor cursor;
    private final List<DiskSpec> disks = new ArrayList<>();
    private final OtherXml others;
    private final BlockJobsXml jobs;
    private @Nullable String name;
    private @Nullable UUID uuid;
    private boolean isStatus;
    private String state = "";
    private String reason = "";
    private int pid;
    private String job = "";
    private String phase = "";
    private OnLockFailure onLockFailure = OnLockFailure.UNSAID;

    private DomainXml(XmlCursor cursor) {
        this.cursor = cursor;
        this.others = new OtherXml(cursor);
        this.jobs = new BlockJobsXml(cursor);
    }

    /**
     * Reads at most {@link #MAX_BYTES} and one byte from {@code in} and parses them; does not close it.
     *
     * @throws IOException if {@code in} cannot be read
     * @throws DomainXmlException if it is longer, or as for {@link #parse(byte[])}
     */
    public static DomainSpec parse(InputStream in) throws IOException, DomainXmlException {
        return parse(in.readNBytes(MAX_BYTES + 1));
    }

    /**
     * Parses a whole document, in the encoding it declares (UTF-8 if it declares none).
     *
     * @throws DomainXmlException if it is too large, too deep, not well-formed to its end, has a DOCTYPE or entities,
     *     is not a domain, has no name, a wrong UUID or too many disks
     */
    public static DomainSpec parse(byte[] xml) throws DomainXmlException {
        return new DomainXml(cursor(xml)).document();
    }

    private static XmlCursor cursor(byte[] xml) throws DomainXmlException {
        if (xml.length > MAX_BYTES) {
            throw DomainXmlException.at(xml, MAX_BYTES, "it is larger than " + MAX_BYTES / 1024 / 1024 + " MiB");
        }
        XmlEncoding.check(xml);
        return XmlCursor.over(xml);
    }

    /**
     * Parses a status file of libvirt's.
     *
     * @throws DomainXmlException as for {@link #parse(byte[])}, and if the root element is not {@code <domstatus>}
     */
    public static DomainStatus parseStatus(byte[] xml) throws DomainXmlException {
        DomainXml reader = new DomainXml(cursor(xml));
        DomainSpec domain = reader.document();
        if (!reader.isStatus) {
            throw new DomainXmlException(1, 1, "the root element is not <domstatus>");
        }
        return new DomainStatus(reader.state, reader.reason, reader.pid, reader.job, reader.phase, domain);
    }

    private DomainSpec document() throws DomainXmlException {
        DomainSpec domain = null;
        while (cursor.nextChild(0)) {
            domain = switch (cursor.name()) {
                case "domain" -> domain();
                case "domstatus" -> status();
                default -> throw cursor.problem("the root element is neither <domain> nor <domstatus>");
            };
        }
        if (domain == null) {
            throw new IllegalStateException("the parser accepted a document without a root element");
        }
        return domain;
    }

    private DomainSpec status() throws DomainXmlException {
        isStatus = true;
        state = cursor.attribute("state", "");
        reason = cursor.attribute("reason", "");
        pid = number(cursor.attribute("pid", "0"));
        DomainSpec domain = null;
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("job")) {
                String async = cursor.attribute("async", "none");
                job = async.equals("none") ? "" : async;
                phase = job.isEmpty() ? "" : cursor.attribute("phase", "");
            } else if (cursor.name().equals("blockjobs")) {
                jobs.read();
            } else if (cursor.name().equals("domain")) {
                if (domain != null) {
                    throw cursor.problem("there is a second <domain> in the <domstatus>");
                }
                domain = domain();
            }
        }
        if (domain == null) {
            throw cursor.problem("there is no <domain> in the <domstatus>");
        }
        return jobs.in(domain);
    }

    private DomainSpec domain() throws DomainXmlException {
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "name" -> name = name == null ? cursor.text() : name;
                case "uuid" -> uuid = uuid == null ? uuid(cursor.text()) : uuid;
                case "devices" -> devices();
                case "on_lockfailure" -> onLockFailure = OnLockFailure.of(cursor.text());
                case "os" -> others.os();
                default -> {
                    // Everything else is no storage; metadata may hold anything, even elements named disk.
                }
            }
        }
        if (name == null || name.isBlank()) {
            throw cursor.problem("the domain has no name");
        }
        List<OtherStorage> storage = new ArrayList<>(others.found());
        cursor.hypervisorOptions()
                .forEach(options ->
                        storage.add(new OtherStorage.Opaque(options, OtherStorage.Opaque.Kind.COMMAND_LINE)));
        return new DomainSpec(name, uuid, disks, onLockFailure, storage);
    }

    private static int number(String text) {
        try {
            return Math.max(0, Integer.parseInt(text.strip()));
        } catch (NumberFormatException e) {
            return 0; // nothing is proved by it anyhow
        }
    }

    private void devices() throws DomainXmlException {
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("disk")) {
                if (disks.size() == MAX_DISKS) {
                    throw cursor.problem("the domain has more than " + MAX_DISKS + " disks");
                }
                disks.add(DiskXml.read(cursor, disks.size() + 1));
            } else if (others.device() && others.found().size() > MAX_OTHERS) {
                throw cursor.problem("the domain has more than " + MAX_OTHERS + " devices beside its disks");
            }
        }
    }

    /** libvirt takes a UUID with or without hyphens and with spaces around it. */
    private UUID uuid(String text) throws DomainXmlException {
        String digits = text.strip().replace("-", "").toLowerCase(Locale.ROOT);
        if (!UUID_DIGITS.matcher(digits).matches()) {
            throw cursor.problem("the domain's uuid is not 32 hexadecimal digits");
        }
        return new UUID(Long.parseUnsignedLong(digits, 0, 16, 16), Long.parseUnsignedLong(digits, 16, 32, 16));
    }
}
