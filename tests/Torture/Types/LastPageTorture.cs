// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// A group's only page is moved out and the group dies, while others catch that page: the catcher, the switcher and the destroyer of the 2012
/// mail (B3) and nothing else. A page moves once in its life, so that no other race of a wrong switch gets in the way.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="busted">Name of a type that must fail.</param>
internal sealed unsafe class LastPageTorture<TC>(string model, string? busted = null) : CoreTorture<TC> where TC : struct, IMemoryController
{
    private const int Caught = 0, Missed = 1, Moved = 2, Busy = 3, Died = 4, MostTries = 64, Polls = 96;

    private nint[] spaces = [];
    private Memcg* home;
    /// <summary>The page that each CPU's life is about now (Page*); stale at once, which catchers by pfn expect.</summary>
    private AtomicLong* offered;

    public override string Name => busted ?? "books.last-page";
    public override bool Busted => busted is not null;
    public override string Detail => $"[{model}]";
    public override bool Allocates => false; // a life without its page would be none
    public override RcuFlavour? Wants => RcuFlavour.Membarrier; // a holder outside RCU holds up no grace period
    public override IReadOnlyList<string> Counters { get; } = ["catch", "miss", "move", "busy", "life"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Caught, Missed, Moved, Died];

    protected override void SetUp()
    {
        Build(new AccountingPlan(MaxGroups: 64) { Slices = new SlicePlan(SlicePlan.HugePageOrder, 3) });
        spaces = new nint[Cpus.Count];
        offered = (AtomicLong*)Map(Cpus.Count * sizeof(AtomicLong));
        AsCpu(0, (in ThisCpu cpu) =>
        {
            home = MemcgLife.Create<TC>(cpu, Accounting.Root);
            for (int c = 0; c < Cpus.Count; c++)
            {
                var mm = (MmStruct*)Map(sizeof(MmStruct));
                spaces[c] = (nint)mm;
                MmStruct.Init(mm, 1, (byte*)Map(MmStruct.TableBytes(1)));
                MemcgLife.Attach(cpu, mm, home);
            }
        });
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        if (w.OneIn(4)) Life(cpu, w, (MmStruct*)spaces[cpu.Index]);
        else Catch(cpu, w, (Page*)AtomicLong.Load(offered + w.Random(Cpus.Count)));
    }

    private void Life(in ThisCpu cpu, Worker w, MmStruct* mm)
    {
        Memcg* group = MemcgLife.Create<TC>(cpu, Accounting.Root);
        if (group == null) return; // the table is full of groups that are dying
        MemcgLife.Attach(cpu, mm, group);
        Mm.Fault<TC>(cpu, mm, 0, write: true);
        Mm.LruAddDrain<TC>(cpu);
        MemcgLife.Attach(cpu, mm, home);
        Page* page = Mm.Lookup(cpu, mm, 0);
        AtomicLong.Store(offered + cpu.Index, (long)page);
        bool moved = false;
        for (int i = 0; i < MostTries && !moved; i++, Poll.Run(cpu))
        {
            moved = MoveAccount.TryMove<TC>(cpu, page, group, home) == MoveResult.Moved;
            w.Did(moved ? Moved : Busy, (long)page, (long)group);
        }
        w.Did(Died, (long)group);
        MemcgLife.Remove(cpu, group);
        for (int i = 0; i < Polls; i++) Poll.Run(cpu); // to its end, if nobody holds it up
        AtomicLong.Store(offered + cpu.Index, 0);
        Mm.Unmap<TC>(cpu, mm, 0, 1);
    }

    private static void Catch(in ThisCpu cpu, Worker w, Page* page)
    {
        if (page == null || !Mm.Catch<TC>(cpu, page))
        {
            w.Did(Missed, (long)page);
            return;
        }
        w.Did(Caught, (long)page);
        TC.LruPutback(cpu, &page, 1);
        Mm.Put<TC>(cpu, page);
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (nint mm in spaces) MemcgLife.Detach(cpu, (MmStruct*)mm);
            MemcgLife.Remove(cpu, home);
        });
        Settle(8);
        if (AtomicLong.Load(&Accounting.Tree->Count) is not 1 and var left) wrong.Add($"{left - 1} groups never died (I7)");
        base.Check(wrong);
    }
}

/// <summary>A ticket lock whose holder is now and then descheduled before it lets go, long enough for grace periods; then it looks where it stands.</summary>
internal readonly unsafe struct SlowToLetGo : ILockKind
{
    [ThreadStatic] private static uint random;

    public static string Name => "slow";
    public static void Init(LockWord* l) => TicketLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TicketLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TicketLock.TryAcquire(cpu, l);
    public static bool IsHeld(LockWord* l) => TicketLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TicketLock.WaitForHolder(l);

    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        random = random * 1664525 + 1013904223;
        if (random >> 27 == 0) Thread.Sleep(1);
        // A book begins with its lock. When the next group has the place already, the lock is a new one, which we do not hold.
        if (Book.StateOf((Book*)l) == BookState.Dead || !TicketLock.IsHeld(l)) Bug.Fail("book: freed under its lock's holder (book)", (long)l);
        TicketLock.Release(cpu, l);
    }
}
