/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.identity.StorageFacts.Bytes;
import io.vmguard.agent.identity.StorageFacts.Node;
import io.vmguard.agent.identity.StorageFacts.Node.Kind;
import io.vmguard.agent.identity.StorageFacts.Unreadable;
import io.vmguard.agent.identity.linux.LinuxStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What this very host says, where every Linux says the same. */
class LinuxStorageTest {
    private final LinuxStorage storage = new LinuxStorage();

    @TempDir
    private Path dir;

    @Test
    void everyKindOfEntryIsToldApart() throws IOException {
        Files.writeString(dir.resolve("file"), "text");
        Files.createSymbolicLink(dir.resolve("link"), Path.of("nowhere"));
        assertThat(node("file").kind()).isEqualTo(Kind.FILE);
        assertThat(node("link")).isEqualTo(new Node(Kind.LINK, "nowhere"));
        assertThat(node("gone").kind()).isEqualTo(Kind.MISSING);
        assertThat(node("file/below").kind()).isEqualTo(Kind.MISSING);
        assertThat(storage.node(dir.toString()).kind()).isEqualTo(Kind.DIRECTORY);
        assertThat(storage.node("/dev/null").kind()).isEqualTo(Kind.OTHER);
        assertThat(storage.names(dir.toString())).containsExactly("file", "link");
        assertThat(storage.names(dir + "/gone")).isEmpty();
    }

    @Test
    void theBeginningOfAnImageIsRead() throws IOException {
        Files.writeString(dir.resolve("file"), "0123456789");
        Files.createSymbolicLink(dir.resolve("link"), dir.resolve("file"));
        assertThat(((Bytes) storage.head(dir.resolve("link").toString(), 4)).bytes())
                .asString()
                .isEqualTo("0123");
        assertThat(storage.head(dir.resolve("gone").toString(), 4))
                .isEqualTo(new Unreadable("there is no such file", false));
        assertThat(storage.head("/dev/zero", 4))
                .isEqualTo(new Unreadable("it is neither a file nor a block device", false));
        assertThat(storage.head(dir.toString(), 4)).isInstanceOf(Unreadable.class);
    }

    @Test
    void aFileHasOneIdentityByAllItsPaths() throws IOException {
        Path file = Files.writeString(dir.resolve("file"), "text");
        Files.createSymbolicLink(dir.resolve("link"), file);
        StorageIdentifier identifier =
                new StorageIdentifier(new IdentityRules(false, false, StorageClusters.NONE), storage);
        Identity.Known straight = (Identity.Known)
                identifier.identify(new DiskSource.File(file.toRealPath().toString()));
        Identity.Known linked = (Identity.Known) identifier.identify(new DiskSource.File(dir + "/./link"));
        // By its file system if this host's udev knows it, else by its path: in a container, for instance.
        assertThat(linked.keys().stream().map(LeaseKey::resource))
                .containsAnyElementsOf(
                        straight.keys().stream().map(LeaseKey::resource).toList());
    }

    /** What is no UTF-8 cannot stand in XML, but links lead there. */
    @Test
    void aFileWhoseNameIsNoTextHasOneIdentityByAllLinksToIt() throws Exception {
        Process shell = new ProcessBuilder(
                        "sh",
                        "-c",
                        "name=$(printf 'b\\377d'); echo text >\"$name\"; ln -s \"$name\" one; ln -s ./one two")
                .directory(dir.toFile())
                .start();
        assertThat(shell.waitFor()).isZero();
        StorageIdentifier identifier =
                new StorageIdentifier(new IdentityRules(false, false, StorageClusters.NONE), storage);
        Identity.Known one = (Identity.Known) identifier.identify(new DiskSource.File(dir + "/one"));
        Identity.Known two = (Identity.Known) identifier.identify(new DiskSource.File(dir + "/two"));
        assertThat(one.note()).isPresent();
        assertThat(one.keys().stream().map(LeaseKey::resource))
                .containsAnyElementsOf(
                        two.keys().stream().map(LeaseKey::resource).toList());
    }

    private Node node(String name) {
        return storage.node(dir.resolve(name).toString());
    }
}
