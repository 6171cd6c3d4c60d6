// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Memory of 1, 2, 4 or 8 bytes as a long, sign-extended as the cells return it.</summary>
internal static unsafe class Bytes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Read(void* p, int size) => size switch { 4 => *(int*)p, 8 => *(long*)p, 1 => *(byte*)p, _ => *(short*)p };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(void* p, int size, long v)
    {
        if (size == 4) *(int*)p = (int)v;
        else if (size == 8) *(long*)p = v;
        else if (size == 1) *(byte*)p = (byte)v;
        else *(short*)p = (short)v;
    }

    /// <summary>v cut to size, as it would come back from memory.</summary>
    public static long Cut(long v, int size) => Read(&v, size);

    /// <summary>What a read-modify-write leaves in memory.</summary>
    public static long Apply(RmwKind kind, long old, long a, long expected) => kind switch
    {
        RmwKind.CompareExchange => old == expected ? a : old,
        RmwKind.Exchange => a,
        RmwKind.Add => old + a,
        RmwKind.Or => old | a,
        _ => old & a,
    };
}
