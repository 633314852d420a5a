/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/** The bytes are not a domain XML that can be judged. Says where and, in one sentence, why; never quotes the document's values. */
public final class DomainXmlException extends Exception {

    private static final long serialVersionUID = 1L;

    private final int line;
    private final int column;
    private final String reason;

    DomainXmlException(int line, int column, String reason) {
        super(line + ":" + column + ": " + reason);
        this.line = line;
        this.column = column;
        this.reason = reason;
    }

    /** A problem at the byte with this offset, in an encoding that writes a newline as the byte 10. */
    static DomainXmlException at(byte[] xml, int offset, String reason) {
        int line = 1;
        int column = 1;
        for (int i = 0; i < offset; i++) {
            column = xml[i] == '\n' ? 1 : column + 1;
            line += xml[i] == '\n' ? 1 : 0;
        }
        return new DomainXmlException(line, column, reason);
    }

    /** Line of the problem, from 1. */
    public int line() {
        return line;
    }

    /** Column of the problem, from 1. */
    public int column() {
        return column;
    }

    /** One sentence, without the position. {@link #getMessage()} has both, as {@code LINE:COLUMN: reason}. */
    public String reason() {
        return reason;
    }
}
