// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;

namespace MemcgNative.Bench;

/// <summary>The commands that set the port and the running kernel side by side.</summary>
internal static class KernelCommands
{
    public static IEnumerable<Command> Of(OptionSet o, CommandContext context)
    {
        Command conform = Make("conform", "scenario files and rules: the port, and the kernel beside it",
            "  memcgnative conform                                       all scenarios and every rule of every design, on the port\n"
            + "  memcgnative conform move-task --on port,kernel --diff     one of them on both, as a table\n"
            + "  memcgnative conform mine.memcg -M 3.19 -M 6.18            your own file, on two eras\n"
            + "  memcgnative conform --random 200 --seed 1 --on port,kernel\n"
            + "  memcgnative conform --language                            how a scenario file is written\n\nWithout -M the port is 6.18.",
            [ConformCommand.On, ConformCommand.Diff, ConformCommand.Random, o.Seed, ConformCommand.List, ConformCommand.Show, ConformCommand.Language, o.Model],
            r => new ConformCommand(context).Run(r));
        conform.Arguments.Add(ConformCommand.Files);
        yield return conform;

        Command record = Make("record", "record the kernel's page and slab events of a command",
            "  memcgnative record -o make.mtrace -- make -j2\n  memcgnative record -- sh -c 'ls -R / >/dev/null'        into record.mtrace",
            [o.Out, RecordCommand.Every, RecordCommand.Charges], r => new RecordCommand(context).Run(r));
        record.Arguments.Add(RecordCommand.Command);
        yield return record;

        Command replay = Make("replay", "drive a recording through any era and compare with the kernel's counters",
            "  memcgnative replay make.mtrace -M 3.19 -M 6.18\n  memcgnative replay make.mtrace --on-cpus 8 --all\n\n"
            + "Without -M the port is 6.18; one of record --charges is compared call by call with the stock of its kernel. "
            + "Exit: 0 agree, 4 differ, 5 the books do not balance.",
            [o.Model, ReplayCommand.OnCpus, ReplayCommand.All, ReplayCommand.Info], r => new ReplayCommand(context).Run(r));
        replay.Arguments.Add(ReplayCommand.File);
        yield return replay;

        var kernel = new Command("kernel", "the running kernel: what charging costs it, and its shape beside the port's");
        kernel.Subcommands.Add(Make("probe", "fault, page-cache and kernel-memory loops in groups of depth 1, 3, 5 and outside",
            "  memcgnative kernel probe\n  memcgnative kernel probe -t 1,50%,100% -r 30 -o probe\n  memcgnative kernel probe --root       against the root group: as root\n\n"
            + "It needs root or a delegated cgroup: systemd-run --user --scope -p Delegate=yes memcgnative kernel probe",
            [o.Cpus, o.Threads, o.Reps, o.Duration, o.Seed, ProbeCommand.Root, o.Format, o.Out], r => new ProbeCommand(context).Run(r)));
        Command compare = Make("compare", "shapes of kernel and port side by side; never speeds",
            "  memcgnative kernel compare sweep.json probe.json --import page_fault2.csv\n"
            + "  memcgnative kernel compare depth1.json depth5.json probe.json      sweeps of --depth 1 and 5: root and child on both sides",
            [CompareCommand.Import], r => new CompareCommand(context).Run(r));
        compare.Arguments.Add(CompareCommand.Files);
        kernel.Subcommands.Add(compare);
        yield return kernel;

        var cpu = new Argument<string>("cpu");
        Command task = Make(KernelTaskCommand.Name, "a task of a scenario on the kernel", "", [], r => KernelTaskCommand.Run(r.GetValue(cpu)!));
        task.Hidden = true;
        task.Arguments.Add(cpu);
        yield return task;
    }

    private static Command Make(string name, string what, string examples, IEnumerable<Option> options, Func<ParseResult, int> action)
    {
        var command = new Command(name, examples.Length == 0 ? what : $"{what}\n\n{examples}");
        foreach (Option option in options) command.Options.Add(option);
        command.SetAction(action);
        return command;
    }
}
