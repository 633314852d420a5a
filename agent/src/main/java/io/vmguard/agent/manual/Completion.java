/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.manual;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * What the shells offer after Tab. The label of a value says what can stand there: {@code DOMAIN} is one that the agent knows,
 * {@code FILE}, {@code PATH}, {@code DIR} and {@code DISK} are files, {@code a|b} is one of these words.
 */
final class Completion {
    /** A command of the agent's status in which only domains look like this. */
    private static final String DOMAINS =
            "vmguard status --json 2>/dev/null | grep -o '\"name\":\"[^\"]*\",\"uuid\"' | cut -d '\"' -f 4";

    /** @param path all its words */
    private record Command(String path, CommandSpec spec) {
        List<OptionSpec> options() {
            return spec.options().stream().filter(option -> !option.hidden()).toList();
        }

        List<CommandSpec> below() {
            return spec.subcommands().values().stream()
                    .map(CommandLine::getCommandSpec)
                    .toList();
        }

        /** What its first argument is; empty if it takes none. */
        String argument() {
            return spec.positionalParameters().stream()
                    .findFirst()
                    .map(ArgSpec::paramLabel)
                    .orElse("");
        }
    }

    private final List<Command> commands = new ArrayList<>();
    private final StringBuilder script = new StringBuilder();

    private Completion(CommandLine top) {
        collect(top.getCommandSpec());
    }

    private void collect(CommandSpec spec) {
        commands.add(new Command(spec.qualifiedName(" "), spec));
        spec.subcommands().values().forEach(below -> collect(below.getCommandSpec()));
    }

    static String bash(CommandLine top) {
        return new Completion(top).bash();
    }

    static String zsh(CommandLine top) {
        return new Completion(top).zsh();
    }

    static String fish(CommandLine top) {
        return new Completion(top).fish();
    }

    private String bash() {
        line("# bash completion for vmguard. Made from the commands themselves.");
        line("_vmguard() {");
        line("    local cur prev path=vmguard i words=");
        line("    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}");
        line("    COMPREPLY=()");
        line("    for ((i = 1; i < COMP_CWORD; i++)); do");
        line("        case \"$path ${COMP_WORDS[i]}\" in");
        line("            " + subcommands("'", "' | '", "'") + ") path=\"$path ${COMP_WORDS[i]}\" ;;");
        line("        esac");
        line("    done");
        line("    # --option=value comes as three words.");
        line("    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi");
        line("    if [[ $cur == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 1]} cur=; fi");
        line("    case \"$path $prev\" in");
        for (Command command : commands) {
            for (OptionSpec option : command.options()) {
                if (option.arity().max() > 0) {
                    line("        " + names(option, command.path() + " ", "'", "' | '", "'") + ") "
                            + bashValue(option.paramLabel()) + "; return ;;");
                }
            }
        }
        line("    esac");
        line("    case $path in");
        for (Command command : commands) {
            String words = Stream.concat(
                            command.below().stream().map(CommandSpec::name),
                            command.options().stream().flatMap(option -> Stream.of(option.names())))
                    .collect(Collectors.joining(" "));
            line("        '" + command.path() + "') words='" + words + "' ;;");
        }
        line("    esac");
        line("    if [[ $cur != -* ]]; then");
        line("        case $path in");
        for (Command command : commands) {
            if (!command.argument().isEmpty()) {
                line("            '" + command.path() + "') " + bashValue(command.argument()) + "; return ;;");
            }
        }
        line("        esac");
        line("    fi");
        line("    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")");
        line("}");
        line("complete -F _vmguard vmguard");
        return script.toString();
    }

    private static String bashValue(String label) {
        String words = switch (kind(label)) {
            case FILE -> "-o filenames -f";
            case DOMAIN -> "-W \"$(" + DOMAINS + ")\"";
            case CHOICE -> "-W '" + label.replace('|', ' ') + "'";
            case OTHER -> "";
        };
        if (words.isEmpty()) {
            return ":";
        }
        String also = kind(label) == Kind.FILE ? "compopt -o filenames 2>/dev/null; " : "";
        return also + "mapfile -t COMPREPLY < <(compgen " + words.replace("-o filenames ", "") + " -- \"$cur\")";
    }

    private String zsh() {
        line("#compdef vmguard");
        line("# zsh completion for vmguard. Made from the commands themselves.");
        line("_vmguard_domains() {");
        line("    local -a domains");
        line("    domains=(${(f)\"$(" + DOMAINS + ")\"})");
        line("    _describe domain domains");
        line("}");
        line("_vmguard() {");
        line("    local path_=vmguard i=2 at=1");
        line("    local -a commands");
        line("    while ((i < CURRENT)); do");
        line("        case \"$path_ ${words[i]}\" in");
        line("            " + subcommands("'", "' | '", "'") + ") path_=\"$path_ ${words[i]}\" at=$i ;;");
        line("        esac");
        line("        ((i++))");
        line("    done");
        line(
                "    # _arguments takes the first word for the command; one before it that it does not know would end what it offers.");
        line("    words=(\"${(@)words[at,-1]}\")");
        line("    ((CURRENT -= at - 1))");
        line("    case $path_ in");
        for (Command command : commands) {
            line("        '" + command.path() + "')");
            if (!command.below().isEmpty()) {
                line("            commands=("
                        + command.below().stream()
                                .map(below -> quoted(below.name() + ":" + summary(below)))
                                .collect(Collectors.joining(" "))
                        + ")");
                line("            if [[ ${words[CURRENT]} != -* ]]; then _describe command commands; return; fi");
            }
            String arguments = Stream.concat(
                            command.options().stream().flatMap(Completion::zshOption),
                            Stream.of(command.argument())
                                    .filter(label -> !label.isEmpty())
                                    .map(label -> quoted("*:" + label + ":" + zshValue(label))))
                    .collect(Collectors.joining(" "));
            line("            _arguments " + arguments + " ;;");
        }
        line("    esac");
        line("}");
        line("_vmguard \"$@\"");
        return script.toString();
    }

    private static Stream<String> zshOption(OptionSpec option) {
        String text = summary(option).replace("[", "(").replace("]", ")").replace(":", "\\:");
        return Stream.of(option.names())
                .map(name -> option.arity().max() == 0
                        ? quoted(name + "[" + text + "]")
                        : quoted(
                                name + "=[" + text + "]:" + option.paramLabel() + ":" + zshValue(option.paramLabel())));
    }

    private static String zshValue(String label) {
        return switch (kind(label)) {
            case FILE -> "_files";
            case DOMAIN -> "_vmguard_domains";
            case CHOICE -> "(" + label.replace('|', ' ') + ")";
            case OTHER -> " ";
        };
    }

    private String fish() {
        line("# fish completion for vmguard. Made from the commands themselves.");
        line("function __vmguard_at");
        line("    set -l at vmguard");
        line("    for word in (commandline -opc)[2..-1]");
        line("        if contains -- \"$at $word\" " + subcommands("'", "' '", "'"));
        line("            set at \"$at $word\"");
        line("        end");
        line("    end");
        line("    test \"$at\" = \"$argv\"");
        line("end");
        line("complete -c vmguard -f");
        for (Command command : commands) {
            String at = "complete -c vmguard -n '__vmguard_at " + command.path() + "' ";
            for (CommandSpec below : command.below()) {
                line(at + "-a " + below.name() + " -d " + fishQuoted(summary(below)));
            }
            for (OptionSpec option : command.options()) {
                String names = Stream.of(option.names())
                        .map(name -> name.startsWith("--") ? "-l " + name.substring(2) : "-s " + name.substring(1))
                        .collect(Collectors.joining(" "));
                line(at + names + (option.arity().max() == 0 ? "" : fishValue(option.paramLabel(), "-r")) + " -d "
                        + fishQuoted(summary(option)));
            }
            if (!command.argument().isEmpty()) {
                line(at.strip() + fishValue(command.argument(), ""));
            }
        }
        return script.toString();
    }

    private static String fishValue(String label, String required) {
        String flag = required.isEmpty() ? " " : " " + required + " ";
        return switch (kind(label)) {
            case FILE -> flag + "-F";
            case DOMAIN -> flag + "-f -a " + fishQuoted("(" + DOMAINS + ")");
            case CHOICE -> flag + "-f -a " + fishQuoted(label.replace('|', ' '));
            case OTHER -> flag + "-f";
        };
    }

    private enum Kind {
        FILE,
        DOMAIN,
        CHOICE,
        OTHER
    }

    private static Kind kind(String label) {
        return switch (label) {
            case "FILE", "PATH", "DIR", "DISK" -> Kind.FILE;
            case "DOMAIN" -> Kind.DOMAIN;
            default -> label.indexOf('|') > 0 ? Kind.CHOICE : Kind.OTHER;
        };
    }

    /** Whole paths of all commands but the topmost. */
    private String subcommands(String before, String between, String after) {
        return commands.stream().skip(1).map(Command::path).collect(Collectors.joining(between, before, after));
    }

    private static String names(OptionSpec option, String prefix, String before, String between, String after) {
        return Stream.of(option.names()).map(name -> prefix + name).collect(Collectors.joining(between, before, after));
    }

    private static String summary(CommandSpec spec) {
        return spec.usageMessage().description()[0];
    }

    private static String summary(OptionSpec option) {
        return option.description().length == 0
                ? ""
                : option.description()[0].replace("${DEFAULT-VALUE}", String.valueOf(option.defaultValueString()));
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }

    private static String fishQuoted(String text) {
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
    }

    private void line(String line) {
        script.append(line).append('\n');
    }
}
