// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Which group pays the memsw charge of a swap entry: an id of 16 bits, 0 for nobody. A recorded entry holds one memsw charge and one css
/// reference. Linux: mm/swap_cgroup.c, two ids packed in a word and exchanged by compare-exchange as 6.18 does.
/// </summary>
public static unsafe class SwapRecord
{
    private static AtomicInt* Word(SwapDevice* device, SwapEntry entry) => (AtomicInt*)Guarded<nint>.Get(&device->Ids) + (entry.Index >> 1);

    private static int Shift(SwapEntry entry) => (entry.Index & 1) * 16;

    /// <summary>lookup_swap_cgroup_id.</summary>
    public static int Id(SwapDevice* device, SwapEntry entry) => AtomicInt.Load(Word(device, entry)) >> Shift(entry) & 0xffff;

    /// <summary>swap_cgroup_record: stores id, returns the old one.</summary>
    public static int Exchange(SwapDevice* device, SwapEntry entry, int id)
    {
        AtomicInt* word = Word(device, entry);
        int shift = Shift(entry);
        for (int seen = AtomicInt.Load(word); ;)
        {
            int was = AtomicInt.CompareExchange(word, (seen & ~(0xffff << shift)) | (id << shift), seen);
            if (was == seen) return seen >> shift & 0xffff;
            seen = was; // the neighbour's id changed: another CPU made progress
        }
    }

    /// <summary>
    /// memcg, which has one memsw charge to give, pays for entry from now on; its nearest ancestor that is still online if it is not (C13), and
    /// nobody if that is the root. Without swap accounting there is nothing to record.
    /// </summary>
    public static void Charge<TC>(in ThisCpu cpu, SwapDevice* device, SwapEntry entry, Memcg* memcg) where TC : struct, IMemoryController
    {
        if (Memcg.IsRoot(memcg)) return; // its pages are not counted
        Memcg* payer = memcg;
        while (Css.StateOf(&payer->Css) != CssState.Online && !Memcg.IsRoot(payer)) payer = Memcg.ParentOf(payer);
        if (payer != memcg)
        {
            if (!Memcg.IsRoot(payer))
            {
                TC.ChargeForced(cpu, payer, 1);
                TC.UnchargeCounters(cpu, payer, 1, 0); // memory + memsw - memory: the memsw part alone
            }
            TC.UnchargeCounters(cpu, memcg, 0, 1);
            if (Memcg.IsRoot(payer)) return;
        }
        Css.Get(cpu, &payer->Css); // put by Uncharge
        int old = Exchange(device, entry, Guarded<int>.Get(&payer->Id));
        if (old != 0) Bug.Fail("swap: entry recorded twice (entry, old id)", entry.Index, old);
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, payer), MemcgStatItem.Swap, 1);
    }

    /// <summary>mem_cgroup_uncharge_swap: the record, if there is one, gives its charge and its reference back.</summary>
    public static void Uncharge<TC>(in ThisCpu cpu, SwapDevice* device, SwapEntry entry) where TC : struct, IMemoryController
    {
        if (Id(device, entry) == 0) return;
        int id = Exchange(device, entry, 0); // of two that saw it, one takes it
        if (id == 0) return;
        Memcg* memcg = MemcgTree.ById(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree), id);
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, memcg), MemcgStatItem.Swap, -1);
        TC.UnchargeCounters(cpu, memcg, 0, 1);
        Css.Put(cpu, &memcg->Css); // got by Charge
    }

    /// <summary>The group that pays for entry, with a css reference; null when nobody does or it is going away.</summary>
    public static Memcg* TryGetPayer(in ThisCpu cpu, SwapDevice* device, SwapEntry entry)
    {
        using var rcu = new RcuReadGuard(cpu); // the record may go at any time, the group not before we leave
        int id = Id(device, entry);
        if (id == 0) return null;
        Memcg* memcg = MemcgTree.ById(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree), id);
        return Css.TryGetOnline(cpu, &memcg->Css) ? memcg : null;
    }
}
