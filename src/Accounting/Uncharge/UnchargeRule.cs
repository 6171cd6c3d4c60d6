// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What early uncharge asks inside the page_cgroup's critical section: is the page still in use in a way that keeps its charge? Linux: the
/// switch in __mem_cgroup_uncharge_common, 2.6.29 to 3.16.
/// </summary>
public static unsafe class UnchargeRule
{
    /// <summary>True when the charge stays. migrating is the design's mark of a page that is unmapped only while it moves.</summary>
    public static bool Keeps(Page* page, UnchargeType type, bool migrating) => type switch
    {
        UnchargeType.Mapped or UnchargeType.Drop => migrating || AtomicInt.Load(&page->MapCount) != 0,
        UnchargeType.SwapOut => PageMapping.IsAnon(page) && AtomicInt.Load(&page->MapCount) != 0,
        _ => false,
    };
}
