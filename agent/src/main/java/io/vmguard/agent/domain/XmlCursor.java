/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.io.ByteArrayInputStream;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import javax.xml.XMLConstants;
import javax.xml.stream.Location;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;

/**
 * Walks the elements of one document from the outside in, forward only.
 *
 * <p>Nothing outside the document is ever opened: a document type declaration ends the walk before its content can have
 * an effect, and so does any entity that XML does not define itself. Elements and attributes of a namespace other than
 * the root's are passed over, as libvirt does.
 */
final class XmlCursor {

    /** libxml2, and with it libvirt, stops here too; a backing chain takes one level per image. */
    static final int MAX_DEPTH = 256;

    private static final String HYPERVISOR_NAMESPACE = "http://libvirt.org/schemas/domain/";

    /** There are two elements with options, and a handful of hypervisors. */
    private static final int MAX_OPTIONS = 16;

    private final XMLStreamReader reader;
    private final Set<String> hypervisorOptions = new LinkedHashSet<>();
    private @Nullable String rootNamespace;
    private int depth;

    private XmlCursor(XMLStreamReader reader) {
        this.reader = reader;
    }

    static XmlCursor over(byte[] xml) throws DomainXmlException {
        XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        factory.setProperty(XMLInputFactory.IS_REPLACING_ENTITY_REFERENCES, false);
        factory.setProperty(XMLConstants.ACCESS_EXTERNAL_DTD, "");
        factory.setXMLResolver((publicId, systemId, base, namespace) -> {
            throw new XMLStreamException("external entities are not read");
        });
        try {
            return new XmlCursor(factory.createXMLStreamReader(new ByteArrayInputStream(xml)));
        } catch (XMLStreamException e) {
            throw new DomainXmlException(1, 1, describe(e));
        }
    }

    /** Depth of the current element; the root has 1, before it 0. */
    int depth() {
        return depth;
    }

    /**
     * Goes to the next child of the element at {@code parentDepth}, wherever inside it the cursor is.
     *
     * @return false at the parent's end; for parent 0, at the end of a document that is well-formed to its last byte
     */
    boolean nextChild(int parentDepth) throws DomainXmlException {
        return nextChildOrText(parentDepth, new StringBuilder());
    }

    /** As {@link #nextChild}; the text between that element's children is added to {@code text}. */
    boolean nextChildOrText(int parentDepth, StringBuilder text) throws DomainXmlException {
        while (true) {
            switch (next()) {
                case XMLStreamConstants.START_ELEMENT -> {
                    enter();
                    if (depth == parentDepth + 1 && isOurs(reader.getNamespaceURI())) {
                        return true;
                    }
                }
                case XMLStreamConstants.END_ELEMENT -> {
                    depth--;
                    if (depth < parentDepth) {
                        return false;
                    }
                }
                case XMLStreamConstants.END_DOCUMENT -> {
                    return false;
                }
                case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA -> {
                    if (depth == parentDepth) {
                        text.append(reader.getText());
                    }
                }
                default -> {
                    // Comments and processing instructions between elements say nothing about disks.
                }
            }
        }
    }

    /** The text directly inside the current element, CDATA included; goes to the element's end. */
    String text() throws DomainXmlException {
        int own = depth;
        StringBuilder text = new StringBuilder();
        while (true) {
            switch (next()) {
                case XMLStreamConstants.START_ELEMENT -> enter();
                case XMLStreamConstants.END_ELEMENT -> {
                    depth--;
                    if (depth < own) {
                        return text.toString();
                    }
                }
                case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA, XMLStreamConstants.SPACE -> {
                    if (depth == own) {
                        text.append(reader.getText());
                    }
                }
                default -> {
                    // Comments and processing instructions may stand anywhere in a text.
                }
            }
        }
    }

    /** The elements that have come by with options for the hypervisor's own command line or for its devices. */
    Set<String> hypervisorOptions() {
        return Collections.unmodifiableSet(hypervisorOptions);
    }

    /** Local name of the current element; call before moving on. */
    String name() {
        return reader.getLocalName();
    }

    /** Value of an attribute of the current element, or null; call before moving on. */
    @Nullable
    String attribute(String name) {
        for (int i = 0; i < reader.getAttributeCount(); i++) {
            if (isPlain(reader.getAttributeNamespace(i))
                    && reader.getAttributeLocalName(i).equals(name)) {
                return reader.getAttributeValue(i);
            }
        }
        return null;
    }

    /** As {@link #attribute(String)}, with a value for one that is missing. */
    String attribute(String name, String missing) {
        String value = attribute(name);
        return value == null ? missing : value;
    }

    /** All attributes of the current element, sorted by name; call before moving on. */
    SortedMap<String, String> attributes() {
        SortedMap<String, String> all = new TreeMap<>();
        for (int i = 0; i < reader.getAttributeCount(); i++) {
            if (isPlain(reader.getAttributeNamespace(i))) {
                all.put(reader.getAttributeLocalName(i), reader.getAttributeValue(i));
            }
        }
        return all;
    }

    /** A problem at the cursor's position. */
    DomainXmlException problem(String reason) {
        Location at = reader.getLocation();
        return new DomainXmlException(at.getLineNumber(), at.getColumnNumber(), reason);
    }

    private void enter() throws DomainXmlException {
        depth++;
        if (depth > MAX_DEPTH) {
            throw problem("elements are nested more than " + MAX_DEPTH + " deep");
        }
        if (depth == 1) {
            rootNamespace = reader.getNamespaceURI();
        }
        String namespace = reader.getNamespaceURI();
        String name = reader.getLocalName();
        if (hypervisorOptions.size() < MAX_OPTIONS
                && namespace != null
                && namespace.startsWith(HYPERVISOR_NAMESPACE)
                && (name.equals("arg") || name.equals("property"))) {
            String hypervisor =
                    namespace.substring(HYPERVISOR_NAMESPACE.length()).replaceFirst("/.*", "");
            hypervisorOptions.add(hypervisor + (name.equals("arg") ? ":commandline" : ":override"));
        }
    }

    private int next() throws DomainXmlException {
        int event;
        try {
            // Asked for after the last event, the reader would throw; a truncated document never gets there.
            event = reader.hasNext() ? reader.next() : XMLStreamConstants.END_DOCUMENT;
        } catch (XMLStreamException e) {
            Location at = e.getLocation();
            throw at == null
                    ? problem(describe(e))
                    : new DomainXmlException(at.getLineNumber(), at.getColumnNumber(), describe(e));
        }
        if (event == XMLStreamConstants.DTD) {
            throw problem("a document type declaration (DOCTYPE) is not accepted");
        }
        if (event == XMLStreamConstants.ENTITY_REFERENCE) {
            throw problem("entity references other than XML's own five are not accepted");
        }
        return event;
    }

    private boolean isOurs(@Nullable String namespace) {
        return plain(namespace).equals(plain(rootNamespace));
    }

    private static boolean isPlain(@Nullable String namespace) {
        return plain(namespace).isEmpty();
    }

    private static String plain(@Nullable String namespace) {
        return namespace == null ? "" : namespace;
    }

    /** The parser's own words, without the position it repeats and without the addresses it uses as message keys. */
    private static String describe(XMLStreamException e) {
        String message = String.valueOf(e.getMessage());
        int words = message.lastIndexOf("Message: ");
        String reason = words < 0 ? message : message.substring(words + "Message: ".length());
        int key = reason.startsWith("http://www.w3.org/") ? reason.indexOf('#') : -1;
        return "not well-formed XML: " + reason.substring(key + 1).strip().replace('\n', ' ');
    }
}
