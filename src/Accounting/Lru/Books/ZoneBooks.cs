// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;
// The lock of the zone's list of books is substrate: taken at birth and death of groups only.
using ListLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>What a zone (one per node here) knows of its books: all of them on one list, and how frames are cut into slices.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public unsafe struct ZoneBooks
{
    /// <summary>I: first frame of slice 0: the node's, or frame 0 when slices take turns.</summary>
    [FieldOffset(0)] public Guarded<long> BasePfn;
    /// <summary>I: frames of a run, as a power of two.</summary>
    [FieldOffset(8)] public Guarded<int> Shift;
    /// <summary>I: books of one group.</summary>
    [FieldOffset(12)] public Guarded<int> Count;
    /// <summary>Guards updates of <see cref="Books"/>.</summary>
    [FieldOffset(128)] public LockWord Lock;
    /// <summary>R: every live book of the zone, the root's included.</summary>
    [FieldOffset(136)] public RcuList Books;

    /// <summary>Prepares a node's state and reads the plan.</summary>
    public static void Init(AccountingNode* node, AccountingPlan plan)
    {
        ZoneBooks* zone = Of(node);
        long start = Guarded<long>.Get(&node->StartPfn), bytes = Guarded<long>.Get(&node->EndPfn) - start << Allocator.MemMap.FrameShift;
        Guarded<long>.Set(&zone->BasePfn, plan.Slices.Books == 0 ? start : 0);
        Guarded<int>.Set(&zone->Shift, Math.Max(plan.Slices.Order, 0));
        Guarded<int>.Set(&zone->Count, plan.Slices.BooksOn(bytes));
        ListLock.Init(&zone->Lock);
        RcuList.Init(&zone->Books);
    }

    /// <summary>The zone of a node.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ZoneBooks* Of(AccountingNode* node) => AccountingNode.Slot<ZoneBooks>(node, AccountingNode.LruSlot);

    /// <summary>The zone of a node, as this CPU finds it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ZoneBooks* Of(in ThisCpu cpu, int node) => Of(AccountingCpu.Node(cpu, node));

    /// <summary>The slice that pfn lies in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SliceOf(ZoneBooks* zone, long pfn)
    {
        var run = (uint)(pfn - Guarded<long>.Get(&zone->BasePfn) >> Guarded<int>.Get(&zone->Shift));
        return (int)(run % (uint)Guarded<int>.Get(&zone->Count));
    }

    /// <summary>A live book joins the list.</summary>
    public static void Link(in ThisCpu cpu, ZoneBooks* zone, Book* book)
    {
        ListLock.Acquire(cpu, &zone->Lock);
        RcuList.Add(&zone->Books, &book->List);
        ListLock.Release(cpu, &zone->Lock);
    }

    /// <summary>D1: a book leaves the list; walkers inside RCU may still stand on it.</summary>
    public static void Unlink(in ThisCpu cpu, ZoneBooks* zone, Book* book)
    {
        ListLock.Acquire(cpu, &zone->Lock);
        RcuList.Remove(&book->List);
        AtomicInt.Store(&book->State, (int)BookState.Unlinked);
        ListLock.Release(cpu, &zone->Lock);
    }

    /// <summary>The book after at (null: the first), or null at the end. Inside RCU.</summary>
    public static Book* Next(ZoneBooks* zone, Book* at)
    {
        RcuList* next = RcuList.NextOf(at == null ? &zone->Books : &at->List);
        return next == &zone->Books ? null : (Book*)((byte*)next - Book.ListOffset);
    }
}
