// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>The kernel's own tests (tools/testing/selftests/cgroup) that are no scenario here, and why.</summary>
internal static class NotModelled
{
    public static readonly (string Test, string Why)[] All =
    [
        ("test_memcontrol 1 subtree_control", "v2's file interface, no accounting"),
        ("test_memcontrol 2 current_peak, the peaks per open file", "an interface of v2; the watermark itself is in memcontrol-current"),
        ("test_memcontrol 3 min, 4 low", "the port has no protection"),
        ("test_memcontrol 5 high, 6 high_sync", "the port has no `memory.high`"),
        ("test_memcontrol 8 reclaim, the anonymous half where there is swap", "as 10; the page cache half is in memcontrol-reclaim"),
        ("test_memcontrol 10 swap_max_peak", "swap limits are not in the port's interface; swap itself is tested in Unit"),
        ("test_memcontrol 11 sock", "the port has no sockets: their memory is charged by the byte of a protocol's books, by no page or object of its own"),
        ("test_memcontrol 12-14 oom_group_*", "the port kills one task, it has no group kill and no scores"),
        ("test_memcontrol 15, 16 inotify", "the file interface"),
        ("test_kmem 1 kmem_basic: drop of the dentries by `memory.high`", "the port has no shrinkers; the objects are dropped by name"),
        ("test_kmem 3 kpagecgroup", "an interface file"),
        ("test_kmem 4 kernel_stacks", "the port has no stacks; they would be `pipes` by another name"),
        ("test_kmem 6 percpu_basic", "the port does not charge per-CPU memory"),
    ];
}
