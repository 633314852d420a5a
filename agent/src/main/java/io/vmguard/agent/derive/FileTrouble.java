/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** What went wrong with a file, for people: Java says of some errors only which file it was. */
public final class FileTrouble {
    private FileTrouble() {}

    /** File and reason, without a full stop. */
    public static String of(IOException e) {
        String said = String.valueOf(e.getMessage());
        if (e instanceof FileSystemException files && files.getReason() != null) {
            return said;
        }
        if (e instanceof AccessDeniedException) {
            return said + ": permission denied";
        }
        return e instanceof NoSuchFileException ? said + ": no such file" : said;
    }
}
