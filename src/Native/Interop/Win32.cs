// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native.Win32;

/// <summary>
/// Our own declarations of what we use of Windows, under the names of TerraFX.Interop.Windows: with -p:UseTerraFX=true this file is left out
/// and the package takes its place (Win32.TerraFX.cs). That build needs the package from a public gallery; it has not been tried by us.
/// Layouts are tested on Linux. As in TerraFX, the caller asks Marshal.GetLastSystemError right after the call.
/// </summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class Windows
{
    [LibraryImport("kernel32")]
    public static partial void* VirtualAlloc(void* lpAddress, nuint dwSize, uint flAllocationType, uint flProtect);

    [LibraryImport("kernel32")]
    public static partial BOOL VirtualProtect(void* lpAddress, nuint dwSize, uint flNewProtect, uint* lpflOldProtect);

    [LibraryImport("kernelbase")]
    public static partial void* VirtualAlloc2(HANDLE Process, void* BaseAddress, nuint Size, uint AllocationType, uint PageProtection,
        MEM_EXTENDED_PARAMETER* ExtendedParameters, uint ParameterCount);

    [LibraryImport("kernel32")]
    public static partial void* VirtualAllocExNuma(HANDLE hProcess, void* lpAddress, nuint dwSize, uint flAllocationType, uint flProtect, uint nndPreferred);

    [LibraryImport("kernel32")]
    public static partial BOOL VirtualFree(void* lpAddress, nuint dwSize, uint dwFreeType);

    [LibraryImport("kernel32")]
    public static partial BOOL VirtualLock(void* lpAddress, nuint dwSize);

    [LibraryImport("kernel32")]
    public static partial BOOL PrefetchVirtualMemory(HANDLE hProcess, nuint NumberOfEntries, WIN32_MEMORY_RANGE_ENTRY* VirtualAddresses, uint Flags);

    [LibraryImport("kernel32")]
    public static partial nuint GetLargePageMinimum();

    [LibraryImport("kernel32", EntryPoint = "K32QueryWorkingSetEx")]
    public static partial BOOL QueryWorkingSetEx(HANDLE hProcess, void* pv, uint cb);

    [LibraryImport("kernel32")]
    public static partial BOOL GetNumaNodeProcessorMask2(ushort NodeNumber, GROUP_AFFINITY* ProcessorMasks, ushort ProcessorMaskCount, ushort* RequiredMaskCount);

    [LibraryImport("kernel32")]
    public static partial BOOL GetNumaHighestNodeNumber(uint* HighestNodeNumber);

    [LibraryImport("kernel32")]
    public static partial BOOL GetNumaAvailableMemoryNodeEx(ushort Node, ulong* AvailableBytes);

    [LibraryImport("kernel32")]
    public static partial BOOL SetThreadGroupAffinity(HANDLE hThread, GROUP_AFFINITY* GroupAffinity, GROUP_AFFINITY* PreviousGroupAffinity);

    [LibraryImport("kernel32")]
    public static partial BOOL GetThreadGroupAffinity(HANDLE hThread, GROUP_AFFINITY* GroupAffinity);

    [LibraryImport("kernel32")]
    public static partial BOOL SetThreadSelectedCpuSets(HANDLE Thread, uint* CpuSetIds, uint CpuSetIdCount);

    [LibraryImport("kernel32")]
    public static partial void GetCurrentProcessorNumberEx(PROCESSOR_NUMBER* ProcNumber);

    [LibraryImport("kernel32")]
    public static partial BOOL QueryThreadCycleTime(HANDLE ThreadHandle, ulong* CycleTime);

    [LibraryImport("kernel32")]
    public static partial HANDLE GetCurrentProcess();

    [LibraryImport("kernel32")]
    public static partial HANDLE GetCurrentThread();

    [LibraryImport("kernel32")]
    public static partial BOOL CloseHandle(HANDLE hObject);

    [LibraryImport("kernel32")]
    public static partial void GetSystemInfo(SYSTEM_INFO* lpSystemInfo);

    [LibraryImport("advapi32")]
    public static partial BOOL OpenProcessToken(HANDLE ProcessHandle, uint DesiredAccess, HANDLE* TokenHandle);

    [LibraryImport("advapi32")]
    public static partial BOOL LookupPrivilegeValueW(char* lpSystemName, char* lpName, LUID* lpLuid);

    [LibraryImport("advapi32")]
    public static partial BOOL AdjustTokenPrivileges(HANDLE TokenHandle, BOOL DisableAllPrivileges, TOKEN_PRIVILEGES* NewState, uint BufferLength,
        TOKEN_PRIVILEGES* PreviousState, uint* ReturnLength);
}

/// <summary>winnt.h MEM_*.</summary>
internal static class MEM
{
    public const int MEM_COMMIT = 0x1000, MEM_RESERVE = 0x2000, MEM_RELEASE = 0x8000, MEM_LARGE_PAGES = 0x20000000;
}

/// <summary>winnt.h PAGE_*.</summary>
internal static class PAGE
{
    public const int PAGE_READWRITE = 4;
}

/// <summary>winnt.h TOKEN_*.</summary>
internal static class TOKEN
{
    public const int TOKEN_QUERY = 8, TOKEN_ADJUST_PRIVILEGES = 0x20;
}

/// <summary>winnt.h SE_*.</summary>
internal static class SE
{
    public const int SE_PRIVILEGE_ENABLED = 2;
}

/// <summary>winerror.h.</summary>
internal static class ERROR
{
    public const int ERROR_INVALID_PARAMETER = 87, ERROR_CALL_NOT_IMPLEMENTED = 120, ERROR_NOT_ALL_ASSIGNED = 1300, ERROR_PRIVILEGE_NOT_HELD = 1314,
        ERROR_NO_SYSTEM_RESOURCES = 1450, ERROR_COMMITMENT_LIMIT = 1455;
}

/// <summary>winnt.h MEM_EXTENDED_PARAMETER_TYPE.</summary>
internal enum MEM_EXTENDED_PARAMETER_TYPE
{
    MemExtendedParameterInvalidType,
    MemExtendedParameterAddressRequirements,
    MemExtendedParameterNumaNode,
}

[StructLayout(LayoutKind.Sequential)]
internal readonly unsafe struct HANDLE
{
    public readonly void* Value;
}

[StructLayout(LayoutKind.Sequential)]
internal readonly struct BOOL(int value)
{
    public readonly int Value = value;
    public static implicit operator bool(BOOL value) => value.Value != 0;
    public static implicit operator BOOL(int value) => new(value);
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MEM_EXTENDED_PARAMETER
{
    public _Anonymous1_e__Struct Anonymous1;
    public _Anonymous2_e__Union Anonymous2;

    public ulong Type { readonly get => Anonymous1._bitfield & 0xFF; set => Anonymous1._bitfield = Anonymous1._bitfield & ~0xFFul | value & 0xFF; }

    [UnscopedRef] public ref void* Pointer => ref Anonymous2.Pointer;

    [UnscopedRef] public ref uint ULong => ref Anonymous2.ULong;

    [StructLayout(LayoutKind.Sequential)]
    public struct _Anonymous1_e__Struct
    {
        public ulong _bitfield;
    }

    [StructLayout(LayoutKind.Explicit)]
    public struct _Anonymous2_e__Union
    {
        [FieldOffset(0)] public ulong ULong64;
        [FieldOffset(0)] public void* Pointer;
        [FieldOffset(0)] public nuint Size;
        [FieldOffset(0)] public uint ULong;
    }
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MEM_ADDRESS_REQUIREMENTS
{
    public void* LowestStartingAddress;
    public void* HighestEndingAddress;
    public nuint Alignment;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct WIN32_MEMORY_RANGE_ENTRY
{
    public void* VirtualAddress;
    public nuint NumberOfBytes;
}

/// <summary>psapi.h; Flags: bit 0 valid, 1-3 share count, 4-14 protection, 15 shared, 16-21 node, 22 locked, 23 large page.</summary>
[StructLayout(LayoutKind.Explicit)]
internal struct PSAPI_WORKING_SET_EX_BLOCK
{
    [FieldOffset(0)] public nuint Flags;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PSAPI_WORKING_SET_EX_INFORMATION
{
    public void* VirtualAddress;
    public PSAPI_WORKING_SET_EX_BLOCK VirtualAttributes;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GROUP_AFFINITY
{
    public nuint Mask;
    public ushort Group;
    public fixed ushort Reserved[3];
}

[StructLayout(LayoutKind.Sequential)]
internal struct PROCESSOR_NUMBER
{
    public ushort Group;
    public byte Number;
    public byte Reserved;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SYSTEM_INFO
{
    public uint dwOemId;
    public uint dwPageSize;
    public void* lpMinimumApplicationAddress;
    public void* lpMaximumApplicationAddress;
    public nuint dwActiveProcessorMask;
    public uint dwNumberOfProcessors;
    public uint dwProcessorType;
    public uint dwAllocationGranularity;
    public ushort wProcessorLevel;
    public ushort wProcessorRevision;
}

[StructLayout(LayoutKind.Sequential)]
internal struct LUID
{
    public uint LowPart;
    public int HighPart;
}

[StructLayout(LayoutKind.Sequential)]
internal struct LUID_AND_ATTRIBUTES
{
    public LUID Luid;
    public uint Attributes;
}

[StructLayout(LayoutKind.Sequential)]
internal struct TOKEN_PRIVILEGES
{
    public uint PrivilegeCount;
    public _Privileges_e__FixedBuffer Privileges;

    [StructLayout(LayoutKind.Sequential)]
    public struct _Privileges_e__FixedBuffer
    {
        public LUID_AND_ATTRIBUTES e0;
    }
}
