// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// `kernel compare`: shapes of kernel and port side by side. Speeds are never set against each other: the port charges a frame, the kernel
/// also faults, zeroes and maps it.
/// </summary>
internal sealed class CompareCommand(CommandContext context)
{
    public static readonly Argument<string[]> Files = new("file") { Description = "results of sweep (port) and of kernel probe", Arity = ArgumentArity.OneOrMore };
    public static readonly Option<string[]?> Import = new("--import") { HelpName = "FILE", Description = "also a CSV of will-it-scale or a stats.json of lkp" };

    public int Run(ParseResult parsed)
    {
        Curve[] curves = [.. (parsed.GetValue(Files) ?? []).Concat(parsed.GetValue(Import) ?? []).SelectMany(CurveFiles.Read)];
        if (curves.Length == 0)
            throw new UsageException("kernel compare: the files hold no throughput; make some with: memcgnative sweep -o sweep, memcgnative kernel probe -o probe");
        Write(curves, context.Out);
        return ExitCode.Done;
    }

    public static void Write(IReadOnlyList<Curve> curves, TextWriter to)
    {
        CultureInfo c = CultureInfo.InvariantCulture;
        to.WriteLine("Shapes, not speeds: each curve against its own first point. The port charges a frame; the kernel also faults, zeroes and maps it.");
        int[] cpus = [.. curves.SelectMany(x => x.Throughput.Keys).Distinct().Order()];
        int width = curves.Max(x => x.Name.Length), what = curves.Max(x => x.What.Length);
        to.WriteLine($"{"".PadRight(width)}  {"".PadRight(what)}  {string.Join("  ", cpus.Select(n => string.Create(c, $"{n + " CPU",7}")))}  fit");
        foreach (Curve curve in curves)
        {
            IEnumerable<string> cells = cpus.Select(n => double.IsNaN(curve.SpeedUp(n)) ? "      -" : string.Create(c, $"{curve.SpeedUp(n),7:0.00}"));
            to.WriteLine($"{curve.Name.PadRight(width)}  {curve.What.PadRight(what)}  {string.Join("  ", cells)}  {Fit(curve)}");
        }
        foreach (var same in curves.GroupBy(x => x.What).Where(g => g.Count() > 1))
            foreach (int n in cpus.Where(n => same.All(x => x.Throughput.ContainsKey(n))))
                Order([.. same], same.Key, n, to);
        if (curves.All(x => x.Throughput.Count < Scalability.LeastCounts))
            to.WriteLine($"fit: none; a curve through fewer than {Scalability.LeastCounts} numbers of CPUs that the machine owns could be anything");
    }

    /// <summary>Gunther's law, of each curve by itself: sigma is what waits, kappa what CPUs tell each other.</summary>
    private static string Fit(Curve curve) => Scalability.Sentence(Scalability.Fit(curve.What, curve.Name, "", [.. curve.Throughput.Select(p => (p.Key, p.Value))]));

    /// <summary>The difference is more than the two points spread.</summary>
    private static bool CanTell(Curve a, Curve b, int cpus) =>
        a.Throughput[cpus] / b.Throughput[cpus] - 1 > a.Spread.GetValueOrDefault(cpus) + b.Spread.GetValueOrDefault(cpus);

    /// <summary>Who is fastest within one side (~: cannot tell); between the two sides there is no order.</summary>
    private static void Order(Curve[] same, string what, int cpus, TextWriter to)
    {
        foreach (var side in same.GroupBy(x => x.Name.Split(' ')[0]).Where(g => g.Count() > 1))
        {
            Curve[] order = [.. side.OrderByDescending(x => x.Throughput[cpus])];
            var text = new System.Text.StringBuilder();
            for (int i = 0; i < order.Length; i++)
            {
                if (i > 0) text.Append(CanTell(order[i - 1], order[i], cpus) ? " > " : " ~ ");
                text.Append(CultureInfo.InvariantCulture, $"{order[i].Name[(side.Key.Length + 1)..]} ({order[i].Throughput[cpus] / order[0].Throughput[cpus]:0.00})");
            }
            to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"order of {side.Key}, {what}, {cpus} CPU(s): {text}"));
        }
    }
}
