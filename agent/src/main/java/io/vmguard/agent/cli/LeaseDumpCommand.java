/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.AreaDump;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Prints every field of an area. */
@Command(
        name = "dump",
        description = "Explain every field of every sector in use of a lease or a lockspace, byte for byte.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:it was shown", "2:wrong usage or configuration, or the file cannot be read"})
final class LeaseDumpCommand extends DirectoryCommand {
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Report(int format, String file, String title, List<AreaDump.Sector> sectors, List<String> remarks) {}

    private final LeaseTools tools;

    @Parameters(
            paramLabel = "NAME",
            arity = "0..1",
            description = "Name of a lease or lockspace (default: the lockspace of the configuration).")
    private String name = "";

    LeaseDumpCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    int run(Place place) throws IOException {
        String wanted = name.isEmpty() ? place.lockspace() : name;
        Optional<LeaseName> file = leaseName(wanted);
        if (file.isEmpty()) {
            return cannot("'" + wanted + "' cannot be the name of a lease");
        }
        LeaseInspector inspector = tools.inspectors().apply(place.dir());
        Optional<AreaDump> dump = inspector.dump(file.get());
        if (dump.isEmpty()) {
            return cannot(why(place, inspector, file.get()));
        }
        if (isJson()) {
            AreaDump found = dump.get();
            out().print(OutputOption.json(
                    new Report(LeaseReport.FORMAT, found.file(), found.title(), found.sectors(), found.remarks())));
        } else {
            print(dump.get());
        }
        return 0;
    }

    private static String why(Place place, LeaseInspector inspector, LeaseName file) throws IOException {
        return inspector.inspect(file, Depth.HOLDERS).resources().stream()
                .map(ResourceInspection::findings)
                .filter(findings -> !findings.isEmpty())
                .map(findings -> findings.get(0).sentence())
                .findFirst()
                .orElse(place.dir() + "/" + file + ": no such file");
    }

    private void print(AreaDump dump) {
        out().println(OneLine.of(dump.file() + ": " + dump.title()));
        for (AreaDump.Sector sector : dump.sectors()) {
            out().println();
            out().println(OneLine.of(sector.title()) + ", at offset " + sector.offset());
            TextTable table = new TextTable("OFFSET", "BYTES", "FIELD", "VALUE", "MEANING");
            for (AreaDump.Field field : sector.fields()) {
                table.row(
                        Long.toString(field.offset()),
                        Integer.toString(field.bytes()),
                        field.name().isEmpty() ? "?" : field.name(),
                        field.value(),
                        field.meaning());
            }
            out().print(table);
        }
        out().println();
        dump.remarks().forEach(remark -> out().println(OneLine.of(remark)));
    }
}
