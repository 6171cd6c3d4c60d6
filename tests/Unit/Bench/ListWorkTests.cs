// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// Every workload of list work under every protocol that a run accepts, while groups get pages, lose some and die: no violation (looked for at
/// every list operation, DebugVm), no leak, no retry without end. An operation is one page handled under a list lock, or a hundredth of a
/// group's life. MEMCGNATIVE_LIST_OPS asks for more of each than the few of a test run, MEMCGNATIVE_LIST_MODEL for models with that text.
/// </summary>
public sealed unsafe class ListWorkTests(ITestOutputHelper output)
{
    private static readonly long wanted = long.Parse(Environment.GetEnvironmentVariable("MEMCGNATIVE_LIST_OPS") ?? "3000", CultureInfo.InvariantCulture);

    public static TheoryData<string> Models => [.. all.Where(m => m.Contains(Environment.GetEnvironmentVariable("MEMCGNATIVE_LIST_MODEL") ?? "", StringComparison.Ordinal))];

    private static readonly string[] all =
    [
        "3.3", "3.19", "2.6.29", "rfc-2012-books,lru.switch=W1,lru.destroy=refcount", "rfc-2012-books,lru.switch=W1,lru.lock=mcs",
        "rfc-2012-books", "rfc-2012-books,lru.destroy=recycle,lru.pending=on", "rfc-2012-books,lru.switch=W4,lru.lock=tas", "rfc-2012-books,lru.switch=W5",
        "rfc-2012-books,lru.slice=interleave:4@9", "rfc-2012-books,lru.slice=16M,lru.pending=on,lru.destroy=refcount", "rfc-2012-books,residents=MoveToParent",
        "5.11", "5.11,lru=LruvecRecheck,lru.lock=ticket-timed", "5.11,residents=MoveToParent",
    ];

    [Theory, MemberData(nameof(Models))]
    public void Every_list_workload_leaves_the_books_balanced(string text)
    {
        Topology topology = Topology.Current();
        CpuId[] cpus = [.. topology.AllowedCpus.Take(4)];
        using Instance instance = Matrix.Bind(Model.Parse(text), new InstanceMaker(new InstancePlan
        {
            Topology = topology,
            Cpus = cpus,
            Mem = NumaPolicy.Parse("local"),
            Pages = PageKind.ParseList("4K"),
            FootprintBytes = 64 << 20,
            Place = PlaceMap.Parse(null, topology),
            Shape = new MemcgShape(1, 0, null),
            Model = Model.Parse(text),
            Rcu = RcuFlavour.Qsbr,
            FakeNodes = 0,
        }));
        instance.Start();
        foreach (WorkloadInfo workload in WorkloadList.All.Where(w => WorkloadList.IsListWork(w.Name)))
        {
            Lane lane = instance.Open(workload.Name, WithCompany(workload));
            instance.MarkLocks();
            long steps = 0, refused = 0, done;
            LruLockTotals locks;
            do
            {
                lane.Batch(cpus.Length, System.Diagnostics.Stopwatch.Frequency / (wanted > 100_000 ? 50 : 1000), 16, null);
                for (int i = 0; i < cpus.Length; i++) (steps, refused) = (steps + lane.States[i].Done, refused + lane.States[i].Refused);
                locks = LruLockTotals.Sum(workload.Name, instance.LocksSince());
                done = workload.Name == "lru-groups" ? 100 * steps : locks.Pages;
            } while (done < wanted);
            output.WriteLine($"{workload.Name}: {steps} steps, {refused} refused; {locks.Pages} pages in {locks.Acquired} holds, {locks.Contended} waited; "
                + $"retries 1, 2-3, 4-7...: {string.Join(' ', locks.Retries)}");
            Assert.Equal(0, refused);
            Assert.True(workload.Name == "lru-groups" || locks.Acquired > 0, $"{workload.Name} took no list lock");
            Assert.Equal(0, locks.Retries[^1]); // 128 rounds and more: B16
        }
        Assert.Empty(instance.Close().Wrong);
    }

    /// <summary>A workload of one kind alone would never see a list end: pages move into groups that die.</summary>
    private static ListShares? WithCompany(WorkloadInfo workload)
    {
        if (workload.Shares is null || workload.Name is "lru-churn" or "lru-groups") return null; // lumpy has dying groups of its own
        string kind = workload.Name["lru-".Length..];
        return ListShares.Parse(kind == "move" ? "move=200,group=1" : $"{kind}=200,move=20,group=1");
    }

    [Fact]
    public void More_slices_than_threads_are_not_visible_here_and_the_program_says_so()
    {
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run lru-add -t 1 -d 5ms -r 1 --machines 1 -M rfc-2012-books,lru.slice=interleave:4@9"));
        Assert.Equal(0, answer.Code);
        Assert.Contains("4 books for 1 thread: what more than 1 are worth is not visible on this machine", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_deck_has_every_kind_in_proportion_and_none_that_was_not_asked_for()
    {
        byte* deck = stackalloc byte[WorkerState.DeckCards];
        ListShares.Parse("add=1000,walk=1,move=500").Deal(deck, WorkerState.DeckCards, 7);
        int Count(ListWorkKind kind) => new ReadOnlySpan<byte>(deck, WorkerState.DeckCards).Count((byte)kind);
        Assert.Equal(WorkerState.DeckCards, Count(ListWorkKind.Add) + Count(ListWorkKind.Walk) + Count(ListWorkKind.Move));
        Assert.InRange(Count(ListWorkKind.Add), 680, 684);
        Assert.InRange(Count(ListWorkKind.Walk), 1, 2);
        Assert.NotEqual((byte)ListWorkKind.Add, new ReadOnlySpan<byte>(deck, 64).ToArray().Max()); // shuffled
        Assert.Equal("add=1000,walk=1,move=500", ListShares.Parse("add=1000,walk=1,move=500").ToString());
    }

    [Theory]
    [InlineData("ad=1", "'ad' is no kind of list work; did you mean 'add'? Known: add, isolate, walk, rotate, activate, move, group")]
    [InlineData("add=1,add=2", "add is named twice")]
    [InlineData("add", "'add' is not a kind and a weight of 0 to 1000")]
    [InlineData("add=-1", "not a kind and a weight")]
    [InlineData("add=0", "every weight is 0")]
    public void A_mix_that_is_none_is_refused_with_the_reason(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<UsageException>(() => ListShares.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("run fault --share add=1 --dry-run", "--share: is the mix of lru-churn, and fault has none")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.switch=W0 --dry-run", "lru.switch=W0 is for the explorer only")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.switch=W3 --dry-run", "right for one move")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.switch=W2-nofence --dry-run", "is for the explorer only")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.destroy=rcu --dry-run", "is for the explorer only")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.slice=1M --dry-run", "a huge page (order 9) would lie in two slices")]
    [InlineData("run lru-churn -M rfc-2012-books,lru.slice=interleave:4@8 --dry-run", "a huge page (order 9) would lie in two slices")]
    [InlineData("run lru-churn -M 3.3,lru=LruvecLruBit --dry-run", "needs uncharge=AtFinalPut")]
    public void Misuse_is_exit_2_and_one_line(string command, string reason)
    {
        CliBox.Answer answer = CliBox.Run(CliBox.Split(command));
        Assert.Equal((2, ""), (answer.Code, answer.Out));
        Assert.Contains(reason, answer.Error, StringComparison.Ordinal);
    }
}
