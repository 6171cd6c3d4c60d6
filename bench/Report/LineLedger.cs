// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Reflection;
using MemcgNative.Accounting;

namespace MemcgNative.Bench;

/// <summary>A line that two CPUs share on the way of a page. Numbers by CPU are per page of that CPU.</summary>
/// <param name="Line">What lies in it.</param>
/// <param name="Reads">Loads, by CPU.</param>
/// <param name="Writes">Stores, by CPU.</param>
/// <param name="Locks">Locked instructions, by CPU.</param>
/// <param name="Moves">Moves from one CPU to the other, per page, when two CPUs take turns page by page.</param>
internal sealed record LedgerRow(string Line, IReadOnlyList<double> Reads, IReadOnlyList<double> Writes, IReadOnlyList<double> Locks, double Moves)
{
    /// <summary>A line that moves with more than one page in a hundred.</summary>
    public bool Contended => Moves > 0.01;

    /// <summary>Per page, where a move costs so much; null where that was not measured.</summary>
    public double? Ns(double? nsPerMove) => nsPerMove is { } ns ? Moves * ns : null;

    /// <summary>"0.031", or "0.031, 0" where the CPUs differ.</summary>
    public static string Numbers(IReadOnlyList<double> byCpu) =>
        Math.Abs(byCpu[0] - byCpu[1]) <= 0.01 * Math.Max(byCpu[0], byCpu[1]) ? Number(byCpu[0]) : $"{Number(byCpu[0])}, {Number(byCpu[1])}";

    /// <summary>"0.031".</summary>
    public static string Number(double perPage) => perPage.ToString("0.####", CultureInfo.InvariantCulture);
}

/// <summary>
/// What each line that CPUs share is asked from fault to final put. Counted, not declared: every access to a cell of the shipped sources, on a machine that
/// plays two CPUs in turn (`./build.sh torture ledger`); ledger.tsv holds the counts and a test of tests/Torture compares them with the code. Counted
/// without swap accounting and one level below the root: each further level of groups has a counter more like the group's.
/// </summary>
internal static class LineLedger
{
    private static readonly Lazy<ILookup<(string Model, bool Shared), LedgerRow>> all = new(Read);

    /// <summary>The rows of a model, those that move most first; null when its combination was not counted.</summary>
    /// <param name="shared">Both CPUs in one group; false: each in its own.</param>
    public static IReadOnlyList<LedgerRow>? Of(Model model, bool shared)
    {
        string name = Counted(model);
        return all.Value.Contains((name, !shared)) || all.Value.Contains((name, shared)) ? [.. all.Value[(name, shared)]] : null;
    }

    /// <summary>The model whose counts are this one's: what holds kernel objects is not asked on a user page's way, except where pages name objcgs (7.1).</summary>
    private static string Counted(Model model) => model[Axis.PageCgroup] == "ObjcgWord" ? model.ToString()
        : new Model(model.Era, [.. model.Answers.Select((answer, i) => (Axis)i == Axis.Kmem ? Eras.Find(model.Era)!.Answers[i] : answer)]).ToString();

    /// <summary>What a reader is told where nothing was counted.</summary>
    public static string NotCounted(Model model) => $"{model}: not counted; count it: ./build.sh torture ledger {model}";

    private static ILookup<(string, bool), LedgerRow> Read()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("ledger.tsv") ?? throw new InvalidOperationException("ledger.tsv is not embedded");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(l => l.Split('\t')).ToLookup(f => (f[0], f[1] == "one"), f =>
        {
            double At(int i) => double.Parse(f[i], CultureInfo.InvariantCulture);
            return new LedgerRow(f[2], [At(3), At(4)], [At(5), At(6)], [At(7), At(8)], At(9));
        });
    }
}
