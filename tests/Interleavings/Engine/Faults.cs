// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Allocation failure as data: the n-th allocation of one CPU fails. A budget that CPUs share would break the independence the reduction
/// relies on, so a caller loops over (CPU, n) instead.
/// </summary>
internal static unsafe class Faults
{
    private static int* asked;
    private static FailNth fail;

    /// <summary>True when the failure that was asked for happened in some execution: an outer loop stops when it did not.</summary>
    public static bool Happened { get; private set; }

    public static void Initialise() => asked = (int*)NativeMemory.AllocZeroed(Limits.Cpus, sizeof(int));

    public static void Begin(FailNth? f)
    {
        fail = f ?? new FailNth(-1, 0);
        Happened = false;
    }

    public static void Reset() => NativeMemory.Clear(asked, Limits.Cpus * sizeof(int));

    /// <summary>Counts one allocation of this CPU.</summary>
    public static bool NextAllocationFails(int cpu)
    {
        bool now = cpu == fail.Cpu && ++asked[cpu] == fail.Nth;
        Happened |= now;
        return now;
    }
}
