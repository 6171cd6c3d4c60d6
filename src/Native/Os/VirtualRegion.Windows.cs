// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class VirtualRegion
{
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
        address.Alignment = alignment > 65536 ? alignment : 0;
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
        if (p == null) throw WindowsRefused("VirtualAlloc2", $"cannot reserve {Size(bytes)} in {pages} pages", error);
        return (byte*)p;
    }

    [SupportedOSPlatform("windows")]
    private void CommitWindows(byte* start, nuint bytes)
    {
        if (!Pages.IsHugeTlb && OsCalls.VirtualAlloc(start, bytes, MEM.MEM_COMMIT, out int error) == null)
            throw WindowsRefused("VirtualAlloc", $"cannot commit {Size(bytes)}", error);
        Touch(start, bytes);
    }

    /// <summary>
    /// Windows takes the preferred node with the reservation only: give the range back and take it again at the same place. Before the
    /// first commit; large pages lose their content.
    /// </summary>
    [SupportedOSPlatform("windows")]
    internal void RebindWindows(NodeId node)
    {
        byte* start = Base;
        if (!OsCalls.VirtualFree(start, out int error)) throw WindowsRefused("VirtualFree", "cannot rebind the region", error);
        Base = null;
        Base = ReserveWindows(Bytes, Pages, 0, node, start);
    }

    [SupportedOSPlatform("windows")]
    private static void FreeWindows(byte* start) => _ = OsCalls.VirtualFree(start, out _);

    private static OsException WindowsRefused(string call, string what, int error) => error switch
    {
        ERROR.ERROR_NO_SYSTEM_RESOURCES => new OsException(call, error,
            $"{what}: physical memory is too fragmented for large pages ({call}: error {error})", "Restart the machine, or say --pages 4K"),
        ERROR.ERROR_COMMITMENT_LIMIT => new OsException(call, error, $"{what}: the commit limit is reached ({call}: error {error})",
            "Ask for less memory or enlarge the page file"),
        _ => new OsException(call, error, $"{what} ({call}: error {error})"),
    };
}
