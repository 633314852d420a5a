/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.derive.OneLine;
import java.util.ArrayList;
import java.util.List;

/** Rows for a terminal, columns as wide as their widest cell. Cells may come from anywhere: none can steer the terminal. */
final class TextTable {
    private static final int COLUMN_GAP = 2;

    private final List<List<String>> rows = new ArrayList<>();

    TextTable(String... heading) {
        row(heading);
    }

    /** As many cells as the heading has. */
    TextTable row(String... cells) {
        rows.add(java.util.Arrays.stream(cells).map(OneLine::of).toList());
        return this;
    }

    boolean isEmpty() {
        return rows.size() == 1;
    }

    /** One line per row, indented by two. */
    @Override
    public String toString() {
        int last = rows.get(0).size() - 1;
        int[] widths = new int[last];
        for (int column = 0; column < last; column++) {
            int at = column;
            widths[at] =
                    rows.stream().mapToInt(row -> row.get(at).length()).max().orElse(0);
        }
        StringBuilder text = new StringBuilder();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder("  ");
            for (int column = 0; column < last; column++) {
                String cell = row.get(column);
                line.append(cell).append(" ".repeat(widths[column] - cell.length() + COLUMN_GAP));
            }
            text.append(line.append(row.get(last)).toString().stripTrailing()).append("\n");
        }
        return text.toString();
    }
}
