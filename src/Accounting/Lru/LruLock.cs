// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What one list lock cost beside its plain counts; written by its holder. A lock that is free at once leaves no trace here, unless its kind is
/// timed. Never reset: a lock's memory counts on from life to life of its group.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 96)]
public unsafe struct LruLockWaits
{
    /// <summary>Buckets of <see cref="Retries"/>: 1, 2 to 3, 4 to 7, ... and the last for all above.</summary>
    public const int Buckets = 8;

    /// <summary>L: acquisitions that found somebody else inside.</summary>
    [FieldOffset(0)] public Guarded<long> Contended;
    /// <summary>L: what they waited, in ticks of the monotonic clock.</summary>
    [FieldOffset(8)] public Guarded<long> WaitTicks;
    /// <summary>L: first of <see cref="Buckets"/>: acquisitions by the number of locks found to be another page's before.</summary>
    [FieldOffset(16)] public Guarded<long> Retries;
    /// <summary>L: when the holder took it; only with a timed kind.</summary>
    [FieldOffset(80)] public Guarded<long> Since;
    /// <summary>L: ticks of all holds; only with a timed kind.</summary>
    [FieldOffset(88)] public Guarded<long> HeldTicks;

    /// <summary>Counts an acquisition that took retries further rounds; the lock is held.</summary>
    public static void Retried(LruLockWaits* w, int retries)
    {
        Guarded<long>* bucket = &w->Retries + Math.Min(BitOperations.Log2((uint)retries), Buckets - 1);
        Guarded<long>.Set(bucket, Guarded<long>.Get(bucket) + 1);
    }
}

/// <summary>The statistics of one lock, or of several together. Read while their holders write: exact at quiescence only.</summary>
/// <param name="Name">Whose it is: "group 3 node 0 slice 2", or "zone 0".</param>
/// <param name="Acquired">Holds.</param>
/// <param name="Pages">Pages handled in them.</param>
/// <param name="Contended">Holds that had to wait.</param>
/// <param name="WaitNs">What they waited, in nanoseconds.</param>
/// <param name="HeldNs">Length of all holds, in nanoseconds; 0 unless the lock's kind is timed.</param>
/// <param name="Retries">Holds by the logarithm of the wrong locks taken before (<see cref="LruLockWaits.Buckets"/>).</param>
public sealed record LruLockTotals(string Name, long Acquired, long Pages, long Contended, double WaitNs, double HeldNs, IReadOnlyList<long> Retries)
{
    private static readonly double nsPerTick = 1e9 / Stopwatch.Frequency;

    /// <summary>Of one lock.</summary>
    public static unsafe LruLockTotals Of(string name, long acquired, long pages, LruLockWaits* waits)
    {
        var retries = new long[LruLockWaits.Buckets];
        for (int i = 0; i < retries.Length; i++) retries[i] = Guarded<long>.Get(&waits->Retries + i);
        return new LruLockTotals(name, acquired, pages, Guarded<long>.Get(&waits->Contended), Guarded<long>.Get(&waits->WaitTicks) * nsPerTick,
            Guarded<long>.Get(&waits->HeldTicks) * nsPerTick, retries);
    }

    /// <summary>This, sign times other added: with 1 a sum, with -1 what came since other was read.</summary>
    public LruLockTotals Plus(LruLockTotals other, int sign = 1) => new(Name, Acquired + sign * other.Acquired, Pages + sign * other.Pages,
        Contended + sign * other.Contended, WaitNs + sign * other.WaitNs, HeldNs + sign * other.HeldNs,
        [.. Retries.Zip(other.Retries, (a, b) => a + sign * b)]);

    /// <summary>All together.</summary>
    public static LruLockTotals Sum(string name, IEnumerable<LruLockTotals> locks) =>
        locks.Aggregate(new LruLockTotals(name, 0, 0, 0, 0, 0, new long[LruLockWaits.Buckets]), (sum, one) => sum.Plus(one));
}

/// <summary>A list lock of any kind that reads the clock only when it is not free, or when its kind is timed.</summary>
internal static unsafe class LruLock<TLock> where TLock : struct, ILockKind
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(in ThisCpu cpu, LockWord* l, LruLockWaits* waits)
    {
        if (Machine.LocksArePrimitive) TLock.Acquire(cpu, l);
        else if (!TLock.TryAcquire(cpu, l)) AcquireSlow(cpu, l, waits);
        if (TLock.IsTimed) Guarded<long>.Set(&waits->Since, Stopwatch.GetTimestamp());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireSlow(in ThisCpu cpu, LockWord* l, LruLockWaits* waits)
    {
        long from = Stopwatch.GetTimestamp();
        TLock.Acquire(cpu, l);
        Guarded<long>.Set(&waits->WaitTicks, Guarded<long>.Get(&waits->WaitTicks) + Stopwatch.GetTimestamp() - from);
        Guarded<long>.Set(&waits->Contended, Guarded<long>.Get(&waits->Contended) + 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(in ThisCpu cpu, LockWord* l, LruLockWaits* waits)
    {
        if (TLock.IsTimed) Guarded<long>.Set(&waits->HeldTicks, Guarded<long>.Get(&waits->HeldTicks) + Stopwatch.GetTimestamp() - Guarded<long>.Get(&waits->Since));
        TLock.Release(cpu, l);
    }
}
