// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// The CPUs the calling thread may run on. A new .NET thread inherits its creator's set: pin inside the thread, and make workers from
/// a thread that is not pinned. Masks are as long as they must be; CPU numbers have no upper bound here.
/// </summary>
public static partial class ThreadAffinity
{
    /// <summary>The operating system as a gang sees it.</summary>
    public static IThreadPinner Pinner { get; } = new SystemPinner();

    /// <summary>The CPUs the calling thread may run on, ascending.</summary>
    /// <exception cref="OsException">The system does not say.</exception>
    public static IReadOnlyList<CpuId> Allowed() =>
        OsCalls.OnWindows ? AllowedWindows() : OperatingSystem.IsLinux() ? AllowedLinux() : throw VirtualRegion.NotHere("thread affinity");

    /// <summary>Lets the calling thread run on these CPUs only: undoes <see cref="Pin"/> with what <see cref="Allowed"/> said before.</summary>
    /// <exception cref="OsException">None of them exists or is allowed; on Windows also when they lie in several groups.</exception>
    public static void Allow(IReadOnlyList<CpuId> cpus)
    {
        ArgumentNullException.ThrowIfNull(cpus);
        if (cpus.Count == 0) throw new ArgumentException("no CPU", nameof(cpus));
        if (OsCalls.OnWindows) AllowWindows(cpus);
        else if (OperatingSystem.IsLinux()) AllowLinux(cpus);
        else throw VirtualRegion.NotHere("thread affinity");
    }

    /// <summary>Pins the calling thread to one CPU and checks that it runs there. Returns the set it had, for <see cref="Allow"/>.</summary>
    /// <exception cref="OsException">The CPU does not exist, is offline or outside of the cpuset.</exception>
    public static IReadOnlyList<CpuId> Pin(CpuId cpu)
    {
        IReadOnlyList<CpuId> before = Allowed();
        Allow([cpu]);
        CpuId now = Current();
        // A CPU that went offline in between: the kernel then lifts the mask instead of failing.
        if (now != cpu) throw new OsException("getcpu", 0, $"--cpus: pinned to CPU {cpu} but running on CPU {now}", "Is the CPU being taken offline?");
        return before;
    }

    /// <summary>The CPU the calling thread runs on now, by a system call: about 0.2 us.</summary>
    public static CpuId Current() => OsCalls.OnWindows ? CurrentWindows() : OperatingSystem.IsLinux() ? CurrentLinux().Cpu : throw VirtualRegion.NotHere("getcpu");

    private sealed class SystemPinner : IThreadPinner
    {
        void IThreadPinner.Pin(CpuId cpu) => Pin(cpu);

        CpuId IThreadPinner.Current() => Current();
    }
}
