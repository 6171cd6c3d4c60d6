// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>Objects inside a slab: where they are, which are free, what a checked cache writes around them. Linux: mm/slab.c, linux/poison.h.</summary>
internal static unsafe class KmemObject
{
    /// <summary>POISON_FREE: what a free object of a checked cache is filled with.</summary>
    public const byte Poison = 0x6b;
    /// <summary>RED_ACTIVE: the word behind an object in use.</summary>
    public const long Active = unchecked((long)0xD84156C5635688C0);
    /// <summary>RED_INACTIVE: the word behind a free one.</summary>
    public const long Inactive = 0x09F911029D74E35B;

    /// <summary>A fresh page becomes a slab whose objects are all free.</summary>
    public static void InitSlab(KmemCacheState* cache, Page* slab)
    {
        PageOps.SetExclusive(slab, PageFlags.Slab);
        AtomicLong.Init(&slab->Mapping, (long)cache);
        AtomicLong.Init(&slab->Index, 0);
        byte* frame = MemMap.FrameOf(&GuardedPtr<AllocatorState>.Get(&cache->State)->Map, slab);
        for (int i = 0; i < Guarded<int>.Get(&cache->PerSlab); i++)
        {
            AtomicByte.Init(Slot(frame, i), (byte)i);
            byte* obj = At(cache, frame, i);
            if (Guarded<int>.Get(&cache->Checked) != 0) Deaden(cache, obj);
            Machine.OnFree(obj, (nuint)Guarded<int>.Get(&cache->ObjectBytes));
        }
    }

    /// <summary>An empty slab becomes a page without references again.</summary>
    public static void RetireSlab(Page* slab)
    {
        PageOps.ClearExclusive(slab, PageFlags.Slab);
        AtomicLong.Init(&slab->Mapping, 0);
        PageOps.PutExclusive(slab);
    }

    /// <summary>Moves free objects onto the CPU's stack, up to its batch. Node lock held.</summary>
    public static void Take(KmemCacheState* cache, KmemNode* node, Page* slab, KmemCpu* own)
    {
        byte* frame = MemMap.FrameOf(&GuardedPtr<AllocatorState>.Get(&cache->State)->Map, slab);
        int taken = (int)AtomicLong.Load(&slab->Index), count = Guarded<int>.Get(&own->Count);
        int n = Math.Min(Guarded<int>.Get(&own->Batch) - count, Guarded<int>.Get(&cache->PerSlab) - taken);
        for (int i = 0; i < n; i++) GuardedPtr<byte>.Set(KmemCpu.Entry(own, count + i), At(cache, frame, AtomicByte.Load(Slot(frame, taken + i))));
        AtomicLong.Init(&slab->Index, taken + n);
        Guarded<long>.Set(&node->NrTaken, Guarded<long>.Get(&node->NrTaken) + n);
        Guarded<int>.Set(&own->Count, count + n);
    }

    /// <summary>Puts one object back into its slab; returns how many are still out. Node lock held.</summary>
    public static long Give(KmemCacheState* cache, KmemNode* node, MemMap* map, Page* slab, byte* obj)
    {
        byte* frame = MemMap.FrameOf(map, slab);
        long taken = AtomicLong.Load(&slab->Index) - 1;
        if (taken < 0) Bug.Fail($"kmem cache: double free in the slab at pfn {MemMap.PfnOf(map, slab)}: all its objects are free, object {(nint)obj:x}");
        AtomicByte.Init(Slot(frame, (int)taken), (byte)IndexOf(cache, frame, obj));
        AtomicLong.Init(&slab->Index, taken);
        Guarded<long>.Set(&node->NrTaken, Guarded<long>.Get(&node->NrTaken) - 1);
        return taken;
    }

    /// <summary>The slab an object of this cache lies in; anything else fails with the values. An object that is out holds its slab: no lock.</summary>
    public static Page* SlabOf(KmemCacheState* cache, MemMap* map, byte* obj)
    {
        Page* slab = MemMap.PageOfAddress(map, obj);
        if (!MemMap.Owns(map, slab) || !PageOps.Test(slab, PageFlags.Slab) || AtomicLong.Load(&slab->Mapping) != (long)cache) Foreign(cache, map, slab, obj);
        byte* frame = MemMap.FrameOf(map, slab);
        int index = IndexOf(cache, frame, obj);
        if ((uint)index >= (uint)Guarded<int>.Get(&cache->PerSlab) || At(cache, frame, index) != obj) Foreign(cache, map, slab, obj);
        return slab;
    }

    /// <summary>A checked object is handed out: its poison must be whole.</summary>
    public static void Revive(KmemCacheState* cache, byte* obj)
    {
        int bytes = Guarded<int>.Get(&cache->ObjectBytes);
        long state = AtomicLong.Load(State(cache, obj));
        if (state != Inactive) Bug.Fail($"kmem cache: free object {(nint)obj:x} was written behind its end: state word {state:x}");
        int at = new ReadOnlySpan<byte>(obj, bytes).IndexOfAnyExcept(Poison);
        if (at >= 0) Bug.Fail($"kmem cache: use after free: object {(nint)obj:x} has {obj[at]:x2} at byte {at}, not {Poison:x2}");
        AtomicLong.Init(State(cache, obj), Active);
    }

    /// <summary>A checked object comes back: it must be one, and in use.</summary>
    public static void Retire(KmemCacheState* cache, byte* obj)
    {
        SlabOf(cache, &GuardedPtr<AllocatorState>.Get(&cache->State)->Map, obj);
        long state = AtomicLong.Load(State(cache, obj));
        if (state == Inactive) Bug.Fail($"kmem cache: double free of object {(nint)obj:x}");
        if (state != Active) Bug.Fail($"kmem cache: object {(nint)obj:x} was written behind its end: state word {state:x}");
        Deaden(cache, obj);
    }

    private static void Deaden(KmemCacheState* cache, byte* obj)
    {
        new Span<byte>(obj, Guarded<int>.Get(&cache->ObjectBytes)).Fill(Poison);
        AtomicLong.Init(State(cache, obj), Inactive);
    }

    private static void Foreign(KmemCacheState* cache, MemMap* map, Page* slab, byte* obj)
        => Bug.Fail(MemMap.Owns(map, slab)
            ? $"kmem cache: {(nint)obj:x} in pfn {MemMap.PfnOf(map, slab)} is no object of the cache at {(nint)cache:x} "
                + $"(flags {PageFlags.Describe(AtomicLong.Load(&slab->Flags))}, mapping {AtomicLong.Load(&slab->Mapping):x})"
            : $"kmem cache: {(nint)obj:x} lies in no frame");

    /// <summary>The state word stands behind the object, at the next multiple of 8.</summary>
    private static AtomicLong* State(KmemCacheState* cache, byte* obj) => (AtomicLong*)(obj + ((Guarded<int>.Get(&cache->ObjectBytes) + 7) & -8));

    private static AtomicByte* Slot(byte* frame, int i) => (AtomicByte*)(frame + i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* At(KmemCacheState* cache, byte* frame, int index)
        => frame + Guarded<int>.Get(&cache->FirstObject) + index * Guarded<int>.Get(&cache->Stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int IndexOf(KmemCacheState* cache, byte* frame, byte* obj)
        => (int)((uint)(obj - frame - Guarded<int>.Get(&cache->FirstObject)) / (uint)Guarded<int>.Get(&cache->Stride));
}
