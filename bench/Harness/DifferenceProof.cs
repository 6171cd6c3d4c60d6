// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`compare --prove` as JSON. Shown: no false verdict on the same design, and the dearer one found in at least nine of ten.</summary>
internal sealed record ProofReport(bool Shown, double ThresholdPct, int RoundsPerComparison, int Rounds, int RoundsKept, double ExtraAdds, double BuiltInPct,
    IReadOnlyList<double> BuiltInCi95Pct, IReadOnlyList<ProofModel> Comparisons);

internal sealed record ProofModel(int Number, string Same, string SameText, string Dearer, string DearerText);

/// <summary>
/// Shows here, in one run, what comparisons by round are worth: one design twice and once with about 3 % built into its charge path, in turn;
/// each repetition is a comparison of its own, with the same number of rounds for both questions. All three run on one machine's memory: two
/// machines of one design differ by more than 3 % (see <see cref="Schedule"/>), and what is shown here is the statistics, not their luck.
/// </summary>
internal sealed class DifferenceProof(Scenario scenario, double threshold, Progress progress, CancellationToken stop)
{
    private const string Workload = "charge-uncharge";
    private const int Comparisons = 20, RoundsEach = 150, CalibrationSixteenths = 64, CalibrationSteps = 3;
    private const double BuiltIn = 0.03;

    /// <exception cref="OsException">The machine refuses.</exception>
    public ProofReport Run()
    {
        var plain = Model.Parse("3.19");
        string[] answers = [.. plain.Answers];
        answers[(int)Axis.Counter] = DearerCounter.Answer;
        var model = new Model(plain.Era, answers);
        double clockNs = ClockCost.MeasureNs();
        int added = CalibrationSixteenths;
        using Instance instance = Matrix.Bind(model, new InstanceMaker(scenario.InstanceFor(scenario.Mem[0], model)));
        var points = new List<Point>();
        try
        {
            instance.Start();
            Lane lane = instance.Open(Workload);
            foreach (Action before in (Action[])[static () => DearerCounter.Sixteenths = 0, static () => DearerCounter.Sixteenths = 0, () => DearerCounter.Sixteenths = added])
                points.Add(new Point(lane, 1, Comparisons * RoundsEach, scenario.Mem[0].Text) { BeforeBatch = before });
            for (int step = 0; step < CalibrationSteps; step++) // the first locked adds hide behind others, so the cost is no straight line
            {
                Measure(points, 2, clockNs, static _ => { });
                double cost = Ratio(points[2], points[0], 0, 2 * RoundsEach)?.Median - 1 ?? 0;
                if (!(cost > 0)) throw new OsException("", 0, "compare --prove: too few undisturbed rounds to learn what a locked add costs; this machine is too busy");
                added = Math.Clamp((int)Math.Round(added * Math.Clamp(BuiltIn / cost, 0.25, 4)), 1, 16_000);
            }
            progress.Say($"prove    {Comparisons} comparisons of {RoundsEach} rounds each way; "
                + string.Create(CultureInfo.InvariantCulture, $"{added / 16.0:0.0} locked adds in 32 charges are built in"));
            Measure(points, Comparisons, clockNs, rep => progress.Say($"[{rep}/{Comparisons}]"));
            stop.ThrowIfCancellationRequested();
            if (instance.Close() is { Balanced: false } books) throw new BugException(string.Join("; ", books.Wrong.Take(5)));
            return Report(points, added / 16.0);
        }
        finally
        {
            if (instance.Gang is not { Stuck: > 0 })
                foreach (Point p in points) p.Dispose();
        }
    }

    private void Measure(List<Point> points, int reps, double clockNs, Action<int> done) =>
        new Runner(points, new Schedule(RoundsEach * Schedule.Batch, reps, null, scenario.Schedule.Seed), clockNs, stop).Run(rep =>
        {
            done(rep);
            return false;
        });

    private ProofReport Report(List<Point> points, double adds)
    {
        var all = new List<ProofModel>();
        for (int c = 0; c < Comparisons; c++)
        {
            Verdict same = Judge(points[1], points[0], c), slower = Judge(points[2], points[0], c);
            all.Add(new ProofModel(c + 1, Word(same), Text(same), Word(slower), Text(slower)));
        }
        RatioEstimate built = Ratio(points[2], points[0], 0, Comparisons * RoundsEach)!;
        bool shown = all.All(p => p.Same is "same" or "unknown") && all.Count(p => p.Dearer == "slower") >= Comparisons * 9 / 10;
        return new ProofReport(shown, threshold * 100, RoundsEach, Comparisons * RoundsEach, points[0].Whole.Count(w => w), adds, (built.Median - 1) * 100,
            [(built.Low - 1) * 100, (built.High - 1) * 100], all);
    }

    private Verdict Judge(Point p, Point against, int comparison) => Ratio(p, against, comparison * RoundsEach, RoundsEach) is { } r
        ? Verdict.OfRounds(r.Median, r.Low, r.High, threshold, 1) : new(Answer4.CannotTell, null, null, null, null);

    /// <summary>
    /// Costs of p over costs of against, in the rounds in which neither lost its CPU and both found it equally fast: a ratio does not ask how
    /// fast, so rounds beside a busy sibling count as well.
    /// </summary>
    private RatioEstimate? Ratio(Point p, Point against, int from, int count)
    {
        int[] alike = [.. Enumerable.Range(from, count).Where(i => p.IsAlike(against, i))];
        return RatioEstimate.Of([.. alike.Select(i => 1 / p.Throughput[i])], [.. alike.Select(i => 1 / against.Throughput[i])], scenario.Schedule.Seed);
    }

    private static string Word(Verdict v) => v.Answer switch { Answer4.Same => "same", Answer4.Faster => "faster", Answer4.Slower => "slower", _ => "unknown" };

    private string Text(Verdict v) => $"{v.Text(threshold)} ({Numbers.Percent(v.ChangePct)})";
}
