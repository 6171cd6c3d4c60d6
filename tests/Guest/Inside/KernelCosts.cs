// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// Instructions of the running kernel for one page or object, where the clock counts them (guest.sh -i), user space's few among them: of
/// many short batches the least, because one that holds a tick is thousands too dear.
/// </summary>
internal static unsafe partial class KernelCosts
{
    private const int PageBytes = 4096, Pages = 128, Pipes = 16, Turns = 60;
    private const int ReadWrite = 3, PrivateAnonymous = 0x22, CreateReadWrite = 0x42;
    private const nuint Table = 2 << 20; // what one page table covers

    private static readonly nint libc = NativeLibrary.Load("libc");
    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, nuint, int> munmap =
        (delegate* unmanaged[SuppressGCTransition]<void*, nuint, int>)NativeLibrary.GetExport(libc, "munmap");
    private static readonly delegate* unmanaged[SuppressGCTransition]<int, void*, nint, long, nint> pwrite =
        (delegate* unmanaged[SuppressGCTransition]<int, void*, nint, long, nint>)NativeLibrary.GetExport(libc, "pwrite");
    private static readonly delegate* unmanaged[SuppressGCTransition]<int*, int> pipe =
        (delegate* unmanaged[SuppressGCTransition]<int*, int>)NativeLibrary.GetExport(libc, "pipe");
    private static readonly delegate* unmanaged[SuppressGCTransition]<int, int> close =
        (delegate* unmanaged[SuppressGCTransition]<int, int>)NativeLibrary.GetExport(libc, "close");

    [LibraryImport("libc")]
    private static partial void* mmap(void* at, nuint bytes, int prot, int flags, int fd, nint offset);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc")]
    private static partial int ftruncate(int fd, long bytes);

    /// <summary>"OPERATION WHERE INSTRUCTIONS" a line, for each place: off and root stay where they are, child and depth-3 go into a group.</summary>
    public static int Run(TextWriter report, string[] places)
    {
        foreach (string place in places)
        {
            if (place == "child") Enter(1);
            if (place == "depth-3") Enter(3);
            long fault = long.MaxValue, unmap = long.MaxValue, shmem = long.MaxValue, pipes = long.MaxValue;
            for (int turn = 0; turn < Turns; turn++)
            {
                (long one, long other) = Anonymous();
                fault = Math.Min(fault, one);
                unmap = Math.Min(unmap, other);
                shmem = Math.Min(shmem, Tmpfs());
                pipes = Math.Min(pipes, OpenPipes());
            }
            report.WriteLine($"anonymous-fault {place} {fault / Pages}");
            report.WriteLine($"unmap           {place} {unmap / Pages}");
            report.WriteLine($"tmpfs-write     {place} {shmem / Pages}");
            report.WriteLine($"pipe-and-close  {place} {pipes / Pipes}");
        }
        return 0;
    }

    /// <summary>Into a group so many levels below the root; above it no group may hold a process.</summary>
    private static void Enter(int depth)
    {
        string group = Environment.GetEnvironmentVariable("CGROUP")!;
        for (int level = 1; level <= depth; level++)
        {
            File.WriteAllText(Path.Combine(group, "cgroup.subtree_control"), "+memory");
            group = Path.Combine(group, $"costs{depth}");
            Directory.CreateDirectory(group);
        }
        File.WriteAllText(Path.Combine(group, "cgroup.procs"), Environment.ProcessId.ToString(null, null));
    }

    /// <summary>The page table is there before: one page of it is touched first.</summary>
    private static (long Fault, long Unmap) Anonymous()
    {
        byte* map = (byte*)mmap(null, 2 * Table, ReadWrite, PrivateAnonymous, -1, 0);
        byte* first = (byte*)(((nuint)map + Table - 1) / Table * Table), page = first + PageBytes, end = page + Pages * PageBytes;
        *first = 1;
        long begin = Stopwatch.GetTimestamp();
        for (byte* at = page; at < end; at += PageBytes) *at = 1;
        long touched = Stopwatch.GetTimestamp();
        _ = munmap(page, Pages * PageBytes);
        long gone = Stopwatch.GetTimestamp();
        _ = munmap(map, 2 * Table);
        return (touched - begin, gone - touched);
    }

    private static long Tmpfs()
    {
        byte* from = stackalloc byte[PageBytes];
        int file = open("/tmp/costs", CreateReadWrite, 0x180);
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < Pages; i++) _ = pwrite(file, from, PageBytes, (long)i * PageBytes);
        long took = Stopwatch.GetTimestamp() - begin;
        _ = ftruncate(file, 0);
        _ = close(file);
        return took;
    }

    private static long OpenPipes()
    {
        int* ends = stackalloc int[2];
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < Pipes; i++)
        {
            _ = pipe(ends);
            _ = close(ends[0]);
            _ = close(ends[1]);
        }
        return Stopwatch.GetTimestamp() - begin;
    }
}
