// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Short runs on threads: random faults, unmaps, moves and the birth and death of groups under tiny limits; the books must balance.</summary>
public sealed unsafe class StressTests
{
    private const int Pages = 256;

    private struct Arguments
    {
        public Memcg* Parent;
        public nint Spaces;
        public int Steps;
        public ulong Seed;
    }

    [Fact] public void NoStock_balances_after_random_work() => Run<NoStock>(workers: 3);
    [Fact] public void SingleSlot_balances_after_random_work() => Run<Stock32>(workers: 3);
    [Fact] public void SevenSlot_balances_after_random_work() => Run<SevenSlots>(workers: 3);
    [Fact] public void SingleSlot_balances_on_two_nodes_with_one_thread_more_than_cpus() => Run<Stock32>(workers: Environment.ProcessorCount + 1, nodes: 2);

    [Fact] public void Splices_to_the_parent_balance_after_random_work_on_two_nodes() => Run<PagesAndObjects>(workers: 3, nodes: 2);
    [Fact] public void The_bit_lock_of_2627_balances_after_random_work() => Run<Early27>(workers: 3);
    [Fact] public void The_lockless_series_balances_after_random_work() => Run<Lockless>(workers: 3);
    [Fact] public void Synchronous_twin_lists_balance_after_random_work_on_two_nodes() => Run<Early29>(workers: 3, nodes: 2);
    [Fact] public void The_array_of_33_balances_after_random_work() => Run<Early33>(workers: 3);
    [Fact] public void The_plain_flags_of_317_balance_after_random_work_on_two_nodes() => Run<Late317>(workers: 3, nodes: 2);

    private static void Run<TC>(int workers, int nodes = 1) where TC : struct, IMemoryController
    {
        using var box = new AccountingBox<TC>(workers, mib: 8, nodes: nodes, plan: new AccountingPlan(MaxGroups: 1024));
        Memcg* parent = box.Group();
        TC.TrySetLimit(parent, CounterKind.Memory, 300 * workers / 2);
        for (int i = 0; i < workers; i++) Rcu.CpuOffline(box.Cpu(i)); // the gang brings them back
        Arguments arguments = new() { Parent = parent, Spaces = (nint)box.Space(), Steps = 3000, Seed = 0x5eed };
        using (var gang = new CpuGang(box.Cpus, new PretendPinner()))
            gang.Run(&Work<TC>, &arguments);
        for (int i = 0; i < workers; i++) Rcu.CpuOnline(box.Cpu(i));
        box.AssertBalanced();
        for (int i = 0; i < workers; i++)
        {
            Memcg* own = AtomicPtr<Memcg>.Load(&box.Space(i)->Memcg);
            box.Unmap(0, Pages, i);
            MemcgLife.Detach(box.Cpu(i), box.Space(i));
            MemcgLife.Remove(box.Cpu(), own);
        }
        box.Quiesce();
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), parent));
        box.Quiesce();
        Balance balance = box.Audit();
        Assert.True(balance.Holds, string.Join('\n', balance.Wrong));
        Assert.Equal((0, 0, 0), (balance.Resident, balance.Stocked, balance.OnLists));
        Assert.Equal(1, balance.Groups);
        Assert.True(balance.Charged > 10_000, "the run did something");
    }

    private static void Work<TC>(in ThisCpu cpu, void* argument) where TC : struct, IMemoryController
    {
        var a = (Arguments*)argument;
        ulong state = a->Seed + (ulong)cpu.Index * 0x9e3779b97f4a7c15;
        MmStruct* mm = (MmStruct*)a->Spaces + cpu.Index;
        Memcg* own = MemcgLife.Create<TC>(cpu, a->Parent);
        MemcgLife.Attach(cpu, mm, own);
        for (int step = 0; step < a->Steps; step++, Poll.Run(cpu))
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            long first = (long)(state >> 8 & Pages - 1), count = 1 + (long)(state >> 20 & 31);
            switch (state >> 40 & 15)
            {
                case 0:
                    Memcg* next = MemcgLife.Create<TC>(cpu, a->Parent);
                    if (next == null) break;
                    MemcgLife.Attach(cpu, mm, next);
                    MemcgLife.Remove(cpu, own);
                    own = next;
                    break;
                case 1:
                    TC.DrainStocks(cpu, a->Parent);
                    break;
                case < 6:
                    Mm.Unmap<TC>(cpu, mm, first, Math.Min(count, Pages - first));
                    break;
                default:
                    for (long i = first; i < Math.Min(first + count, Pages); i++)
                        if (Mm.Lookup(cpu, mm, i) == null) Mm.Fault<TC>(cpu, mm, i, write: (state >> 50 & 3) == 0);
                    break;
            }
        }
    }
}
