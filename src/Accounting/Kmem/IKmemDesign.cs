// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What holds a dead group's kernel objects?</summary>
public unsafe interface IKmemDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>Prepares a new group's state; parent is null for the root.</summary>
    static abstract void InitMemcg(Memcg* memcg, Memcg* parent);
    /// <summary>Prepares a new group's state on one node.</summary>
    static abstract void InitMemcgNode(MemcgNode* memcgNode);
    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);

    /// <summary>The group goes offline; its children did before (H8).</summary>
    static abstract void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController;
}
