// SPDX-License-Identifier: GPL-2.0-only
// One combination per answer of the kmem axis, on the core of 3.19.
global using PinCaches = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.PerCachePin>>;
global using MoveCaches = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.ReparentCaches>>;
global using MoveCachesRef = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.McsLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.ReparentCachesRef>>;
global using PointerByPage = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.McsLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.ReparentPointerByPage>>;
global using PointerByObject = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
        MemcgNative.Accounting.SingleSlotStock<MemcgNative.Accounting.Batch32>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.ReparentPointer>;
global using ObjectOwners = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter192>,
        MemcgNative.Accounting.SevenSlotStock<MemcgNative.Accounting.Batch64>>,
    MemcgNative.Accounting.OwnerWord, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerGroup>>;
global using PagesAndObjects = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.Stocked<
        MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter192>,
        MemcgNative.Accounting.SevenSlotStock<MemcgNative.Accounting.Batch64>>,
    MemcgNative.Accounting.ObjcgWord, MemcgNative.Accounting.Lruvecs<MemcgNative.Native.TestAndSetLock, MemcgNative.Accounting.ByRecheck>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.SpliceToParent, MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerNode>>;
