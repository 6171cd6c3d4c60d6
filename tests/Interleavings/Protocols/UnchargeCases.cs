// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Array16 = MemcgNative.Accounting.FlagArray<MemcgNative.Accounting.PageCgroupEntry16, MemcgNative.Native.BitLock>;
using Counter = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;
using ZoneLock = MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>;

namespace MemcgNative.Tests.Interleavings;

using Word = Controller<Counter, OwnerWord, ZoneLock, AtFinalPut, MoveToParent, NoKmem>;
using WordPinned = Controller<Counter, OwnerWord, ZoneLock, AtFinalPut, PinPerPage, NoKmem>;
using WordClearsAtUnmap = Controller<Counter, OwnerWord, ZoneLock, BustedAtFinalPut<ClearsAtUnmap>, MoveToParent, NoKmem>;
using WordPutsFirst = Controller<Counter, OwnerWord, ZoneLock, BustedAtFinalPut<PutsBeforeFlush>, PinPerPage, NoKmem>;
using WordRecordsNobody = Controller<Counter, OwnerWord, ZoneLock, BustedAtFinalPut<RecordsNobody>, PinPerPage, NoKmem>;
using Plain = Controller<Counter, PlainFlagArray<Plain317>, ZoneLock, AtFinalPut, MoveToParent, NoKmem>;
using Mailed = Controller<Counter, PlainFlagArray<PlainAsMailed>, ZoneLock, AtFinalPut, MoveToParent, NoKmem>;
using Keeps = Controller<Counter, PlainFlagArray<KeepsCharge>, ZoneLock, AtFinalPut, MoveToParent, NoKmem>;
using Early36 = Controller<Counter, Array16, ZoneLock, AtUnmap<MemcgNative.Accounting.Early36>, MoveToParent, NoKmem>;
using Early36NoMover = Controller<Counter, Array16, ZoneLock, AtUnmap<MemcgNative.Accounting.Early36>, NoMover, NoKmem>;
using Early36Puts = Controller<Counter, Array16, ZoneLock, BustedAtUnmap<MemcgNative.Accounting.Early36, PutsAtCommit>, NoMover, NoKmem>;
using Early36Looks = Controller<Counter, Array16, ZoneLock, BustedAtUnmap<MemcgNative.Accounting.Early36, LooksThenMarks>, MoveToParent, NoKmem>;
using Early33 = Controller<Counter, Array16, ZoneLock, AtUnmap<MemcgNative.Accounting.Early33>, MoveToParent, NoKmem>;
using Early33Unmarked = Controller<Counter, Array16, ZoneLock, BustedAtUnmap<MemcgNative.Accounting.Early33, ChargesWithoutMark>, MoveToParent, NoKmem>;
using Early33Keeps = Controller<Counter, Array16, ZoneLock, BustedAtUnmap<MemcgNative.Accounting.Early33, KeepsSecondCharge>, MoveToParent, NoKmem>;
using Early29 = Controller<Counter, Array16, ZoneLock, AtUnmap<Early2629>, MoveToParent, NoKmem>;
using Early29Guesses = Controller<Counter, Array16, ZoneLock, BustedAtUnmap<Early2629, GuessesByMapCount>, MoveToParent, NoKmem>;
using Early27 = Controller<Counter, Array16, ZoneLock, AtUnmap<Early2627>, MoveToParent, NoKmem>;
using Empty27 = Controller<Counter, Array16, ZoneLock, AtUnmap<Early2627>, ForceEmpty, NoKmem>;
using Twin29 = Controller<Counter, FlagArray<PageCgroupEntry40, BitLock>, TwinLists<Sync, TestAndSetLock>, AtUnmap<Early2629>, MoveToParent, NoKmem>;
using Objects27 = Controller<Counter, BitSpinlock<BitLock>, TwinLists<Async, TestAndSetLock>, AtUnmap<Early2627>, MoveToParent, NoKmem>;

/// <summary>System C: when a page stops being charged. Shipped answers exhausted, twins found.</summary>
internal static class UnchargeCases
{
    private const string Nulls = "residents: MoveToParent at rest, which ties nothing to a charge; kmem: None";

    public static IReadOnlyList<Case> All { get; } =
    [
        Shipped<Twin29, SwapInAgainstIsolate<CommitsLrucare>>("A14", "FlagArray40,TwinListsSync,AtUnmap29", "1c1i"),
        Shipped<Early36, SwapInAgainstIsolate<CommitsLrucare>>("A14", "FlagArray16,ZoneLruLock,AtUnmap36", "1c1i"),
        Busted<Twin29, SwapInAgainstIsolate<CommitsInPlace>>("A14", "busted-commit-in-place,TwinListsSync", "1c1i"),
        Busted<Early36, SwapInAgainstIsolate<CommitsInPlace>>("A14", "busted-commit-in-place,ZoneLruLock", "1c1i"),
        Shipped<Early36, MapAgainstUnmap<CountsByMapCount, N1>>("A16", "FlagArray16,AtUnmap36", "1u1m"),
        Shipped<Word, MapAgainstUnmap<CountsByMapCount, N2>>("A16", "OwnerWord,AtFinalPut", "1u2m"),
        Busted<Word, MapAgainstUnmap<FlagBesideCounter, N1>>("A16", "busted-flag", "1u1m"),
        Shipped<Early36, MigrateAgainstPut>("C1", "FlagArray16,AtUnmap36", "1m1p"),
        Shipped<Early33, MigrateAgainstPut>("C1", "FlagArray16,AtUnmap33", "1m1p"),
        Shipped<Plain, MigrateAgainstPut>("C1", "PlainFlagArray,AtFinalPut", "1m1p"),
        Shipped<Word, MigrateAgainstPut>("C1", "OwnerWord,AtFinalPut", "1m1p"),
        Busted<Early27, MigrateAgainstPut>("C1", "AtUnmap27", "1m1p", "as 2.6.27 was: the era keeps it"),
        Shipped<Early36, MigrateAgainstUnmap>("C1", "FlagArray16,AtUnmap36", "1m1u"),
        Shipped<Early33, MigrateAgainstUnmap>("C1", "FlagArray16,AtUnmap33", "1m1u"),
        Shipped<Early29, MigrateAgainstUnmap>("C1", "FlagArray16,AtUnmap29", "1m1u"),
        Shipped<Word, MigrateAgainstUnmap>("C1", "OwnerWord,AtFinalPut", "1m1u"),
        Case.Of<PageCase<Early36NoMover, MigrateEndAgainstDeath>>("C1", "FlagArray16,AtUnmap36", "1m1d", heavy: true, nulls: "residents: NoMover; kmem: None"),
        Busted<Early36Puts, MigrateEndAgainstDeath>("C1", "busted-put-at-commit", "1m1d").FromLastCpu(),
        Busted<Early33Unmarked, MigrateAgainstPut>("C1", "busted-charge-without-mark", "1m1p"),
        Busted<Early33Keeps, MigrateAgainstUnmap>("C1", "busted-keeps-second-charge", "1m1u"),
        Busted<Early36Looks, MigrateAgainstUnmap>("C1", "busted-look-then-mark", "1m1u").FromLastCpu(),
        Shipped<Early29, ReclaimAgainst<N1>>("C2", "FlagArray16,AtUnmap29", "1z1r"),
        Shipped<Plain, ReclaimAgainst<N1>>("C2", "PlainFlagArray,AtFinalPut", "1z1r"),
        Shipped<Word, ReclaimAgainst<N1>>("C2", "OwnerWord,AtFinalPut", "1z1r"),
        Shipped<Early29, ReclaimAgainst<N0>>("C2", "FlagArray16,AtUnmap29", "1g1r"),
        Shipped<Word, ReclaimAgainst<N0>>("C2", "OwnerWord,AtFinalPut", "1g1r"),
        Shipped<Plain, ReclaimAgainst<N0>>("C2", "PlainFlagArray,AtFinalPut", "1g1r"),
        Shipped<Early36, MigrateAgainstTouch>("C2", "FlagArray16,AtUnmap36", "1m1t"),
        Shipped<Early33, MigrateAgainstTouch>("C2", "FlagArray16,AtUnmap33", "1m1t"),
        Shipped<Word, MigrateAgainstTouch>("C2", "OwnerWord,AtFinalPut", "1m1t"),
        Busted<Early29Guesses, ReclaimAgainst<N0>>("C2", "busted-guess-by-mapcount", "1g1r"),
        Shipped<Word, UnchargeInIrq>("C4", "OwnerWord,AtFinalPut", "1 irq"),
        Shipped<Plain, UnchargeInIrq>("C4", "PlainFlagArray,AtFinalPut", "1 irq"),
        Busted<Early36, UnchargeInIrq>("C4", "AtUnmap36", "1 irq", "the batch of 2.6.33 to 3.16 belongs to the task: never from the irq role"),
        Shipped<Word, SoftLimitAgainstRotate<UnchargesOutsideListLock>>("C5", "OwnerWord,AtFinalPut", "1t1u + irq"),
        Busted<Word, SoftLimitAgainstRotate<UnchargesUnderListLock>>("C5", "busted-under-the-list-lock", "1t1u + irq").Mutated("SoftLimit.Update#3", MutationOp.DropIrqOff),
        Shipped<Plain, WritebackAgainstMigration<LooksBefore>>("C6", "PlainFlagArray,AtFinalPut", "1w1m"),
        Shipped<Word, WritebackAgainstMigration<LooksBefore>>("C6", "OwnerWord,AtFinalPut", "1w1m"),
        Busted<Plain, WritebackAgainstMigration<LooksAfter>>("C6", "busted-look-after-clear", "1w1m"),
        Shipped<Plain, MovesChargeAgainstLastPut>("C9", "PlainFlagArray,AtFinalPut", "1m1p"),
        Shipped<Mailed, MovesChargeAgainstLastPut>("C9", "PlainFlagArrayMail,AtFinalPut", "1m1p"),
        Shipped<Word, MovesChargeAgainstLastPut>("C9", "OwnerWord,AtFinalPut", "1m1p"),
        Busted<Keeps, MovesChargeAgainstLastPut>("C9", "busted-old-keeps-its-charge", "1m1p"),
        Shipped<Early36, MoveAgainstReplace<TriesPageLock>>("C10", "FlagArray16,AtUnmap36", "1m1r"),
        Shipped<Plain, MoveAgainstReplace<TriesPageLock>>("C10", "PlainFlagArray,AtFinalPut", "1m1r"),
        Shipped<Word, MoveAgainstReplace<TriesPageLock>>("C10", "OwnerWord,AtFinalPut", "1m1r"),
        Busted<Plain, MoveAgainstReplace<MovesUnlocked>>("C10", "busted-no-page-lock", "1m1r"),
        Shipped<WordPinned, LastPutAgainstRemove>("C11", "OwnerWord,AtFinalPut,PinPerPage", "1p1d", heavy: true),
        Busted<WordPutsFirst, LastPutAgainstRemove>("C11", "busted-put-before-flush", "1p1d"),
        Shipped<WordPinned, SwapOutAgainstRemove>("C13", "OwnerWord,AtFinalPut,PinPerPage", "1s1d"),
        Busted<WordRecordsNobody, SwapOutAgainstRemove>("C13", "busted-record-nobody", "1s1d"),
        Shipped<Early36, StatAgainstMove<WaitsForReaders>>("C15", "FlagArray16,AtUnmap36", "1m1s"),
        Shipped<Word, StatAgainstMove<WaitsForReaders>>("C15", "OwnerWord,AtFinalPut", "1m1s"),
        Shipped<Early36, StatDuringMove<WaitsForReaders>>("C15", "FlagArray16,AtUnmap36", "1m1s announced"),
        Shipped<Word, StatDuringMove<WaitsForReaders>>("C15", "OwnerWord,AtFinalPut", "1m1s announced"),
        Busted<Word, StatAgainstMove<DoesNotWaitForReaders>>("C15", "busted-no-grace-period", "1m1s").FromLastCpu(),
        Busted<Word, StatDuringMove<EndsAtOnce>>("C15", "busted-no-grace-period-after", "1m1s", "as Linux did: mem_cgroup_end_move lowers its mark at once"),
        Busted<Word, StatDuringMove<OwnerFirst>>("C15", "busted-owner-before-statistics", "1m1s"),
        Shipped<Plain, MigrateAgainstReplace<AcceptsNoOwner>>("C16", "PlainFlagArray,AtFinalPut", "1r1m"),
        Shipped<Word, MigrateAgainstReplace<AcceptsNoOwner>>("C16", "OwnerWord,AtFinalPut", "1r1m"),
        Busted<Word, MigrateAgainstReplace<InsistsOnOwner>>("C16", "busted-insists-on-an-owner", "1r1m"),
        Shipped<Plain, FinalPutAgainstCatch<N1>>("final-put", "PlainFlagArray,AtFinalPut", "1p1c"),
        Shipped<Word, FinalPutAgainstCatch<N1>>("final-put", "OwnerWord,AtFinalPut", "1p1c"),
        Shipped<Mailed, FinalPutAgainstCatch<N1>>("final-put", "PlainFlagArrayMail,AtFinalPut", "1p1c"),
        Shipped<Word, FinalPutAgainstCatch<N2>>("final-put", "OwnerWord,AtFinalPut", "1p2c"),
        Busted<WordClearsAtUnmap, FinalPutAgainstCatch<N1>>("final-put", "busted-clear-at-unmap", "1p1c"),
        Shipped<Word, FinalPutAgainstCatch<N3>>("final-put", "OwnerWord,AtFinalPut", "1p3c", heavy: true),
        Shipped<Word, MapAgainstUnmap<CountsByMapCount, N3>>("A16", "OwnerWord,AtFinalPut", "1u3m"),
        Shipped<Early36, MapAgainstUnmap<CountsByMapCount, N3>>("A16", "FlagArray16,AtUnmap36", "1u3m"),
        Shipped<Plain, Wide<MovesChargeAgainstLastPut, N4>>("C9", "PlainFlagArray,AtFinalPut", "1m3p"),
        Shipped<Word, Wide<MovesChargeAgainstLastPut, N4>>("C9", "OwnerWord,AtFinalPut", "1m3p"),
        Shipped<Word, Wide<StatDuringMove<WaitsForReaders>, N3>>("C15", "OwnerWord,AtFinalPut", "1m2s announced", heavy: true),
        Shipped<Early36, EmptyAgainstIsolate>("residents", "MoveToParent,FlagArray16", "1o1i"),
        Shipped<Empty27, EmptyAgainstIsolate>("residents", "ForceEmpty,FlagArray16", "1o1i"),
        Shipped<Early29, TwoSwapIns>("swap-in", "FlagArray16,AtUnmap29", "2f"),
        Shipped<Word, TwoSwapIns>("swap-in", "OwnerWord,AtFinalPut", "2f"),
        Shipped<Word, ShareAgainstTouch<N0, N3>>("fork", "OwnerWord,AtFinalPut", "1s3t"),
        Shipped<Word, ShareAgainstTouch<N1, N1>>("fork", "OwnerWord,AtFinalPut,swapped", "1s1t"),
        Shipped<Word, ShareAgainstTouch<N1, N2>>("fork", "OwnerWord,AtFinalPut,swapped", "1s2t"),
        Shipped<Word, TwoReads>("file-read", "OwnerWord,AtFinalPut", "2r"),
        Shipped<Word, FaultAgainstTruncate>("file-truncate", "OwnerWord,AtFinalPut", "1f1t"),
        Shipped<Early36, FaultAgainstTruncate>("file-truncate", "FlagArray16,AtUnmap36", "1f1t"),
        Shipped<Plain, FaultAgainstTruncate>("file-truncate", "PlainFlagArray,AtFinalPut", "1f1t"),
        Shipped<Word, TwoTruncates>("file-truncate", "OwnerWord,AtFinalPut", "2t"),
        Shipped<Word, Wide<MigrateAgainstPut, N4>>("C1", "OwnerWord,AtFinalPut", "1m3p"),
        Shipped<Early36, Wide<MigrateAgainstPut, N4>>("C1", "FlagArray16,AtUnmap36", "1m3p"),
        Shipped<Word, Wide<ReclaimAgainst<N0>, N4>>("C2", "OwnerWord,AtFinalPut", "3g1r", heavy: true),
        Shipped<Early29, Wide<ReclaimAgainst<N0>, N4>>("C2", "FlagArray16,AtUnmap29", "3g1r", heavy: true),
        Shipped<Objects27, Wide<InsertAgainstUnmap<InsertsUnderLock>, N4>>("insert-page", "BitSpinlock,TwinListsAsync,AtUnmap27", "1i3u"),
        Shipped<Twin29, Wide<SwapInAgainstIsolate<CommitsLrucare>, N3>>("A14", "FlagArray40,TwinListsSync,AtUnmap29", "1c2i", heavy: true),
        Shipped<Word, ManyMovers>("C10", "OwnerWord,AtFinalPut", "4m"),
        Shipped<Early36, ManyMovers>("C10", "FlagArray16,AtUnmap36", "4m"),
        Shipped<Word, AskToDrain>("residents", "drain", "2a2v"),
        Shipped<Word, Wide<MoveAgainstReplace<TriesPageLock>, N3>>("C10", "OwnerWord,AtFinalPut", "1m2r", heavy: true),
        Shipped<Word, Wide<MigrateAgainstReplace<AcceptsNoOwner>, N3>>("C16", "OwnerWord,AtFinalPut", "1r2m", heavy: true),
        Shipped<Word, Wide<TwoReads, N3>>("file-read", "OwnerWord,AtFinalPut", "3r", heavy: true),
        Shipped<Early36, Wide<EmptyAgainstIsolate, N3>>("residents", "MoveToParent,FlagArray16", "1o2i", heavy: true),
        Shipped<Objects27, InsertAgainstUnmap<InsertsUnderLock>>("insert-page", "BitSpinlock,TwinListsAsync,AtUnmap27", "1i1u"),
        Busted<Objects27, InsertAgainstUnmap<ChargesAfterMapping>>("insert-page", "busted-charge-after-mapping", "1i1u"),
    ];

    private static Case Shipped<TC, T>(string id, string design, string shape, bool heavy = false) where TC : struct, IMemoryController where T : struct, IPageScript =>
        Case.Of<PageCase<TC, T>>(id, design, shape, heavy: heavy, nulls: Nulls);

    private static Case Busted<TC, T>(string id, string design, string shape, string note = "") where TC : struct, IMemoryController where T : struct, IPageScript =>
        Case.Of<PageCase<TC, T>>(id, design, shape, Expect.Broken, nulls: Nulls, note: note);
}
