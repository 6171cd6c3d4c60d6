// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// `memcgnative kernel-task CPU` (hidden): a task of a scenario on the kernel. It obeys lines on stdin and answers each with one on stdout:
/// <code>
///   map ID PAGES       touch ID PAGES       shm ID PAGES        file ID PAGES PATH
///   pipes ID N FILL    dentries ID N DIR    free ID             node ID NODE
///   reset 0            loop WHICH MS         end
/// </code>
/// "ok", "errno N", or "done OPS NS" of a loop, in CPU time. Before it says "ready" it has done each thing once, and from then on it allocates nothing of its own: the group it is
/// moved to pays for the workload and a few pages of stack.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class KernelTaskMain
{
    /// <summary>Regions a task can have, and pipes of one region.</summary>
    public const int MostRegions = 4096;
    private const int LineBytes = 8192, PageBytes = 4096;

    private static byte* line;
    private static byte* page;
    private static Region* regions;
    private static int loopFile = -1;

    private struct Region
    {
        public byte* At;
        public nuint Pages, Touched;
        public int File;
        public int* Pipes;
        public int Ends;
    }

    public static int Run(int cpu)
    {
        ThreadAffinity.Pin(new CpuId(cpu));
        line = (byte*)NativeMemory.AllocZeroed(LineBytes);
        page = (byte*)NativeMemory.AlignedAlloc(PageBytes, PageBytes);
        NativeMemory.Fill(page, PageBytes, 0x5a);
        regions = (Region*)NativeMemory.AllocZeroed(MostRegions, (nuint)sizeof(Region));
        NativeMemory.Fill(regions, (nuint)(MostRegions * sizeof(Region)), 0); // touched now, and not when a group pays
        ulong* files = stackalloc ulong[2];
        if (WorkerCalls.getrlimit(WorkerCalls.LimitOfFiles, files) == 0 && files[0] < files[1])
        {
            files[0] = files[1];
            _ = WorkerCalls.setrlimit(WorkerCalls.LimitOfFiles, files);
        }
        for (int i = 0; i < MostRegions; i++) regions[i].File = -1;
        loopFile = OpenLoopFile();
        for (int turn = 0; turn < 2; turn++) Rehearse();
        GC.Collect();
        Say("ready\n"u8);
        for (int length; (length = ReadLine()) > 0;)
        {
            if (line[0] == 'e') break;
            if (line[0] == 'l')
            {
                byte* at = line;
                SkipWord(ref at);
                long which = Number(ref at);
                Loop(which, Number(ref at));
                continue;
            }
            long result = Obey(length);
            if (result == 0) Say("ok\n"u8);
            else SayErrno((int)-result);
        }
        return ExitCode.Done;
    }

    /// <summary>Everything once, so that no code is compiled and no stack grown later.</summary>
    private static void Rehearse()
    {
        foreach (string text in (string[])["map 0 2", "touch 0 2", "node 0 0", "free 0", "shm 0 1", "free 0", "file 0 1 /proc/self/cmdline", "free 0", "pipes 0 1 1", "free 0",
            "dentries 0 1 /proc/self", "free 0", "nonsense 0", "reset 0"])
        {
            for (int i = 0; i < text.Length; i++) line[i] = (byte)text[i];
            line[text.Length] = 0;
            _ = Obey(text.Length); // what is refused here is refused
        }
        _ = FaultOnce() + FileOnce() + PipeOnce();
    }

    private static int ReadLine()
    {
        int length = 0;
        while (length < LineBytes - 1)
        {
            nint n = WorkerCalls.read(0, line + length, 1);
            if (n <= 0) return 0;
            if (line[length] == '\n')
            {
                line[length] = 0;
                return length;
            }
            length++;
        }
        return 0;
    }

    private static void Say(ReadOnlySpan<byte> text)
    {
        fixed (byte* at = text) _ = WorkerCalls.write(1, at, (nuint)text.Length);
    }

    private static void SayErrno(int errno)
    {
        Span<byte> text = stackalloc byte[16];
        "errno "u8.CopyTo(text);
        int at = 6;
        if (errno >= 100) text[at++] = (byte)('0' + errno / 100 % 10);
        if (errno >= 10) text[at++] = (byte)('0' + errno / 10 % 10);
        text[at++] = (byte)('0' + errno % 10);
        text[at++] = (byte)'\n';
        Say(text[..at]);
    }

    /// <summary>0, or minus errno.</summary>
    private static long Obey(int length)
    {
        byte* at = line;
        byte verb = at[0], second = at[1];
        SkipWord(ref at);
        long id = Number(ref at);
        if (length < 3 || id is < 0 or >= MostRegions) return -22;
        Region* region = regions + id;
        switch (verb)
        {
            case (byte)'m':
                return Map(region, (nuint)Number(ref at));
            case (byte)'t':
                return Touch(region, (nuint)Number(ref at));
            case (byte)'s':
                return Shm(region, (nuint)Number(ref at));
            case (byte)'f' when second == 'i':
                long pages = Number(ref at);
                return ReadFile(region, (nuint)pages, Word(at));
            case (byte)'f':
                return Free(region);
            case (byte)'p':
                long pipes = Number(ref at);
                return Pipes(region, (int)pipes, (int)Number(ref at));
            case (byte)'d':
                long names = Number(ref at);
                return Dentries(names, Word(at));
            case (byte)'r':
                for (int i = 0; i < MostRegions; i++) Free(regions + i);
                return 0;
            case (byte)'n' when second == 'o' && region->At != null:
                return ToNode(region, (int)Number(ref at));
            default:
                return -22;
        }
    }

    private static void SkipWord(ref byte* at)
    {
        while (*at is not (0 or (byte)' ')) at++;
        while (*at == ' ') at++;
    }

    private static byte* Word(byte* at) => at;

    private static long Number(ref byte* at)
    {
        long n = 0;
        while (*at is >= (byte)'0' and <= (byte)'9') n = n * 10 + (*at++ - '0');
        while (*at == ' ') at++;
        return n;
    }

    private static long Failed() => -Marshal.GetLastPInvokeError();
}
