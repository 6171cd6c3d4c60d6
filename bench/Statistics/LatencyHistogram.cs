// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Bench;

/// <summary>
/// Counts of durations, log-linear: 2^7 sub-buckets per power of two, so a value is known to better than 0.8 % (values under 256 exactly).
/// One writer; unmanaged, so that adding neither allocates nor checks bounds.
/// </summary>
internal sealed unsafe class LatencyHistogram : IDisposable
{
    private const int SubBits = 7;
    private const int Sub = 1 << SubBits;

    /// <summary>Buckets for every value of 63 bits.</summary>
    public const int Buckets = (63 - SubBits + 1) * Sub;

    // Zeroed by the kernel: buckets nobody hits never become memory.
    private long* counts = (long*)NativeMemory.AllocZeroed(Buckets, sizeof(long));

    /// <summary>The buckets; <see cref="Add(long*, long, long)"/> is for workers that hold nothing managed.</summary>
    public long* Counts => counts;

    /// <summary>n values of v.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(long* counts, long v, long n = 1) => counts[IndexOf(v)] += n;

    /// <summary>The bucket of v; negative values count as 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int IndexOf(long v)
    {
        ulong u = v < 0 ? 0 : (ulong)v;
        int shift = Math.Max(0, BitOperations.Log2(u | 1) - SubBits);
        return (shift << SubBits) + (int)(u >> shift);
    }

    /// <summary>The middle of a bucket; IndexOf(ValueOf(i)) is i.</summary>
    public static long ValueOf(int index)
    {
        if (index < 2 * Sub) return index;
        int shift = (index >> SubBits) - 1;
        return ((long)(index - (shift << SubBits)) << shift) + ((1L << shift) >> 1);
    }

    /// <summary>Values counted.</summary>
    public long Total => Sum(counts);

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        for (int i = 0; i < Buckets; i++)
            if (counts[i] != 0) counts[i] = 0;
    }

    /// <summary>Empties another, none of whose values exceeds greatest, into this one; or, when not kept, into nothing.</summary>
    public void Take(LatencyHistogram other, long greatest, bool kept)
    {
        for (int i = 0, last = IndexOf(greatest); i <= last; i++)
        {
            if (other.counts[i] == 0) continue;
            if (kept) counts[i] += other.counts[i];
            other.counts[i] = 0;
        }
    }

    /// <summary>The value that q (0 to 1) of all values do not exceed; null when nothing was counted.</summary>
    public long? Quantile(double q)
    {
        long total = Total;
        if (total == 0) return null;
        long rank = Math.Max(1, (long)Math.Ceiling(q * total)), seen = 0;
        for (int i = 0; i < Buckets; i++)
            if ((seen += counts[i]) >= rank) return ValueOf(i);
        return null;
    }

    /// <summary>Buckets that hold something, ascending.</summary>
    public IEnumerable<(long Value, long Count)> NonEmpty()
    {
        for (int i = 0; i < Buckets; i++)
            if (At(i) is > 0 and var n) yield return (ValueOf(i), n);
    }

    public void Dispose()
    {
        NativeMemory.Free(counts);
        counts = null;
    }

    private long At(int i) => counts[i];

    private static long Sum(long* counts)
    {
        long sum = 0;
        for (int i = 0; i < Buckets; i++) sum += counts[i];
        return sum;
    }
}
