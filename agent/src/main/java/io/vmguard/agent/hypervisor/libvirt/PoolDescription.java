/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * What is needed of a storage pool's XML (libvirt.org/formatstorage.html).
 *
 * @param type {@code <pool type=…>}, empty if absent
 * @param sourceName {@code <source><name>}, empty if absent
 * @param sourceDevices {@code <source><device path=…/>}, in order
 * @param sourceHosts {@code <source><host name=…/>}, in order
 */
record PoolDescription(String type, String sourceName, List<String> sourceDevices, List<String> sourceHosts) {

    private static final String SOURCE = "/pool/source";

    PoolDescription {
        sourceDevices = List.copyOf(sourceDevices);
        sourceHosts = List.copyOf(sourceHosts);
    }

    /** Reads the XML; what it does not need it does not check. */
    static PoolDescription parse(String xml) throws LibvirtFailure {
        XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        factory.setProperty(XMLInputFactory.IS_COALESCING, true);
        try {
            XMLStreamReader reader = factory.createXMLStreamReader(new StringReader(xml));
            try {
                return read(reader);
            } finally {
                reader.close();
            }
        } catch (XMLStreamException e) {
            throw LibvirtFailure.local("the storage pool's XML cannot be read: " + e.getMessage());
        }
    }

    private static PoolDescription read(XMLStreamReader reader) throws XMLStreamException {
        String type = "";
        StringBuilder name = new StringBuilder();
        List<String> devices = new ArrayList<>();
        List<String> hosts = new ArrayList<>();
        Deque<String> paths = new ArrayDeque<>();
        paths.push("");
        while (reader.hasNext()) {
            switch (reader.next()) {
                case XMLStreamConstants.START_ELEMENT -> {
                    String path = paths.element() + "/" + reader.getLocalName();
                    paths.push(path);
                    if (path.equals("/pool")) {
                        type = attribute(reader, "type");
                    } else if (path.equals(SOURCE + "/device")) {
                        devices.add(attribute(reader, "path"));
                    } else if (path.equals(SOURCE + "/host")) {
                        hosts.add(attribute(reader, "name"));
                    }
                }
                case XMLStreamConstants.CHARACTERS -> {
                    if (paths.element().equals(SOURCE + "/name")) {
                        name.append(reader.getText());
                    }
                }
                case XMLStreamConstants.END_ELEMENT -> paths.pop();
                default -> {
                    // Comments and the like say nothing.
                }
            }
        }
        return new PoolDescription(type, name.toString(), devices, hosts);
    }

    private static String attribute(XMLStreamReader reader, String name) {
        String value = reader.getAttributeValue(null, name);
        return value == null ? "" : value;
    }
}
