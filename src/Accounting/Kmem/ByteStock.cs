// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Whose bytes a CPU stocks, and what happens when it lets go of them. Both owners are addresses; 0 is nobody.</summary>
public unsafe interface IByteOwner
{
    /// <summary>What is stocked for an object of objcg: the objcg itself, or its group. The caller may use it until <see cref="Done"/>.</summary>
    static abstract long Of(in ThisCpu cpu, Objcg* objcg);
    /// <summary>Ends the use that <see cref="Of"/> began.</summary>
    static abstract void Done(in ThisCpu cpu, long owner);
    /// <summary>One more reference.</summary>
    static abstract void Hold(in ThisCpu cpu, long owner);
    /// <summary>Gives a reference back; the last access.</summary>
    static abstract void Drop(in ThisCpu cpu, long owner);
    /// <summary>Where its bytes below a page wait.</summary>
    static abstract AtomicInt* Residue(long owner);
    /// <summary>The group it belongs to now; inside RCU.</summary>
    static abstract Memcg* Group(long owner);
    /// <summary>Charges pages.</summary>
    static abstract bool TryCharge(in ThisCpu cpu, long owner, int pages, Gfp gfp);
    /// <summary>Uncharges pages.</summary>
    static abstract void Uncharge(in ThisCpu cpu, long owner, int pages);
    /// <summary>Pages to charge for an object that the stock does not cover.</summary>
    static abstract int PagesFor(int bytes);
    /// <summary>More stocked bytes than this are uncharged by the page.</summary>
    static abstract int Most { get; }
}

/// <summary>
/// One owner and some bytes per CPU, so that an object smaller than a page is usually charged without touching a shared line. Linux: struct
/// obj_stock_pcp, consume_obj_stock, refill_obj_stock, mm/memcontrol.c. Two owners taking turns on a CPU pay a switch each time (5.5, 4).
/// </summary>
public static unsafe class ByteStock
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Empty, drained on request by function.</summary>
    public static void Init(CpuArea* area, delegate*<in ThisCpu, CpuWork*, void> function)
    {
        SlabCpu* own = SlabCpu.Of(area);
        AtomicLong.Init(&own->Stocked, 0);
        AtomicInt.Init(&own->Bytes, 0);
        CpuWork.Init(&own->Drain, function);
    }

    /// <summary>Bytes from this CPU's stock, or pages from the owner's group, whose rest is stocked.</summary>
    [MethodImpl(Inline)]
    public static bool TryCharge<TOwner>(in ThisCpu cpu, long owner, int bytes, Gfp gfp) where TOwner : struct, IByteOwner
    {
        SlabCpu* own = SlabCpu.Of(cpu.Area);
        int rest = AtomicInt.Load(&own->Bytes) - bytes;
        if (AtomicLong.Load(&own->Stocked) != owner || rest < 0) return TryChargeSlow<TOwner>(in cpu, owner, bytes, gfp);
        AtomicInt.Store(&own->Bytes, rest);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryChargeSlow<TOwner>(in ThisCpu cpu, long owner, int bytes, Gfp gfp) where TOwner : struct, IByteOwner
    {
        int pages = TOwner.PagesFor(bytes);
        if (!TOwner.TryCharge(in cpu, owner, pages, gfp)) return false;
        int rest = (pages << MemMap.FrameShift) - bytes;
        if (rest != 0) Refill<TOwner>(in cpu, owner, rest, mayUncharge: false);
        return true;
    }

    /// <summary>Bytes come back, or a charge left some over. Whole pages go back to the counter only where the caller has not just charged them.</summary>
    [MethodImpl(Inline)]
    public static void Refill<TOwner>(in ThisCpu cpu, long owner, int bytes, bool mayUncharge) where TOwner : struct, IByteOwner
    {
        SlabCpu* own = SlabCpu.Of(cpu.Area);
        int sum = AtomicInt.Load(&own->Bytes) + bytes;
        if (AtomicLong.Load(&own->Stocked) == owner && (!mayUncharge || sum <= TOwner.Most)) AtomicInt.Store(&own->Bytes, sum);
        else RefillSlow<TOwner>(in cpu, owner, bytes, mayUncharge);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RefillSlow<TOwner>(in ThisCpu cpu, long owner, int bytes, bool mayUncharge) where TOwner : struct, IByteOwner
    {
        SlabCpu* own = SlabCpu.Of(cpu.Area);
        if (AtomicLong.Load(&own->Stocked) != owner)
        {
            Drain<TOwner>(in cpu, null);
            TOwner.Hold(in cpu, owner); // put by Drain
            AtomicInt* residue = TOwner.Residue(owner);
            AtomicInt.Store(&own->Bytes, AtomicInt.Load(residue) == 0 ? 0 : AtomicInt.Exchange(residue, 0));
            AtomicLong.Store(&own->Stocked, owner);
            mayUncharge = true;
        }
        int sum = AtomicInt.Load(&own->Bytes) + bytes, pages = 0;
        if (mayUncharge && sum > TOwner.Most)
        {
            int keep = TOwner.Most - MemMap.FrameBytes + (sum & (MemMap.FrameBytes - 1));
            pages = (sum - keep) >> MemMap.FrameShift;
            sum = keep;
        }
        AtomicInt.Store(&own->Bytes, sum);
        if (pages != 0) TOwner.Uncharge(in cpu, owner, pages);
    }

    /// <summary>drain_obj_stock: whole pages to the counter, the rest to the owner, the reference last. Only when the owner is below root, if given.</summary>
    public static void Drain<TOwner>(in ThisCpu cpu, Memcg* root) where TOwner : struct, IByteOwner
    {
        SlabCpu* own = SlabCpu.Of(cpu.Area);
        long owner = AtomicLong.Load(&own->Stocked);
        if (owner == 0 || (root != null && !Memcg.IsDescendant(TOwner.Group(owner), root))) return;
        int bytes = AtomicInt.Load(&own->Bytes);
        AtomicInt.Store(&own->Bytes, 0);
        AtomicLong.Store(&own->Stocked, 0);
        int pages = bytes >> MemMap.FrameShift, rest = bytes & (MemMap.FrameBytes - 1);
        if (rest != 0) AtomicInt.Add(TOwner.Residue(owner), rest);
        if (pages != 0) TOwner.Uncharge(in cpu, owner, pages);
        TOwner.Drop(in cpu, owner);
    }

    /// <summary>Runs on the CPU that owns the stock.</summary>
    public static void DrainOnOwner<TOwner>(in ThisCpu cpu, CpuWork* work) where TOwner : struct, IByteOwner => Drain<TOwner>(in cpu, null);

    /// <summary>Empties the stocks of root's subtree: this CPU's now, the others' at their next poll.</summary>
    public static void DrainAll<TOwner>(in ThisCpu cpu, Memcg* root) where TOwner : struct, IByteOwner
    {
        using var rcu = new RcuReadGuard(in cpu); // keeps what remote stocks name (S5)
        Drain<TOwner>(in cpu, root);
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
        {
            CpuArea* area = CpuTable.Area(cpu.Table, i);
            if (area == cpu.Area) continue;
            long owner = AtomicLong.Load(&SlabCpu.Of(area)->Stocked); // once: its CPU may let go of it meanwhile (F9)
            if (owner != 0 && Memcg.IsDescendant(TOwner.Group(owner), root)) CpuWork.Queue(area, &SlabCpu.Of(area)->Drain);
        }
    }
}

/// <summary>5.9 and later: the stock is keyed by objcg, whose residue waits in it until its release.</summary>
public readonly unsafe struct ObjcgBytes<TC> : IByteOwner where TC : struct, IMemoryController
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    [MethodImpl(Inline)] public static long Of(in ThisCpu cpu, Objcg* objcg) => (long)objcg; // the object's own reference serves
    /// <inheritdoc/>
    [MethodImpl(Inline)] public static void Done(in ThisCpu cpu, long owner) { }
    /// <inheritdoc/>
    public static void Hold(in ThisCpu cpu, long owner) => PerCpuRef.Get(in cpu, &((Objcg*)owner)->Ref);
    /// <inheritdoc/>
    public static void Drop(in ThisCpu cpu, long owner) => PerCpuRef.Put(in cpu, &((Objcg*)owner)->Ref);
    /// <inheritdoc/>
    public static AtomicInt* Residue(long owner) => &((Objcg*)owner)->Residue;
    /// <inheritdoc/>
    public static Memcg* Group(long owner) => AtomicPtr<Memcg>.Load(&((Objcg*)owner)->Memcg);
    /// <inheritdoc/>
    public static bool TryCharge(in ThisCpu cpu, long owner, int pages, Gfp gfp) => Objcg.TryChargePages<TC>(in cpu, (Objcg*)owner, pages, gfp);
    /// <inheritdoc/>
    public static void Uncharge(in ThisCpu cpu, long owner, int pages) => Objcg.UnchargePages<TC>(in cpu, (Objcg*)owner, pages);
    /// <inheritdoc/>
    public static int PagesFor(int bytes) => (bytes + MemMap.FrameBytes - 1) >> MemMap.FrameShift;
    /// <inheritdoc/>
    /// <remarks>Exactly a page may stay: the test is strictly above.</remarks>
    public static int Most => MemMap.FrameBytes;
}
