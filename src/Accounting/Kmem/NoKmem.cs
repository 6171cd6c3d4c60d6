// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Kernel objects are charged to nobody. Linux: booted with cgroup.memory=nokmem.</summary>
public readonly unsafe struct NoKmem : IKmemDesign
{
    /// <inheritdoc/>
    public static string Name => "None";
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) { }
    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController { }
}
