// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One counter per agent, 64 bytes: which steps of each agent happen before this one.</summary>
internal unsafe struct VectorClock
{
    public fixed int At[Limits.Agents];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Join(VectorClock* into, VectorClock* from)
    {
        int* a = into->At, b = from->At;
        Vector256.Max(Vector256.Load(a), Vector256.Load(b)).Store(a);
        Vector256.Max(Vector256.Load(a + 8), Vector256.Load(b + 8)).Store(a + 8);
    }
}

/// <summary>One counter per CPU, 32 bytes: what a CPU has synchronised with.</summary>
internal unsafe struct CpuClock
{
    public fixed int At[8];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Join(CpuClock* into, CpuClock* from) => Vector256.Max(Vector256.Load(into->At), Vector256.Load(from->At)).Store(into->At);
}
