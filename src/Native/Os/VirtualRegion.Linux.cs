// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class VirtualRegion
{
    /// <summary>Populate in steps, so that an interrupted or failing call costs and blames little.</summary>
    private const nuint CommitStep = 1u << 30;

    [SupportedOSPlatform("linux")]
    private static byte* ReserveLinux(nuint bytes, PageKind pages, nuint alignment)
    {
        return pages.IsHugeTlb ? ReserveHugeTlb(bytes, pages, alignment) : ReserveGuarded(bytes, pages, alignment);
    }

    /// <summary>The kernel aligns to the huge page; for more, map the slack too and cut it off. Two hugetlb mappings never become one VMA.</summary>
    [SupportedOSPlatform("linux")]
    private static byte* ReserveHugeTlb(nuint bytes, PageKind pages, nuint alignment)
    {
        int flags = Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_HUGETLB | BitOperations.Log2(pages.Bytes) << Libc.MAP_HUGE_SHIFT;
        nuint slack = alignment - pages.Bytes;
        nint at = OsCalls.Mmap(null, checked(bytes + slack), Libc.PROT_READ | Libc.PROT_WRITE, flags);
        if (at < 0 && at >= -4095) throw MapRefused("mmap", bytes, pages, (int)-at);
        return Cut((nuint)at, bytes + slack, AlignUp((nuint)at, alignment), bytes);
    }

    /// <summary>An inaccessible page on either side catches overruns and keeps the kernel from merging two regions into one VMA, whose smaps could not be told apart.</summary>
    [SupportedOSPlatform("linux")]
    private static byte* ReserveGuarded(nuint bytes, PageKind pages, nuint alignment)
    {
        nuint guard = SystemFacts.PageBytes, total = checked(bytes + alignment + 2 * guard);
        nint at = OsCalls.Mmap(null, total, Libc.PROT_NONE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE);
        if (at < 0 && at >= -4095) throw MapRefused("mmap", bytes, pages, (int)-at);
        nuint start = AlignUp((nuint)at + guard, alignment);
        _ = Cut((nuint)at, total, start - guard, bytes + 2 * guard);
        try
        {
            int r = OsCalls.Mprotect((void*)start, bytes, Libc.PROT_READ | Libc.PROT_WRITE);
            if (r < 0) throw MapRefused("mprotect", bytes, pages, -r);
            Advise((byte*)start, bytes, pages);
        }
        catch (OsException)
        {
            FreeLinux((byte*)start, bytes, pages);
            throw;
        }
        return (byte*)start;
    }

    /// <summary>Of map..map+total keeps start..start+bytes.</summary>
    [SupportedOSPlatform("linux")]
    private static byte* Cut(nuint map, nuint total, nuint start, nuint bytes)
    {
        if (start > map) _ = OsCalls.Munmap((void*)map, start - map);
        if (map + total > start + bytes) _ = OsCalls.Munmap((void*)(start + bytes), map + total - start - bytes);
        return (byte*)start;
    }

    private static nuint AlignUp(nuint address, nuint alignment) => (address + alignment - 1) & ~(alignment - 1);

    [SupportedOSPlatform("linux")]
    private static void Advise(byte* start, nuint bytes, PageKind pages)
    {
        bool thp = pages == PageKind.Thp;
        if (thp && HostSettings.ThpMode() == "never")
            throw new OsException("madvise", 0, "--pages thp: transparent huge pages are off (enabled: never)",
                "As root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
        if (thp && OsCalls.Prctl(Libc.PR_GET_THP_DISABLE) > 0)
            throw new OsException("prctl", 0, "--pages thp: transparent huge pages are disabled for this process (PR_SET_THP_DISABLE by whoever started it)");
        int r = OsCalls.Madvise(start, bytes, thp ? Libc.MADV_HUGEPAGE : Libc.MADV_NOHUGEPAGE);
        // A kernel built without THP knows neither advice: it makes base pages only, which is what "4K" and "nothp" ask for.
        if (r < 0 && (thp || r != -Errno.EINVAL))
            throw new OsException("madvise", -r, r == -Errno.EINVAL
                ? "--pages thp: this kernel is built without transparent huge pages (madvise: EINVAL)"
                : $"--pages {pages}: the kernel refused the advice (madvise: {Errno.Name(-r)})");
    }

    [SupportedOSPlatform("linux")]
    private void CommitLinux(byte* start, nuint bytes)
    {
        for (nuint done = 0; done < bytes;)
        {
            nuint step = nuint.Min(CommitStep, bytes - done);
            int r = OsCalls.Madvise(start + done, step, Libc.MADV_POPULATE_WRITE);
            if (r == -Errno.EINTR || r == -Errno.EAGAIN) continue;
            // Linux 5.14 brought the advice. Before, a touch must do, which for hugetlb may be SIGBUS: ask the pool first.
            if (r == -Errno.EINVAL && !SystemFacts.KernelAtLeast(5, 14))
            {
                if (HugePageShortage(step) is { } refusal) throw refusal;
                Touch(start + done, step);
            }
            else if (r < 0) throw CommitRefused(step, -r);
            done += step;
        }
    }

    [SupportedOSPlatform("linux")]
    private static void FreeLinux(byte* start, nuint bytes, PageKind pages)
    {
        nuint guard = pages.IsHugeTlb ? 0 : SystemFacts.PageBytes;
        _ = OsCalls.Munmap(start - guard, bytes + 2 * guard);
    }

    private static OsException MapRefused(string call, nuint bytes, PageKind pages, int errno)
    {
        if (pages.IsHugeTlb && errno == Errno.ENOMEM)
            return HugePages.Shortage(pages, bytes, HugePages.MemoryNodes())
                ?? new OsException("mmap", errno,
                    $"--pages {pages}: {Size(bytes)} wanted, the pool has pages but none that are not reserved, or this cpuset forbids their nodes (mmap: ENOMEM)",
                    $"Say --pages {pages},4K to accept less");
        if (pages.IsHugeTlb && errno == Errno.EINVAL)
            return new OsException("mmap", errno, $"--pages {pages}: this kernel or CPU has no hugetlb pages of that size (mmap: EINVAL)",
                $"Say --pages {pages},4K to accept less");
        return errno == Errno.ENOMEM
            ? new OsException(call, errno, $"cannot map {Size(bytes)}: no address space or memory left ({call}: ENOMEM)",
                "Look at ulimit -v and vm.overcommit_memory, or ask for less")
            : new OsException(call, errno, $"cannot map {Size(bytes)} ({call}: {Errno.Name(errno)})");
    }

    private OsException CommitRefused(nuint bytes, int errno) => errno switch
    {
        // What would have been SIGBUS at a touch is EFAULT here: hugetlb pages are there, but not on the nodes of the policy.
        Errno.EFAULT or Errno.ENOMEM when Pages.IsHugeTlb && HugePageShortage(bytes) is { } refusal => refusal,
        Errno.ENOMEM => new OsException("madvise", errno, $"cannot commit {Size(bytes)}: no memory left on the nodes asked for (madvise: ENOMEM)", "Ask for less memory"),
        Errno.EHWPOISON => new OsException("madvise", errno, "a page of the region is poisoned hardware memory (madvise: EHWPOISON)", "Try again; see dmesg"),
        _ => new OsException("madvise", errno, $"cannot commit {Size(bytes)} (madvise: {Errno.Name(errno)})"),
    };

    private OsException? HugePageShortage(nuint bytes) =>
        Pages.IsHugeTlb ? HugePages.Shortage(Pages, bytes, BoundNodes ?? HugePages.MemoryNodes()) : null;

    /// <summary>"64 MiB".</summary>
    internal static string Size(nuint bytes) =>
        bytes >> 30 != 0 && bytes % (1u << 30) == 0 ? $"{bytes >> 30} GiB" : bytes >> 20 != 0 ? $"{bytes >> 20} MiB" : $"{bytes >> 10} KiB";
}
