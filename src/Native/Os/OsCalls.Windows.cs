// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

/// <remarks>Windows calls answer with success, and the last error through error.</remarks>
internal static unsafe partial class OsCalls
{
    private static IWindowsApi? elsewhere;

    [SupportedOSPlatform("windows")]
    private static readonly SystemWindows windows = new();

    /// <summary>Whether Windows is to be asked: it is the system, or a test has put a machine in its place.</summary>
    [SupportedOSPlatformGuard("windows")]
    public static bool OnWindows => OperatingSystem.IsWindows() || elsewhere is not null;

    [SupportedOSPlatform("windows")]
    private static IWindowsApi Api => elsewhere ?? windows;

    /// <summary>Puts a machine in Windows' place, of the whole process and while nothing runs; null: the system again.</summary>
    public static void Replace(IWindowsApi? machine) => elsewhere = machine;

    /// <summary>VirtualAlloc2 of this process; null and the last error when refused.</summary>
    [SupportedOSPlatform("windows")]
    public static void* VirtualAlloc2(void* at, nuint bytes, int type, MEM_EXTENDED_PARAMETER* parameters, int count, out int error) =>
        (error = OsFault.Enter(OsCall.VirtualAlloc)) != 0 ? null : Api.VirtualAlloc2(at, bytes, type, parameters, count, out error);

    /// <summary>VirtualAlloc inside a reservation.</summary>
    [SupportedOSPlatform("windows")]
    public static void* VirtualAlloc(void* at, nuint bytes, int type, out int error) =>
        (error = OsFault.Enter(OsCall.VirtualAlloc)) != 0 ? null : Api.VirtualAlloc(at, bytes, type, out error);

    /// <summary>VirtualFree with MEM_RELEASE.</summary>
    [SupportedOSPlatform("windows")]
    public static bool VirtualFree(void* at, out int error) =>
        (error = OsFault.Enter(OsCall.VirtualFree)) == 0 && Api.VirtualFree(at, out error);

    /// <summary>QueryWorkingSetEx of this process.</summary>
    [SupportedOSPlatform("windows")]
    public static bool QueryWorkingSetEx(PSAPI_WORKING_SET_EX_INFORMATION* pages, int count, out int error) =>
        (error = OsFault.Enter(OsCall.QueryWorkingSetEx)) == 0 && Api.QueryWorkingSetEx(pages, count, out error);

    /// <summary>SetThreadGroupAffinity of the calling thread.</summary>
    [SupportedOSPlatform("windows")]
    public static bool SetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error) =>
        (error = OsFault.Enter(OsCall.SetThreadGroupAffinity)) == 0 && Api.SetThreadGroupAffinity(affinity, out error);

    /// <summary>GetThreadGroupAffinity of the calling thread.</summary>
    [SupportedOSPlatform("windows")]
    public static bool GetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error) =>
        (error = OsFault.Enter(OsCall.GetThreadGroupAffinity)) == 0 && Api.GetThreadGroupAffinity(affinity, out error);

    /// <summary>GetCurrentProcessorNumberEx; cannot fail.</summary>
    [SupportedOSPlatform("windows")]
    public static PROCESSOR_NUMBER GetCurrentProcessorNumberEx() => Api.GetCurrentProcessorNumberEx();

    /// <summary>Highest NUMA node number; false when the system does not say.</summary>
    [SupportedOSPlatform("windows")]
    public static bool GetNumaHighestNodeNumber(out uint highest) => Api.GetNumaHighestNodeNumber(out highest);

    /// <summary>Bytes free on a node; null when the system does not say.</summary>
    [SupportedOSPlatform("windows")]
    public static long? GetNumaAvailableMemoryNodeEx(int node) => Api.GetNumaAvailableMemoryNodeEx((ushort)node, out ulong bytes) ? (long)bytes : null;

    /// <summary>The records of one kind, as bytes; null and the last error where the system knows none.</summary>
    [SupportedOSPlatform("windows")]
    public static byte[]? GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP what, out int error)
    {
        uint length = 0;
        _ = Api.GetLogicalProcessorInformationEx(what, null, ref length, out error);
        if (length == 0) return null;
        var buffer = new byte[length];
        fixed (byte* p = buffer)
            return Api.GetLogicalProcessorInformationEx(what, p, ref length, out error) ? buffer[..(int)length] : null;
    }

    /// <summary>Bytes of a large page; 0 where the CPU has none.</summary>
    [SupportedOSPlatform("windows")]
    public static nuint GetLargePageMinimum() => Api.GetLargePageMinimum();

    /// <summary>Switches SeLockMemoryPrivilege on in this process' token; the last error, 0 when it is on.</summary>
    [SupportedOSPlatform("windows")]
    public static int EnableLockMemoryPrivilege() => Api.EnableLockMemoryPrivilege();
}
