// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What every ICounterDesign promises, with or without a stock. A rule returns what was broken, or null.</summary>
internal static unsafe class CounterRules
{
    public static readonly (string Name, string Sentence)[] All =
    [
        (nameof(ChargesEveryLevel), "A charge counts at every level and its uncharge leaves nothing"),
        (nameof(HoldsTheLimit), "Usage never passes the limit, and the last page under it can be had"),
        (nameof(RefusalLeavesNoTrace), "A charge refused above leaves nothing below and names who refused"),
        (nameof(RefusesALimitBelowUsage), "A limit below usage is refused and changes nothing"),
        (nameof(MemswFollows), "Memory+swap counts with memory and can be given back alone"),
        (nameof(PeakIsKept), "The highest usage is remembered after it is gone"),
        (nameof(ForcedPassesTheLimit), "A forced charge asks no limit"),
    ];

    public static string? Check<TCounter>(string rule) where TCounter : struct, ICounterDesign
    {
        using var bench = new DesignBench<Controller<TCounter, OwnerWord, ZoneLruLock<TestAndSetLock>, AtFinalPut, PinPerPage, NoKmem>>();
        string? broken = rule switch
        {
            nameof(ChargesEveryLevel) => ChargesEveryLevel(bench),
            nameof(HoldsTheLimit) => HoldsTheLimit(bench),
            nameof(RefusalLeavesNoTrace) => RefusalLeavesNoTrace(bench),
            nameof(RefusesALimitBelowUsage) => RefusesALimitBelowUsage(bench),
            nameof(MemswFollows) => MemswFollows(bench),
            nameof(PeakIsKept) => PeakIsKept(bench),
            nameof(ForcedPassesTheLimit) => ForcedPassesTheLimit(bench),
            _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "no such rule"),
        };
        return broken;
    }

    private static string? ChargesEveryLevel<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* top = bench.Group(), middle = bench.Group(top), leaf = bench.Group(middle);
        if (!bench.TryCharge(leaf, 5)) return "an unlimited charge was refused";
        bench.Quiesce();
        foreach (nint group in (nint[])[(nint)leaf, (nint)middle, (nint)top])
        {
            long usage = DesignBench<TC>.Usage((Memcg*)group);
            if (usage != 5) return $"5 pages charged, usage is {usage} at depth {Guarded<int>.Get(&((Memcg*)group)->Depth)}";
        }
        TC.UnchargeCounters(bench.Cpu(), leaf, 5, 5);
        return DesignBench<TC>.Usage(leaf) == 0 && DesignBench<TC>.Usage(top) == 0 ? null : "something is left after the uncharge";
    }

    private static string? HoldsTheLimit<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* top = bench.Group(), leaf = bench.Group(top);
        if (!TC.TrySetLimit(top, CounterKind.Memory, 100)) return "a limit above usage was refused";
        int charged = 0;
        while (charged < 200 && bench.TryCharge(leaf, 1)) charged++;
        if (DesignBench<TC>.Usage(top) > 100) return $"usage {DesignBench<TC>.Usage(top)} over limit 100";
        bench.Quiesce();
        while (charged < 200 && bench.TryCharge(leaf, 1)) charged++;
        if (charged != 100) return $"{charged} of 100 pages could be had";
        if (TC.FailCount(top, CounterKind.Memory) == 0) return "refusals are not counted";
        TC.UnchargeCounters(bench.Cpu(), leaf, charged, charged);
        bench.Quiesce();
        long below = DesignBench<TC>.Usage(leaf), above = DesignBench<TC>.Usage(top);
        return below == 0 && above == 0 ? null : $"usage {below} and {above} after everything was given back";
    }

    private static string? RefusalLeavesNoTrace<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* top = bench.Group(), leaf = bench.Group(top);
        TC.TrySetLimit(top, CounterKind.Memory, 3);
        Refusal refused = default;
        if (TC.TryCharge(bench.Cpu(), leaf, 4, ref refused)) return "4 pages fitted under a limit of 3";
        if (refused.Memcg != top || refused.Kind != CounterKind.Memory) return "the refusing counter is not named (S8)";
        long below = DesignBench<TC>.Usage(leaf), above = DesignBench<TC>.Usage(top);
        if (below != 0 || above != 0) return $"usage {below} below and {above} above after a refusal";
        TC.TrySetLimit(top, CounterKind.Memory, 1000);
        TC.TrySetLimit(leaf, CounterKind.Memsw, 2);
        if (TC.TryCharge(bench.Cpu(), leaf, 4, ref refused)) return "4 pages fitted under a memsw limit of 2";
        if (refused.Memcg != leaf || refused.Kind != CounterKind.Memsw) return "the refusing memsw counter is not named";
        return DesignBench<TC>.Usage(leaf) == 0 && TC.Usage(top, CounterKind.Memsw) == 0 ? null : "a refused memsw charge left something";
    }

    private static string? RefusesALimitBelowUsage<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        bench.TryCharge(memcg, 10);
        bench.Quiesce();
        long before = TC.Limit(memcg, CounterKind.Memory);
        if (TC.TrySetLimit(memcg, CounterKind.Memory, 9)) return "usage 10 and a limit of 9 was accepted";
        if (TC.Limit(memcg, CounterKind.Memory) != before) return "a refused limit changed the limit";
        return TC.TrySetLimit(memcg, CounterKind.Memory, 10) ? null : "a limit equal to usage was refused";
    }

    private static string? MemswFollows<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* top = bench.Group(), leaf = bench.Group(top);
        bench.TryCharge(leaf, 3);
        bench.Quiesce();
        if (TC.Usage(top, CounterKind.Memsw) != 3) return $"memsw is {TC.Usage(top, CounterKind.Memsw)} after 3 pages";
        TC.UnchargeCounters(bench.Cpu(), leaf, 2, 1);
        if (TC.Usage(top, CounterKind.Memory) != 1 || TC.Usage(top, CounterKind.Memsw) != 2) return "2 of memory and 1 of memsw were given back, not 1 and 2 are left";
        return TC.Usage(top, CounterKind.Kmem) == 0 ? null : "user pages are counted as kernel memory";
    }

    private static string? PeakIsKept<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        bench.TryCharge(memcg, 7);
        long peak = TC.Peak(memcg, CounterKind.Memory);
        if (peak < 7) return $"peak {peak} below usage 7";
        bench.Quiesce();
        TC.UnchargeCounters(bench.Cpu(), memcg, 7, 7);
        return TC.Peak(memcg, CounterKind.Memory) == peak ? null : "the peak fell with usage";
    }

    private static string? ForcedPassesTheLimit<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        TC.TrySetLimit(memcg, CounterKind.Memory, 2);
        TC.ChargeForced(bench.Cpu(), memcg, 5);
        if (DesignBench<TC>.Usage(memcg) != 5) return $"usage {DesignBench<TC>.Usage(memcg)} after a forced charge of 5";
        return bench.TryCharge(memcg, 1) ? "a charge over the limit was accepted" : null;
    }
}
