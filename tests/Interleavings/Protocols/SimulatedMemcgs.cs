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
