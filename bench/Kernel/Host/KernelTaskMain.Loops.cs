// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;

namespace MemcgNative.Bench;

/// <summary>The loops of `kernel probe`: each for so many milliseconds, in short batches between looks at the clock.</summary>
internal static unsafe partial class KernelTaskMain
{
    private const int FaultPages = 256, FilePages = 64, PipePages = 16;
    private const int FadviseDontNeed = 4;

    /// <summary>0 fault: touch and unmap 256 pages; 1 page cache: read 64 pages of a sparse file and drop them; 2 kmem: fill and read a pipe of 16 pages.</summary>
    private static void Loop(long which, long milliseconds)
    {
        long end = Stopwatch.GetTimestamp() + milliseconds * Stopwatch.Frequency / 1000, ops = 0, started = CpuTimeNs();
        do ops += which switch { 0 => FaultOnce(), 1 => FileOnce(), _ => PipeOnce() };
        while (Stopwatch.GetTimestamp() < end);
        SayDone(ops, CpuTimeNs() - started);
    }

    /// <summary>Of this thread: time that others had the CPU is not in it, time spent waiting for a lock of the kernel by spinning is.</summary>
    private static long CpuTimeNs()
    {
        long* time = stackalloc long[2];
        return WorkerCalls.clock_gettime(WorkerCalls.ThreadCpuTime, time) < 0 ? 0 : time[0] * 1_000_000_000 + time[1];
    }

    private static long FaultOnce()
    {
        byte* at = (byte*)WorkerCalls.mmap(null, FaultPages * PageBytes, WorkerCalls.ReadWrite, WorkerCalls.PrivateAnonymous, -1, 0);
        _ = WorkerCalls.madvise(at, FaultPages * PageBytes, WorkerCalls.NoHugePage);
        for (int i = 0; i < FaultPages; i++) at[i * PageBytes] = 1;
        _ = WorkerCalls.munmap(at, FaultPages * PageBytes);
        return FaultPages;
    }

    private static long FileOnce()
    {
        if (loopFile < 0) return 1;
        for (int i = 0; i < FilePages; i++) _ = WorkerCalls.pread(loopFile, page, PageBytes, (nint)i * PageBytes);
        _ = WorkerCalls.posix_fadvise(loopFile, 0, 0, FadviseDontNeed);
        return FilePages;
    }

    private static long PipeOnce()
    {
        int* ends = stackalloc int[2];
        if (WorkerCalls.pipe2(ends, WorkerCalls.NonBlock | WorkerCalls.CloseOnExec) < 0) return 1;
        for (int i = 0; i < PipePages; i++) _ = WorkerCalls.write(ends[1], page, PageBytes);
        _ = WorkerCalls.close(ends[0]);
        _ = WorkerCalls.close(ends[1]);
        return PipePages;
    }

    /// <summary>A sparse file without a name, on a file system that has a page cache of its own.</summary>
    private static int OpenLoopFile()
    {
        const int TemporaryFile = 0x410000 | WorkerCalls.OpenReadWrite | WorkerCalls.CloseOnExec; // O_TMPFILE; where it is refused the loop counts nothing
        int fd;
        fixed (byte* path = "/var/tmp\0"u8) fd = WorkerCalls.open(path, TemporaryFile);
        if (fd < 0) return -1;
        _ = WorkerCalls.ftruncate(fd, FilePages * PageBytes);
        _ = WorkerCalls.posix_fadvise(fd, 0, 0, WorkerCalls.Random);
        return fd;
    }

    private static void SayDone(long ops, long ns)
    {
        Span<byte> text = stackalloc byte[64];
        "done "u8.CopyTo(text);
        int at = 5;
        _ = System.Buffers.Text.Utf8Formatter.TryFormat(ops, text[at..], out int written);
        at += written;
        text[at++] = (byte)' ';
        _ = System.Buffers.Text.Utf8Formatter.TryFormat(ns, text[at..], out written);
        at += written;
        text[at++] = (byte)'\n';
        Say(text[..at]);
    }
}
