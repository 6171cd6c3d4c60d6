// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// The null answer of the PageCgroup axis for list designs: a word that names the owner and says in bit 0 whether it pays. Uncharge clears the
/// bit and leaves the name, as page_cgroups did to 3.18.
/// </summary>
internal readonly unsafe struct UsedBitWord : IPageCgroupDesign
{
    public static string Name => "UsedBitWord";
    public static int MetadataBytes => 0;
    public static bool WordClearAtFree => false;

    public static void InitMemcg(Memcg* memcg) { }
    public static void InitCpu(CpuArea* area) { }
    public static void InitNode(AccountingNode* node) { }

    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        AtomicLong.Store(&page->Memcg, (long)memcg | 1);
        return true;
    }

    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        long word = AtomicLong.FetchAnd(&page->Memcg, ~1L);
        owner = (Memcg*)(word & ~1L);
        charge = new ClearedCharge(1, 1, 1, 1);
        return (word & 1) != 0;
    }

    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        long word = AtomicLong.Load(&page->Memcg);
        used = (word & 1) != 0;
        return (Memcg*)(word & ~1L);
    }
}
