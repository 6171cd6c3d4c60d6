// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Tests.Torture;

/// <summary>What two CPUs did to one line of 64 bytes.</summary>
internal sealed class LineTouches
{
    private int holders; // bit per CPU that has the line; one bit after a write

    /// <summary>Source file of the first access.</summary>
    public required string File { get; init; }

    /// <summary>By CPU.</summary>
    public long[] Reads { get; } = new long[2];
    /// <summary>By CPU.</summary>
    public long[] Writes { get; } = new long[2];
    /// <summary>By CPU.</summary>
    public long[] Locks { get; } = new long[2];

    /// <summary>Accesses that found the line at the other CPU only, or, writing, at the other as well.</summary>
    public long Moves { get; private set; }

    /// <summary>An access as a protocol of exclusive and shared lines sees it; the first of all moves nothing.</summary>
    public void Touch(int cpu, bool writes)
    {
        int mine = 1 << cpu;
        if (holders != 0 && (writes ? holders != mine : (holders & mine) == 0)) Moves++;
        holders = writes ? mine : holders | mine;
    }

    /// <summary>Counts begin anew; who has the line stays.</summary>
    public void Reset()
    {
        Array.Clear(Reads);
        Array.Clear(Writes);
        Array.Clear(Locks);
        Moves = 0;
    }
}

/// <summary>
/// Counts every access to a cell, by the line it touches and the CPU that is played (<see cref="Cpu"/>): all fields that two CPUs may touch are cells, and
/// every cell ends in Machine. One thread plays both CPUs in turn, so the counts are the same in every run.
/// </summary>
internal static unsafe class LineTally
{
    private static readonly Dictionary<nint, LineTouches> lines = [];

    /// <summary>Counting now.</summary>
    public static bool On { get; set; }

    /// <summary>0 or 1: who is played.</summary>
    public static int Cpu { get; set; }

    /// <summary>By address of the line.</summary>
    public static IReadOnlyDictionary<nint, LineTouches> Lines => lines;

    /// <summary>Forgets every line.</summary>
    public static void Clear() => lines.Clear();

    /// <summary>The steady state begins.</summary>
    public static void Reset()
    {
        foreach (LineTouches line in lines.Values) line.Reset();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Reads(void* word, string file)
    {
        if (On) Find(word, file, writes: false).Reads[Cpu]++;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Writes(void* word, string file)
    {
        if (On) Find(word, file, writes: true).Writes[Cpu]++;
    }

    /// <summary>null: a fence, which touches no line.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Locks(void* word, string file)
    {
        if (On && word != null) Find(word, file, writes: true).Locks[Cpu]++;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static LineTouches Find(void* word, string file, bool writes)
    {
        nint at = (nint)word & -64;
        if (!lines.TryGetValue(at, out LineTouches? line)) lines[at] = line = new LineTouches { File = Path.GetFileName(file) };
        line.Touch(Cpu, writes);
        return line;
    }
}
