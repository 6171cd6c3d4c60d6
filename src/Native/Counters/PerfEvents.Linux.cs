// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class PerfEvents
{
    // include/uapi/linux/perf_event.h
    private const uint PERF_TYPE_HARDWARE = 0, PERF_TYPE_SOFTWARE = 1;
    private const nuint PERF_FLAG_FD_CLOEXEC = 8;
    private const nuint PERF_EVENT_IOC_ENABLE = 0x2400, PERF_EVENT_IOC_DISABLE = 0x2401, PERF_EVENT_IOC_RESET = 0x2403;
    private const ulong AttrDisabled = 1, AttrExcludeKernel = 1 << 5, AttrExcludeHypervisor = 1 << 6;
    private const ulong FormatTotalTimeEnabled = 1, FormatTotalTimeRunning = 2;

    /// <summary>KernelSide: the event happens in the kernel, so without the kernel's share it would count nothing: a zero that is no count.</summary>
    private static readonly (string Name, uint Type, ulong Config, bool KernelSide)[] standard =
    [
        ("page-faults", PERF_TYPE_SOFTWARE, 2, false), ("context-switches", PERF_TYPE_SOFTWARE, 3, true),
        ("cpu-migrations", PERF_TYPE_SOFTWARE, 4, true), ("task-clock", PERF_TYPE_SOFTWARE, 1, false),
        ("cycles", PERF_TYPE_HARDWARE, 0, false), ("instructions", PERF_TYPE_HARDWARE, 1, false),
        ("cache-misses", PERF_TYPE_HARDWARE, 3, false), ("branch-misses", PERF_TYPE_HARDWARE, 5, false),
    ];

    [SupportedOSPlatform("linux")]
    private static PerfEvent[] OpenLinux() => Array.ConvertAll(standard, s =>
    {
        int fd = Open(s.Type, s.Config, 0);
        if (fd >= 0) return new PerfEvent(s.Name, fd, null);
        // Without the right to count the kernel, one's own user code may still be countable.
        if (fd is -Errno.EACCES or -Errno.EPERM && !s.KernelSide)
        {
            int user = Open(s.Type, s.Config, AttrExcludeKernel | AttrExcludeHypervisor);
            if (user >= 0) return new PerfEvent($"{s.Name}:u", user, null);
            fd = user;
        }
        return new PerfEvent(s.Name, -1, Why(-fd, s.KernelSide, SysText.TryReadLong("/proc/sys/kernel/perf_event_paranoid")));
    });

    [SupportedOSPlatform("linux")]
    private static int Open(uint type, ulong config, ulong exclude)
    {
        PerfEventAttr attr = default;
        attr.Type = type;
        attr.Size = (uint)sizeof(PerfEventAttr);
        attr.Config = config;
        attr.ReadFormat = FormatTotalTimeEnabled | FormatTotalTimeRunning;
        attr.Flags = AttrDisabled | exclude;
        return OsCalls.PerfEventOpen(&attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    }

    /// <summary>Why perf_event_open refuses, in words (man 2 perf_event_open, ERRORS).</summary>
    internal static string Why(int errno, bool kernelSide, long? paranoid) => errno switch
    {
        Errno.ENOENT or Errno.EOPNOTSUPP or Errno.ENODEV => $"this CPU or virtual machine exposes no such counter ({Errno.Name(errno)})",
        Errno.EACCES or Errno.EPERM when paranoid > 2 =>
            $"kernel.perf_event_paranoid is {paranoid}; for your own threads 2 is enough: sysctl -w kernel.perf_event_paranoid=2 ({Errno.Name(errno)})",
        Errno.EACCES or Errno.EPERM when kernelSide && paranoid > 1 =>
            $"kernel.perf_event_paranoid is {paranoid}; events inside the kernel need 1: sysctl -w kernel.perf_event_paranoid=1 ({Errno.Name(errno)})",
        Errno.EACCES or Errno.EPERM => $"a seccomp filter or security module forbids perf_event_open ({Errno.Name(errno)})",
        Errno.EMFILE => "too many open files: ulimit -n (EMFILE)",
        Errno.EBUSY => "another program has the counters for itself (EBUSY)",
        Errno.ENOSYS => "this kernel is built without perf events (ENOSYS)",
        Errno.ENOSPC or Errno.EINVAL => $"this CPU cannot count it as asked ({Errno.Name(errno)})",
        _ => $"perf_event_open failed ({Errno.Name(errno)})",
    };

    [SupportedOSPlatform("linux")]
    private void Control(nuint first, nuint second)
    {
        foreach (PerfEvent e in events)
        {
            if (e.Fd < 0) continue;
            _ = OsCalls.Ioctl(e.Fd, first, 0);
            if (second != 0) _ = OsCalls.Ioctl(e.Fd, second, 0);
        }
    }

    [SupportedOSPlatform("linux")]
    private static PerfCount ReadLinux(PerfEvent e)
    {
        // value, time enabled, time running: PERF_FORMAT_TOTAL_TIME_*.
        ulong* v = stackalloc ulong[3];
        nint r = OsCalls.Read(e.Fd, v, 24);
        if (r != 24) return new PerfCount(e.Name, null, 0, r < 0 ? $"reading the counter failed ({Errno.Name((int)-r)})" : "the counter is in an error state");
        return Scale(e.Name, v[0], v[1], v[2]);
    }

    /// <summary>A counter that shared its register counted for a part of the time only: value * enabled / running.</summary>
    internal static PerfCount Scale(string name, ulong value, ulong enabledNs, ulong runningNs)
    {
        // Not started yet, or the thread never ran: nothing to scale. Enabled but never running: no register was free.
        if (enabledNs == 0) return new PerfCount(name, null, 0, "the counter was never started");
        if (runningNs == 0) return new PerfCount(name, null, 0, "no counter register was free while it was enabled");
        double running = Math.Min(1.0, (double)runningNs / enabledNs);
        return new PerfCount(name, runningNs >= enabledNs ? (long)value : (long)(value / running), running, null);
    }
}

/// <summary>struct perf_event_attr, first version (PERF_ATTR_SIZE_VER0): the kernel takes any version by its size.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PerfEventAttr
{
    public uint Type, Size;
    public ulong Config, SamplePeriod, SampleType, ReadFormat, Flags;
    public uint WakeupEvents, BreakpointType;
    public ulong Config1;
}
