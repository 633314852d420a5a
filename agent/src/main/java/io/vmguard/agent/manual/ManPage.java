/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.manual;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Manual pages, one for each command, in the language of {@code man 7 man}. Written here since all that turns picocli's model into a page
 * goes through AsciiDoc and a Ruby runtime, for a format of six macros.
 */
final class ManPage {
    private static final String FILES = """
            .SH FILES
            .TP
            .I /etc/vmguard/vmguard.yaml
            The configuration; every setting is explained in it.
            .TP
            .I /run/vmguard/agent.sock
            Where the agent listens.
            .TP
            .I /var/lib/vmguard
            What must survive a reboot, and
            .IR audit.log ,
            what operators have done to leases.
            .TP
            .I /usr/share/doc/vmguard/operations.md
            What each message means and what to do, for the whole of a host's life.
            """;

    private final CommandLine command;
    private final StringBuilder page = new StringBuilder();

    private ManPage(CommandLine command) {
        this.command = command;
    }

    /** Pages of a command and all below it: the text by file name, such as {@code vmguard-lease-show.1}. */
    static Map<String, String> all(CommandLine top, String version, String date) {
        Map<String, String> pages = new TreeMap<>();
        pages.put(title(top.getCommandSpec()) + ".1", new ManPage(top).write(version, date));
        top.getSubcommands().values().forEach(below -> pages.putAll(all(below, version, date)));
        return pages;
    }

    private static String title(CommandSpec spec) {
        return spec.qualifiedName("-");
    }

    private String write(String version, String date) {
        CommandSpec spec = command.getCommandSpec();
        UsageMessageSpec usage = spec.usageMessage();
        line(".\\\" Made from the command itself.");
        line(".TH " + title(spec).toUpperCase(Locale.ROOT) + " 1 " + date + " \"" + text(version) + "\" \"vmguard\"");
        line(".SH NAME");
        String[] description = usage.description();
        line(text(title(spec)) + " \\- " + text(firstWords(description[0])));
        line(".SH SYNOPSIS");
        line(".nf");
        plain(command.getHelp().synopsis(0)).lines().forEach(words -> line(text(words)));
        line(".fi");
        line(".SH DESCRIPTION");
        line(Stream.of(description).map(ManPage::text).collect(Collectors.joining("\n.PP\n")));
        entries("ARGUMENTS", spec.positionalParameters().stream().map(this::argument));
        entries(
                "OPTIONS",
                spec.options().stream().filter(option -> !option.hidden()).map(this::option));
        entries("COMMANDS", command.getSubcommands().values().stream().map(ManPage::subcommand));
        entries(
                "EXIT STATUS",
                usage.exitCodeList().entrySet().stream().map(code -> tagged(code.getKey(), code.getValue())));
        page.append(FILES);
        line(".SH SEE ALSO");
        line(seeAlso(spec));
        return page.toString();
    }

    /** What stands in the list of all pages: the first sentence, without the full stop. */
    private static String firstWords(String description) {
        int end = description.indexOf(". ");
        String sentence = end < 0 ? description : description.substring(0, end);
        return sentence.endsWith(".") ? sentence.substring(0, sentence.length() - 1) : sentence;
    }

    private void entries(String heading, Stream<String> entries) {
        String all = entries.collect(Collectors.joining());
        if (!all.isEmpty()) {
            line(".SH \"" + heading + "\"");
            page.append(all);
        }
    }

    private String argument(ArgSpec argument) {
        return tagged(argument.paramLabel(), describe(argument));
    }

    private String option(OptionSpec option) {
        String names = Stream.of(option.names()).collect(Collectors.joining(", "));
        return tagged(option.arity().max() == 0 ? names : names + "=" + option.paramLabel(), describe(option));
    }

    private String describe(ArgSpec argument) {
        String value = String.valueOf(argument.defaultValueString());
        return Stream.of(argument.description())
                .map(text -> plain(text).replace("${DEFAULT-VALUE}", value))
                .collect(Collectors.joining(" "));
    }

    private static String subcommand(CommandLine below) {
        return tagged(
                below.getCommandSpec().qualifiedName(" "),
                below.getCommandSpec().usageMessage().description()[0]);
    }

    private static String tagged(String tag, String text) {
        return ".TP\n.B \"" + text(tag).replace("\"", "\\(dq") + "\"\n" + text(text) + "\n";
    }

    private static String seeAlso(CommandSpec spec) {
        Stream<CommandSpec> above = Stream.iterate(spec.parent(), parent -> parent != null, CommandSpec::parent);
        Stream<CommandSpec> below = spec.subcommands().values().stream().map(CommandLine::getCommandSpec);
        List<String> pages = Stream.concat(above, below)
                .map(other -> ".BR " + text(title(other)) + " (1)")
                .sorted()
                .toList();
        return pages.isEmpty() ? ".BR virsh (1)" : String.join(",\n", pages).replaceAll("\\(1\\),", "(1),");
    }

    /** Without picocli's own marks for bold and the like. */
    private static String plain(String marked) {
        return Ansi.OFF.string(marked).stripTrailing();
    }

    /** What is no macro and no escape, whatever it begins with. */
    private static String text(String words) {
        String escaped = words.replace("\\", "\\(rs").replace("-", "\\-").replace("%n", "\n");
        return escaped.lines()
                .map(line -> line.startsWith(".") || line.startsWith("'") ? "\\&" + line : line)
                .collect(Collectors.joining("\n.br\n"));
    }

    private void line(String line) {
        page.append(line).append('\n');
    }
}
