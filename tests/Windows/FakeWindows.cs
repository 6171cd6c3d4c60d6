// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using MemcgNative.Native.Win32;
using MemcgNative.Tests.Unit;

namespace MemcgNative.Tests.Windows;

/// <summary>
/// A Windows machine of two processor groups and four nodes that answers as the documentation of Windows Server 2022 says (memoryapi.h, psapi.h,
/// processtopologyapi.h, winbase.h), on real memory: nodes 0 and 1 have CPUs 0-31 and 32-63 of group 0, nodes 2 and 3 CPUs 0-15 and 16-31 of group 1.
/// A page is born when it is committed, which is earlier than in Windows: there it is when it is touched.
/// </summary>
internal sealed unsafe class FakeWindows : IWindowsApi
{
    private const int ERROR_INSUFFICIENT_BUFFER = 122, ERROR_INVALID_ADDRESS = 487;
    private const nuint Page = 4096, Granule = 65536, LargePage = 2 << 20;
    private const byte Absent = byte.MaxValue;

    /// <summary>Group, first CPU in it, CPUs.</summary>
    private static readonly (int Group, int First, int Count)[] nodes = [(0, 0, 32), (0, 32, 32), (1, 0, 16), (1, 16, 16)];
    private static readonly ulong[] active = [ulong.MaxValue, uint.MaxValue];

    private sealed record Reservation(nuint Base, nuint Bytes, int? Node, bool Large)
    {
        public readonly byte[] At = [.. Enumerable.Repeat(Absent, (int)(Bytes / Page))];
    }

    [ThreadStatic] private static (int Group, ulong Mask)? affinity;
    private readonly List<Reservation> reservations = [];
    private readonly long[] free = [.. Enumerable.Repeat(1L << 30, nodes.Length)];
    private readonly SystemWindows? windows = OperatingSystem.IsWindows() ? new SystemWindows() : null;
    private readonly Lock state = new();
    private bool privileged;

    /// <summary>The user holds SeLockMemoryPrivilege.</summary>
    public bool MayLock { get; init; }

    /// <summary>What every VirtualAlloc2 with large pages fails with; 0: none does.</summary>
    public int LargePagesFail { get; init; }

    /// <summary>Nodes are taken and ignored, as Wine does: a checker must see it.</summary>
    public bool IgnoresNodes { get; init; }

    /// <summary>Reservations that were not given back.</summary>
    public int Left => reservations.Count;

    /// <summary>Leaves so much on a node.</summary>
    public FakeWindows Leave(int node, long bytes)
    {
        free[node] = bytes;
        return this;
    }

    public void* VirtualAlloc2(void* at, nuint bytes, int type, MEM_EXTENDED_PARAMETER* parameters, int count, out int error)
    {
        lock (state)
        {
            bool large = (type & MEM.MEM_LARGE_PAGES) != 0;
            int? node = null;
            nuint alignment = large ? LargePage : Granule;
            error = bytes == 0 || large && ((type & MEM.MEM_COMMIT) == 0 || bytes % LargePage != 0) ? ERROR.ERROR_INVALID_PARAMETER : 0;
            for (int i = 0; i < count; i++)
            {
                if (parameters[i].Type == (ulong)MEM_EXTENDED_PARAMETER_TYPE.MemExtendedParameterNumaNode) node = (int)parameters[i].ULong;
                else
                {
                    alignment = ((MEM_ADDRESS_REQUIREMENTS*)parameters[i].Pointer)->Alignment;
                    if (at != null || !nuint.IsPow2(alignment) || alignment < Granule) error = ERROR.ERROR_INVALID_PARAMETER;
                }
            }
            if (node is { } n && (n < 0 || n >= nodes.Length)) error = ERROR.ERROR_INVALID_PARAMETER;
            if (error == 0 && large) error = privileged ? LargePagesFail : ERROR.ERROR_PRIVILEGE_NOT_HELD;
            nuint whole = (bytes + Page - 1) / Page * Page;
            if (error == 0 && at != null && ((nuint)at % Granule != 0 || reservations.Exists(r => r.Base < (nuint)at + whole && (nuint)at < r.Base + r.Bytes)))
                error = ERROR_INVALID_ADDRESS;
            if (error != 0) return null;
            byte* p = Map(at, whole, alignment);
            if (p == null)
            {
                error = ERROR_INVALID_ADDRESS;
                return null;
            }
            var made = new Reservation((nuint)p, whole, node, large);
            reservations.Add(made);
            if (large && windows is not null && windows.VirtualAlloc(p, whole, MEM.MEM_COMMIT, out error) == null) return null;
            if (large) Bear(made, 0, whole);
            return p;
        }
    }

    public void* VirtualAlloc(void* at, nuint bytes, int type, out int error)
    {
        lock (state)
        {
            // "An attempt to commit pages that are not all in one reservation fails."
            Reservation? r = reservations.Find(r => r.Base <= (nuint)at && (nuint)at + bytes <= r.Base + r.Bytes);
            error = r is null ? ERROR_INVALID_ADDRESS : 0;
            if (r is null) return null;
            if (windows is not null && windows.VirtualAlloc(at, bytes, type, out error) == null) return null;
            Bear(r, (nuint)at - r.Base, bytes);
            return at;
        }
    }

    public bool VirtualFree(void* at, out int error)
    {
        lock (state)
        {
            int i = reservations.FindIndex(r => r.Base == (nuint)at);
            error = i < 0 ? ERROR_INVALID_ADDRESS : 0;
            if (i < 0) return false;
            foreach (byte node in reservations[i].At)
                if (node != Absent) free[node] += (long)Page;
            if (windows is null) _ = Libc.munmap(at, reservations[i].Bytes);
            else if (!windows.VirtualFree(at, out error)) return false;
            reservations.RemoveAt(i);
            return true;
        }
    }

    public bool QueryWorkingSetEx(PSAPI_WORKING_SET_EX_INFORMATION* pages, int count, out int error)
    {
        lock (state)
        {
            error = 0;
            for (int i = 0; i < count; i++)
            {
                nuint address = (nuint)pages[i].VirtualAddress;
                Reservation? r = reservations.Find(r => r.Base <= address && address < r.Base + r.Bytes);
                byte node = r is null ? Absent : r.At[(address - r.Base) / Page];
                pages[i].VirtualAttributes.Flags = node == Absent ? 0 : 1 | (nuint)node << 16 | (r!.Large ? (nuint)1 << 23 : 0);
            }
            return true;
        }
    }

    public bool SetThreadGroupAffinity(GROUP_AFFINITY* wanted, out int error)
    {
        bool fits = wanted->Group < active.Length && wanted->Mask != 0 && (wanted->Mask & ~active[wanted->Group]) == 0
            && (wanted->Reserved[0] | wanted->Reserved[1] | wanted->Reserved[2]) == 0;
        error = fits ? 0 : ERROR.ERROR_INVALID_PARAMETER;
        if (fits) affinity = (wanted->Group, wanted->Mask);
        return fits;
    }

    public bool GetThreadGroupAffinity(GROUP_AFFINITY* now, out int error)
    {
        error = 0;
        *now = default;
        (now->Group, now->Mask) = ((ushort)Affinity.Group, (nuint)Affinity.Mask);
        return true;
    }

    public PROCESSOR_NUMBER GetCurrentProcessorNumberEx() =>
        new() { Group = (ushort)Affinity.Group, Number = (byte)System.Numerics.BitOperations.TrailingZeroCount(Affinity.Mask) };

    public bool GetNumaHighestNodeNumber(out uint highest)
    {
        highest = (uint)nodes.Length - 1;
        return true;
    }

    public bool GetNumaAvailableMemoryNodeEx(ushort node, out ulong bytes)
    {
        bytes = node < nodes.Length ? (ulong)free[node] : 0;
        return node < nodes.Length;
    }

    public bool GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP what, byte* buffer, ref uint length, out int error)
    {
        byte[] records = [.. Records(what).SelectMany(r => r)];
        error = length < records.Length ? ERROR_INSUFFICIENT_BUFFER : 0;
        length = (uint)records.Length;
        if (error == 0) records.CopyTo(new Span<byte>(buffer, records.Length));
        return error == 0;
    }

    public nuint GetLargePageMinimum() => LargePage;

    public int EnableLockMemoryPrivilege()
    {
        privileged = MayLock;
        return MayLock ? 0 : ERROR.ERROR_NOT_ALL_ASSIGNED;
    }

    /// <summary>A thread of a new process: anywhere in the first group.</summary>
    private static (int Group, ulong Mask) Affinity => affinity ?? (0, active[0]);

    private static IEnumerable<byte[]> Records(LOGICAL_PROCESSOR_RELATIONSHIP what)
    {
        if (what == LOGICAL_PROCESSOR_RELATIONSHIP.RelationNumaNodeEx) return nodes.Select((n, i) => WindowsRecords.Node(WindowsRecords.NodeExRelation, i, 1, Mask(n)));
        return
        [
            .. nodes.SelectMany(n => Enumerable.Range(0, n.Count / 2).Select(c => WindowsRecords.Processor(WindowsRecords.CoreRelation, (n.Group, 3UL << n.First + 2 * c)))),
            .. active.Select((mask, group) => WindowsRecords.Processor(WindowsRecords.PackageRelation, (group, mask))),
            .. nodes.Select(n => WindowsRecords.Cache(3, 0, 32 << 20, Mask(n))),
            .. nodes.Select((n, i) => WindowsRecords.Node(WindowsRecords.NodeRelation, i, 0, Mask(n))),
            WindowsRecords.Groups(active),
        ];
    }

    private static (int Group, ulong Mask) Mask((int Group, int First, int Count) node) => (node.Group, (1UL << node.Count) - 1 << node.First);

    /// <summary>Each page where its reservation prefers, else where the thread runs; where that is full, on the next node that is not.</summary>
    private void Bear(Reservation r, nuint offset, nuint bytes)
    {
        int here = Array.FindIndex(nodes, n => (Mask(n).Mask & Affinity.Mask) != 0 && n.Group == Affinity.Group);
        for (nuint page = offset / Page; page < (offset + bytes + Page - 1) / Page; page++)
        {
            if (r.At[page] != Absent) continue;
            int node = (IgnoresNodes ? null : r.Node) ?? here;
            for (int tried = 0; free[node] < (long)Page && tried < nodes.Length; tried++) node = (node + 1) % nodes.Length;
            free[node] -= (long)Page;
            r.At[page] = (byte)node;
        }
    }

    private byte* Map(void* at, nuint bytes, nuint alignment)
    {
        if (windows is not null)
        {
            MEM_ADDRESS_REQUIREMENTS aligned = new() { Alignment = alignment };
            MEM_EXTENDED_PARAMETER parameter = default;
            parameter.Type = (ulong)MEM_EXTENDED_PARAMETER_TYPE.MemExtendedParameterAddressRequirements;
            parameter.Pointer = &aligned;
            return (byte*)windows.VirtualAlloc2(at, bytes, MEM.MEM_RESERVE, &parameter, at == null && alignment > Granule ? 1 : 0, out _);
        }
        const int ReadWrite = 3, PrivateAnonymous = 0x22;
        if (at != null) return Libc.mmap(at, bytes, ReadWrite, PrivateAnonymous, -1, 0) is var p && p == at ? (byte*)p : null;
        byte* start = (byte*)Libc.mmap(null, bytes + alignment, ReadWrite, PrivateAnonymous, -1, 0);
        byte* from = (byte*)(((nuint)start + alignment - 1) / alignment * alignment);
        if (from > start) _ = Libc.munmap(start, (nuint)(from - start));
        _ = Libc.munmap(from + bytes, (nuint)(start + alignment - from));
        return from;
    }
}
