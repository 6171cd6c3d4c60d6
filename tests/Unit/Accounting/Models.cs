// SPDX-License-Identifier: GPL-2.0-only
// Combinations the tests of the core run on: three stocks, both counter layouts, all three lock kinds.
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
global using Early27 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Tests.Unit.TestFlagArray, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early2627>, MemcgNative.Accounting.ForceEmpty, MemcgNative.Accounting.NoKmem>;
global using Early29 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Tests.Unit.TestFlagArray, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early2629>, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using Early3 = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Tests.Unit.TestFlagArray, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtUnmap<MemcgNative.Accounting.Early32>, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
global using LateMove = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
