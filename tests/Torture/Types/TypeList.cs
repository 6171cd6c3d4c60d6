// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>All types by name. Accounting and counters are one name each and another model in each episode.</summary>
internal static class TypeList
{
    /// <summary>Name and maker; the maker is told how many episodes of the type there were.</summary>
    public static IReadOnlyList<(string Name, int Weight, Func<int, TortureType> Make)> Honest { get; } =
    [
        ("locks.tas", 1, _ => new LockTorture<TestAndSetLock>()),
        ("locks.ticket", 1, _ => new LockTorture<TicketLock>()),
        ("locks.mcs", 1, _ => new LockTorture<McsLock>()),
        ("locks.bit", 1, _ => new BitLockTorture<BitLock>()),
        ("locks.byte", 1, _ => new BitLockTorture<ByteLock>()),
        ("rcu.qsbr", 2, _ => new RcuTorture(RcuFlavour.Qsbr)),
        ("rcu.membarrier", 2, _ => new RcuTorture(RcuFlavour.Membarrier)),
        ("percpuref", 2, _ => new PercpuRefTorture<RealKill>()),
        ("allocator", 2, _ => new AllocatorTorture()),
        ("slab", 2, _ => new SlabTorture()),
        ("counters", 3, i => Matrix.Bind(Models.At(i), new CounterMaker(Models.At(i)))),
        ("books", 3, i => Matrix.Bind(Models.At(Models.OfLists, i), new BooksMaker(Models.At(Models.OfLists, i)))),
        ("books.last-page", 1, i => Matrix.Bind(Models.At(Models.OfLists, i), new LastPageMaker(Models.At(Models.OfLists, i)))),
        ("kmem", 4, i => Matrix.Bind(Models.At(Models.OfKmem, i), new KmemMaker(Models.At(Models.OfKmem, i)))),
        ("accounting", 8, i => Matrix.Bind(Models.At(i), new AccountingMaker(Models.At(i)))),
    ];

    /// <summary>A planted bug each; at least one per protocol.</summary>
    public static IReadOnlyList<(string Name, int Weight, Func<int, TortureType> Make)> Busted { get; } =
    [
        Bad("busted.lock-forgets", n => new LockTorture<ForgetfulLock>(n)),
        Bad("busted.lock-two-step", n => new LockTorture<TwoStepLock>(n)),
        Bad("busted.lock-wait", n => new LockTorture<ImpatientLock>(n)),
        Bad("busted.lock-clings", n => new LockTorture<ClingingLock>(n)),
        Bad("busted.bit-overwrites", n => new BitLockTorture<OverwritingBitLock>(n)),
        Bad("busted.rcu-no-grace-period", n => new RcuTorture(RcuFlavour.Qsbr, RcuBug.NoGracePeriod, n)),
        Bad("busted.rcu-reader", n => new RcuTorture(RcuFlavour.Membarrier, RcuBug.UnprotectedReader, n)),
        Bad("busted.percpuref-early", n => new PercpuRefTorture<EarlyKill>(n)),
        Bad("busted.allocator-remote", n => new AllocatorTorture(remoteDrain: true, n)),
        Bad("busted.slab-remote", n => new SlabTorture(remoteDrain: true, n)),
        Bad("busted.counter-loses", n =>
            new CounterTorture<Controller<BustedCounter<LosesUpdates>, OwnerWord, ZoneLruLock<TicketLock>, AtFinalPut, PinPerPage, NoKmem>>("lost update", false, n)),
        Bad("busted.counter-repair", n =>
            new CounterTorture<Controller<BustedCounter<RepairsItself>, OwnerWord, ZoneLruLock<TicketLock>, AtFinalPut, PinPerPage, NoKmem>>("S1", true, n)),
        Bad("busted.stock-remote", n => new CounterTorture<Controller<RemotelyDrained, OwnerWord, ZoneLruLock<TicketLock>, AtFinalPut, PinPerPage, NoKmem>>("F11", false, n)),
        Bad("busted.css-batch", n => new AccountingTorture<Controller<PageCounter<PageCounter40>, OwnerWord, ZoneLruLock<TicketLock>, BatchWithoutReference, PinPerPage, NoKmem>>(
            "C11", n, RcuFlavour.Membarrier, small: true)),
        Bad("busted.lru-unlocked", n =>
            new AccountingTorture<Controller<PageCounter<PageCounter40>, OwnerWord, ZoneLruLock<NoLock>, AtFinalPut, PinPerPage, NoKmem>>("no lru lock", n)),
        Bad("busted.moves-once", n => new AccountingTorture<Controller<BustedCounter<ChargesLate>, PlainFlagArray<Plain317>,
            ZoneLruLock<TicketLock>, AtFinalPut, MovesOnce, NoKmem>>("D16", n, RcuFlavour.Membarrier, small: true)),
        Bad("busted.page-cgroup-posted", n => new AccountingTorture<Controller<ResCounter<ResCounter40, TicketLock>, LocklessRcu<AsPosted, PrefetchNone>,
            TwinLists<Async, TicketLock>, AtUnmap<Early2627>, ForceEmpty, NoKmem>>("2008 as posted", n, RcuFlavour.Membarrier, small: true)),
        Bad("busted.books-W0", n => OnePage<OneBook, W0>("B1", n)),
        Bad("busted.books-W2-nofence", n => OnePage<OneBook, W2NoFence>("B2", n)),
        Bad("busted.books-W3", n => OnePage<SlowLook, W3>("ABA", n)),
        Bad("busted.books-destroy", n => new LastPageTorture<Controller<PageCounter<PageCounter40>, OwnerWord,
            Books<SlowToLetGo, OneBook, W3, RcuOnly, Pagevecs>, AtFinalPut, PinPerPage, NoKmem>>("B3", n)),
        Bad("busted.kmem-unpinned", n => new KmemTorture<Controller<ResCounter<ResCounter56, TicketLock>, FlagArray<PageCgroupEntry16, BitLock>, ZoneLruLock<TicketLock>,
            AtUnmap<Early36>, MoveToParent, PerGroupCaches<PinAsIn314>>>("D14", n)),
        Bad("busted.kmem-keeps-owner", n =>
            new KmemTorture<Controller<PageCounter<PageCounter40>, OwnerWord, ZoneLruLock<TicketLock>, AtFinalPut, PinPerPage, FreesUncharged>>("I15", n)),
    ];

    private static BooksTorture<Controller<PageCounter<PageCounter40>, OwnerWord, Books<TicketLock, TMap, TSwitch, RcuLockWait, Pagevecs>, AtFinalPut, PinPerPage, NoKmem>>
        OnePage<TMap, TSwitch>(string what, string name) where TMap : struct, IBookMap where TSwitch : struct, ISwitchProtocol => new(what, name, pages: 1);

    private static (string, int, Func<int, TortureType>) Bad(string name, Func<string, TortureType> make) => (name, 1, _ => make(name));
}
