// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.ExceptionServices;

namespace MemcgNative.Native;

/// <summary>Ties the calling thread to a CPU and says where it runs.</summary>
public interface IThreadPinner
{
    /// <summary>Ties the calling thread to cpu; throws with the cause when that cannot be done.</summary>
    void Pin(CpuId cpu);

    /// <summary>The CPU the calling thread runs on now.</summary>
    CpuId Current();
}

/// <summary>
/// One pinned thread per area of a <see cref="PerCpu"/>: each is its CPU. Between phases the threads are parked, blocked and offline for
/// RCU; a phase starts them together through a gate and ends when the last has returned.
/// </summary>
/// <remarks>
/// Control plane: state under one monitor, on which the controller alone waits; each worker blocks on a bell of its own, so that one that
/// a phase does not want sleeps through it. Nothing is indexed by a mask of CPUs. Not for use by several controllers at once.
/// </remarks>
public sealed unsafe class CpuGang : IDisposable
{
    private readonly PerCpu cpus;
    private readonly IThreadPinner pinner;
    private readonly Thread[] threads;
    private readonly object monitor = new();
    private readonly ManualResetEventSlim[] bells; // no spinning: a worker that waits must not use its CPU

    // All under monitor.
    private delegate*<in ThisCpu, void*, void> work;
    private void* argument;
    private int phase, opened, wanted, ready, running;
    private bool closing;
    private long migrations;
    private (CpuId Own, CpuId Found)? stray;
    private ExceptionDispatchInfo? fault;

    /// <summary>Starts and pins the threads; returns when all are parked. Throws what the pinner threw, or that a thread is not where it was put.</summary>
    /// <exception cref="OsException">The system makes no more threads.</exception>
    /// <remarks>Call it from a thread that is not pinned itself: a new thread inherits its creator's affinity until it pins.</remarks>
    public CpuGang(PerCpu cpus, IThreadPinner pinner)
    {
        ArgumentNullException.ThrowIfNull(cpus);
        ArgumentNullException.ThrowIfNull(pinner);
        this.cpus = cpus;
        this.pinner = pinner;
        Oversubscribed = cpus.Count - Enumerable.Range(0, cpus.Count).Select(cpus.Cpu).Distinct().Count();
        threads = new Thread[cpus.Count];
        bells = new ManualResetEventSlim[cpus.Count];
        running = cpus.Count;
        for (int i = 0; i < bells.Length; i++) bells[i] = new ManualResetEventSlim(false, 0);
        for (int i = 0; i < threads.Length; i++)
        {
            int index = i;
            threads[i] = new Thread(() => Live(index)) { IsBackground = true, Name = $"cpu {cpus.Cpu(i)}" };
            try
            {
                threads[i].Start();
            }
            catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
            {
                Dispose();
                throw new OsException("pthread_create", 0, $"--threads: the system made {i} of {threads.Length} threads and no more",
                    "Look at ulimit -u, pids.max of the cgroup and kernel.threads-max, or ask for fewer");
            }
        }
        lock (monitor)
        {
            while (running != 0) Monitor.Wait(monitor);
        }
        if (fault is not null)
        {
            Dispose();
            fault.Throw();
        }
    }

    /// <summary>Number of threads.</summary>
    public int Count => threads.Length;

    /// <summary>Threads beyond one per CPU: above 0 no figure of this gang is one of CPUs that the machine owns.</summary>
    public int Oversubscribed { get; }

    /// <summary>Threads that <see cref="Dispose"/> had to leave behind.</summary>
    public int Stuck { get; private set; }

    /// <summary>Times a thread was found on another CPU than its own at the end of a phase.</summary>
    public long Migrations
    {
        get
        {
            lock (monitor) return migrations;
        }
    }

    /// <summary>The first thread that was found on another CPU than its own: that one was taken offline, or out of the cpuset.</summary>
    public (CpuId Own, CpuId Found)? Stray
    {
        get
        {
            lock (monitor) return stray;
        }
    }

    /// <summary>True when the workers have been told to return; poll it at the poll point.</summary>
    public static bool ShouldStop(in ThisCpu cpu) => AtomicInt.Load(&cpu.Table->Stop) != 0;

    /// <summary>Tells the workers to return; any thread may call it.</summary>
    public void RequestStop() => AtomicInt.Store(&cpus.Table->Stop, 1);

    /// <summary>One phase: work(cpu, argument) on the first workers threads (0 = all); returns when all have returned, throws what a worker threw.</summary>
    public void Run(delegate*<in ThisCpu, void*, void> work, void* argument, int workers = 0)
    {
        Start(work, argument, workers);
        Wait();
    }

    /// <summary>Begins a phase and takes back an earlier request to stop; the gate opens when every worker stands behind it, online.</summary>
    public void Start(delegate*<in ThisCpu, void*, void> work, void* argument, int workers = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(workers);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(workers, Count);
        lock (monitor)
        {
            ObjectDisposedException.ThrowIf(closing, this);
            if (running != 0) throw new InvalidOperationException("the phase before has not ended");
            if (fault is not null) throw new InvalidOperationException("a worker of this gang failed; its books are broken");
            this.work = work;
            this.argument = argument;
            wanted = running = workers == 0 ? Count : workers;
            ready = 0;
            phase++;
            AtomicInt.Store(&cpus.Table->Stop, 0);
        }
        Ring(wanted);
    }

    /// <summary>
    /// Waits for the end of the phase; false when patience ran out first. Throws what the first failed worker threw, after the others
    /// returned or ten seconds: one that waits for a lock the failed worker held never returns.
    /// </summary>
    public bool Wait(TimeSpan? patience = null)
    {
        long until = patience is { } p ? Environment.TickCount64 + (long)p.TotalMilliseconds : long.MaxValue;
        lock (monitor)
        {
            long grace = long.MaxValue;
            while (running != 0)
            {
                long now = Environment.TickCount64;
                if (fault is not null && grace == long.MaxValue) grace = now + 10_000;
                long left = Math.Min(until, grace) - now;
                if (left <= 0) break;
                Monitor.Wait(monitor, (int)Math.Min(left, int.MaxValue));
            }
            if (fault is null) return running == 0;
        }
        fault.Throw();
        return false;
    }

    /// <summary>
    /// Ends the threads. After a fault some may never return (they wait for a lock the failed worker held): those are left behind and
    /// counted in <see cref="Stuck"/>, and the memory they use must not be freed.
    /// </summary>
    public void Dispose()
    {
        lock (monitor) closing = true;
        Ring(Count);
        RequestStop();
        long until = Environment.TickCount64 + 1000;
        Stuck = threads.Count(t => t is { IsAlive: true } && !t.Join(fault is null ? Timeout.Infinite : (int)Math.Max(0, until - Environment.TickCount64)));
    }

    private void Live(int index)
    {
        bool alive = true;
        try
        {
            pinner.Pin(cpus.Cpu(index));
            CpuId at = pinner.Current();
            if (at != cpus.Cpu(index)) throw new InvalidOperationException($"the thread pinned to CPU {cpus.Cpu(index)} runs on CPU {at}");
        }
        catch (Exception e)
        {
            alive = false;
            Fail(e);
        }
        for (int done = 0; Park(index, ref done) && alive;) alive = RunPhase(index, done);
    }

    /// <summary>Reports the end of a phase and blocks until the next one that wants this worker; false = the gang closes.</summary>
    private bool Park(int index, ref int done)
    {
        lock (monitor)
        {
            if (--running == 0) Monitor.Pulse(monitor);
        }
        for (; ; Sleep(index))
        {
            lock (monitor)
            {
                if (closing) return false;
                if (phase == done) continue;
                done = phase;
                if (index < wanted) return true;
            }
        }
    }

    /// <summary>Blocks until the bell rings. A ring from before is a wake-up for nothing: the caller looks at the state again.</summary>
    private void Sleep(int index)
    {
        bells[index].Wait();
        bells[index].Reset(); // before the caller looks: whoever changes the state rings afterwards
    }

    /// <summary>Wakes the first workers threads; not under the monitor, which they want at once.</summary>
    private void Ring(int workers)
    {
        for (int i = 0; i < workers; i++) bells[i].Set();
    }

    private bool RunPhase(int index, int number)
    {
        ThisCpu cpu = cpus.Witness(index);
        try
        {
            Rcu.CpuOnline(in cpu);
            if (PassGate(index, number)) work(in cpu, argument);
            CpuId own = cpus.Cpu(index), found = pinner.Current();
            if (found != own)
            {
                lock (monitor)
                {
                    migrations++;
                    stray ??= (own, found);
                }
            }
            Rcu.CpuOffline(in cpu);
            return true;
        }
        catch (Exception e)
        {
            Rcu.Abandon(in cpu);
            Fail(e);
            return false;
        }
    }

    /// <summary>Blocks until all workers of the phase are here; false for all of them when one failed on the way, or the gang closed.</summary>
    private bool PassGate(int index, int number)
    {
        bool last;
        lock (monitor)
        {
            last = ++ready == wanted && fault is null && !closing;
            if (last) opened = number;
        }
        if (last) Ring(wanted);
        for (; ; Sleep(index))
        {
            lock (monitor)
            {
                if (opened == number || fault is not null || closing) return opened == number;
            }
        }
    }

    private void Fail(Exception e)
    {
        lock (monitor)
        {
            fault ??= ExceptionDispatchInfo.Capture(e);
            Monitor.Pulse(monitor);
        }
        Ring(Count);
        RequestStop();
    }
}
