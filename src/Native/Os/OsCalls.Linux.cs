// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

internal static unsafe partial class OsCalls
{
    /// <summary>Anonymous private mapping; the address, or minus errno.</summary>
    [SupportedOSPlatform("linux")]
    public static nint Mmap(void* hint, nuint bytes, int prot, int flags)
    {
        int fault = OsFault.Enter(OsCall.Mmap);
        if (fault != 0) return -fault;
        void* p = Libc.mmap(hint, bytes, prot, flags, -1, 0);
        if ((nint)p == -1) return -Marshal.GetLastPInvokeError();
        OsFault.Mapped((long)bytes);
        return (nint)p;
    }

    /// <summary>munmap(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Munmap(void* p, nuint bytes)
    {
        int fault = OsFault.Enter(OsCall.Munmap);
        int result = fault != 0 ? -fault : Result(Libc.munmap(p, bytes));
        if (result == 0) OsFault.Mapped(-(long)bytes);
        return result;
    }

    /// <summary>mprotect(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Mprotect(void* p, nuint bytes, int prot)
    {
        int fault = OsFault.Enter(OsCall.Mprotect);
        return fault != 0 ? -fault : Result(Libc.mprotect(p, bytes, prot));
    }

    /// <summary>madvise(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Madvise(void* p, nuint bytes, int advice)
    {
        int fault = OsFault.Enter(OsCall.Madvise);
        return fault != 0 ? -fault : Result(Libc.madvise(p, bytes, advice));
    }

    /// <summary>mbind(2); maxNode is one more than the bits in mask (the kernel decrements it first, mm/mempolicy.c get_nodes).</summary>
    [SupportedOSPlatform("linux")]
    public static int Mbind(void* p, nuint bytes, int mode, ulong* mask, nuint maxNode, uint flags) =>
        Syscall(OsCall.Mbind, Libc.SYS_mbind, (nuint)p, bytes, (nuint)mode, (nuint)mask, maxNode, flags);

    /// <summary>get_mempolicy(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int GetMempolicy(int* mode, ulong* mask, nuint maxNode, void* address, nuint flags) =>
        Syscall(OsCall.GetMempolicy, Libc.SYS_get_mempolicy, (nuint)mode, (nuint)mask, maxNode, (nuint)address, flags);

    /// <summary>move_pages(2) as a question: nodes is null, status gets a node or minus errno per page.</summary>
    [SupportedOSPlatform("linux")]
    public static int MovePages(nuint count, void** pages, int* status) =>
        Syscall(OsCall.MovePages, Libc.SYS_move_pages, 0, count, (nuint)pages, 0, (nuint)status);

    /// <summary>sched_setaffinity(2) of the calling thread.</summary>
    [SupportedOSPlatform("linux")]
    public static int SchedSetaffinity(ulong* mask, nuint bytes) =>
        Syscall(OsCall.SchedSetaffinity, Libc.SYS_sched_setaffinity, 0, bytes, (nuint)mask);

    /// <summary>sched_getaffinity(2) of the calling thread; the bytes written. EINVAL: the mask is shorter than the kernel's.</summary>
    [SupportedOSPlatform("linux")]
    public static int SchedGetaffinity(ulong* mask, nuint bytes) =>
        Syscall(OsCall.SchedGetaffinity, Libc.SYS_sched_getaffinity, 0, bytes, (nuint)mask);

    /// <summary>getcpu(2): CPU and node the thread runs on now.</summary>
    [SupportedOSPlatform("linux")]
    public static int Getcpu(uint* cpu, uint* node) => Syscall(OsCall.Getcpu, Libc.SYS_getcpu, (nuint)cpu, (nuint)node);

    /// <summary>getrusage(2) of the calling thread.</summary>
    [SupportedOSPlatform("linux")]
    public static int GetrusageThread(Rusage* usage)
    {
        int fault = OsFault.Enter(OsCall.Getrusage);
        return fault != 0 ? -fault : Result(Libc.getrusage(Libc.RUSAGE_THREAD, usage));
    }

    /// <summary>prctl(2) with one argument.</summary>
    [SupportedOSPlatform("linux")]
    public static int Prctl(int option, nuint argument = 0)
    {
        int fault = OsFault.Enter(OsCall.Prctl);
        return fault != 0 ? -fault : Result(Libc.prctl(option, argument, 0, 0, 0));
    }

    /// <summary>perf_event_open(2); a file descriptor.</summary>
    [SupportedOSPlatform("linux")]
    public static int PerfEventOpen(void* attribute, int pid, int cpu, int groupFd, nuint flags) =>
        Syscall(OsCall.PerfEventOpen, Libc.SYS_perf_event_open, (nuint)attribute, (nuint)(nint)pid, (nuint)(nint)cpu, (nuint)(nint)groupFd, flags);

    /// <summary>ioctl(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Ioctl(int fd, nuint request, nuint argument)
    {
        int fault = OsFault.Enter(OsCall.Ioctl);
        return fault != 0 ? -fault : Result(Libc.ioctl(fd, request, argument));
    }

    /// <summary>read(2).</summary>
    [SupportedOSPlatform("linux")]
    public static nint Read(int fd, void* buffer, nuint bytes)
    {
        int fault = OsFault.Enter(OsCall.Read);
        return fault != 0 ? -fault : Result(Libc.read(fd, buffer, bytes));
    }

    /// <summary>close(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Close(int fd)
    {
        int fault = OsFault.Enter(OsCall.Close);
        return fault != 0 ? -fault : Result(Libc.close(fd));
    }

    [SupportedOSPlatform("linux")]
    private static int Syscall(OsCall call, nint number, nuint a = 0, nuint b = 0, nuint c = 0, nuint d = 0, nuint e = 0, nuint f = 0)
    {
        int fault = OsFault.Enter(call);
        return fault != 0 ? -fault : (int)Result(Libc.syscall(number, a, b, c, d, e, f));
    }
}
