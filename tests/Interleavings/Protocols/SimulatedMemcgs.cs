// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Groups in the arena, as far as counters and stocks look at them: parents, the tree's switches, the counter slots.</summary>
internal static unsafe class SimulatedMemcgs
{
    /// <summary>A tree without swap accounting.</summary>
    public static MemcgTree* Tree() => Arena.New<MemcgTree>("tree");

    public static Memcg* New<TCounter>(MemcgTree* tree, Memcg* parent, string name) where TCounter : struct, ICounterDesign
    {
        Memcg* m = Arena.New<Memcg>(name);
        Guarded<nint>.Set(&m->Parent, (nint)parent);
        Guarded<nint>.Set(&m->Tree, (nint)tree);
        TCounter.InitMemcg(m, parent);
        return m;
    }
}

/// <summary>The null answer of the residents axis: a charge ties nothing to the group.</summary>
internal readonly unsafe struct NoPin : IChargePin
{
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    public static void OnUncounting(in ThisCpu cpu) { }
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }
}
