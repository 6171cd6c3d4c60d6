// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>Cells and lists as their callers use them.</summary>
internal static unsafe class CellPaths
{
    [HotPath] internal static long GuardedGet(CpuTable* t) => Guarded<int>.Get(&t->RcuFlavour);

    [HotPath] internal static void GuardedSet(CpuTable* t, int v) => Guarded<int>.Set(&t->RcuFlavour, v);

    [HotPath] internal static CpuTable* GuardedPtrGet(CpuArea* a) => GuardedPtr<CpuTable>.Get(&a->Table);

    [HotPath] internal static int AtomicLoad(CpuArea* a) => AtomicInt.Load(&a->Online);

    [HotPath] internal static void AtomicStore(CpuArea* a, int v) => AtomicInt.Store(&a->Online, v);

    [HotPath] internal static CpuWork* AtomicPtrLoad(CpuArea* a) => AtomicPtr<CpuWork>.Load(&a->Work);

    [HotPath] internal static void AtomicAdd(RcuCpu* c) => AtomicLong.Add(&c->Queued, 1);

    [HotPath] internal static void AtomicOr(LockWord* l) => AtomicInt.Or(&l->Low, 4);

    [HotPath] internal static int AtomicExchange(LockWord* l) => AtomicInt.Exchange(&l->Low, 1);

    [HotPath] internal static int AtomicFetchOr(LockWord* l) => AtomicInt.FetchOr(&l->Low, 4);

    [HotPath] internal static int Index(in ThisCpu cpu) => cpu.Index;

    [HotPath] internal static void ListAdd(ListHead* head, ListHead* node) => IntrusiveList.Add(head, node);

    [HotPath] internal static void ListRemove(ListHead* node) => IntrusiveList.Remove(node);

    [HotPath] internal static void LifeOfMemory(void* p)
    {
        Machine.OnAlloc(p, 64);
        Machine.OnReuse(p, 64);
        Machine.OnFree(p, 64);
    }
}
