// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

/// <remarks>Windows calls answer with success, and the last error through error.</remarks>
internal static unsafe partial class OsCalls
{
    /// <summary>VirtualAlloc2 of this process; null and the last error when refused.</summary>
    [SupportedOSPlatform("windows")]
    public static void* VirtualAlloc2(void* at, nuint bytes, int type, MEM_EXTENDED_PARAMETER* parameters, int count, out int error)
    {
        error = OsFault.Enter(OsCall.VirtualAlloc);
        if (error != 0) return null;
        void* p = Windows.VirtualAlloc2(Windows.GetCurrentProcess(), at, bytes, (uint)type, PAGE.PAGE_READWRITE, parameters, (uint)count);
        error = p == null ? Marshal.GetLastSystemError() : 0;
        return p;
    }

    /// <summary>VirtualAlloc inside a reservation.</summary>
    [SupportedOSPlatform("windows")]
    public static void* VirtualAlloc(void* at, nuint bytes, int type, out int error)
    {
        error = OsFault.Enter(OsCall.VirtualAlloc);
        if (error != 0) return null;
        void* p = Windows.VirtualAlloc(at, bytes, (uint)type, PAGE.PAGE_READWRITE);
        error = p == null ? Marshal.GetLastSystemError() : 0;
        return p;
    }

    /// <summary>VirtualFree with MEM_RELEASE.</summary>
    [SupportedOSPlatform("windows")]
    public static bool VirtualFree(void* at, out int error)
    {
        error = OsFault.Enter(OsCall.VirtualFree);
        if (error != 0) return false;
        bool done = Windows.VirtualFree(at, 0, MEM.MEM_RELEASE);
        error = done ? 0 : Marshal.GetLastSystemError();
        return done;
    }

    /// <summary>QueryWorkingSetEx of this process.</summary>
    [SupportedOSPlatform("windows")]
    public static bool QueryWorkingSetEx(PSAPI_WORKING_SET_EX_INFORMATION* pages, int count, out int error)
    {
        error = OsFault.Enter(OsCall.QueryWorkingSetEx);
        if (error != 0) return false;
        bool done = Windows.QueryWorkingSetEx(Windows.GetCurrentProcess(), pages, (uint)(count * sizeof(PSAPI_WORKING_SET_EX_INFORMATION)));
        error = done ? 0 : Marshal.GetLastSystemError();
        return done;
    }

    /// <summary>SetThreadGroupAffinity of the calling thread.</summary>
    [SupportedOSPlatform("windows")]
    public static bool SetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error)
    {
        error = OsFault.Enter(OsCall.SetThreadGroupAffinity);
        if (error != 0) return false;
        bool done = Windows.SetThreadGroupAffinity(Windows.GetCurrentThread(), affinity, null);
        error = done ? 0 : Marshal.GetLastSystemError();
        return done;
    }

    /// <summary>GetThreadGroupAffinity of the calling thread.</summary>
    [SupportedOSPlatform("windows")]
    public static bool GetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error)
    {
        error = OsFault.Enter(OsCall.GetThreadGroupAffinity);
        if (error != 0) return false;
        bool done = Windows.GetThreadGroupAffinity(Windows.GetCurrentThread(), affinity);
        error = done ? 0 : Marshal.GetLastSystemError();
        return done;
    }

    /// <summary>GetCurrentProcessorNumberEx; cannot fail.</summary>
    [SupportedOSPlatform("windows")]
    public static PROCESSOR_NUMBER GetCurrentProcessorNumberEx()
    {
        PROCESSOR_NUMBER number;
        Windows.GetCurrentProcessorNumberEx(&number);
        return number;
    }

    /// <summary>Highest NUMA node number; false when the system does not say.</summary>
    [SupportedOSPlatform("windows")]
    public static bool GetNumaHighestNodeNumber(out uint highest)
    {
        fixed (uint* p = &highest) return Windows.GetNumaHighestNodeNumber(p);
    }

    /// <summary>CPU cycles of the calling thread; false where the system has no such count.</summary>
    [SupportedOSPlatform("windows")]
    public static bool QueryThreadCycleTime(out ulong cycles)
    {
        fixed (ulong* p = &cycles) return Windows.QueryThreadCycleTime(Windows.GetCurrentThread(), p);
    }

    /// <summary>Bytes of a large page; 0 where the CPU has none.</summary>
    [SupportedOSPlatform("windows")]
    public static nuint GetLargePageMinimum() => Windows.GetLargePageMinimum();

    /// <summary>Switches SeLockMemoryPrivilege on in this process' token; the last error, 0 when it is on.</summary>
    [SupportedOSPlatform("windows")]
    public static int EnableLockMemoryPrivilege()
    {
        HANDLE token;
        if (!Windows.OpenProcessToken(Windows.GetCurrentProcess(), TOKEN.TOKEN_ADJUST_PRIVILEGES | TOKEN.TOKEN_QUERY, &token))
            return Marshal.GetLastSystemError();
        try
        {
            TOKEN_PRIVILEGES wanted = default;
            wanted.PrivilegeCount = 1;
            wanted.Privileges.e0.Attributes = SE.SE_PRIVILEGE_ENABLED;
            fixed (char* name = "SeLockMemoryPrivilege")
                if (!Windows.LookupPrivilegeValueW(null, name, &wanted.Privileges.e0.Luid)) return Marshal.GetLastSystemError();
            // Success with ERROR_NOT_ALL_ASSIGNED means: this user does not hold it.
            bool done = Windows.AdjustTokenPrivileges(token, 0, &wanted, 0, null, null);
            int error = Marshal.GetLastSystemError();
            return done && error == 0 ? 0 : error;
        }
        finally
        {
            _ = Windows.CloseHandle(token);
        }
    }
}
