// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Bench;

/// <summary>The deeds.</summary>
internal static unsafe partial class KernelTaskMain
{
    private static long Map(Region* region, nuint pages)
    {
        void* at = WorkerCalls.mmap(null, pages * PageBytes, WorkerCalls.ReadWrite, WorkerCalls.PrivateAnonymous, -1, 0);
        if ((nint)at == -1) return Failed();
        _ = WorkerCalls.madvise(at, pages * PageBytes, WorkerCalls.NoHugePage); // a huge page would be charged as a whole
        region->At = (byte*)at;
        region->Pages = pages;
        region->Touched = 0;
        return 0;
    }

    private static long Touch(Region* region, nuint pages)
    {
        for (nuint end = Math.Min(region->Pages, region->Touched + pages); region->Touched < end; region->Touched++) region->At[region->Touched * PageBytes] = 1;
        return 0;
    }

    private static long Shm(Region* region, nuint pages)
    {
        byte* name = stackalloc byte[2] { (byte)'m', 0 };
        int fd = WorkerCalls.memfd_create(name, 1);
        if (fd < 0) return Failed();
        region->File = fd;
        for (nuint i = 0; i < pages; i++)
            if (WorkerCalls.pwrite(fd, page, PageBytes, (nint)(i * PageBytes)) != PageBytes) return Failed();
        return 0;
    }

    /// <summary>Page by page and without readahead, so that the pages come one by one.</summary>
    private static long ReadFile(Region* region, nuint pages, byte* path)
    {
        int fd = WorkerCalls.open(path, WorkerCalls.CloseOnExec);
        if (fd < 0) return Failed();
        region->File = fd;
        _ = WorkerCalls.posix_fadvise(fd, 0, 0, WorkerCalls.Random);
        for (nuint i = 0; i < pages; i++)
            if (WorkerCalls.pread(fd, page, PageBytes, (nint)(i * PageBytes)) < 0) return Failed();
        return 0;
    }

    /// <summary>A write of a page into a pipe is a page of kernel memory until it is read.</summary>
    private static long Pipes(Region* region, int pipes, int fill)
    {
        nuint bytes = (nuint)pipes * 2 * sizeof(int);
        region->Pipes = (int*)WorkerCalls.mmap(null, bytes, WorkerCalls.ReadWrite, WorkerCalls.PrivateAnonymous, -1, 0);
        region->Pages = bytes;
        for (region->Ends = 0; region->Ends < 2 * pipes; region->Ends += 2)
        {
            int* ends = region->Pipes + region->Ends;
            if (WorkerCalls.pipe2(ends, WorkerCalls.NonBlock | WorkerCalls.CloseOnExec) < 0) return Failed();
            for (int i = 0; i < fill; i++)
                if (WorkerCalls.write(ends[1], page, PageBytes) != PageBytes) return Failed();
        }
        return 0;
    }

    /// <summary>Look-ups of names of about 100 characters that are not there: each leaves a negative dentry (test_kmem: alloc_dcache).</summary>
    private static long Dentries(long count, byte* directory)
    {
        byte* name = stackalloc byte[1024];
        int length = 0;
        for (; directory[length] != 0 && length < 800; length++) name[length] = directory[length];
        name[length++] = (byte)'/';
        for (int i = 0; i < 90; i++) name[length++] = (byte)'n';
        for (long i = 0; i < count; i++)
        {
            long n = i;
            for (int digit = 9; digit >= 0; digit--, n /= 10) name[length + digit] = (byte)('0' + n % 10);
            name[length + 10] = 0;
            if (WorkerCalls.access(name, 0) == 0) return -17;
        }
        return 0;
    }

    private static long ToNode(Region* region, int node)
    {
        ulong* mask = stackalloc ulong[16];
        NativeMemory.Fill(mask, 128, 0);
        mask[node / 64 & 15] = 1UL << (node & 63);
        return WorkerCalls.syscall(WorkerCalls.MbindNumber, (nint)region->At, (nint)(region->Pages * PageBytes), WorkerCalls.PolicyBind, (nint)mask, 1024, WorkerCalls.MoveOwn) < 0
            ? Failed() : 0;
    }

    private static long Free(Region* region)
    {
        if (region->At != null) _ = WorkerCalls.munmap(region->At, region->Pages * PageBytes);
        if (region->File >= 0) _ = WorkerCalls.close(region->File);
        for (int i = 0; i < region->Ends; i++) _ = WorkerCalls.close(region->Pipes[i]);
        if (region->Pipes != null) _ = WorkerCalls.munmap(region->Pipes, region->Pages);
        *region = default;
        region->File = -1;
        return 0;
    }
}
