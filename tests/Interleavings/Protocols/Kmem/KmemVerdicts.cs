// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Tests.Interleavings;

/// <summary>A statement somebody derived by reading and nobody had shown.</summary>
/// <param name="Id">The race it belongs to.</param>
/// <param name="Says">What it claims.</param>
/// <param name="Shown">The case that shows it: a schedule that does, or every schedule that holds; null: none can.</param>
/// <param name="Why">Then: why.</param>
internal sealed record Hypothesis(string Id, string Says, string? Shown, string Why = "");

/// <summary>The part of VERDICTS.md about kernel memory: where each race of the specification is, and what became of its hypotheses.</summary>
internal static class KmemVerdicts
{
    /// <summary>Races without a case of their id: where they are instead, or why an interleaving cannot show them.</summary>
    private static readonly Dictionary<string, string> elsewhere = new()
    {
        ["D11"] = "no interleaving: a recursion on one CPU; nothing accounted is allocated while a cache is made (Kmalloc)",
        ["D19"] = "no interleaving: arithmetic on one CPU; slabs are single pages here",
        ["E2"] = "percpu_ref/tryget, percpu_ref/kill",
        ["E13"] = "no interleaving: one CPU; unit test At_the_limit_an_object_is_refused_and_nothing_stays_charged",
        ["F2"] = "S3",
        ["F4"] = "S2",
        ["F10"] = "S7",
        ["G6"] = "lengths are written under the list's lock only (Lruvec.Resize); readers without it are told so",
        ["G7"] = "no interleaving: a table of constants; unit tests cover every item",
        ["H8"] = "E7, life/remove",
    };

    private static readonly Hypothesis[] hypotheses =
    [
        new("D14", "the uncharge that reaches 0 may test a bit of a group that is freed", "D14/no-rcu/1f1o"),
        new("E1", "a walk that keeps its variable after a failed tryget returns a pointer without a reference", "E1/no-reset/1a1o"),
        new("E3", "as posted, a release between the kill and the postponed css_get puts a reference that was never taken", "E3/no-get-before-kill/1o1r"),
        new("E6", "a dead group's counter keeps residue and never goes below 0; its parent's is exact", "E6/ObjCgroup/1u1o"),
        new("E7", "a parent that goes offline before its child leaves pointers that name it for ever", "E7/no-children-first/2o"),
        new("F3", "crossing propagations keep the parent's sum right", "F3/sum/2c"),
        new("F3", "crossing propagations may leave a stale share", "F3/accepted-stale-share/2c"),
        new("F5", "repairing an underflow by storing 0 wipes a charge", "F5/no-compare-exchange/1r1c"),
        new("F7", "FLUSHING stays set for a CPU that was isolated, and no drain looks at it again", "F7/no-isolation-first/1d1i"),
        new("F8", "out of memory although stocks hold enough, because another drain was at work", "F8/accepted-oom-with-full-stocks/2d"),
        new("F11", "a drainer that empties another CPU's slot without an exchange makes phantom pages", "F11/no-exchange-slot/1o1d"),
        new("F12", "two CPUs that take turns on one owner charge a page too many, and give it back later", "F12/accepted-a-page-too-many/2c"),
        new("H2", "flushers of overlapping subtrees count a delta twice", "H2/no-one-lock/2f"),
        new("3.4", "the root's own counter drifts upward when top-level groups are removed", null,
            "no interleaving; it is left out of the books (I1b), and exact for user pages (SpliceTests)"),
        new("2.6", "a task that moved and allocates nothing keeps its old objcg", null, "tasks cache no objcg here"),
    ];

    public static void Append(StringBuilder o)
    {
        o.Append("\n# Kernel memory: races D1 to H8\n\nFrom the same cases. holds: every schedule is fine; found: a schedule breaks it.\n\n| race | cases |\n|---|---|\n");
        foreach ((string family, int count) in (ReadOnlySpan<(string, int)>)[("D", 19), ("E", 13), ("F", 14), ("G", 7), ("H", 8)])
            for (int i = 1; i <= count; i++) Row(o, $"{family}{i}");
        o.Append("\n| hypothesis | says | verdict | by |\n|---|---|---|---|\n");
        foreach (Hypothesis h in hypotheses)
            o.Append(CultureInfo.InvariantCulture, $"| {h.Id} | {h.Says} | {(h.Shown is null ? "not showable" : Verdict(h.Shown))} | {h.Shown ?? h.Why} |\n");
    }

    private static void Row(StringBuilder o, string race)
    {
        string[] own = [.. Cases.All.Where(c => c.Id == race).Select(c =>
            $"{c.Design} {c.Shape}: {(c.Expect == Expect.Exhausted ? "holds" : c.Expect == Expect.Broken ? "found" : "found under TSO")}")];
        o.Append(CultureInfo.InvariantCulture, $"| {race} | {(own.Length > 0 ? string.Join("; ", own) : elsewhere[race])} |\n");
    }

    /// <summary>Asked of the explorer, not of the registry: a claim is confirmed by a schedule that shows it, or by all that hold.</summary>
    private static string Verdict(string name)
    {
        Case c = Cases.All.Single(x => x.Name == name);
        ExploreResult r = Explorer.Explore(c, new ExploreOptions { MaxExecutions = 1_000_000 });
        bool shown = c.Expect == Expect.Exhausted ? r.Verdict == Interleavings.Verdict.Exhausted : r.Failed;
        return shown ? "confirmed" : "refuted";
    }
}
