// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class VirtualRegion
{
    /// <summary>What a reservation begins at a multiple of (dwAllocationGranularity, on every Windows of ours).</summary>
    internal const nuint WindowsGranule = 65536;

    private List<(nuint Offset, nuint Bytes)>? reservations;

    /// <summary>What makes up the range on Windows, ascending.</summary>
    private List<(nuint Offset, nuint Bytes)> Reservations => reservations ??= [(0, Bytes)];

    [SupportedOSPlatform("windows")]
    private static byte* ReserveWindows(nuint bytes, PageKind pages, nuint alignment, NodeId? node = null, byte* at = null)
    {
        if (pages == PageKind.Thp)
            throw new OsException("VirtualAlloc2", 0, "--pages thp: Windows has no transparent huge pages", "Say --pages 2M or 4K");
        int type = MEM.MEM_RESERVE;
        if (pages.IsHugeTlb)
        {
            // Large pages are committed with the reservation and locked; only the smallest size exists without the extended attribute.
            if (OsCalls.GetLargePageMinimum() != pages.Bytes)
                throw new OsException("GetLargePageMinimum", 0, $"--pages {pages}: large pages of this machine have {OsCalls.GetLargePageMinimum() >> 10} KiB", "Say --pages 4K");
            int refused = OsCalls.EnableLockMemoryPrivilege();
            if (refused != 0)
                throw new OsException("AdjustTokenPrivileges", refused, $"--pages {pages}: this user does not hold SeLockMemoryPrivilege (error {refused})",
                    "As administrator: secpol.msc, Local Policies, User Rights Assignment, Lock pages in memory; then log on again");
            type |= MEM.MEM_COMMIT | MEM.MEM_LARGE_PAGES;
        }

        MEM_ADDRESS_REQUIREMENTS address = default;
        // 64 KiB is what every reservation has; asking for no more than that is an error before Windows 11.
        address.Alignment = alignment > WindowsGranule ? alignment : 0;
        MEM_EXTENDED_PARAMETER* parameters = stackalloc MEM_EXTENDED_PARAMETER[2];
        int count = 0;
        if (at == null && address.Alignment != 0)
        {
            parameters[count] = default;
            parameters[count].Type = (ulong)MEM_EXTENDED_PARAMETER_TYPE.MemExtendedParameterAddressRequirements;
            parameters[count++].Pointer = &address;
        }
        if (node is { } n)
        {
            parameters[count] = default;
            parameters[count].Type = (ulong)MEM_EXTENDED_PARAMETER_TYPE.MemExtendedParameterNumaNode;
            parameters[count++].ULong = (uint)n.Value;
        }
        void* p = OsCalls.VirtualAlloc2(at, bytes, type, parameters, count, out int error);
        if (p == null && error == ERROR.ERROR_INVALID_PARAMETER && node is { } absent)
            throw new OsException("VirtualAlloc2", error, $"--mem: node {absent} is no node of this machine (VirtualAlloc2: error {error})", "Topology: memcgnative topology");
        if (p == null) throw WindowsRefused("VirtualAlloc2", $"cannot reserve {Size(bytes)} in {pages} pages", error);
        return (byte*)p;
    }

    [SupportedOSPlatform("windows")]
    private void CommitWindows(byte* start, nuint bytes)
    {
        if (!Pages.IsHugeTlb)
        {
            // One call must not reach from one reservation into the next.
            nuint first = (nuint)(start - Base), end = first + bytes;
            foreach ((nuint at, nuint length) in Reservations)
            {
                nuint from = nuint.Max(at, first), to = nuint.Min(at + length, end);
                if (from < to && OsCalls.VirtualAlloc(Base + from, to - from, MEM.MEM_COMMIT, out int error) == null)
                    throw WindowsRefused("VirtualAlloc", $"cannot commit {Size(bytes)}", error);
            }
        }
        Touch(start, bytes);
    }

    /// <summary>
    /// Windows takes the preferred node with the reservation only: give the range back and take it again at the same place, a part of it with the
    /// node. Before the first commit; large pages lose their content. Parts are rebound in ascending order, and a granule that two of them
    /// share goes with the first.
    /// </summary>
    [SupportedOSPlatform("windows")]
    internal void RebindWindows(nuint offset, nuint bytes, NodeId node)
    {
        nuint start = Round(offset), end = Round(offset + bytes);
        if (start >= end) return;
        int i = Reservations.FindLastIndex(r => r.Offset <= start && end <= r.Offset + r.Bytes);
        if (i < 0) throw new InvalidOperationException($"{start}-{end} is not inside of one reservation");
        (nuint from, nuint length) = Reservations[i];
        if (!OsCalls.VirtualFree(Base + from, out int error)) throw WindowsRefused("VirtualFree", "cannot rebind the region", error);
        Reservations.RemoveAt(i);
        Take(from, start, null);
        Take(start, end, node);
        Take(end, from + length, null);

        nuint Round(nuint at) => nuint.Min(Bytes, (at + WindowsGranule - 1) / WindowsGranule * WindowsGranule);

        void Take(nuint first, nuint last, NodeId? on)
        {
            if (first == last) return;
            _ = ReserveWindows(last - first, Pages, 0, on, Base + first);
            Reservations.Insert(i++, (first, last - first));
        }
    }

    [SupportedOSPlatform("windows")]
    private void FreeWindows(byte* start)
    {
        foreach ((nuint at, _) in Reservations) _ = OsCalls.VirtualFree(start + at, out _);
    }

    private static OsException WindowsRefused(string call, string what, int error) => error switch
    {
        ERROR.ERROR_NO_SYSTEM_RESOURCES => new OsException(call, error,
            $"{what}: physical memory is too fragmented for large pages ({call}: error {error})", "Restart the machine, or say --pages 4K"),
        ERROR.ERROR_COMMITMENT_LIMIT => new OsException(call, error, $"{what}: the commit limit is reached ({call}: error {error})",
            "Ask for less memory or enlarge the page file"),
        _ => new OsException(call, error, $"{what} ({call}: error {error})"),
    };
}
