// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>A published table with ours beside it.</summary>
internal static class PresetTable
{
    public static void Write(PresetModel preset, Terminal terminal, TextWriter writer)
    {
        writer.WriteLine($"{"preset",-11}{preset.Name}: {preset.Source}; {preset.Machine}");
        var table = new Table { Border = TableBorder.None };
        foreach (string column in (string[])["row", "published", "gain", "here", "gain here", "95 %", "verdict"])
            table.AddColumn(new TableColumn(column) { NoWrap = column is "gain" or "gain here" or "95 %" });
        foreach (PresetRowModel r in preset.Rows)
        {
            string[] cells = [r.Label, r.Published, Gain(r.PublishedGain), $"{r.Workload} -M {r.Model}", Gain(r.MeasuredGain),
                r.Ci95 is { } ci ? string.Create(CultureInfo.InvariantCulture, $"{ci[0]:0.000} {ci[1]:0.000}") : "", r.Verdict];
            table.AddRow(cells.Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        }
        terminal.Write(table);
        if (preset.NotRun is { } not) writer.WriteLine($"{"preset",-11}not run: {not}");
    }

    private static string Gain(double? gain) => gain is { } g ? string.Create(CultureInfo.InvariantCulture, $"{g:0.000}") : "";
}
