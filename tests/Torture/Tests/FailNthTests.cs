// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// fail-nth as the kernel's: a life of a group (made, faulted into, file read, page migrated, objects allocated, removed) is lived again and again,
/// and in the nth life the nth allocation fails, until none is left to fail. After each the books balance and nothing is left.
/// </summary>
public sealed unsafe class FailNthTests
{
    public static TheoryData<string> EveryEra => [.. Eras.All.Select(e => e.Name)];

    [Theory, MemberData(nameof(EveryEra))]
    public void Whichever_allocation_fails_the_books_balance_and_nothing_is_left(string era)
    {
        (int failed, string[] wrong) = Matrix.Bind(Model.Parse(era), new Lives());
        Assert.True(wrong.Length == 0, string.Join('\n', wrong));
        Assert.True(failed >= 8, $"only {failed} allocations were there to fail");
    }

    private sealed class Lives : IControllerUser<(int, string[])>
    {
        public (int, string[]) Use<TC>() where TC : struct, IMemoryController
        {
            var type = new LifeUnderFaults<TC>();
            type.Begin(new Setting([(new CpuId(0), new NodeId(0))], RcuFlavour.Qsbr, 1));
            var wrong = new List<string>();
            int nth = 1;
            while (type.Live(nth) && nth < 10_000 && wrong.Count == 0)
            {
                type.Check(wrong);
                if (wrong.Count != 0) wrong.Insert(0, $"allocation {nth} failed:");
                nth++;
            }
            type.Check(wrong);
            type.TearDown();
            return (nth - 1, [.. wrong]);
        }
    }

    private sealed class LifeUnderFaults<TC> : CoreTorture<TC> where TC : struct, IMemoryController
    {
        private MmStruct* mm;
        private FileSpace* file;
        private SlabCache* cache;

        public override string Name => "fail-nth";
        public override IReadOnlyList<string> Counters { get; } = ["life"];
        public override IReadOnlyList<int> BlindSpots { get; } = [];
        public override void Step(in ThisCpu cpu, Worker w) { }

        protected override void SetUp()
        {
            Build(new AccountingPlan(MaxGroups: 16, SwapEntries: 64, PageCacheBuckets: 16));
            Slab slab = Slab.Build(Memory, Cpus, checkObjects: true);
            int name = slab.Name("dentry");
            mm = (MmStruct*)Map(sizeof(MmStruct));
            MmStruct.Init(mm, 64, (byte*)Map(MmStruct.TableBytes(64)));
            file = (FileSpace*)Map(4096);
            FileSpace.Init(file);
            FileSpace.TryMap(file, mm, 32, 0, 16);
            AsCpu(0, (in ThisCpu cpu) => cache = SlabCaches.Create<TC>(cpu, name, 192, accounted: true, checkObjects: true));
        }

        /// <summary>One life in which the nth allocation fails; false when there were fewer.</summary>
        public bool Live(int nth)
        {
            bool injected = false;
            AsCpu(0, (in ThisCpu cpu) =>
            {
                long before = Perturb.Injected;
                Perturb.Arm(nth);
                void* obj = null, block = null;
                Memcg* top = MemcgLife.Create<TC>(cpu, Accounting.Root);
                Memcg* memcg = top == null ? null : MemcgLife.Create<TC>(cpu, top);
                if (memcg != null && MemcgLife.Attach(cpu, mm, memcg))
                {
                    for (int i = 0; i < 4; i++) MmSwap.Touch<TC>(cpu, mm, i, write: true);
                    MmFile.Fault<TC>(cpu, mm, 33, file, 1, write: false);
                    for (int round = 0; round < 2; round++) Reclaim.Shrink<TC>(cpu, memcg, 4); // out to the device, then away
                    for (int i = 0; i < 4; i++) MmSwap.Touch<TC>(cpu, mm, i, write: false);
                    if (Mm.Follow(cpu, mm, 0) is var page && page != null)
                    {
                        Mm.LruAddDrain<TC>(cpu);
                        Migration.Migrate<TC>(cpu, page, AllocatorState.Node(Memory.State, 1));
                        Mm.Put<TC>(cpu, page);
                    }
                    obj = KmemObjects.Alloc<TC>(cpu, cache, memcg);
                    for (int i = 0; i < 4; i++) Poll.Run(cpu); // a copy of the cache is made
                    if (obj != null) KmemObjects.Free<TC>(cpu, obj);
                    obj = KmemObjects.Alloc<TC>(cpu, cache, memcg);
                    block = KmemObjects.Kmalloc<TC>(cpu, 9000, memcg, Gfp.Account);
                }
                injected = Perturb.Injected != before;
                Perturb.Leave();
                Mm.Unmap<TC>(cpu, mm, 0, 64);
                MmFile.Truncate<TC>(cpu, file, 0, 16);
                MemcgLife.Detach(cpu, mm);
                if (memcg != null) MemcgLife.Remove(cpu, memcg);
                if (obj != null) KmemObjects.Free<TC>(cpu, obj);
                if (block != null) KmemObjects.Free<TC>(cpu, block);
                for (int i = 0; i < 16; i++) Poll.Run(cpu);
                if (top != null) MemcgLife.Remove(cpu, top);
            });
            return injected;
        }

        public override void Check(ICollection<string> wrong)
        {
            Settle(12);
            base.Check(wrong);
            if (AtomicLong.Load(&Accounting.Tree->Count) is not 1 and var left) wrong.Add($"{left - 1} groups are left");
            AsCpu(0, (in ThisCpu cpu) =>
            {
                if (SwapDevice.Used(SwapDevice.Of(cpu)) is not 0 and var places) wrong.Add($"{places} places of the swap device are in use");
            });
        }
    }
}
