// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Patch 7, the access header: how dirty-page and I/O tracking read a page's group without a lock. The caller holds a reference on the
/// page where the design asks for one (a bit lock); the group is there until the section ends. Linux: include/linux/page_cgroup.h of the 2008 series (never merged).
/// </summary>
/// <remarks>A reader learns who paid at some moment inside the section; by the time it looks, the page may be somebody else's. Flags and group
/// are for reading; list nodes are for insiders (R-A5).</remarks>
public readonly unsafe ref struct PageCgroupReader
{
    private readonly CpuArea* area;

    /// <summary>Enters RCU and looks who pays for page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PageCgroupReader Begin<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        Rcu.ReadLock(cpu);
        Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
        return new PageCgroupReader(cpu.Area, used ? owner : null);
    }

    private PageCgroupReader(CpuArea* area, Memcg* owner)
    {
        this.area = area;
        Owner = owner;
    }

    /// <summary>The group, or null when nobody paid for the page or its page_cgroup was obsolete. Valid until <see cref="Dispose"/>.</summary>
    public Memcg* Owner { get; }

    /// <summary>Leaves RCU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Dispose() => Rcu.ReadUnlock(new ThisCpu(area));
}
