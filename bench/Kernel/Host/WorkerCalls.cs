// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Bench;

/// <summary>
/// What a kernel task does to the kernel: its workload, so it goes past the program's own seam. Only integers and pointers, so that a
/// call allocates nothing and the group the task is in pays for nothing but the call.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class WorkerCalls
{
    private const string C = "libc";

    public const int ReadWrite = 3, PrivateAnonymous = 0x22, NoHugePage = 15, Random = 1, OpenReadWrite = 2, CloseOnExec = 0x80000, NonBlock = 0x800;
    public const int PolicyBind = 2, MoveOwn = 2, LimitOfFiles = 7, ThreadCpuTime = 3;

    [LibraryImport(C, SetLastError = true)]
    public static partial void* mmap(void* at, nuint bytes, int protection, int flags, int fd, nint offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial int munmap(void* at, nuint bytes);

    [LibraryImport(C, SetLastError = true)]
    public static partial int madvise(void* at, nuint bytes, int advice);

    [LibraryImport(C, SetLastError = true)]
    public static partial int memfd_create(byte* name, uint flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int open(byte* path, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(C, SetLastError = true)]
    public static partial int ftruncate(int fd, nint bytes);

    [LibraryImport(C, SetLastError = true)]
    public static partial int posix_fadvise(int fd, nint offset, nint bytes, int advice);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint read(int fd, void* to, nuint bytes);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint write(int fd, void* from, nuint bytes);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint pread(int fd, void* to, nuint bytes, nint offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint pwrite(int fd, void* from, nuint bytes, nint offset);

    [LibraryImport(C, SetLastError = true)]
    public static partial int pipe2(int* ends, int flags);

    [LibraryImport(C, SetLastError = true)]
    public static partial int access(byte* path, int mode);

    [LibraryImport(C, SetLastError = true)]
    public static partial int setrlimit(int what, ulong* limits);

    [LibraryImport(C, SetLastError = true)]
    public static partial int getrlimit(int what, ulong* limits);

    [LibraryImport(C, SetLastError = true)]
    public static partial int clock_gettime(int clock, long* time);

    [LibraryImport(C, SetLastError = true)]
    public static partial nint syscall(nint number, nint a, nint b, nint c, nint d, nint e, nint f);

    public static nint MbindNumber => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 235 : 237;
}
