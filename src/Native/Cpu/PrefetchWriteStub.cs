// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>
/// prefetchw, which .NET does not expose, as four bytes of machine code behind an unmanaged function pointer. x64 only; elsewhere it does
/// nothing and says so. Linux: prefetchw(), arch/x86/include/asm/processor.h.
/// </summary>
/// <remarks>The call costs what Linux does not pay; <see cref="Nothing"/> is the same call around nothing, so that the difference can be measured.</remarks>
public static unsafe class PrefetchWriteStub
{
    private const int CodeBytes = 4096, ProtRead = 1, ProtWrite = 2, ProtExec = 4, MapPrivateAnonymous = 0x22;
    private const uint MemCommitReserve = 0x3000, PageReadWrite = 4, PageExecuteRead = 0x20;
    private const int NothingAt = 64;

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void> line = Assemble(out nothing);
    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void> nothing;

    /// <summary>True when <see cref="Line"/> is a prefetchw.</summary>
    public static bool IsSupported => line != null;

    /// <summary>Asks for the line at p in a state that can be written. p need not be a valid address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(void* p)
    {
        if (line != null) line(p);
    }

    /// <summary>The same call to a function that only returns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Nothing(void* p)
    {
        if (nothing != null) nothing(p);
    }

    /// <summary>prefetchw [first argument]; ret, and a bare ret on the next line, in memory that is executable and no longer writable.</summary>
    private static delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void> Assemble(out delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void> empty)
    {
        empty = null;
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        byte* code = OperatingSystem.IsLinux() ? (byte*)Libc.mmap(null, CodeBytes, ProtRead | ProtWrite, MapPrivateAnonymous, -1, 0)
            : OperatingSystem.IsWindows() ? (byte*)Windows.VirtualAlloc(null, CodeBytes, MemCommitReserve, PageReadWrite) : null;
        if (code == null || code == (byte*)-1) return null;
        byte argument = OperatingSystem.IsWindows() ? (byte)0x09 : (byte)0x0f; // modrm: reg 1, memory operand [rcx] or [rdi]
        ReadOnlySpan<byte> prefetch = [0x0f, 0x0d, argument, 0xc3];
        prefetch.CopyTo(new Span<byte>(code, 4));
        code[NothingAt] = 0xc3;
        if (!Seal(code)) return null; // a kernel that forbids making memory executable: no stub
        empty = (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void>)(code + NothingAt);
        return (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void>)code;
    }

    private static bool Seal(byte* code)
    {
        if (OperatingSystem.IsLinux()) return Libc.mprotect(code, CodeBytes, ProtRead | ProtExec) == 0;
        uint was;
        return OperatingSystem.IsWindows() && Windows.VirtualProtect(code, CodeBytes, PageExecuteRead, &was);
    }
}
