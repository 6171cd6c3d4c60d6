// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>How an episode ended; Broken holds what was wrong, with the rings, when it did not end well.</summary>
internal sealed record EpisodeResult(IReadOnlyList<Worker> Workers, string? Broken, string Statistics, TimeSpan Lasted);

/// <summary>
/// One type, set up once, for a while: phases of random work on pinned threads, between them all CPUs parked and every book compared.
/// A failure stops everything; memory is leaked rather than freed, because a CPU may still look at it.
/// </summary>
internal sealed unsafe class Episode(TortureType type, Setting setting, TortureOptions options, TextWriter log)
{
    private static readonly TimeSpan phase = TimeSpan.FromMilliseconds(400);
    private readonly TimeSpan stall = TimeSpan.FromSeconds(options.Stall);

    private readonly Worker[] workers = [.. Enumerable.Range(0, setting.Cpus.Count).Select(i => new Worker(i, setting.Seed, type.Counters))];
    private readonly object monitor = new();
    private string? broken;

    /// <summary>Runs it to the end or to the first failure.</summary>
    public EpisodeResult Run(TimeSpan length)
    {
        long start = Stopwatch.GetTimestamp(), second = 0;
        Perturb.Abort = false;
        Perturb.FailMask = 0;
        type.Begin(setting);
        var gang = new CpuGang(type.Cpus, ThreadAffinity.Pinner);
        GCHandle self = GCHandle.Alloc(this);
        for (int round = 0; broken is null && (round == 0 || (options.Ops == 0 ? Stopwatch.GetElapsedTime(start) < length : Done < options.Ops)); round++)
        {
            Perturb.DelayMask = options.Delay == 0 || (round / 3 & 1) == 1 ? 0 : options.Delay - 1; // about a second with, a second without
            Perturb.FailMask = type.Allocates && options.Fail != 0 && (round & 1) == 1 ? options.Fail - 1 : 0;
            Phase(gang, self, start, length);
            Perturb.FailMask = 0;
            if (broken is null) Report(type.Check);
            if (Stopwatch.GetElapsedTime(start).TotalSeconds - second >= 1)
            {
                second = (long)Stopwatch.GetElapsedTime(start).TotalSeconds;
                log.WriteLine(Line());
            }
            if ((round & 7) == 7) Thread.Sleep(20); // stutter: everything at rest, then everything at once
        }
        Perturb.DelayMask = 0;
        if (broken is null) Report(type.Finish);
        string statistics = Line();
        if (broken is null)
        {
            gang.Dispose();
            self.Free();
            type.TearDown();
        }
        else
        {
            Perturb.Abort = true;
            broken += "\n" + Rings() + Skeleton.Of(type, workers, setting.Seed);
        }
        return new EpisodeResult(workers, broken, statistics, Stopwatch.GetElapsedTime(start));
    }

    private long Done => workers.Sum(w => w.Operations);

    private void Phase(CpuGang gang, GCHandle self, long start, TimeSpan length)
    {
        TimeSpan left = options.Ops == 0 ? length - Stopwatch.GetElapsedTime(start) : phase;
        long end = Stopwatch.GetTimestamp() + (long)(Math.Clamp(left.TotalSeconds, 0.05, phase.TotalSeconds) * Stopwatch.Frequency);
        try
        {
            gang.Start(&Work, (void*)GCHandle.ToIntPtr(self));
            long[] beat = [.. workers.Select(w => w.Operations)];
            long[] changed = [.. workers.Select(_ => Stopwatch.GetTimestamp())];
            bool asked = false;
            while (!gang.Wait(TimeSpan.FromMilliseconds(asked ? 20 : Math.Clamp((end - Stopwatch.GetTimestamp()) * 1000.0 / Stopwatch.Frequency, 1, 100))))
            {
                if (!asked && Stopwatch.GetTimestamp() >= end)
                {
                    gang.RequestStop();
                    asked = true;
                }
                for (int i = 0; i < workers.Length; i++)
                {
                    long now = Volatile.Read(ref workers[i].Operations);
                    if (now != beat[i]) (beat[i], changed[i]) = (now, Stopwatch.GetTimestamp());
                }
                if (!asked && Enumerable.Range(0, workers.Length).FirstOrDefault(i => Stopwatch.GetElapsedTime(changed[i]) > stall, -1) is >= 0 and var stuck)
                    Fail($"watchdog: cpu {stuck} has done nothing for {stall.TotalSeconds:0} s");
                if (asked && Stopwatch.GetElapsedTime(end) > stall) Fail($"watchdog: a cpu did not come to an end within {stall.TotalSeconds:0} s");
                if (Volatile.Read(ref broken) is not null && Stopwatch.GetElapsedTime(end) > 2 * stall) return;
            }
        }
        catch (Exception e)
        {
            Fail(Explain(e));
        }
    }

    private static void Work(in ThisCpu cpu, void* argument)
    {
        var episode = (Episode)GCHandle.FromIntPtr((nint)argument).Target!;
        Worker w = episode.workers[cpu.Index];
        Perturb.Enter(w, (uint)w.Random(int.MaxValue));
        (long delays, long waits, long injected) = (Perturb.Delays, Perturb.Waits, Perturb.Injected);
        try
        {
            episode.Loop(cpu, w);
        }
        catch (Exception e)
        {
            episode.Fail(Explain(e), cpu.Index);
            throw; // the gang takes the CPU out; its callbacks are dropped
        }
        finally
        {
            w.Delays += Perturb.Delays - delays;
            w.Waits += Perturb.Waits - waits;
            w.Injected += Perturb.Injected - injected;
            Perturb.Enter(null, 0);
        }
    }

    private void Loop(in ThisCpu cpu, Worker w)
    {
        while (!CpuGang.ShouldStop(cpu))
        {
            type.Step(cpu, w);
            if (!w.OneIn(4)) Poll.Run(cpu);
            if (w.OneIn(options.Hotplug)) Hotplug(cpu, w);
            if (Perturb.Abort) throw new TortureStopped();
        }
        type.Leave(cpu);
    }

    /// <summary>cpu_down and cpu_up at a safe point.</summary>
    private void Hotplug(in ThisCpu cpu, Worker w)
    {
        type.Leave(cpu);
        Rcu.CpuOffline(cpu);
        w.Hotplugs++;
        if (w.OneIn(8)) Thread.Sleep(w.Random(3));
        else Perturb.Spin(w.Random(2000));
        Rcu.CpuOnline(cpu);
    }

    private static string Explain(Exception e) => e is BugException or TortureException ? e.Message : e.ToString();

    /// <summary>The first failure counts; the others follow from it.</summary>
    private void Fail(string what, int cpu = -1)
    {
        Perturb.Abort = true;
        lock (monitor)
        {
            if (what.Contains(nameof(TortureStopped), StringComparison.Ordinal)) return;
            broken ??= cpu < 0 ? what : $"cpu {cpu}: {what}";
        }
    }

    private void Report(Action<ICollection<string>> check)
    {
        var wrong = new List<string>();
        try
        {
            check(wrong);
        }
        catch (Exception e)
        {
            wrong.Add(Explain(e));
        }
        if (wrong.Count != 0) Fail("books: " + string.Join("\nbooks: ", wrong.Take(12)));
    }

    private string Rings()
    {
        var text = new StringBuilder();
        long now = Stopwatch.GetTimestamp();
        foreach (Worker w in workers) w.Dump(text, now);
        return text.ToString();
    }

    private string Line()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"memcg-torture: {type.Name}{type.Detail}: ops {Done}");
        for (int i = 0; i < type.Counters.Count; i++) text.Append(CultureInfo.InvariantCulture, $" {type.Counters[i]} {workers.Sum(w => w.Count(i))}");
        text.Append(CultureInfo.InvariantCulture, $" | waits {workers.Sum(w => w.Waits)} hotplug {workers.Sum(w => w.Hotplugs)} delays {workers.Sum(w => w.Delays)}");
        if (type.Allocates) text.Append(CultureInfo.InvariantCulture, $" alloc-fail-injected {workers.Sum(w => w.Injected)}");
        if (type.Statistics.Length != 0) text.Append(" | ").Append(type.Statistics);
        return text.ToString();
    }
}

/// <summary>A rule of the torture itself was broken; the message says which, with its values.</summary>
internal sealed class TortureException(string message) : Exception(message);
