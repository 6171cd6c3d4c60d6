// SPDX-License-Identifier: GPL-2.0-only

namespace MemcgNative.Native;

/// <summary>What every ILockKind promises. A rule returns what was broken, or null.</summary>
internal static unsafe class LockRules
{
    /// <summary>How long a waiter is watched: it must not get in before, and must get in after.</summary>
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(30), Patience = TimeSpan.FromSeconds(30);

    public static readonly (string Name, string Sentence)[] All =
    [
        (nameof(FreshIsFree), "A lock is free after Init"),
        (nameof(TryRefusesWhileHeld), "TryAcquire refuses while another CPU holds the lock and leaves it usable"),
        (nameof(HolderExcludes), "A second CPU gets in after the holder's release, not before"),
        (nameof(NoUpdateIsLost), "Plain updates under the lock are never lost"),
        (nameof(WaitForHolderOutlastsTheHolder), "WaitForHolder returns after the holder's release, at once when the lock is free, and takes nothing"),
        (nameof(LocksNest), "Two locks of one kind nest on one CPU and the neighbours' bytes stay what they were"),
    ];

    public static string? Check<TLock>(string rule) where TLock : ILockKind => rule switch
    {
        nameof(FreshIsFree) => FreshIsFree<TLock>(),
        nameof(TryRefusesWhileHeld) => TryRefusesWhileHeld<TLock>(),
        nameof(HolderExcludes) => HolderExcludes<TLock>(),
        nameof(NoUpdateIsLost) => NoUpdateIsLost<TLock>(),
        nameof(WaitForHolderOutlastsTheHolder) => WaitForHolderOutlastsTheHolder<TLock>(),
        nameof(LocksNest) => LocksNest<TLock>(),
        _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "no such rule"),
    };

    private static string? FreshIsFree<TLock>() where TLock : ILockKind
    {
        using var bench = new LockBench<TLock>();
        if (TLock.IsHeld(bench.Lock)) return "held after Init";
        if (!TLock.TryAcquire(bench.Cpu(0), bench.Lock)) return "a free lock refused TryAcquire";
        if (!TLock.IsHeld(bench.Lock)) return "not held after TryAcquire";
        TLock.Release(bench.Cpu(0), bench.Lock);
        return TLock.IsHeld(bench.Lock) ? "held after Release" : null;
    }

    private static string? TryRefusesWhileHeld<TLock>() where TLock : ILockKind
    {
        using var bench = new LockBench<TLock>();
        TLock.Acquire(bench.Cpu(0), bench.Lock);
        for (int i = 0; i < 3; i++)
            if (TLock.TryAcquire(bench.Cpu(1), bench.Lock)) return "two holders";
        TLock.Release(bench.Cpu(0), bench.Lock);
        if (!TLock.TryAcquire(bench.Cpu(1), bench.Lock)) return "a refused TryAcquire left the lock held";
        TLock.Release(bench.Cpu(1), bench.Lock);
        return TLock.IsHeld(bench.Lock) ? "held after the last Release" : null;
    }

    private static string? HolderExcludes<TLock>() where TLock : ILockKind
    {
        using var bench = new LockBench<TLock>();
        using var inside = new ManualResetEventSlim();
        TLock.Acquire(bench.Cpu(0), bench.Lock);
        Thread waiter = LockBench<TLock>.Start(1, cpu =>
        {
            TLock.Acquire(bench.Cpu(cpu), bench.Lock);
            inside.Set();
            TLock.Release(bench.Cpu(cpu), bench.Lock);
        });
        bool early = inside.Wait(Watch);
        TLock.Release(bench.Cpu(0), bench.Lock);
        if (!waiter.Join(Patience)) return bench.Abandon("the waiter never got in");
        return early ? "a second CPU got in while the lock was held" : TLock.IsHeld(bench.Lock) ? "held at the end" : null;
    }

    private static string? NoUpdateIsLost<TLock>() where TLock : ILockKind
    {
        const int Rounds = 20_000;
        using var bench = new LockBench<TLock>();
        using var gate = new Barrier(LockBench<TLock>.Cpus);
        Thread[] threads = [.. Enumerable.Range(0, LockBench<TLock>.Cpus).Select(i => LockBench<TLock>.Start(i, cpu =>
        {
            gate.SignalAndWait();
            for (int round = 0; round < Rounds; round++)
            {
                TLock.Acquire(bench.Cpu(cpu), bench.Lock);
                Guarded<long>.Set(bench.Counter, Guarded<long>.Get(bench.Counter) + 1);
                TLock.Release(bench.Cpu(cpu), bench.Lock);
            }
        }))];
        foreach (Thread t in threads)
            if (!t.Join(Patience)) return bench.Abandon("a thread never got in");
        long count = Guarded<long>.Get(bench.Counter), want = (long)Rounds * threads.Length;
        return count == want ? null : $"{want - count} of {want} updates lost";
    }

    private static string? WaitForHolderOutlastsTheHolder<TLock>() where TLock : ILockKind
    {
        using var bench = new LockBench<TLock>();
        TLock.WaitForHolder(bench.Lock);
        if (TLock.IsHeld(bench.Lock)) return "WaitForHolder took the lock";
        using var returned = new ManualResetEventSlim();
        TLock.Acquire(bench.Cpu(0), bench.Lock);
        Thread waiter = LockBench<TLock>.Start(1, _ =>
        {
            TLock.WaitForHolder(bench.Lock);
            returned.Set();
        });
        bool early = returned.Wait(Watch);
        TLock.Release(bench.Cpu(0), bench.Lock);
        if (!waiter.Join(Patience)) return bench.Abandon("WaitForHolder never returned");
        return early ? "WaitForHolder returned before the holder's release" : null;
    }

    private static string? LocksNest<TLock>() where TLock : ILockKind
    {
        using var bench = new LockBench<TLock>();
        for (int i = 0; i < 3; i++)
        {
            TLock.Acquire(bench.Cpu(0), bench.Lock);
            TLock.Acquire(bench.Cpu(0), bench.Inner);
            if (!TLock.IsHeld(bench.Lock) || !TLock.IsHeld(bench.Inner)) return "one of two nested locks is not held";
            TLock.Release(bench.Cpu(0), bench.Inner);
            if (!TLock.IsHeld(bench.Lock)) return "releasing the inner lock released the outer";
            TLock.Release(bench.Cpu(0), bench.Lock);
        }
        return bench.CanariesAlive ? null : "the lock wrote outside its eight bytes";
    }
}
