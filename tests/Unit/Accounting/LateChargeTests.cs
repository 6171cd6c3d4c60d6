// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Late = MemcgNative.Accounting.Controller<MemcgNative.Accounting.ResCounter<MemcgNative.Accounting.ResCounter56, MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.PlainFlagArray<MemcgNative.Accounting.Plain317>, MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>,
    MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class LateChargeTests
{
    [Fact]
    public void A_page_charged_after_the_last_move_of_a_dead_group_becomes_the_parents_before_the_group_is_freed() // D16
    {
        using var box = new AccountingBox<Late>();
        ThisCpu cpu = box.Cpu();
        Memcg* parent = box.Group(), group = box.Group(parent);
        Assert.True(Css.TryGetOnline(cpu, &group->Css)); // the charger, before the removal
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(cpu, group));
        box.Quiesce();
        Assert.Equal(CssState.Offline, Css.StateOf(&group->Css));

        Page* page = PageAllocator<NoHook>.Alloc(cpu, Gfp.Kernel);
        PageOps.SetExclusive(page, PageFlags.SwapBacked | PageFlags.Uptodate);
        PageMapping.SetAnon(page, box.Space(), 0);
        Assert.True(Charging.TryCharge<Late>(cpu, group, 1, Gfp.Kernel));
        Charging.Commit<Late>(cpu, page, group, anon: true);
        Mm.LruCacheAdd<Late>(cpu, page);
        Css.Put(cpu, &group->Css);
        for (int i = 0; i < 4; i++) box.Quiesce();

        Assert.Equal(CssState.Free, Css.StateOf(&group->Css));
        Assert.True(parent == Late.OwnerOf(cpu, page, out bool used) && used);
        box.AssertBalanced();
        Mm.Put<Late>(cpu, page);
        box.AssertBalanced();
        Assert.Equal(0, AccountingBox<Late>.Usage(parent));
    }
}
