// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`replay`: a recording through any era, compared with what the kernel's counters said.</summary>
internal sealed class ReplayCommand(CommandContext context)
{
    public static readonly Argument<string> File = new("file") { Description = "a recording that `record` made" };
    public static readonly Option<string?> OnCpus = new("--on-cpus") { HelpName = "N", Description = "CPUs of the port; events of CPU c go to c modulo N (default: as recorded)" };
    public static readonly Option<bool> All = new("--all") { Description = "every checkpoint, not only the last and those that differ" };
    public static readonly Option<bool> Info = new("--info") { Description = "say what the recording is, and replay nothing" };

    public int Run(ParseResult parsed)
    {
        TraceFile trace = TraceFormat.Read(parsed.GetValue(File)!);
        Say(trace);
        if (parsed.GetValue(Info)) return ExitCode.Done;
        if (trace.Header.Lost > 0)
            throw new UsageException($"replay: {trace.Header.Lost} events of this recording were lost, so no replay of it can agree; record anew on a quieter machine");
        int cpus = Cpus(parsed.GetValue(OnCpus), trace.Header.Cpus);
        Model[] models = [.. (parsed.GetValue(context.Options.Model) is { Length: > 0 } asked ? asked : ["6.18"]).Select(Model.Parse)];
        bool differs = false, broken = false;
        if (ChargeReplay.Has(trace)) return Charges(trace);
        foreach (Model model in models)
        {
            ReplayResult result = Replay(trace, model, cpus, context.Environment.Stop);
            IReadOnlyList<ReplayRow> rows = ReplayReport.Rows(trace, result);
            ReplayReport.Write(trace, result, rows, context.Out, parsed.GetValue(All));
            differs |= rows.Any(r => !r.Ok);
            broken |= result.Wrong.Count > 0;
        }
        if (broken) return ExitCode.Broken;
        return differs ? ExitCode.Slower : ExitCode.Done;
    }

    /// <summary>A recording in full fidelity: the stock of its kernel must be equal to the page at every call; the other stocks say how they differ.</summary>
    private int Charges(TraceFile trace)
    {
        IReadOnlyList<ChargeResult> all = ChargeReplay.Run(trace, context.Environment.Stop);
        ChargeResult own = all[0];
        string inherited = own.Inherited > 0 ? $" with {own.Inherited} page(s) of kernel memory left to the parent" : "";
        context.Out.WriteLine($"{own.Stock}, the recorded kernel's: {own.Calls} calls, {own.Compared} counters and {own.Counted} calls of the counter compared, "
            + $"{own.Groups.Offline} group(s) offline, {own.Groups.Released} released{inherited}, {own.Different} differ{(own.First is { } first ? $"; first: {first}" : "")}");
        foreach (ChargeResult other in all.Skip(1)) context.Out.WriteLine($"{other.Stock}, of another era: {other.Different} of {other.Calls} calls differ");
        return own.Different == 0 ? ExitCode.Done : ExitCode.Slower;
    }

    /// <summary>Replays on one model.</summary>
    public static ReplayResult Replay(TraceFile trace, Model model, int cpus, CancellationToken stop) => Matrix.Bind(model, new Replayer(trace, model, cpus, stop));

    private void Say(TraceFile trace)
    {
        TraceHeader h = trace.Header;
        CultureInfo c = CultureInfo.InvariantCulture;
        double seconds = trace.Events.Count == 0 ? 0 : trace.Events[^1].TimeNs / 1e9;
        context.Out.WriteLine(string.Create(c, $"recording of '{h.Command}' on Linux {h.Kernel}, cgroup {h.Cgroup}, {h.Cpus} CPU(s), by {h.Source}, "
            + $"{h.Recorded}{(h.Synthetic ? ", MADE UP" : "")}"));
        context.Out.WriteLine(string.Create(c, $"{trace.Events.Count} events in {seconds:0.###} s; without owner {100 * h.Ownerless:0.00} %"
            + $"{(h.Charged is { } charged ? $" (the kernel counted {charged} folios charged)" : "")}; lost {h.Lost}"));
        if (h.Ownerless > ReplayReport.MostUnattributed) context.Out.WriteLine("more than 5 % of the events have no owner, so no checkpoint counts");
    }

    private static int Cpus(string? text, int recorded)
    {
        if (text is null) return recorded;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is > 0 and <= 1024 ? n
            : throw new UsageException($"--on-cpus: '{text}' is not a number from 1 to 1024");
    }

    private sealed class Replayer(TraceFile trace, Model model, int cpus, CancellationToken stop) : IControllerUser<ReplayResult>
    {
        /// <inheritdoc/>
        public ReplayResult Use<TC>() where TC : struct, IMemoryController
        {
            using var replay = new PortReplay<TC>(trace, model, cpus);
            return replay.Run(stop);
        }
    }
}
