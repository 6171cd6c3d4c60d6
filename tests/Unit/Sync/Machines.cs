// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>Pretends to pin: a thread is where it said it wants to be. Lets one machine play any other.</summary>
internal sealed class PretendPinner : IThreadPinner
{
    [ThreadStatic] private static CpuId at;

    public void Pin(CpuId cpu) => at = cpu;

    public CpuId Current() => at;
}

internal static class TestCpus
{
    /// <summary>Areas for CPUs 0..count-1 of node 0, offline.</summary>
    public static PerCpu Make(int count, RcuFlavour flavour = RcuFlavour.Qsbr) =>
        new([.. Enumerable.Range(0, count).Select(i => (new CpuId(i), new NodeId(0)))], flavour);

    /// <summary>The same, online: for scripts that play several CPUs on one thread.</summary>
    public static PerCpu Online(int count, RcuFlavour flavour = RcuFlavour.Qsbr)
    {
        PerCpu cpus = Make(count, flavour);
        for (int i = 0; i < count; i++) Rcu.CpuOnline(cpus.Witness(i));
        return cpus;
    }
}
