// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The life map: what each four bytes of the arena are just now. Every access asks it.</summary>
internal static unsafe class Life
{
    private const int Granules = Limits.ArenaBytes / 4, MaxRanges = 4096;

    private enum State : byte { Nothing, Live, Freed, Fresh }

    private struct Range { public int Offset, Bytes, Site; public bool Live; }

    private static State* now, initial;
    private static Range* log, births;
    private static int logged, born;

    /// <summary>Reading memory that was allocated but never written is a failure.</summary>
    public static bool TrackFresh;

    public static void Initialise()
    {
        now = (State*)NativeMemory.AllocZeroed(Granules);
        initial = (State*)NativeMemory.AllocZeroed(Granules);
        log = (Range*)NativeMemory.AllocZeroed(MaxRanges, (nuint)sizeof(Range));
        births = (Range*)NativeMemory.AllocZeroed(MaxRanges, (nuint)sizeof(Range));
    }

    public static void Clear(int bytes)
    {
        NativeMemory.Clear(now, (nuint)bytes / 4);
        logged = born = 0;
    }

    /// <summary>Memory of the case itself: alive from the start, never counted as leaked.</summary>
    public static void Born(int offset, int bytes) => Fill(offset, bytes, State.Live);

    public static void EndSetup(int bytes)
    {
        Buffer.MemoryCopy(now, initial, Granules, bytes / 4);
        logged = born = 0;
    }

    public static void Restore()
    {
        for (int i = 0; i < logged; i++) Buffer.MemoryCopy(initial + log[i].Offset / 4, now + log[i].Offset / 4, Granules, (log[i].Bytes + 3) / 4);
        logged = born = 0;
    }

    /// <summary>A new object; false when it overlaps one that lives because it was allocated in this execution.</summary>
    public static void Allocate(int offset, int bytes, int site)
    {
        Change(offset, bytes, TrackFresh ? State.Fresh : State.Live);
        if (born < MaxRanges) births[born++] = new Range { Offset = offset, Bytes = bytes, Site = site, Live = true };
    }

    /// <summary>An object dies.</summary>
    public static void Free(int offset, int bytes)
    {
        Change(offset, bytes, State.Freed);
        for (int i = born - 1; i >= 0; i--)
        {
            if (births[i].Offset != offset || !births[i].Live) continue;
            births[i].Live = false;
            return;
        }
    }

    public static bool IsFreed(int offset) => now[offset >> 2] == State.Freed;

    /// <summary>True when a read of these bytes is fine.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Readable(int offset, int size) => now[offset >> 2] == State.Live && (size <= 4 || now[(offset >> 2) + 1] == State.Live);

    /// <summary>True when a write of these bytes is fine; fresh memory becomes initialised.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Writable(int offset, int size) => Readable(offset, size) || WritableSlow(offset, size);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool WritableSlow(int offset, int size)
    {
        for (int g = offset >> 2; g <= (offset + size - 1) >> 2; g++)
        {
            if (now[g] is State.Nothing or State.Freed) return false;
            if (now[g] == State.Fresh) now[g] = State.Live; // its range is logged by Allocate
        }
        return true;
    }

    /// <summary>Why an access to these bytes is wrong.</summary>
    public static Verdict Fault(int offset, int size)
    {
        State worst = State.Live;
        for (int g = offset >> 2; g <= (offset + size - 1) >> 2; g++)
        {
            if (now[g] == State.Freed) return Verdict.UseAfterFree;
            if (now[g] != State.Live) worst = now[g];
        }
        return worst == State.Fresh ? Verdict.Uninitialised : Verdict.WildAccess;
    }

    public static string Describe(int offset, int size) => Fault(offset, size) switch
    {
        Verdict.UseAfterFree => "it was freed",
        Verdict.Uninitialised => "it was never written",
        _ => "nothing was allocated there",
    };

    /// <summary>An object that was allocated in this execution and never freed: its offset and site, or -1.</summary>
    public static int Leaked(out int site)
    {
        for (int i = 0; i < born; i++)
        {
            if (!births[i].Live) continue;
            site = births[i].Site;
            return births[i].Offset;
        }
        site = 0;
        return -1;
    }

    private static void Change(int offset, int bytes, State state)
    {
        if (logged == MaxRanges) throw new InvalidOperationException($"life map: more than {MaxRanges} allocations and frees in one execution");
        log[logged++] = new Range { Offset = offset, Bytes = bytes };
        Fill(offset, bytes, state);
    }

    private static void Fill(int offset, int bytes, State state) => NativeMemory.Fill(now + offset / 4, (nuint)(bytes + 3) / 4, (byte)state);
}
