/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.Charset;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Refuses bytes that are no text in the encoding of their document.
 *
 * <p>The JDK's parser would refuse them as well, but prints a line of its own to stderr while doing so, and stderr is
 * what libvirt shows to the user.
 */
final class XmlEncoding {

    private static final Pattern DECLARED =
            Pattern.compile("^(?:\u00ef\u00bb\u00bf)?<\\?xml[^>]*?encoding\\s*=\\s*[\"']([A-Za-z0-9._-]+)");

    /** Enough for any XML declaration. */
    private static final int DECLARATION_BYTES = 256;

    private XmlEncoding() {}

    static void check(byte[] xml) throws DomainXmlException {
        CharsetDecoder decoder = charset(xml)
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer in = ByteBuffer.wrap(xml);
        CharBuffer out = CharBuffer.allocate(8192);
        CoderResult result;
        do {
            out.clear();
            result = decoder.decode(in, out, true);
        } while (result.isOverflow());
        if (result.isError()) {
            throw DomainXmlException.at(
                    xml, in.position(), "not well-formed XML: bytes that are not " + decoder.charset());
        }
    }

    private static Charset charset(byte[] xml) {
        if (xml.length >= 2
                && (xml[0] == (byte) 0xFE && xml[1] == (byte) 0xFF || xml[0] == (byte) 0xFF && xml[1] == (byte) 0xFE)) {
            return StandardCharsets.UTF_16;
        }
        String start = new String(xml, 0, Math.min(xml.length, DECLARATION_BYTES), StandardCharsets.ISO_8859_1);
        Matcher declared = DECLARED.matcher(start);
        // The parser itself refuses names of encodings it does not know; their bytes are not its concern or ours.
        return !declared.find()
                ? StandardCharsets.UTF_8
                : Charset.isSupported(declared.group(1))
                                && Charset.forName(declared.group(1)).canEncode()
                        ? Charset.forName(declared.group(1))
                        : StandardCharsets.ISO_8859_1;
    }
}
