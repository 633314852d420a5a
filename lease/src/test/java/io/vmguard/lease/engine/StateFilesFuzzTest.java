/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever is in the files that a host keeps on itself, they prove something or nothing, never an exception; what was understood is written again so. */
class StateFilesFuzzTest {
    @MethodSource("records")
    @FuzzTest
    void aLocalRecordIsUnderstoodOrNot(byte[] bytes) {
        LocalRecord.parse(bytes)
                .ifPresent(
                        record -> assertThat(LocalRecord.parse(written(record))).contains(record));
    }

    @MethodSource("ids")
    @FuzzTest
    void aRememberedHostIdIsUnderstoodOrUnknown(byte[] bytes) {
        RememberedHostId id = RememberedHostId.parse(bytes);
        assertThat(RememberedHostId.parse(id.format().getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(id);
    }

    /** Paths and names come from people: whatever they are, they are read as they were written. */
    @MethodSource("texts")
    @FuzzTest
    void anyTextSurvives(byte[] bytes) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        RememberedHostId id = new RememberedHostId(7, text, "00");
        assertThat(RememberedHostId.parse(id.format().getBytes(StandardCharsets.UTF_8)))
                .isEqualTo(id);
        LocalRecord record = record(text);
        assertThat(LocalRecord.parse(written(record))).contains(record);
    }

    private static byte[] written(LocalRecord record) {
        try {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            record.writeTo(out);
            return out.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static LocalRecord record(String text) {
        LeaseNote note = new LeaseNote(text, "11111111-1111-1111-1111-111111111111", text, text, 99);
        return new LocalRecord(
                text,
                text,
                new Owner(3, 7),
                text,
                -5,
                false,
                Map.of(
                        new LeaseName("a"),
                        LeaseUse.exclusive(note),
                        new LeaseName("b"),
                        new LeaseUse(LeaseMode.SHARED, List.of(note, note))));
    }

    static Stream<byte[]> records() {
        String sound = new String(written(record("node-a")), StandardCharsets.UTF_8);
        return utf8(
                "",
                sound,
                sound.replace("users=3", "users=4"),
                sound.replace("users=3", "users=-1"),
                sound.replace("user.0.domain", "user.0.other"),
                sound.replace("user.0.resource=", "user.0.resource=../"),
                sound.replace("mode=SHARED", "mode=OTHER"),
                sound.replace("=node-a", "=\\ud800"),
                sound.replace("=node-a", "=\\u12"),
                sound.substring(0, sound.length() / 2),
                new String(new byte[] {'w', '=', (byte) 0xFF}, StandardCharsets.ISO_8859_1));
    }

    static Stream<byte[]> ids() {
        return Stream.concat(
                utf8(
                        "",
                        "host_id=7\nwhere=/mnt/leases\nrecord=00\n",
                        "host_id=seven\nwhere=/mnt\nrecord=00\n",
                        "host_id=7\n",
                        "host_id=7\nwhere=\\ud800\nrecord=00\n",
                        "host_id=7\nwhere=\\uq\nrecord=00\n"),
                Stream.of(new byte[] {'w', '=', (byte) 0xFF}, new byte[4096]));
    }

    static Stream<byte[]> texts() {
        return utf8(
                "",
                "/mnt/leases",
                " begins and ends with a blank ",
                "a\\b\nhost_id=8\r\n#!=: \t",
                "Ångström",
                "\uFFFD\u2028\0");
    }

    private static Stream<byte[]> utf8(String... texts) {
        return Stream.of(texts).map(text -> text.getBytes(StandardCharsets.UTF_8));
    }
}
