// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// What this program asks of Windows, one method a function of the same name, for this process or thread. <see cref="SystemWindows"/> is the
/// system; tests put machines in its place that are not at hand (several processor groups, nodes), and then this program behaves as on
/// Windows wherever it runs. A call that fails gives its last error, never 0.
/// </summary>
internal unsafe interface IWindowsApi
{
    /// <summary>Reserves, or with MEM_COMMIT takes; type is of MEM_*, the pages are PAGE_READWRITE. Null: refused.</summary>
    void* VirtualAlloc2(void* at, nuint bytes, int type, MEM_EXTENDED_PARAMETER* parameters, int count, out int error);

    /// <summary>Commits inside a reservation. Null: refused.</summary>
    void* VirtualAlloc(void* at, nuint bytes, int type, out int error);

    /// <summary>MEM_RELEASE of a whole reservation.</summary>
    bool VirtualFree(void* at, out int error);

    /// <summary>Attributes of the page at each VirtualAddress.</summary>
    bool QueryWorkingSetEx(PSAPI_WORKING_SET_EX_INFORMATION* pages, int count, out int error);

    /// <summary>Where this thread may run: one group.</summary>
    bool SetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error);

    /// <summary>Where this thread may run.</summary>
    bool GetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error);

    /// <summary>Where this thread runs now; cannot fail.</summary>
    PROCESSOR_NUMBER GetCurrentProcessorNumberEx();

    /// <summary>The highest node number, not the number of nodes.</summary>
    bool GetNumaHighestNodeNumber(out uint highest);

    /// <summary>Bytes free on a node.</summary>
    bool GetNumaAvailableMemoryNodeEx(ushort node, out ulong bytes);

    /// <summary>Records about the machine; with a buffer that is too small, or none, length becomes what is needed and the answer false.</summary>
    bool GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP what, byte* buffer, ref uint length, out int error);

    /// <summary>Bytes of a large page; 0 where the CPU has none.</summary>
    nuint GetLargePageMinimum();

    /// <summary>AdjustTokenPrivileges: switches SeLockMemoryPrivilege on; the last error, 0 when it is on.</summary>
    int EnableLockMemoryPrivilege();
}
