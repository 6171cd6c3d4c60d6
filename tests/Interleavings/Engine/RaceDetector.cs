// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Vector clocks over what the program itself orders (release to acquire, read-modify-writes, locks), exact per execution: a plain access
/// that nothing orders against another CPU's access is a race, however lucky the schedule was. A CPU's irq role runs on its CPU's clock.
/// </summary>
internal static unsafe class RaceDetector
{
    private struct Shadow
    {
        public int Epoch;
        public int PlainWriter;
        public int PlainWriteAt;
        public uint PlainReaders, MarkedReaders, MarkedWriters;
        public bool Published;
        public CpuClock Release;
        public fixed int PlainReadAt[8], MarkedReadAt[8], MarkedWriteAt[8];
    }

    private static Shadow* shadows;
    private static CpuClock* clock, fence, pendingAcquire;
    private static int epoch;

    /// <summary>Races are looked for.</summary>
    public static bool Enabled;

    public static void Initialise()
    {
        shadows = (Shadow*)NativeMemory.AllocZeroed(Limits.Locations, (nuint)sizeof(Shadow));
        clock = (CpuClock*)NativeMemory.AllocZeroed(3 * Limits.Cpus, (nuint)sizeof(CpuClock));
        fence = clock + Limits.Cpus;
        pendingAcquire = fence + Limits.Cpus;
    }

    public static void Reset(int cpus)
    {
        epoch++;
        NativeMemory.Clear(clock, (nuint)(3 * Limits.Cpus * sizeof(CpuClock)));
        for (int c = 0; c < cpus; c++) clock[c].At[c] = 1;
    }

    /// <summary>A marked read; acquires what the location publishes, unless the CPU read its own store back from its buffer.</summary>
    public static void Read(int cpu, int location, bool relaxed, int site, bool forwarded = false)
    {
        Shadow* s = Of(location);
        if (s->Published && !forwarded) CpuClock.Join(relaxed ? pendingAcquire + cpu : clock + cpu, &s->Release);
        if (s->PlainWriter >= 0) AgainstPlainWrite(cpu, s, location, "marked read", site);
        s->MarkedReadAt[cpu] = clock[cpu].At[cpu];
        s->MarkedReaders |= 1u << cpu;
    }

    /// <summary>A marked write is issued; what it publishes goes to <see cref="Publish"/> when it reaches memory.</summary>
    public static void Write(int cpu, int location, int site)
    {
        Shadow* s = Of(location);
        if (s->PlainWriter >= 0) AgainstPlainWrite(cpu, s, location, "marked write", site);
        s->MarkedWriteAt[cpu] = clock[cpu].At[cpu];
        s->MarkedWriters |= 1u << cpu;
    }

    /// <summary>What a store of this CPU publishes now.</summary>
    public static void Release(int cpu, bool relaxed, CpuClock* into)
    {
        *into = relaxed ? fence[cpu] : clock[cpu];
        if (!relaxed) clock[cpu].At[cpu]++;
    }

    /// <summary>A store reached memory: readers acquire this and nothing older.</summary>
    public static void Publish(int location, CpuClock* what)
    {
        Shadow* s = Of(location);
        s->Published = true;
        s->Release = *what;
    }

    /// <summary>A read-modify-write continues what the location publishes.</summary>
    public static void PublishToo(int cpu, int location)
    {
        Shadow* s = Of(location);
        if (s->Published) CpuClock.Join(&s->Release, clock + cpu);
        else s->Release = clock[cpu];
        s->Published = true;
        clock[cpu].At[cpu]++;
    }

    public static void Fence(int cpu)
    {
        CpuClock.Join(clock + cpu, pendingAcquire + cpu);
        fence[cpu] = clock[cpu];
        clock[cpu].At[cpu]++;
    }

    public static void PlainRead(int cpu, int location, int site)
    {
        Shadow* s = Of(location);
        if (s->PlainWriter >= 0) AgainstPlainWrite(cpu, s, location, "plain read", site);
        if (s->MarkedWriters != 0) Against(cpu, s->MarkedWriters, s->MarkedWriteAt, location, "plain read", "marked write", site);
        s->PlainReadAt[cpu] = clock[cpu].At[cpu];
        s->PlainReaders |= 1u << cpu;
    }

    /// <summary>A plain store; memory handed out or taken back counts as one to all of it.</summary>
    public static void PlainWrite(int cpu, int location, string what, int site)
    {
        Shadow* s = Of(location);
        if (s->PlainWriter >= 0) AgainstPlainWrite(cpu, s, location, what, site);
        if (s->PlainReaders != 0) Against(cpu, s->PlainReaders, s->PlainReadAt, location, what, "plain read", site);
        if (s->MarkedReaders != 0) Against(cpu, s->MarkedReaders, s->MarkedReadAt, location, what, "marked read", site);
        if (s->MarkedWriters != 0) Against(cpu, s->MarkedWriters, s->MarkedWriteAt, location, what, "marked write", site);
        s->PlainWriter = cpu;
        s->PlainWriteAt = clock[cpu].At[cpu];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Shadow* Of(int location)
    {
        Shadow* s = shadows + location;
        if (s->Epoch == epoch) return s;
        s->Epoch = epoch;
        s->PlainWriter = -1;
        s->PlainReaders = s->MarkedReaders = s->MarkedWriters = 0;
        s->Published = false;
        return s;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AgainstPlainWrite(int cpu, Shadow* s, int location, string what, int site)
    {
        if (s->PlainWriter != cpu && s->PlainWriteAt > clock[cpu].At[s->PlainWriter]) Report(cpu, s->PlainWriter, location, what, "plain write", site);
    }

    private static void Against(int cpu, uint others, int* at, int location, string what, string theirs, int site)
    {
        for (int c = 0; others >> c != 0; c++)
            if (c != cpu && (others >> c & 1) != 0 && at[c] > clock[cpu].At[c]) Report(cpu, c, location, what, theirs, site);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Report(int cpu, int other, int location, string what, string theirs, int site)
    {
        if (Enabled) Run.Fail(Verdict.DataRace, $"{what} of {Locations.Name(location)} by CPU{cpu} races with a {theirs} by CPU{other}", site);
    }
}
