// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>One line of a published table, and what stands for it here.</summary>
/// <param name="Label">What the author called it.</param>
/// <param name="Published">The figure as published.</param>
/// <param name="Gain">Published throughput over the first row's; null where no figure was given, infinity and 0 where only a direction was.</param>
/// <param name="Workload">What is run here.</param>
/// <param name="Model">On which designs.</param>
internal sealed record PresetRow(string Label, string Published, double? Gain, string Workload, string Model);

/// <summary>A commit message's experiment: its table, and the runs that stand for its rows. The first row is what the others are set against.</summary>
/// <param name="Name">What --preset takes.</param>
/// <param name="Source">Author, date, subject, commit.</param>
/// <param name="Machine">What it was measured on.</param>
/// <param name="Rows">The table.</param>
/// <param name="NotRun">Rows of the table that have no counterpart here, or null.</param>
/// <param name="Depth">Levels of groups.</param>
/// <param name="Private">A group per thread.</param>
/// <param name="Layout">The claim is about which words share a line: nothing is said where the machine does not show that.</param>
internal sealed record Preset(string Name, string Source, string Machine, IReadOnlyList<PresetRow> Rows, string? NotRun = null, int Depth = 1, bool Private = false,
    bool Layout = false)
{
    /// <summary>Workloads of its rows, each once.</summary>
    public IReadOnlyList<string> Workloads => [.. Rows.Select(r => r.Workload).Distinct()];

    /// <summary>Models of its rows, each once.</summary>
    public IReadOnlyList<string> Models => [.. Rows.Select(r => r.Model).Distinct()];

    /// <exception cref="UsageException">Not a preset.</exception>
    public static Preset Find(string name) => PresetList.All.FirstOrDefault(p => p.Name == name)
        ?? throw new UsageException($"--preset: '{name}' is not a preset{Nearest.Hint(name, PresetList.All.Select(p => p.Name))} "
            + $"Known: {string.Join(", ", PresetList.All.Select(p => p.Name))}");

    /// <summary>What was measured, row by row, and whether it says what was published.</summary>
    /// <param name="ratio">What a row costs over what the first costs.</param>
    /// <param name="probe">Whether this machine shows false sharing; for a claim about layouts.</param>
    public PresetModel Report(Func<PresetRow, PresetRow, RatioModel> ratio, LineProbeModel? probe) => new(Name, Source, Machine, NotRun,
        [.. Rows.Select((row, i) => i == 0 ? new PresetRowModel(row.Label, row.Published, null, row.Workload, row.Model, null, null, "what the others are set against")
            : Judge(row, ratio(row, Rows[0]), Layout ? probe : null))]);

    private static PresetRowModel Judge(PresetRow row, RatioModel cost, LineProbeModel? probe)
    {
        double? published = row.Gain is { } g && double.IsFinite(g) && g > 0 ? g : null;
        string? blind = probe is { LayoutsMayBeRanked: false } ? $"not visible on this machine: {probe.Verdict}"
            : cost.Ratio is null ? $"not visible on this machine: {cost.Reason}" : null;
        if (blind is not null) return new PresetRowModel(row.Label, row.Published, published, row.Workload, row.Model, null, null, blind);
        double[] ci = [1 / cost.Ci95![1], 1 / cost.Ci95[0]];
        int seen = ci[0] > 1 ? 1 : ci[1] < 1 ? -1 : 0, said = row.Gain switch { null => 0, > 1 => 1, _ => -1 };
        string verdict = seen == 0 ? "not visible on this machine: the interval includes no change"
            : said == 0 ? "no figure was published" : seen == said ? "the published direction" : "the other direction";
        return new PresetRowModel(row.Label, row.Published, published, row.Workload, row.Model, seen == 0 ? null : 1 / cost.Ratio, seen == 0 ? null : ci, verdict);
    }
}

/// <summary>A preset's table with ours beside it. gain: throughput over the first row's.</summary>
internal sealed record PresetModel(string Name, string Source, string Machine, string? NotRun, IReadOnlyList<PresetRowModel> Rows);

/// <summary>Measured and ci95 are null where nothing is visible; the verdict says why.</summary>
internal sealed record PresetRowModel(string Label, string Published, double? PublishedGain, string Workload, string Model, double? MeasuredGain,
    IReadOnlyList<double>? Ci95, string Verdict);
