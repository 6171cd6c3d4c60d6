// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What waiting for one list lock cost; written by its holder. A lock that is free at once leaves no trace here.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 80)]
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

    /// <summary>All zero.</summary>
    public static void Init(LruLockWaits* w)
    {
        Guarded<long>.Set(&w->Contended, 0);
        Guarded<long>.Set(&w->WaitTicks, 0);
        for (int i = 0; i < Buckets; i++) Guarded<long>.Set(&w->Retries + i, 0);
    }

    /// <summary>Counts an acquisition that took retries further rounds; the lock is held.</summary>
    public static void Retried(LruLockWaits* w, int retries)
    {
        Guarded<long>* bucket = &w->Retries + Math.Min(BitOperations.Log2((uint)retries), Buckets - 1);
        Guarded<long>.Set(bucket, Guarded<long>.Get(bucket) + 1);
    }
}

/// <summary>Sums over locks, for reports and tests.</summary>
public sealed class LruLockTotals
{
    /// <summary>Holds.</summary>
    public long Acquired { get; private set; }
    /// <summary>Pages handled in them.</summary>
    public long Pages { get; private set; }
    /// <summary>Holds that had to wait.</summary>
    public long Contended { get; private set; }
    /// <summary>What they waited, in nanoseconds.</summary>
    public double WaitNs { get; private set; }
    /// <summary>Holds by the logarithm of the wrong locks taken before (<see cref="LruLockWaits.Buckets"/>).</summary>
    public long[] Retries { get; } = new long[LruLockWaits.Buckets];

    /// <summary>Adds one lock's.</summary>
    public unsafe void Add(long acquired, long pages, LruLockWaits* waits)
    {
        Acquired += acquired;
        Pages += pages;
        Contended += Guarded<long>.Get(&waits->Contended);
        WaitNs += Guarded<long>.Get(&waits->WaitTicks) * (1e9 / Stopwatch.Frequency);
        for (int i = 0; i < Retries.Length; i++) Retries[i] += Guarded<long>.Get(&waits->Retries + i);
    }
}

/// <summary>A list lock of any kind that reads the clock only when it is not free.</summary>
internal static unsafe class LruLock<TLock> where TLock : struct, ILockKind
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(in ThisCpu cpu, LockWord* l, LruLockWaits* waits)
    {
        if (Machine.LocksArePrimitive) TLock.Acquire(cpu, l);
        else if (!TLock.TryAcquire(cpu, l)) AcquireSlow(cpu, l, waits);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireSlow(in ThisCpu cpu, LockWord* l, LruLockWaits* waits)
    {
        long from = Stopwatch.GetTimestamp();
        TLock.Acquire(cpu, l);
        Guarded<long>.Set(&waits->WaitTicks, Guarded<long>.Get(&waits->WaitTicks) + Stopwatch.GetTimestamp() - from);
        Guarded<long>.Set(&waits->Contended, Guarded<long>.Get(&waits->Contended) + 1);
    }
}
