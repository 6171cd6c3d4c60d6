// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Good = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;

namespace MemcgNative.Tests.Conformance;

/// <summary>A counter that charges its own level only, without asking above.</summary>
public readonly unsafe struct ForgetsTheParent : ICounterDesign
{
    private static AtomicLong* UsageOf(Memcg* memcg, CounterKind kind) => PageCounter40.Usage(Good.Of(memcg, kind));

    public static string Name => "forgets the parent";
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => Good.InitMemcg(memcg, parent);
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin { }

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        ChargeForced<TPin>(cpu, memcg, pages);
        return true;
    }

    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin
    {
        AtomicLong.Add(UsageOf(memcg, CounterKind.Memory), pages);
        TPin.OnCounted(cpu, memcg, pages);
    }

    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin
    {
        AtomicLong.Add(UsageOf(memcg, CounterKind.Memory), -memory);
        TPin.OnUncounted(cpu, memcg, memory);
    }

    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused)
    {
        AtomicLong.Add(UsageOf(memcg, CounterKind.Kmem), pages);
        return true;
    }

    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => AtomicLong.Add(UsageOf(memcg, CounterKind.Kmem), -pages);
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin { }
    public static long StockedPages(CpuArea* area, Memcg* memcg) => 0;
    public static long Usage(Memcg* memcg, CounterKind kind) => Good.Usage(memcg, kind);
    public static long Peak(Memcg* memcg, CounterKind kind) => Good.Peak(memcg, kind);
    public static long FailCount(Memcg* memcg, CounterKind kind) => Good.FailCount(memcg, kind);
    public static long Limit(Memcg* memcg, CounterKind kind) => Good.Limit(memcg, kind);
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => Good.TrySetLimit(memcg, kind, pages);
}

/// <summary>The undo branch of 2.6.27 left out (A9).</summary>
public readonly unsafe struct OverwritesTheOwner : IPageCgroupDesign
{
    public static string Name => "overwrites the owner";
    public static int MetadataBytes => 0;
    public static bool WordClearAtFree => true;
    public static void InitMemcg(Memcg* memcg) { }
    public static void InitCpu(CpuArea* area) { }
    public static void InitNode(AccountingNode* node) { }

    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        AtomicLong.Store(&page->Memcg, (long)memcg);
        return true;
    }

    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign =>
        OwnerWord.TryClear<TLru>(cpu, page, type, out owner, out charge);

    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used) => OwnerWord.OwnerOf(cpu, page, out used);
}

/// <summary>Tests and never sets (A4 at its plainest).</summary>
public readonly unsafe struct NeverClears : IPageCgroupDesign
{
    public static string Name => "never clears";
    public static int MetadataBytes => 0;
    public static bool WordClearAtFree => true;
    public static void InitMemcg(Memcg* memcg) { }
    public static void InitCpu(CpuArea* area) { }
    public static void InitNode(AccountingNode* node) { }

    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign =>
        OwnerWord.Commit<TLru>(cpu, page, memcg, anon);

    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        owner = OwnerOf(cpu, page, out bool used);
        charge = new ClearedCharge(1, 1, 1, 1);
        return used;
    }

    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used) => OwnerWord.OwnerOf(cpu, page, out used);
}
