// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;

namespace MemcgNative.Bench;

/// <summary>The commands that look at machines and results: none of them measures a workload of the accounting.</summary>
internal static class Laboratory
{
    public static void Add(RootCommand root, OptionSet o, CommandContext context)
    {
        var kind = new Argument<string?>("kind")
        {
            Description = "cpu: core to core; node: writer's node by home node; lines: which shared line a page touches how often (default cpu)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Command matrix = CommandTree.Make("matrix", "latency of the accounting's own lines, and whether this machine shows false sharing", [o.Line, o.Cpus, o.Mem, o.Seed,
            o.Format, o.Out, o.Model, o.Private],
            r => new MatrixCommand(context).Run(r, r.GetValue(kind)));
        matrix.Arguments.Add(kind);
        root.Subcommands.Add(matrix);
        var files = new Argument<string[]>("files") { Description = "two results (.json, or reports), or one whose models are compared", Arity = ArgumentArity.ZeroOrMore };
        Command compare = CommandTree.Make("compare", "faster, slower, same or cannot tell; exit 4 when slower", [o.Threshold, o.FailOn, o.Format, o.Prove, o.Seed, o.Cpus],
            r => new VerdictCommand(context).Run(r, r.GetValue(files) ?? []));
        compare.Arguments.Add(files);
        root.Subcommands.Add(compare);
        var shown = new Argument<string[]>("files")
        {
            Description = "a result (.json, or a report), and what `matrix -o` wrote, to be shown with it",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Command report = CommandTree.Make("report", "a result as one HTML file that works offline, or as md, csv, hgrm, will-it-scale, lkp", [o.Format, o.Out, o.Extract],
            r => new ReportCommand(context).Run(r, r.GetValue(shown) ?? []));
        report.Arguments.Add(shown);
        root.Subcommands.Add(report);
        root.Subcommands.Add(CommandTree.Make("doctor", "is it quiet enough here, and what would make it quieter? Changes nothing; --dry-run measures nothing",
            [o.Cpus, o.DryRun, o.Format], r => new DoctorCommand(context).Run(r)));
        var shell = new Argument<string?>("shell") { Description = "bash, zsh, fish or pwsh (default bash)", Arity = ArgumentArity.ZeroOrOne };
        Command completion = CommandTree.Make("completion", "words for a shell's TAB: source <(memcgnative completion bash)", [], r =>
            new ShellCommands(context).Completion(r.GetValue(shell)));
        completion.Arguments.Add(shell);
        root.Subcommands.Add(completion);
        root.Subcommands.Add(CommandTree.Make("man", "the manual page: memcgnative man > memcgnative.1", [], _ => new ShellCommands(context).Man(root)));
        root.Subcommands.Add(CommandTree.Make("schema", "the JSON Schema of result files", [], _ => new ShellCommands(context).Schema()));
    }
}
