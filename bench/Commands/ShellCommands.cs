// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text;

namespace MemcgNative.Bench;

/// <summary>`completion`, `man` and `schema`: made from the command tree and the result types, so that they cannot lag behind.</summary>
internal sealed class ShellCommands(CommandContext context)
{
    private static readonly string[] shells = ["bash", "zsh", "fish", "pwsh"];

    /// <summary>A few lines that ask the program itself: its [suggest] directive knows commands, options and words.</summary>
    public int Completion(string? shell)
    {
        context.Out.Write((shell is null ? "bash" : OptionSet.Word("completion", shell, shells)) switch
        {
            "zsh" => """
                #compdef memcgnative
                _memcgnative() {
                  local -a found
                  found=(${(f)"$(memcgnative "[suggest:${#BUFFER}]" "$BUFFER" 2>/dev/null)"})
                  compadd -- $found
                }
                compdef _memcgnative memcgnative

                """,
            "fish" => """
                complete -c memcgnative -f -a '(memcgnative "[suggest:"(string length -- (commandline -cp))"]" (commandline -cp) 2>/dev/null)'

                """,
            "pwsh" => """
                Register-ArgumentCompleter -Native -CommandName memcgnative -ScriptBlock { param($word, $ast, $cursor)
                  memcgnative "[suggest:$cursor]" "$ast" 2>$null | Where-Object { $_ -like "$word*" } |
                    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) } }

                """,
            _ => """
                _memcgnative() {
                  local IFS=$'\n'
                  COMPREPLY=($(compgen -W "$(memcgnative "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
                }
                complete -o default -F _memcgnative memcgnative

                """,
        });
        return ExitCode.Done;
    }

    /// <summary>A page for man(1): memcgnative man > memcgnative.1; man ./memcgnative.1.</summary>
    public int Man(RootCommand root)
    {
        var m = new StringBuilder(".TH MEMCGNATIVE 1\n.SH NAME\nmemcgnative \\- the Linux memory-cgroup accounting core, in user space\n"
            + ".SH SYNOPSIS\n.B memcgnative\n.I command\n[options]\n");
        string[] description = root.Description!.Split("\n\n");
        m.Append(".SH DESCRIPTION\n").Append(Text(description[0])).Append("\n.SH EXAMPLES\n.nf\n").Append(Text(description[1])).Append("\n.fi\n.SH COMMANDS\n");
        foreach (Command c in root.Subcommands.Where(c => !c.Hidden))
        {
            m.Append(".SS ").Append(c.Name);
            foreach (Argument a in c.Arguments) m.Append(a.Arity.MinimumNumberOfValues == 0 ? $" [{a.Name}]" : $" {a.Name}");
            m.Append('\n').Append(Text(c.Description ?? "")).Append('\n');
            foreach (Argument a in c.Arguments.Where(a => a.Description is not null)) m.Append(".TP\n.I ").Append(a.Name).Append('\n').Append(Text(a.Description!)).Append('\n');
            foreach (Option o in c.Options) Append(m, o);
        }
        m.Append(".SH OPTIONS OF ALL COMMANDS\n");
        foreach (Option o in context.Options.Common) Append(m, o);
        m.Append(".SH EXIT STATUS\n").Append(Text(description[^1])).Append('\n');
        context.Out.Write(m.ToString());
        return ExitCode.Done;
    }

    /// <summary>The JSON Schema of result files.</summary>
    public int Schema()
    {
        context.Out.Write(ResultSchema.Text());
        return ExitCode.Done;
    }

    private static void Append(StringBuilder m, Option o)
    {
        m.Append(".TP\n.B ").Append(Text(string.Join(", ", o.Aliases.Prepend(o.Name))));
        if (o.HelpName is { } help) m.Append(" \\fI").Append(Text(help)).Append("\\fR");
        m.Append('\n').Append(Text(o.Description ?? "")).Append('\n');
    }

    private static string Text(string s) => string.Join('\n', s.Split('\n').Select(l => l.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("-", "\\-",
        StringComparison.Ordinal))
        .Select(l => l.StartsWith('.') || l.StartsWith('\'') ? "\\&" + l : l));
}
