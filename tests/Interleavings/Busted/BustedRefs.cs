// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// percpu_ref, wrong in one way each.

/// <summary>Sums the counters as soon as the mode is changed: who chose its own counter before may still add to it.</summary>
internal readonly unsafe struct KillWithoutGracePeriod : IRefKill
{
    public static void Kill(in ThisCpu cpu, PerCpuRef* r)
    {
        long counters = AtomicLong.FetchOr(&r->CountersAndMode, 3), sum = 0;
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++) sum += Guarded<long>.Get((Guarded<long>*)(counters + i * CacheLine.Apart));
        AtomicLong.Add(&r->Count, sum - long.MinValue);
        PerCpuRef.Put(cpu, r);
    }
}

/// <summary>Leaves half the bias, as the port did at first: a late tryget succeeds, and its put meets the next life.</summary>
internal readonly unsafe struct ExitAtABias : IRefExit
{
    public static void Exit(PerCpuRef* r)
    {
        AtomicLong.Exchange(&r->CountersAndMode, 3);
        AtomicLong.Exchange(&r->Count, long.MinValue >> 1);
    }
}
