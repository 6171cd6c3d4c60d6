// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>One of the accounting's own lines, handed to and fro between two CPUs, and touched by one CPU while it lies in memory.</summary>
internal unsafe interface ILine
{
    /// <summary>As --line takes it.</summary>
    static abstract string Name { get; }

    /// <summary>What one turn is, for the reader.</summary>
    static abstract string What { get; }

    /// <summary>Line moves in one turn of both CPUs: the time of a turn is divided by it.</summary>
    static abstract int MovesPerTurn { get; }

    /// <summary>One turn of CPU me (0 or 1): waits until it is its turn, acts, hands over. Ended by the other CPU's turn.</summary>
    static abstract void Turn(in ThisCpu cpu, byte* line, int me, long turn);

    /// <summary>What a charge does to the line when nobody contends; returns what it read, so that the next touch can depend on it.</summary>
    static abstract long Alone(in ThisCpu cpu, byte* line);
}

/// <summary>page_counter: usage, charged by an atomic add. The real structure of 6.18, usage alone in its line.</summary>
internal readonly unsafe struct PageCounterLine : ILine
{
    public static string Name => "page_counter";
    public static string What => "each CPU in turn charges the counter: an atomic add to usage";
    public static int MovesPerTurn => 2;

    public static void Turn(in ThisCpu cpu, byte* line, int me, long turn)
    {
        AtomicLong* usage = PageCounter192.Usage(line);
        long want = 2 * turn + me, seen;
        while ((seen = AtomicLong.Load(usage)) != want) AtomicLong.AwaitNot(usage, seen); // ended by the other CPU's add
        AtomicLong.AddReturn(usage, 1);
    }

    public static long Alone(in ThisCpu cpu, byte* line) => AtomicLong.AddReturn(PageCounter192.Usage(line), 1);
}

/// <summary>lru_lock: a ticket lock, taken by both in turn; the count it guards lies in the next line pair.</summary>
internal readonly unsafe struct LruLockLine : ILine
{
    public static string Name => "lru_lock";
    public static string What => "each CPU in turn takes the ticket lock, moves a count in the list's line, releases";
    public static int MovesPerTurn => 2;

    public static void Turn(in ThisCpu cpu, byte* line, int me, long turn)
    {
        var l = (LockWord*)line;
        var count = (AtomicLong*)(line + CacheLine.Apart);
        for (bool done = false; !done;)
        {
            TicketLock.Acquire(in cpu, l);
            done = AtomicLong.Load(count) == 2 * turn + me;
            if (done) AtomicLong.Store(count, 2 * turn + me + 1);
            TicketLock.Release(in cpu, l);
        }
    }

    public static long Alone(in ThisCpu cpu, byte* line)
    {
        TicketLock.Acquire(in cpu, (LockWord*)line);
        TicketLock.Release(in cpu, (LockWord*)line);
        return AtomicInt.Load(&((LockWord*)line)->High);
    }
}

/// <summary>stock: the owner's plain store, which another CPU's drain reads; the drain's request goes back in a line of its own.</summary>
internal readonly unsafe struct StockLine : ILine
{
    public static string Name => "stock";
    public static string What => "the owner stores into its stock, another CPU's drain reads it and rings back in a line of its own";
    public static int MovesPerTurn => 2;

    public static void Turn(in ThisCpu cpu, byte* line, int me, long turn)
    {
        var pages = (AtomicInt*)line;
        var request = (AtomicInt*)(line + CacheLine.Apart);
        if (me == 0)
        {
            AtomicInt.AwaitEqual(request, (int)turn); // ended by the drain's store
            AtomicInt.Store(pages, (int)turn + 1);
        }
        else
        {
            AtomicInt.AwaitEqual(pages, (int)turn + 1); // ended by the owner's store
            AtomicInt.Store(request, (int)turn + 1);
        }
    }

    public static long Alone(in ThisCpu cpu, byte* line)
    {
        int pages = AtomicInt.Load((AtomicInt*)line);
        AtomicInt.Store((AtomicInt*)line, pages + 1);
        return pages;
    }
}
