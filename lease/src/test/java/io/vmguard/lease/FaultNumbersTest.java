/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Every number of sanlock's is a fault of ours or is said never to be one, in the published table. */
class FaultNumbersTest {
    private static final Pattern ROW =
            Pattern.compile("(?m)^\\| (-\\d+)(?: to (-\\d+))? \\| (\\S+) \\| (\\S+) \\| (\\S.*) \\|$");

    private static List<MatchResult> rows() throws IOException {
        String page = Files.readString(Path.of("../docs/ondisk-format.md"));
        return ROW.matcher(page).results().toList();
    }

    @Test
    void theTableNamesEachFaultOnceUnderItsNumber() throws IOException {
        Map<String, Integer> published = new TreeMap<>();
        for (MatchResult row : rows()) {
            if (!row.group(4).equals("–")) {
                assertThat(published.put(row.group(4), Integer.parseInt(row.group(1))))
                        .as(row.group())
                        .isNull();
            }
        }
        Map<String, Integer> ours = new TreeMap<>();
        Arrays.stream(LeaseFault.values()).forEach(fault -> ours.put(fault.name(), fault.code()));
        assertThat(published).isEqualTo(ours);
    }

    @Test
    void noNumberOfTheFormatIsLeftOut() throws IOException {
        Map<Integer, String> table = new TreeMap<>();
        for (MatchResult row : rows()) {
            int first = Integer.parseInt(row.group(1));
            int last = row.group(2) == null ? first : Integer.parseInt(row.group(2));
            for (int number = first; number >= last; number--) {
                assertThat(table.put(number, row.group(3))).as(row.group()).isNull();
            }
        }
        assertThat(table.keySet())
                .contains(-2, -11, -16, -17, -28, -90, -125)
                .contains(-201, -202, -203, -210, -211, -212, -213, -214, -220, -221, -222)
                .contains(-223, -224, -225, -226, -227, -228, -229, -230, -231)
                .contains(-240, -241, -242, -243, -244, -245, -246, -247, -250, -251)
                .contains(-260, -261, -262, -270, -271, -272, -273, -274, -275, -276, -277, -278);
    }

    @Test
    void eachFaultHasAHalfSentenceOfItsOwn() {
        assertThat(Arrays.stream(LeaseFault.values()).map(LeaseFault::text))
                .doesNotHaveDuplicates()
                .allSatisfy(text -> assertThat(text).isNotBlank());
        assertThat(Arrays.stream(LeaseFault.values()).map(LeaseFault::code)).doesNotHaveDuplicates();
    }
}
