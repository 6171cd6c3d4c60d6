// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

/// <summary>Windows itself.</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe class SystemWindows : IWindowsApi
{
    private const int ERROR_GEN_FAILURE = 31;

    public void* VirtualAlloc2(void* at, nuint bytes, int type, MEM_EXTENDED_PARAMETER* parameters, int count, out int error)
    {
        void* p = Windows.VirtualAlloc2(Windows.GetCurrentProcess(), at, bytes, (uint)type, PAGE.PAGE_READWRITE, parameters, (uint)count);
        error = Error(p != null);
        return p;
    }

    public void* VirtualAlloc(void* at, nuint bytes, int type, out int error)
    {
        void* p = Windows.VirtualAlloc(at, bytes, (uint)type, PAGE.PAGE_READWRITE);
        error = Error(p != null);
        return p;
    }

    public bool VirtualFree(void* at, out int error) => (error = Error(Windows.VirtualFree(at, 0, MEM.MEM_RELEASE))) == 0;

    public bool QueryWorkingSetEx(PSAPI_WORKING_SET_EX_INFORMATION* pages, int count, out int error) =>
        (error = Error(Windows.QueryWorkingSetEx(Windows.GetCurrentProcess(), pages, (uint)(count * sizeof(PSAPI_WORKING_SET_EX_INFORMATION))))) == 0;

    public bool SetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error) =>
        (error = Error(Windows.SetThreadGroupAffinity(Windows.GetCurrentThread(), affinity, null))) == 0;

    public bool GetThreadGroupAffinity(GROUP_AFFINITY* affinity, out int error) =>
        (error = Error(Windows.GetThreadGroupAffinity(Windows.GetCurrentThread(), affinity))) == 0;

    public PROCESSOR_NUMBER GetCurrentProcessorNumberEx()
    {
        PROCESSOR_NUMBER number;
        Windows.GetCurrentProcessorNumberEx(&number);
        return number;
    }

    public bool GetNumaHighestNodeNumber(out uint highest)
    {
        fixed (uint* p = &highest) return Windows.GetNumaHighestNodeNumber(p);
    }

    public bool GetNumaAvailableMemoryNodeEx(ushort node, out ulong bytes)
    {
        fixed (ulong* p = &bytes) return Windows.GetNumaAvailableMemoryNodeEx(node, p);
    }

    public bool GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP what, byte* buffer, ref uint length, out int error)
    {
        fixed (uint* p = &length) error = Error(Windows.GetLogicalProcessorInformationEx(what, (SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX*)buffer, p) != 0);
        return error == 0;
    }

    public nuint GetLargePageMinimum() => Windows.GetLargePageMinimum();

    public int EnableLockMemoryPrivilege()
    {
        HANDLE token;
        if (!Windows.OpenProcessToken(Windows.GetCurrentProcess(), TOKEN.TOKEN_ADJUST_PRIVILEGES | TOKEN.TOKEN_QUERY, &token)) return Error(false);
        try
        {
            TOKEN_PRIVILEGES wanted = default;
            wanted.PrivilegeCount = 1;
            wanted.Privileges.e0.Attributes = SE.SE_PRIVILEGE_ENABLED;
            fixed (char* name = "SeLockMemoryPrivilege")
                if (!Windows.LookupPrivilegeValueW(null, name, &wanted.Privileges.e0.Luid)) return Error(false);
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

    /// <summary>Right after the call.</summary>
    private static int Error(bool done) => done ? 0 : Marshal.GetLastSystemError() is var error and not 0 ? error : ERROR_GEN_FAILURE;
}
