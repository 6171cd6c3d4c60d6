// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Two threads on one shared file, tiny limits and a small device: touch, unmap, read, map, truncate, migrate, new groups. Everything comes back.</summary>
public sealed unsafe class SwapStressTests
{
    private const int Anon = 128, FilePages = 64, FileAt = 256;

    internal const int Workers = 2;

    /// <summary>What a run must have seen: on a busy machine the threads meet rarely, so it goes on until it has.</summary>
    private const int Migrations = 50, SwapIns = 200, MostSteps = 200_000;

    private struct Arguments
    {
        public Memcg* Parent;
        public FileSpace* File;
        public nint Spaces;
        public int Steps;
        public AtomicLong Migrated, SwappedIn;
    }

    [Fact] public void Late_uncharge_with_pinned_groups_balances() => Run<NoStock>();
    [Fact] public void Late_uncharge_with_a_stock_balances() => Run<Stock32>();
    [Fact] public void Late_uncharge_with_moved_pages_balances() => Run<LateMove>();
    [Fact] public void Late_uncharge_with_spliced_groups_balances() => Run<PagesAndObjects>();
    [Fact] public void Early_uncharge_of_2627_balances() => Run<Early27>(swapAccounting: false);
    [Fact] public void The_lockless_series_balances() => Run<Lockless>(swapAccounting: false);
    [Fact] public void Early_uncharge_of_2629_balances() => Run<Early29>();
    [Fact] public void Early_uncharge_of_33_balances() => Run<Early33>();
    [Fact] public void Early_uncharge_of_36_balances() => Run<Early36>();

    [Fact] public void Plain_flags_as_mailed_balance() => Run<Mailed>();
    [Fact] public void Plain_flags_of_317_balance() => Run<Late317>();

    internal static void Run<TC>(bool swapAccounting = true, int steps = 1500) where TC : struct, IMemoryController
    {
        using var box = new AccountingBox<TC>(Workers, mib: 8, plan: new AccountingPlan(MaxGroups: 256, SwapAccounting: swapAccounting, SwapEntries: 512));
        long frames = box.FramesInUse;
        Memcg* parent = box.Group();
        TC.TrySetLimit(parent, CounterKind.Memory, 160);
        FileSpace* file = box.File();
        for (int i = 0; i < Workers; i++) FileSpace.TryMap(file, box.Space(i), FileAt, 0, FilePages);
        for (int i = 0; i < Workers; i++) // here: a worker that comes late may find no memory for a group
        {
            Memcg* own = MemcgLife.Create<TC>(box.Cpu(i), parent);
            MemcgLife.Attach(box.Cpu(i), box.Space(i), own);
        }
        for (int i = 0; i < Workers; i++) Rcu.CpuOffline(box.Cpu(i)); // the gang brings them back
        Arguments arguments = new() { Parent = parent, File = file, Spaces = (nint)box.Space(), Steps = steps };
        using (var gang = new CpuGang(box.Cpus, new PretendPinner()))
            gang.Run(&Work<TC>, &arguments);
        for (int i = 0; i < Workers; i++) Rcu.CpuOnline(box.Cpu(i));
        box.AssertBalanced();
        for (int i = 0; i < Workers; i++)
        {
            Memcg* own = AtomicPtr<Memcg>.Load(&box.Space(i)->Memcg);
            box.Unmap(0, FileAt + FilePages, i);
            MemcgLife.Detach(box.Cpu(i), box.Space(i));
            MemcgLife.Remove(box.Cpu(), own);
        }
        MmFile.Truncate<TC>(box.Cpu(), file, 0, FilePages);
        box.Quiesce();
        for (int i = 0; i < 4 && SwapDevice.Used(box.Swap) != 0; i++) Reclaim.Shrink<TC>(box.Cpu(), box.Accounting.Root, long.MaxValue); // places only the cache still uses
        MemcgLife.Remove(box.Cpu(), parent);
        for (int i = 0; i < 8; i++) box.Quiesce();
        Balance balance = box.Audit();
        Assert.True(balance.Holds, string.Join('\n', balance.Wrong));
        Assert.Equal((0, 0, 0, 1), (balance.Resident, balance.Stocked, balance.OnLists, balance.Groups));
        Assert.Equal((0, frames, 0), (SwapDevice.Used(box.Swap), box.FramesInUse, AtomicLong.Load(&file->Pages)));
        Assert.True(balance.Charged > 2_000, "the run did something");
        Assert.True(AtomicLong.Load(&arguments.Migrated) > Migrations, $"only {AtomicLong.Load(&arguments.Migrated)} pages migrated");
        Assert.True(AtomicLong.Load(&arguments.SwappedIn) > SwapIns, $"only {AtomicLong.Load(&arguments.SwappedIn)} faults found a swap entry");
    }

    private static bool Enough(Arguments* a) => AtomicLong.Load(&a->Migrated) > Migrations && AtomicLong.Load(&a->SwappedIn) > SwapIns;

    private static void Work<TC>(in ThisCpu cpu, void* argument) where TC : struct, IMemoryController
    {
        var a = (Arguments*)argument;
        ulong state = 0x5eed + (ulong)cpu.Index * 0x9e3779b97f4a7c15;
        MmStruct* mm = (MmStruct*)a->Spaces + cpu.Index, other = (MmStruct*)a->Spaces + (1 - cpu.Index);
        Memcg* own = AtomicPtr<Memcg>.Load(&mm->Memcg);
        for (int step = 0; step < a->Steps || (step < MostSteps && !Enough(a)); step++, Poll.Run(cpu))
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            long at = (long)(state >> 8 & Anon - 1), fileAt = (long)(state >> 8 & FilePages - 1), count = 1 + (long)(state >> 20 & 15);
            switch (state >> 40 & 31)
            {
                case 0:
                    Memcg* next = MemcgLife.Create<TC>(cpu, a->Parent);
                    if (next == null) break;
                    MemcgLife.Attach(cpu, mm, next);
                    MemcgLife.Remove(cpu, own);
                    own = next;
                    break;
                case < 4:
                    Mm.Unmap<TC>(cpu, mm, at, Math.Min(count, Anon - at));
                    break;
                case < 6:
                    MmFile.Truncate<TC>(cpu, a->File, fileAt, count);
                    break;
                case < 12:
                    MmFile.Fault<TC>(cpu, mm, FileAt + fileAt, a->File, fileAt, write: (state & 1) == 0);
                    break;
                case < 15:
                    if (MmFile.Read<TC>(cpu, mm, a->File, fileAt, (state & 1) == 0, out Page* page) == FaultResult.Mapped) Mm.Put<TC>(cpu, page);
                    break;
                case < 18:
                    Page* old = Mm.Follow(cpu, (state & 1) == 0 ? mm : other, (state & 2) == 0 ? at : FileAt + fileAt);
                    if (old == null) break;
                    Mm.LruAddDrain<TC>(cpu);
                    if (Migration.Migrate<TC>(cpu, old, AllocatorState.Node(AllocatorState.Of(cpu), 0)) == MigrateResult.Moved) AtomicLong.Add(&a->Migrated, 1);
                    Mm.Put<TC>(cpu, old);
                    break;
                default:
                    for (long i = at; i < Math.Min(at + count, Anon); i++)
                    {
                        if (Pte.IsSwap(GuardedPtr<Page>.Get(MmStruct.Entry(mm, i)))) AtomicLong.Add(&a->SwappedIn, 1);
                        MmSwap.Touch<TC>(cpu, mm, i, write: (state >> 50 & 3) != 0);
                    }
                    break;
            }
        }
        Writeback.CompleteOwn<TC>(cpu); // a CPU that leaves drains itself first
        Mm.LruAddDrain<TC>(cpu);
        TC.DrainStocks(cpu, a->Parent);
    }
}
