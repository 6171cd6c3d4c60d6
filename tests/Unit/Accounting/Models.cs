// SPDX-License-Identifier: GPL-2.0-only
// Combinations the tests run on: three stocks, all counter layouts, all three lock kinds, and the designs of 2008 to 2014.
global using NoStock = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.McsLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using Stock32 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using SevenSlots = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter192>,
        MemcgNative.Accounting.SevenSlotStock<MemcgNative.Accounting.Batch64>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using BooksW1 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.OneBook, MemcgNative.Accounting.W1,
        MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.Pagevecs>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using PendingW1 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.OneBook, MemcgNative.Accounting.W1,
        MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.PendingLists>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using SlicedW1 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.PfnSlices, MemcgNative.Accounting.W1,
        MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.Pagevecs>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using Rechecked = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.Lruvecs<MemcgNative.Native.TicketLock, MemcgNative.Accounting.ByRecheck>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;
global using Early27 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter40, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.BitSpinlock<MemcgNative.Native.BitLock>,
    MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early2627>, MemcgNative.Accounting.ForceEmpty, MemcgNative.Accounting.NoKmem>;
global using Lockless = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter40, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.LocklessRcu<MemcgNative.Accounting.Corrected, MemcgNative.Accounting.PrefetchWrite>,
    MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early2627>, MemcgNative.Accounting.ForceEmpty, MemcgNative.Accounting.NoKmem>;
global using Early29 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter40, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.FlagArray<MemcgNative.Accounting.PageCgroupEntry40, MemcgNative.Native.BitLock>,
    MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Sync, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early2629>, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using Early33 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter56, MemcgNative.Native.TicketLock>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.FlagArray<MemcgNative.Accounting.PageCgroupEntry16, MemcgNative.Native.ByteLock>,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early33>, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using Early36 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter56, MemcgNative.Native.TicketLock>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.FlagArray<MemcgNative.Accounting.PageCgroupEntry16, MemcgNative.Native.ByteLock>,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early36>, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using Mailed = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter56, MemcgNative.Native.TicketLock>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.PlainFlagArray<MemcgNative.Accounting.PlainAsMailed>,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using Late317 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter56, MemcgNative.Native.TicketLock>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.PlainFlagArray<MemcgNative.Accounting.Plain317>,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using LateMove = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
