/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

/** A later version of the package under test: the jar of the agent has another name, says another version and is another file. */
final class NextVersion {
    static final String NUMBER = "9.8.7";

    /** A script that makes it of the jars in a directory. */
    static final String OF_JARS = """
             python3 - %1$s <<'END'
            import os, sys, zipfile
            lib = sys.argv[1]
            for old in [f for f in os.listdir(lib) if f.startswith('vmguard-agent-')]:
                with zipfile.ZipFile(lib + '/' + old) as jar, \\
                        zipfile.ZipFile(lib + '/vmguard-agent-9.8.7.jar', 'w', zipfile.ZIP_DEFLATED) as made:
                    for entry in jar.infolist():
                        data = jar.read(entry)
                        if entry.filename == 'META-INF/MANIFEST.MF':
                            version = old[len('vmguard-agent-'):-len('.jar')].encode()
                            key = b'Implementation-Version: '
                            assert key + version in data
                            data = data.replace(key + version, key + b'9.8.7')
                        made.writestr(entry, data)
                os.remove(lib + '/' + old)
            END
            [ -e %1$s/vmguard-agent-9.8.7.jar ]""";

    /** A script that puts into the record of the running agent's membership what a later version may have written there. */
    static final String IN_THE_RECORD =
            "for record in /run/vmguard/*.membership; do echo 'format=7' >>$record; echo 'user.0.colour=blue' >>$record; done;"
                    + " grep -q '^user.0.colour=blue' /run/vmguard/*.membership";

    private NextVersion() {}
}
