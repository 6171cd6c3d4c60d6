// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Charges without pages on a tree of eleven groups, four levels deep, beside an oracle: plain numbers under one big lock. While CPUs
/// run, usage and oracle may differ by what is in flight and in stocks; at rest usage is the oracle plus the stocks, exactly.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="mistakes">Some CPUs subtract by mistake and take it back (S1); only a design that repairs survives that long enough to be wrong.</param>
/// <param name="busted">Name of a type that must fail.</param>
internal sealed unsafe class CounterTorture<TC>(string model, bool mistakes = false, string? busted = null) : TortureType where TC : struct, IMemoryController
{
    private const int Charge = 0, Uncharge = 1, Cancel = 2, Forced = 3, Refused = 4, Drain = 5, SetLimit = 6, Compared = 7, Mistake = 8, Most = 70;
    private static readonly int[] parents = [-1, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7]; // depth below the root: 1, 2, 2, 3, 3, 3, 4, ...

    private PhysicalMemory memory = null!;
    private PlainMemory source = null!;
    private AccountingMemory accounting = null!;
    private readonly nint[] groups = new nint[parents.Length];
    private readonly long[] oracle = new long[parents.Length];
    private readonly object bigLock = new(), limitLock = new();
    private int[][] held = [];

    public override string Name => busted ?? "counters";
    public override bool Busted => busted is not null;
    public override string Detail => "[" + model + "]";
    public override IReadOnlyList<string> Counters { get; } = ["charge", "uncharge", "cancel", "forced", "refused", "drain", "set-limit", "compared", "mistake"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Charge, Uncharge, Cancel, Refused, Drain, SetLimit, Compared];

    private Memcg* Group(int i) => (Memcg*)groups[i];

    protected override void SetUp()
    {
        memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), NodeSpec.Granule)]) { Watermarks = Watermarks.None }, new PlainMemory());
        memory.Attach(Cpus.Table);
        source = new PlainMemory();
        accounting = AccountingMemory.Build<TC>(memory, Cpus, source, new AccountingPlan(MaxGroups: 32, SwapAccounting: (Setting.Seed & 4) != 0));
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int i = 0; i < parents.Length; i++)
                groups[i] = (nint)MemcgLife.Create<TC>(cpu, parents[i] < 0 ? accounting.Root : Group(parents[i]));
        });
        held = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new int[parents.Length + 16])];
        if (mistakes) return; // without limits nothing is ever given back by an undo, which would notice
        TC.TrySetLimit(Group(1), CounterKind.Memory, 300);
        TC.TrySetLimit(Group(3), CounterKind.Memory, 120);
        TC.TrySetLimit(Group(9), CounterKind.Memory, 40);
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        int g = w.Random(parents.Length), n = 1 + w.Random(w.OneIn(8) ? Most : 4);
        int[] mine = held[cpu.Index];
        switch (w.Random(64))
        {
            case 0:
                w.Did(Drain, g);
                TC.DrainStocks(cpu, w.OneIn(2) ? accounting.Root : Group(g));
                break;
            case 1 when !mistakes:
                w.Did(SetLimit, g);
                lock (limitLock) TC.TrySetLimit(Group(g), CounterKind.Memory, 20 + w.Random(400));
                break;
            case 2 when !mistakes:
                w.Did(Forced, g, n);
                if (mine.Sum() > 400) break;
                Note(g, n);
                TC.ChargeForced(cpu, Group(g), n);
                mine[g] += n;
                break;
            case 3:
                w.Did(Compared, g);
                Compare(g);
                break;
            case 4 when mistakes:
                w.Did(Mistake, g);
                TC.UnchargeCounters(cpu, Group(g), 1 << 20, 1 << 20); // far below zero, whatever was charged
                break;
            case < 30:
                int give = Math.Min(n, mine[g]);
                if (give == 0) break;
                w.Did(Uncharge, g, give);
                mine[g] -= give;
                TC.UnchargeCounters(cpu, Group(g), give, give);
                Note(g, -give);
                break;
            default:
                TryCharge(cpu, w, g, n, mine);
                break;
        }
    }

    private void TryCharge(in ThisCpu cpu, Worker w, int g, int n, int[] mine)
    {
        w.Did(Charge, g, n);
        Refusal refused = default;
        if (!TC.TryCharge(cpu, Group(g), n, ref refused))
        {
            w.Hit(Refused);
            if (!Memcg.IsDescendant(Group(g), refused.Memcg)) throw new TortureException($"{Name}: the group that refused is no ancestor of the one charged");
            if (w.OneIn(8)) TC.DrainStocks(cpu, refused.Memcg);
            int most = Array.IndexOf(mine, mine.Max());
            if (mine[most] == 0) return;
            int give = mine[most];
            mine[most] = 0;
            TC.UnchargeCounters(cpu, Group(most), give, give);
            Note(most, -give);
            return;
        }
        if (w.OneIn(8))
        {
            w.Did(Cancel, g, n);
            TC.Cancel(cpu, Group(g), n);
            return;
        }
        mine[g] += n;
        Note(g, n);
    }

    /// <summary>The oracle: n pages of group g and of every group above it.</summary>
    private void Note(int g, int n)
    {
        lock (bigLock)
            for (int i = g; i >= 0; i = parents[i]) oracle[i] += n;
    }

    private long Slack => mistakes ? long.MaxValue : Cpus.Count * (7 * 2 * 64 + 3 * 400L);

    private void Compare(int g)
    {
        lock (bigLock)
        {
            long usage = TC.Usage(Group(g), CounterKind.Memory);
            if (Math.Abs(usage - oracle[g]) > Slack) throw new TortureException($"{Name}: group {g} uses {usage} pages, the oracle says {oracle[g]}; more than {Slack} apart");
        }
    }

    public override void Leave(in ThisCpu cpu) => TC.DrainStocks(cpu, accounting.Root);

    public override void Check(ICollection<string> wrong)
    {
        for (int g = 0; g < parents.Length; g++)
        {
            long stocked = 0;
            for (int i = 0; i < parents.Length; i++)
                for (int c = 0; c < Cpus.Count && Memcg.IsDescendant(Group(i), Group(g)); c++) stocked += TC.StockedPages(Cpus.Area(c), Group(i));
            long usage = TC.Usage(Group(g), CounterKind.Memory), memsw = TC.Usage(Group(g), CounterKind.Memsw);
            if (usage != oracle[g] + stocked) wrong.Add($"group {g}: usage {usage}, the oracle {oracle[g]}, in stocks {stocked}");
            if ((Setting.Seed & 4) != 0 && memsw != usage) wrong.Add($"group {g}: memsw {memsw}, memory {usage}, and nothing is swapped");
        }
    }

    public override void Finish(ICollection<string> wrong)
    {
        for (int c = 0; c < Cpus.Count; c++)
        {
            int[] mine = held[c];
            AsCpu(c, (in ThisCpu cpu) =>
            {
                for (int g = 0; g < parents.Length; g++)
                    if (mine[g] != 0) TC.UnchargeCounters(cpu, Group(g), mine[g], mine[g]);
                TC.DrainStocks(cpu, accounting.Root);
            });
        }
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int g = parents.Length - 1; g >= 0; g--)
            {
                if (TC.Usage(Group(g), CounterKind.Memory) is not 0 and var left) wrong.Add($"group {g}: {left} pages are left");
                MemcgLife.Remove(cpu, Group(g));
                for (int i = 0; i < 4; i++) Poll.Run(cpu);
            }
            Rcu.Barrier(cpu);
        });
        AsCpu(0, (in ThisCpu cpu) => Rcu.Barrier(cpu));
        if (AtomicLong.Load(&accounting.Tree->Count) is not 1 and var groupsLeft) wrong.Add($"{groupsLeft - 1} groups never died");
    }

    public override void TearDown()
    {
        source.Dispose();
        memory.Dispose();
        base.TearDown();
    }
}
