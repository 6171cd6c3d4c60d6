// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

[assembly: DisableRuntimeMarshalling]

namespace MemcgNative.Native;

/// <summary>
/// Signatures and constants of Linux, nothing else; <see cref="OsCalls"/> is the only caller. What libc does not export under a stable name
/// goes by number. Mono.Posix is no substitute for mmap: it drops the flags it does not know, MAP_HUGETLB among them.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class Libc
{
    private const string C = "libc";

    // include/uapi/asm-generic/mman-common.h, asm-generic/mman.h
    public const int PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2;
    public const int MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000, MAP_HUGETLB = 0x40000;
    public const int MAP_HUGE_SHIFT = 26;
    public const int MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_POPULATE_WRITE = 23;

    // include/uapi/linux/mempolicy.h
    public const int MPOL_DEFAULT = 0, MPOL_PREFERRED = 1, MPOL_BIND = 2, MPOL_INTERLEAVE = 3, MPOL_LOCAL = 4, MPOL_PREFERRED_MANY = 5,
        MPOL_WEIGHTED_INTERLEAVE = 6;
    public const uint MPOL_MF_STRICT = 1;
    public const nuint MPOL_F_ADDR = 2;

    // include/uapi/linux/resource.h: only the calling thread.
    public const int RUSAGE_THREAD = 1;

    // include/uapi/linux/prctl.h
    public const int PR_GET_THP_DISABLE = 42;

    // System call numbers: arch/x86/entry/syscalls/syscall_64.tbl and, for arm64, include/uapi/asm-generic/unistd.h.
    private static bool Arm64 => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    public static nint SYS_mbind => Arm64 ? 235 : 237;
    public static nint SYS_get_mempolicy => Arm64 ? 236 : 239;
    public static nint SYS_move_pages => Arm64 ? 239 : 279;
    public static nint SYS_sched_setaffinity => Arm64 ? 122 : 203;
    public static nint SYS_sched_getaffinity => Arm64 ? 123 : 204;
    public static nint SYS_getcpu => Arm64 ? 168 : 309;
    public static nint SYS_perf_event_open => Arm64 ? 241 : 298;

    [LibraryImport(C, SetLastError = true)]
    public static partial void* mmap(void* addr, nuint length, int prot, int flags, int fd, nint offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial int mprotect(void* addr, nuint length, int prot);

    [LibraryImport(C, SetLastError = true)]
    public static partial int munmap(void* addr, nuint length);

    [LibraryImport(C, SetLastError = true)]
    public static partial int madvise(void* addr, nuint length, int advice);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getrusage(int who, Rusage* usage);

    [LibraryImport(C, SetLastError = true)]
    public static partial int prctl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    [LibraryImport(C, SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, nuint argument);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint read(int fd, void* buffer, nuint count);

    [LibraryImport(C, SetLastError = true)]
    public static partial int close(int fd);

    /// <summary>syscall(2). Not variadic on x64 and arm64 as far as integer registers go.</summary>
    [LibraryImport(C, SetLastError = true)]
    public static partial nint syscall(nint number, nuint a, nuint b, nuint c, nuint d, nuint e, nuint f);
}

/// <summary>struct rusage on 64-bit Linux (include/uapi/linux/resource.h).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Rusage
{
    public long UserSeconds, UserMicroseconds, SystemSeconds, SystemMicroseconds;
    public long MaxRss, IxRss, IdRss, IsRss, MinorFaults, MajorFaults, Swaps, InBlock, OutBlock, MsgSent, MsgReceived, Signals;
    public long VoluntarySwitches, InvoluntarySwitches;
}
