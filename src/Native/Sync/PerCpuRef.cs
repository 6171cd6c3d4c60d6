// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>
/// A reference count that costs a plain add on the CPU's own line while it is alive, and becomes one atomic word when it is killed.
/// Linux: struct percpu_ref, lib/percpu-refcount.c (3.11).
/// </summary>
/// <remarks>
/// <code>
///   per-CPU --Kill: DEAD|ATOMIC, +1--> biased --grace period--> sum the counters, Count += sum - Bias; confirm; -1 --> atomic --0--> release
/// </code>
/// <b>Zero is not seen early.</b> While per-CPU, and until the grace period after Kill, Count holds the bias, so no put can reach 0. A get or put
/// that chose its own counter did so inside a read-side section that began before the mode changed; the grace period waits for it,
/// and the sum reads the counters after it (P1 with P2). A section that began later sees ATOMIC. The extra reference keeps Count above 0 between
/// adding the sum and the callback's end.
/// <para>A single counter may be negative: a reference taken on one CPU and put on another. Only the sum has a meaning.</para>
/// </remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
public unsafe struct PerCpuRef
{
    private const long Dead = 1, Atomic = 2, Modes = Dead | Atomic;
    private const long Bias = long.MinValue;
    private const int HeadOffset = 32;

    /// <summary>O: address of the counters, with the mode in the low bits: one load tells both (Linux: percpu_count_ptr).</summary>
    [FieldOffset(0)] public AtomicLong CountersAndMode;
    /// <summary>A: the count in atomic mode; bias plus the base reference before.</summary>
    [FieldOffset(8)] public AtomicLong Count;
    /// <summary>I: delegate*&lt;in ThisCpu, PerCpuRef*, void&gt;, called once when the count reaches 0.</summary>
    [FieldOffset(16)] public Guarded<nint> Release;
    /// <summary>C (the killer): delegate*&lt;in ThisCpu, PerCpuRef*, void&gt; or 0, called when no CPU counts on its own any more.</summary>
    [FieldOffset(24)] public Guarded<nint> Confirm;
    /// <summary>C (the killer): the deferred switch to atomic mode.</summary>
    [FieldOffset(HeadOffset)] public RcuHead Head;

    /// <summary>I: bytes from one CPU's counter to the next one's.</summary>
    [FieldOffset(48)] public Guarded<long> Stride;

    /// <summary>Bytes of counters for count CPUs: one pair of lines each, so that CPUs do not share (Linux: each in its CPU's own chunk).</summary>
    public static nuint BytesFor(int count) => (nuint)count * CacheLine.Apart;

    /// <summary>
    /// One reference, the caller's (the base). counters: a zeroed word per CPU, stride bytes apart (each may lie on its CPU's node), which
    /// live until <see cref="Exit"/>; null = atomic from the start (PERCPU_REF_INIT_ATOMIC).
    /// </summary>
    public static void Init(PerCpuRef* r, void* counters, delegate*<in ThisCpu, PerCpuRef*, void> release, long stride = CacheLine.Apart)
    {
        Guarded<long>.Set(&r->Stride, stride);
        AtomicLong.Store(&r->Count, counters == null ? 1 : Bias + 1); // marked: a late TryGet of the last life may be looking
        Guarded<nint>.Set(&r->Release, (nint)release);
        Guarded<nint>.Set(&r->Confirm, 0);
        // Last, with release: where the memory is recycled in place, a TryGet that began before may see this life, and then sees all of it.
        AtomicLong.Store(&r->CountersAndMode, counters == null ? Atomic : (long)counters);
    }

    /// <summary>One more reference; the caller has one already. Ends in <see cref="Put"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Get(in ThisCpu cpu, PerCpuRef* r) => GetMany(in cpu, r, 1);

    /// <summary>n more references; the caller has one already. Ends in <see cref="PutMany"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GetMany(in ThisCpu cpu, PerCpuRef* r, long n)
    {
        Rcu.ReadLock(in cpu);
        long mode = AtomicLong.Load(&r->CountersAndMode); // (P1) pairs with (P2) in PerCpuRef.cs, through the grace period
        if ((mode & Modes) == 0) Bump(in cpu, r, mode, n);
        else AtomicLong.Add(&r->Count, n);
        Rcu.ReadUnlock(in cpu);
    }

    /// <summary>A reference if the count is not 0 yet; succeeds after Kill too. Ends in <see cref="Put"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet(in ThisCpu cpu, PerCpuRef* r) => TryGet(in cpu, r, 0);

    /// <summary>TryGetLive for a caller that is inside a read-side section already (percpu_ref_tryget_live_rcu).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGetLiveRcu(in ThisCpu cpu, PerCpuRef* r)
    {
        long mode = AtomicLong.Load(&r->CountersAndMode); // (P1) pairs with (P2) in PerCpuRef.cs, through the grace period
        if ((mode & Modes) != 0) return (mode & Dead) == 0 && IncrementNotZero(r);
        Bump(in cpu, r, mode, 1);
        return true;
    }

    /// <summary>A reference unless Kill has been called, as far as this CPU can tell. Ends in <see cref="Put"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGetLive(in ThisCpu cpu, PerCpuRef* r) => TryGet(in cpu, r, Dead);

    /// <summary>Gives a reference back; the last one calls release on this CPU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Put(in ThisCpu cpu, PerCpuRef* r) => PutMany(in cpu, r, 1);

    /// <summary>Gives n references back; the last one calls release on this CPU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PutMany(in ThisCpu cpu, PerCpuRef* r, long n)
    {
        Rcu.ReadLock(in cpu);
        long mode = AtomicLong.Load(&r->CountersAndMode); // (P1) pairs with (P2) in PerCpuRef.cs, through the grace period
        bool local = (mode & Modes) == 0;
        if (local) Bump(in cpu, r, mode, -n);
        Rcu.ReadUnlock(in cpu);
        if (!local) PutAtomic(in cpu, r, n);
    }

    /// <summary>Puts the base reference and begins the switch to atomic mode; once. TryGetLive fails from now on, on other CPUs soon.</summary>
    /// <param name="cpu">The CPU whose poll point will finish the switch.</param>
    /// <param name="r">The reference count.</param>
    /// <param name="confirm">Called when every CPU has seen it: no TryGetLive succeeds after that. May be null.</param>
    public static void Kill(in ThisCpu cpu, PerCpuRef* r, delegate*<in ThisCpu, PerCpuRef*, void> confirm = null)
    {
        long old = AtomicLong.FetchOr(&r->CountersAndMode, Modes);
        if ((old & Dead) != 0) Bug.Fail("percpu_ref: killed twice", (long)r);
        if ((old & Atomic) == 0)
        {
            AtomicLong.Add(&r->Count, 1); // put by Sum
            Guarded<nint>.Set(&r->Confirm, (nint)confirm);
            Rcu.Call(in cpu, &r->Head, &Sum);
        }
        else if (confirm != null)
        {
            confirm(in cpu, r);
        }
        PutAtomic(in cpu, r);
    }

    /// <summary>True after Kill.</summary>
    public static bool IsDying(PerCpuRef* r) => (AtomicLong.Load(&r->CountersAndMode) & Dead) != 0;

    /// <summary>True when the count is known to be 0; never in per-CPU mode.</summary>
    public static bool IsZero(PerCpuRef* r) => (AtomicLong.Load(&r->CountersAndMode) & Modes) != 0 && AtomicLong.Load(&r->Count) == 0;

    /// <summary>The count, summed over CPUs while it is per-CPU: for books, when no CPU is inside a get or put.</summary>
    public static long CountAtRest(in ThisCpu cpu, PerCpuRef* r)
    {
        long mode = AtomicLong.Load(&r->CountersAndMode), count = AtomicLong.Load(&r->Count);
        if (count >= 0) return count;
        long counters = mode & ~Modes;
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
            count += Guarded<long>.Get((Guarded<long>*)(counters + i * Guarded<long>.Get(&r->Stride)));
        return count - Bias;
    }

    /// <summary>After release (or before anybody else knew r): the counters may be freed, and any further get or put is a bug that shows.</summary>
    /// <returns>The counters given to Init, null in atomic mode.</returns>
    public static void* Exit(PerCpuRef* r)
    {
        long mode = AtomicLong.Exchange(&r->CountersAndMode, Modes);
        long count = AtomicLong.Exchange(&r->Count, 0); // so that a late TryGet fails and a late put shows
        if ((mode & Modes) != 0 && count != 0 && count != 1) Bug.Fail("percpu_ref: exit while references are held", count);
        return (void*)(mode & ~Modes);
    }

    // Plain on purpose: one step for the nested irq role, as Linux's this_cpu_add is one instruction; the sum reads it a grace period later.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Bump(in ThisCpu cpu, PerCpuRef* r, long counters, long by)
    {
        var mine = (Guarded<long>*)(counters + cpu.Index * Guarded<long>.Get(&r->Stride));
        Guarded<long>.Set(mine, Guarded<long>.Get(mine) + by);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryGet(in ThisCpu cpu, PerCpuRef* r, long refuse)
    {
        Rcu.ReadLock(in cpu);
        long mode = AtomicLong.Load(&r->CountersAndMode); // (P1) pairs with (P2) in PerCpuRef.cs, through the grace period
        bool got = true;
        if ((mode & Modes) == 0) Bump(in cpu, r, mode, 1);
        else got = (mode & refuse) == 0 && IncrementNotZero(r);
        Rcu.ReadUnlock(in cpu);
        return got;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IncrementNotZero(PerCpuRef* r)
    {
        long count = AtomicLong.Load(&r->Count);
        for (long seen; count != 0; count = seen)
        {
            seen = AtomicLong.CompareExchange(&r->Count, count + 1, count);
            if (seen == count) return true;
        }
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void PutAtomic(in ThisCpu cpu, PerCpuRef* r, long n = 1)
    {
        long left = AtomicLong.AddReturn(&r->Count, -n);
        if (left == 0) ((delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&r->Release))(in cpu, r);
        else if (left < 0 && left > Bias / 2) Bug.Fail("percpu_ref: put below zero", (long)r, left); // biased counts lie far below
    }

    /// <summary>The grace period after Kill is over: nobody counts on its own any more.</summary>
    private static void Sum(in ThisCpu cpu, RcuHead* head)
    {
        var r = (PerCpuRef*)((byte*)head - HeadOffset);
        long counters = AtomicLong.Load(&r->CountersAndMode) & ~Modes, sum = 0;
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
        {
            sum += Guarded<long>.Get((Guarded<long>*)(counters + i * Guarded<long>.Get(&r->Stride))); // (P2) pairs with (P1) in PerCpuRef.cs
        }
        long count = AtomicLong.AddReturn(&r->Count, sum - Bias);
        if (count <= 0) Bug.Fail("percpu_ref: more puts than gets", (long)r, count);
        nint confirm = Guarded<nint>.Get(&r->Confirm);
        if (confirm != 0) ((delegate*<in ThisCpu, PerCpuRef*, void>)confirm)(in cpu, r);
        PutAtomic(in cpu, r);
    }
}
