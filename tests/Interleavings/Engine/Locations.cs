// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Which bytes are one location. A location is what one access touches; where accesses of different widths overlap (a ticket lock's word
/// and its halves), their aligned eight bytes become one location and the exploration starts again, because what it learnt was too fine.
/// </summary>
internal static unsafe class Locations
{
    private static int* ofByte, start, end;
    private static bool* added, awaited;
    private static int count;

    public static int Count => count;

    public static void Initialise()
    {
        ofByte = (int*)NativeMemory.AllocZeroed(Limits.ArenaBytes, sizeof(int));
        start = (int*)NativeMemory.AllocZeroed(Limits.Locations, sizeof(int));
        end = (int*)NativeMemory.AllocZeroed(Limits.Locations, sizeof(int));
        added = (bool*)NativeMemory.AllocZeroed(Limits.Locations);
        awaited = (bool*)NativeMemory.AllocZeroed(Limits.Locations);
        count = 1; // 0 means none
    }

    public static void Clear()
    {
        for (int l = 1; l < count; l++) NativeMemory.Clear(ofByte + start[l], (nuint)(end[l] - start[l]) * sizeof(int));
        NativeMemory.Clear(added, (nuint)count);
        NativeMemory.Clear(awaited, (nuint)count);
        count = 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Of(int offset, int size)
    {
        int l = ofByte[offset];
        return l != 0 && end[l] >= offset + size ? l : OfSlow(offset, size);
    }

    /// <summary>The location of a byte, or 0 when nothing touched it yet.</summary>
    public static int Known(int offset) => ofByte[offset];

    /// <summary>
    /// True when adds to the location commute. They do not once somebody waits on its value: whether the wait ends depends on the values in
    /// between, which the order of the adds decides.
    /// </summary>
    public static bool AddsCommute(int location)
    {
        added[location] = true;
        return !awaited[location] || Explorer.Defect == EngineDefect.AddsCommuteUnderWaits;
    }

    /// <summary>Somebody waits on the location.</summary>
    public static void Await(int location)
    {
        if (awaited[location]) return;
        awaited[location] = true;
        if (added[location] && Explorer.Defect != EngineDefect.AddsCommuteUnderWaits) Explorer.StartAgain();
    }

    public static string Name(int location) => Names.Of(start[location], end[location] - start[location]);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int OfSlow(int offset, int size)
    {
        bool fresh = true;
        for (int i = offset; i < offset + size; i++) fresh &= ofByte[i] == 0;
        if (fresh) return Make(offset, size);
        Explorer.StartAgain();
        return Make(offset & ~7, 8);
    }

    private static int Make(int offset, int size)
    {
        if (count == Limits.Locations) throw new InvalidOperationException($"explorer: more than {Limits.Locations} locations");
        for (int i = offset; i < offset + size; i++) ofByte[i] = count;
        start[count] = offset;
        end[count] = offset + size;
        return count++;
    }
}
