// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace MemcgNative.Bench;

/// <summary>
/// A loop bound by the ALU whose time says whether the CPU was this thread's own: run on all threads before and after a batch, it grows
/// when the host took the CPU away or when two virtual CPUs share a core. Rounds over <see cref="Tolerance"/> do not count.
/// </summary>
internal static class Canary
{
    /// <summary>How much slower than its best a canary may be.</summary>
    public const double Tolerance = 1.25;

    private const int Turns = 16384;

    /// <summary>Ticks of one run; about 20 us. sink keeps the work alive.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static long Run(ref long sink)
    {
        long begin = Stopwatch.GetTimestamp();
        ulong a = 1, b = 2, c = 3, d = 4;
        for (int i = 0; i < Turns; i++)
        {
            // Four chains: one alone would leave half the ALU to a sibling and not notice it.
            a = a * 6364136223846793005 + 1;
            b = b * 6364136223846793005 + 3;
            c = (c ^ (c << 13)) + a;
            d = (d ^ (d >> 7)) + b;
        }
        long ticks = Stopwatch.GetTimestamp() - begin;
        sink = (long)(a ^ b ^ c ^ d);
        return ticks;
    }
}
