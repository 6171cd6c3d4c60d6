// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.CommandLine.Help;

namespace MemcgNative.Bench;

/// <summary>What a command works with.</summary>
internal sealed record CommandContext(OptionSet Options, CliEnvironment Environment, string[] Arguments, TextWriter Out, TextWriter Error);

/// <summary>The commands and which options each takes.</summary>
internal static class CommandTree
{
    public static RootCommand Build(OptionSet o, CommandContext context)
    {
        var root = new RootCommand("The Linux memory-cgroup accounting core, in user space, on your hardware.\n\n"
            + "  memcgnative sweep                                   every workload on 1 to all CPUs, in under a minute\n"
            + "  memcgnative run charge-uncharge -C node:0 -t 4      one experiment\n"
            + "  memcgnative run fault -M 3.19,stock=None --private  another design, a group per thread\n"
            + "  memcgnative placement -m interleave:0-1 -p thp      prove where memory lands\n"
            + "  memcgnative sweep --dry-run --topology \"pack:2 numa:2 core:8 pu:2\"\n\n"
            + "Exit: 0 done, 1 failed, 2 wrong usage, 3 this machine cannot, 5 a rule was broken, 6 not trustworthy (--strict), 130/143 stopped.");
        foreach (Option option in root.Options.ToArray())
            if (option is HelpOption) root.Options.Remove(option);
        root.Options.Add(new HelpOption("--help", "-h"));
        foreach (Option option in o.Common) root.Options.Add(option);

        root.Subcommands.Add(Make("topology", "what this machine has", [o.Topology, o.Format], r => new TopologyCommand(context).Run(r)));
        root.Subcommands.Add(Make("placement", "map memory, prove where it is", [o.Mem, o.Pages, o.Footprint, o.GrowPool, o.Cpus, o.Format, o.Out],
            r => new PlacementCommand(context).Run(r)));
        var workload = new Argument<string?>("workload")
        {
            Arity = ArgumentArity.ZeroOrOne, // --preset and --from name it
            Description = "one, or several with commas: " + string.Join("; ", WorkloadList.All.Select(w => $"{w.Name}: {w.What}")),
        };
        Command run = Make("run", "one experiment", [.. o.Experiment, o.Twin, o.Preset], r =>
            Experiment(context, r, new ScenarioReader(r, o, context.Environment).Run(r.GetValue(workload))));
        run.Arguments.Add(workload);
        root.Subcommands.Add(run);
        var optional = new Argument<string?>("workload") { Description = "one of them (default: all)", Arity = ArgumentArity.ZeroOrOne };
        Command sweep = Make("sweep", "vary threads and memory; without options the whole of it in under a minute", o.Experiment,
            r => Experiment(context, r, new ScenarioReader(r, o, context.Environment).Sweep(r.GetValue(optional))));
        sweep.Arguments.Add(optional);
        root.Subcommands.Add(sweep);
        foreach (Command command in KernelCommands.Of(o, context)) root.Subcommands.Add(command);
        foreach (Command command in KmemCommand.Of(o, context)) root.Subcommands.Add(command);
        var what = new Argument<string?>("what") { Description = "eras, axes, workloads or presets (default: all)", Arity = ArgumentArity.ZeroOrOne };
        Command list = Make("list", "eras, axes, workloads, presets", [o.Format], r => new ListCommand(context).Run(r, r.GetValue(what)));
        list.Arguments.Add(what);
        root.Subcommands.Add(list);
        root.Subcommands.Add(Make("cleanup", "undo what a run and its supervisor left on the host when both were killed", [o.DryRun, o.Rehearse],
            r => new CleanupCommand(context).Run(r.GetValue(o.DryRun), r.GetValue(o.Rehearse))));
        foreach (Sibling s in Sibling.All) root.Subcommands.Add(s.Entry());
        Laboratory.Add(root, o, context);
        return root;
    }

    private static int Experiment(CommandContext context, ParseResult parsed, Scenario scenario)
    {
        int Run() => new ExperimentCommand(context).Run(parsed, scenario);
        return parsed.GetValue(context.Options.DryRun) ? Run() : GrowPool.Around(context, parsed, scenario.Pages, scenario.FrameBytes(), Run);
    }

    internal static Command Make(string name, string description, IEnumerable<Option> options, Func<ParseResult, int> action)
    {
        var command = new Command(name, description);
        foreach (Option option in options) command.Options.Add(option);
        command.SetAction(action);
        return command;
    }
}
