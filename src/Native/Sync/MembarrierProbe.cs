// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>Whether the process-wide barrier orders anything here, and why one thinks so.</summary>
/// <param name="Usable">False: the membarrier flavour must be refused, with <see cref="Reason"/>.</param>
/// <param name="Reason">One line for the user.</param>
/// <param name="Rounds">Rounds played of each kind.</param>
/// <param name="WeakWithout">Rounds in which both threads missed the other's store, with no barrier: the machine does show it.</param>
/// <param name="WeakWith">The same with the process-wide barrier on one side; more than 0 means that it is none.</param>
public readonly record struct MembarrierVerdict(bool Usable, string Reason, long Rounds, long WeakWithout, long WeakWith);

/// <summary>
/// Tries the process-wide barrier on the shape it has to order: store buffering, one side a plain store and load (the reader), the other
/// with the barrier between (who looks for the end of a grace period). Control plane; takes as long as it is told to.
/// </summary>
/// <remarks>
/// Wine's FlushProcessWriteBuffers returns at once. That is known by Wine's own export and refused without a trial, because a trial that
/// sees nothing weak proves nothing.
/// </remarks>
public static unsafe class MembarrierProbe
{
    private const int Cells = 128; // per round; more would leave the caches and show nothing (page-accounting.md, race B2)

    [StructLayout(LayoutKind.Explicit, Size = CacheLine.Apart)]
    private struct Pair
    {
        [FieldOffset(0)] public AtomicInt X;
        [FieldOffset(4)] public AtomicInt SeenByReader;
        [FieldOffset(64)] public AtomicInt Y;
        [FieldOffset(68)] public AtomicInt SeenByOther;
    }

    [StructLayout(LayoutKind.Explicit, Size = 3 * CacheLine.Apart)]
    private struct Table
    {
        [FieldOffset(0)] public AtomicInt Go;
        [FieldOffset(128)] public AtomicInt Done;
        [FieldOffset(256)] public GuardedPtr<Pair> Pairs;
    }

    /// <summary>Plays for about duration and judges.</summary>
    public static MembarrierVerdict Run(TimeSpan duration)
    {
        if (IsWine()) return new(false, "--rcu membarrier refused: under Wine the process-wide barrier does nothing; qsbr takes over", 0, 0, 0);

        var table = (Table*)NativeMemory.AlignedAlloc((nuint)sizeof(Table), CacheLine.Apart);
        var pairs = (Pair*)NativeMemory.AlignedAlloc((nuint)(Cells * sizeof(Pair)), CacheLine.Apart);
        NativeMemory.Clear(table, (nuint)sizeof(Table));
        GuardedPtr<Pair>.Set(&table->Pairs, pairs);
        nint handle = (nint)table;
        Thread reader = new(() => Read((Table*)handle)) { IsBackground = true, Name = "membarrier probe" };
        reader.Start();

        long rounds = 0, weakWithout = 0, weakWith = 0;
        long until = Environment.TickCount64 + (long)duration.TotalMilliseconds;
        for (int turn = 1; turn == 1 || Environment.TickCount64 < until; rounds++)
        {
            weakWithout += Round(table, pairs, turn++, barrier: false);
            weakWith += Round(table, pairs, turn++, barrier: true);
        }
        AtomicInt.Store(&table->Go, -1);
        reader.Join();
        NativeMemory.AlignedFree(pairs);
        NativeMemory.AlignedFree(table);
        return Judge(rounds * Cells, weakWithout, weakWith);
    }

    /// <summary>What the counts mean.</summary>
    public static MembarrierVerdict Judge(long rounds, long weakWithout, long weakWith) => (weakWithout, weakWith) switch
    {
        (_, > 0) => new(false, $"--rcu membarrier refused: {weakWith} of {rounds} trials were weak across the process-wide barrier; qsbr takes over",
            rounds, weakWithout, weakWith),
        (0, _) => new(true, $"the process-wide barrier is the system's word: none of {rounds} trials was weak even without it", rounds, 0, 0),
        _ => new(true, $"the process-wide barrier holds: 0 of {rounds} trials weak with it, {weakWithout} without", rounds, weakWithout, 0),
    };

    private static int Round(Table* table, Pair* pairs, int turn, bool barrier)
    {
        NativeMemory.Clear(pairs, (nuint)(Cells * sizeof(Pair)));
        AtomicInt.Store(&table->Go, turn);
        for (Pair* p = pairs; p < pairs + Cells; p++)
        {
            AtomicInt.Store(&p->Y, 1);
            if (barrier) Machine.HeavyFence();
            AtomicInt.Store(&p->SeenByOther, AtomicInt.Load(&p->X));
        }
        AtomicInt.AwaitEqual(&table->Done, turn); // ended by the reader; yields when that is descheduled
        int weak = 0;
        for (Pair* p = pairs; p < pairs + Cells; p++)
        {
            if (AtomicInt.Load(&p->SeenByOther) == 0 && AtomicInt.Load(&p->SeenByReader) == 0) weak++;
        }
        return weak;
    }

    private static void Read(Table* table)
    {
        Pair* pairs = GuardedPtr<Pair>.Get(&table->Pairs);
        for (int turn = 0; (turn = AtomicInt.AwaitNot(&table->Go, turn)) > 0;) // ended by the caller's next round, or its end
        {
            for (Pair* p = pairs; p < pairs + Cells; p++)
            {
                AtomicInt.Store(&p->X, 1);
                AtomicInt.Store(&p->SeenByReader, AtomicInt.Load(&p->Y));
            }
            AtomicInt.Store(&table->Done, turn);
        }
    }

    private static bool IsWine() => OperatingSystem.IsWindows() && NativeLibrary.TryLoad("ntdll.dll", out nint ntdll)
        && NativeLibrary.TryGetExport(ntdll, "wine_get_version", out _);
}
