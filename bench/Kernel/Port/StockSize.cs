// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>How much a counter can be ahead of the pages behind it: what stocks and page vectors of the CPUs hold.</summary>
/// <param name="Batch">Pages of a stock, 0 without one (MEMCG_CHARGE_BATCH).</param>
/// <param name="Groups">Groups whose pages a CPU's stock can hold at one time.</param>
/// <param name="Vector">Pages that wait in a CPU's page vector.</param>
internal sealed record StockSize(int Batch, int Groups, int Vector)
{
    /// <summary>Of the port in this model: "SevenSlot64" is 64 pages for each of 7 groups.</summary>
    public static StockSize Of(Model model)
    {
        string stock = model[Axis.Stock];
        int digits = stock.Reverse().TakeWhile(char.IsAsciiDigit).Count();
        int batch = digits == 0 ? 0 : int.Parse(stock.AsSpan(stock.Length - digits), CultureInfo.InvariantCulture);
        return new StockSize(batch, stock.StartsWith("Seven", StringComparison.Ordinal) ? 7 : 1, Pagevec.Size);
    }

    /// <summary>Of a kernel by its release: batch 64 from 6.1, seven slots from 6.16, vectors of 31 from 6.10.</summary>
    public static StockSize Of(Version kernel) => new(kernel >= new Version(6, 1) ? 64 : 32, kernel >= new Version(6, 16) ? 7 : 1, kernel >= new Version(6, 10) ? 31 : 15);

    /// <summary>"6.18.44-fc" is 6.18.44.</summary>
    public static Version ReleaseOf(string release) =>
        TryReleaseOf(release) ?? throw new UsageException($"kernel: the release '{release}' has no number", ofThisMachine: true);

    /// <summary>The same, or null where it has no number.</summary>
    public static Version? TryReleaseOf(string release)
    {
        string digits = new([.. release.TakeWhile(static c => char.IsAsciiDigit(c) || c == '.')]);
        return Version.TryParse(digits.Trim('.'), out Version? v) ? v : null;
    }

    /// <summary>Pages that may be counted and belong to nothing, on cpus CPUs, below a group with so many groups that paid.</summary>
    public long Slack(int cpus, int groups) => (long)Batch * cpus * Math.Min(groups, Groups);

    /// <summary>The same in words; empty when there is none.</summary>
    public string Words(int cpus, int groups) => Batch == 0 || groups == 0 ? "" : $"stock {Batch} x {cpus} CPU(s) x {Math.Min(groups, Groups)} group(s)";
}
