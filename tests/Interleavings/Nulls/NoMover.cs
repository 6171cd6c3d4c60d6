// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// The null answer of the residents axis to a group's end: nothing moves, and with its last reference a group goes if nothing is counted. A charge ties to
/// it what MoveToParent ties.
/// </summary>
internal readonly unsafe struct NoMover : IResidentsDesign
{
    public static string Name => "NoMover";
    public static void InitMemcg(Memcg* memcg) { }
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) => MoveToParent.OnCounted(cpu, memcg, pages);
    public static void OnUncounting(in ThisCpu cpu) => MoveToParent.OnUncounting(cpu);
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) => MoveToParent.OnUncounted(cpu, memcg, pages);
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController { }
    public static bool OnReleased<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => TC.Usage(memcg, CounterKind.Memory) == 0;
}
