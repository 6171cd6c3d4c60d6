// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Mono.Unix.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Coroutines on hand-made stacks: fifteen instructions of machine code in an executable page, x64 Linux only. Rules the runtime imposes:
/// no managed reference may be live in a suspended frame (the collector does not see the stack), and a fiber is entered for the first time
/// only from the main stack, always at the same depth.
/// </summary>
internal sealed unsafe class FiberHandover : IHandover
{
    private const int StackBytes = 1 << 20;

    private static nint mainStack;
    private static nint* stackPointer, stackTop;
    private static delegate* unmanaged<nint*, nint, void> swap;

    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    public FiberHandover()
    {
        if (swap != null) return;
        // push rbp, rbx, r12-r15; mov [rdi], rsp; mov rsp, rsi; pop r15-r12, rbx, rbp; ret
        ReadOnlySpan<byte> code = [0x55, 0x53, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48, 0x89, 0x27, 0x48, 0x89, 0xf4, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41,
            0x5c, 0x5b, 0x5d, 0xc3];
        nint page = Map(4096, MmapProts.PROT_READ | MmapProts.PROT_WRITE | MmapProts.PROT_EXEC);
        code.CopyTo(new Span<byte>((void*)page, code.Length));
        stackPointer = (nint*)NativeMemory.AllocZeroed(Limits.Agents, (nuint)sizeof(nint));
        stackTop = (nint*)NativeMemory.AllocZeroed(Limits.Agents, (nuint)sizeof(nint));
        for (int i = 0; i < Limits.Agents; i++) stackTop[i] = Map(StackBytes, MmapProts.PROT_READ | MmapProts.PROT_WRITE) + StackBytes;
        swap = (delegate* unmanaged<nint*, nint, void>)page;
    }

    private static nint Map(ulong bytes, MmapProts protection)
    {
        nint p = Syscall.mmap(0, bytes, protection, MmapFlags.MAP_PRIVATE | MmapFlags.MAP_ANONYMOUS, -1, 0);
        return p != -1 ? p : throw new InvalidOperationException($"fibers: mmap of {bytes} bytes failed with {Marshal.GetLastPInvokeError()}; use --handover threads");
    }

    public void Run(int agents)
    {
        for (int a = 0; a < agents; a++) Prepare(a);
        for (int a = 0; a < agents && !Interleavings.Run.Stopping; a++)
        {
            Interleavings.Run.Current = a;
            Into(a);
        }
        Interleavings.Run.Current = -1;
        Interleavings.Run.AllStarted();
        while (Interleavings.Run.Next >= 0)
        {
            Interleavings.Run.Current = Interleavings.Run.Next;
            Into(Interleavings.Run.Current);
        }
    }

    public void SwitchFrom(int agent)
    {
        int next = Interleavings.Run.Next;
        Interleavings.Run.Current = next;
        if (next >= 0) Direct(agent, next);
        else ToMain(agent);
    }

    [DoesNotReturn]
    public void Abandon(int agent)
    {
        ToMain(agent);
        throw new InvalidOperationException("an abandoned fiber was resumed");
    }

    /// <summary>A stack that returns into <see cref="Entry"/>, aligned as after a call.</summary>
    private static void Prepare(int agent)
    {
        nint* s = (nint*)(stackTop[agent] - 64);
        *--s = 0;
        *--s = (nint)(delegate* unmanaged<void>)&Entry;
        for (int i = 0; i < 6; i++) *--s = 0;
        stackPointer[agent] = (nint)s;
    }

    [UnmanagedCallersOnly]
    private static void Entry()
    {
        int agent = Interleavings.Run.Current;
        AgentRoot.Enter(agent);
        ToMain(agent);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Into(int agent)
    {
        fixed (nint* main = &mainStack) swap(main, stackPointer[agent]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ToMain(int agent) => swap(stackPointer + agent, mainStack);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Direct(int from, int to) => swap(stackPointer + from, stackPointer[to]);
}
