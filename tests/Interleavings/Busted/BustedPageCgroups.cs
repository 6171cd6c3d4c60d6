// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Lists = MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TestAndSetLock>;

namespace MemcgNative.Tests.Interleavings;

// System A, wrong in one way each.

/// <summary>A1: whoever moves a page between lists does not even try the bit lock.</summary>
internal readonly unsafe struct UnlockedEnter : IPageCgroupDesign
{
    public static string Name => "BitSpinlock without its trylock";
    public static int MetadataBytes => 0;
    public static bool WordClearAtFree => true;
    public static bool HasNode => true;
    public static void InitMemcg(Memcg* memcg) { }
    public static void InitCpu(CpuArea* area) { }
    public static void InitNode(AccountingNode* node) { }
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign =>
        BitSpinlock<BitLock>.Commit<TLru>(cpu, page, memcg, anon);
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign =>
        BitSpinlock<BitLock>.TryClear<TLru>(cpu, page, type, out owner, out charge);
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used) => BitSpinlock<BitLock>.OwnerOf(cpu, page, out used);
    public static ListHead* TryEnter(in ThisCpu cpu, Page* page)
    {
        long word = AtomicLong.Load(&page->Memcg) & ~1L;
        return word == 0 ? null : &((PageCgroupObject*)word)->Lru;
    }
    public static void Leave(in ThisCpu cpu, Page* page) { }
    public static Page* PageOfNode(ListHead* node) => BitSpinlock<BitLock>.PageOfNode(node);
    public static Memcg* OwnerOfNode(ListHead* node) => BitSpinlock<BitLock>.OwnerOfNode(node);
    public static LruList ListOfNode(ListHead* node) => BitSpinlock<BitLock>.ListOfNode(node);
    public static void SetListOfNode(ListHead* node, LruList list) => BitSpinlock<BitLock>.SetListOfNode(node, list);
}

/// <summary>A1 with <see cref="UnlockedEnter"/>.</summary>
internal readonly unsafe struct ActivateUnlocked : ILocklessScript
{
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => 0;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0) Lists.Activate<UnlockedEnter>(cpu, &page, 1);
        else TPc.TryClear<Lists>(cpu, page, UnchargeType.Force, out _, out _);
    }
}

/// <summary>A2: waits for fewer than 16 obsolete objects to go by themselves.</summary>
internal readonly struct WaitsForObsolete : IObsoleteRule
{
    public static void Between(in ThisCpu cpu) => Rcu.Synchronize(cpu);
}

/// <summary>A3: get_page, whatever the count.</summary>
internal readonly unsafe struct GetsAnyway : IPinRule
{
    public static bool TryGet(Page* page)
    {
        PageOps.Get(page);
        return true;
    }
}

/// <summary>A6: returns inside the read-side section when the page is charged already, as v1 and v2 did.</summary>
internal readonly unsafe struct SecondChargeLeftOpen : ILocklessScript
{
    public static RcuFlavour Flavour => RcuFlavour.Qsbr;
    public static bool Leaves => true;
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => 1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0)
        {
            Rcu.ReadLock(cpu);
            if (AtomicLong.Load(&page->Memcg) != 0) AtomicLong.AwaitNot(&page->Memcg, AtomicLong.Load(&page->Memcg)); // this CPU never comes to a quiescent state
        }
        else Rcu.Synchronize(cpu);
    }
}
