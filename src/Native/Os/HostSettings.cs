// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>One setting of the host: a value, or the reason why there is none. Never both, never neither.</summary>
/// <param name="Value">As the system spells it.</param>
/// <param name="Reason">Why it is not known.</param>
public readonly record struct Setting(string? Value, string? Reason)
{
    /// <inheritdoc/>
    public override string ToString() => Value ?? $"n/a ({Reason})";
}

/// <summary>What of the host bends a measurement: read only, and from any root, so that recorded machines can be read too.</summary>
public sealed class HostSettings
{
    private readonly string root;

    private HostSettings(string root) => this.root = root;

    /// <summary>Distinct frequency governors of the CPUs, joined by a comma.</summary>
    public Setting Governor { get; private init; }
    /// <summary>on or off: whether the clock may exceed the nominal one.</summary>
    public Setting Turbo { get; private init; }
    /// <summary>always, madvise or never.</summary>
    public Setting Thp { get; private init; }
    /// <summary>A bit mask: 0 off, 1 balancing, 2 memory tiering (Documentation/admin-guide/sysctl/kernel.rst). 2 moves pages as well.</summary>
    public Setting NumaBalancing { get; private init; }
    /// <summary>0, 1 or 2.</summary>
    public Setting Aslr { get; private init; }
    /// <summary>-1 to 4; 2 is enough to count one's own threads.</summary>
    public Setting PerfEventParanoid { get; private init; }
    /// <summary>tsc is the fast one.</summary>
    public Setting Clocksource { get; private init; }
    /// <summary>Share of the last 10 s in which some task waited for a CPU, percent.</summary>
    public Setting CpuPressureSomeAvg10 { get; private init; }
    /// <summary>Time since boot in which some task waited for a CPU, us; a share needs two readings.</summary>
    public Setting CpuPressureSomeTotal { get; private init; }
    /// <summary>Ticks since boot that the hypervisor gave to others; a rate needs two readings.</summary>
    public Setting StealTicks { get; private init; }
    /// <summary>uname -r.</summary>
    public Setting KernelRelease { get; private init; }
    /// <summary>none, or what the CPU says of its hypervisor: "virtual machine", with the vendor where DMI has it.</summary>
    public Setting Virtualization { get; private init; }
    /// <summary>CPUs taken from the scheduler, as the kernel lists them; empty = none.</summary>
    public Setting IsolatedCpus { get; private init; }
    /// <summary>v1, v2 or hybrid.</summary>
    public Setting Cgroup { get; private init; }
    /// <summary>Nodes this process may use, as the kernel lists them.</summary>
    public Setting CpusetMems { get; private init; }

    /// <summary>All settings with their names, in the order above, for results and reports.</summary>
    public IReadOnlyList<KeyValuePair<string, Setting>> All =>
    [
        new("governor", Governor), new("turbo", Turbo), new("thp", Thp), new("numa_balancing", NumaBalancing), new("aslr", Aslr),
        new("perf_event_paranoid", PerfEventParanoid), new("clocksource", Clocksource), new("psi_cpu_some_avg10", CpuPressureSomeAvg10),
        new("psi_cpu_some_total", CpuPressureSomeTotal), new("steal_ticks", StealTicks), new("kernel", KernelRelease), new("virtualization", Virtualization),
        new("isolcpus", IsolatedCpus), new("cgroup", Cgroup), new("cpuset_mems", CpusetMems),
    ];

    /// <summary>Reads the host.</summary>
    /// <param name="root">"/", or a recorded machine.</param>
    public static HostSettings Read(string root = "/")
    {
        var at = new HostSettings(root);
        return new HostSettings(root)
        {
            Governor = at.ReadGovernor(),
            Turbo = at.ReadTurbo(),
            Thp = at.Text("sys/kernel/mm/transparent_hugepage/enabled", Chosen),
            NumaBalancing = at.Text("proc/sys/kernel/numa_balancing"),
            Aslr = at.Text("proc/sys/kernel/randomize_va_space"),
            PerfEventParanoid = at.Text("proc/sys/kernel/perf_event_paranoid"),
            Clocksource = at.Text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            CpuPressureSomeAvg10 = at.Text("proc/pressure/cpu", text => Field(text, "some avg10=")),
            CpuPressureSomeTotal = at.Text("proc/pressure/cpu", text => Field(text, "total=")),
            StealTicks = at.Text("proc/stat", StealOf),
            KernelRelease = at.Text("proc/sys/kernel/osrelease"),
            Virtualization = at.ReadVirtualization(),
            IsolatedCpus = at.Text("sys/devices/system/cpu/isolated"),
            Cgroup = at.ReadCgroup(),
            CpusetMems = at.Text("proc/self/status", text => Field(text, "Mems_allowed_list:")),
        };
    }

    /// <summary>Percent of CPU time stolen by the hypervisor between two readings of <see cref="StealTicks"/> that lie seconds apart, over cpus CPUs.</summary>
    public static double StealPercent(long ticksBefore, long ticksAfter, double seconds, int cpus) =>
        seconds <= 0 || cpus <= 0 ? 0 : (ticksAfter - ticksBefore) / (seconds * UserHz * cpus) * 100;

    /// <summary>USER_HZ: the unit of /proc/stat, 100 on every architecture of ours.</summary>
    private const int UserHz = 100;

    /// <summary>always, madvise or never; null where the kernel has no THP.</summary>
    internal static string? ThpMode(string root = "/") => new HostSettings(root).Text("sys/kernel/mm/transparent_hugepage/enabled", Chosen).Value;

    /// <summary>Nodes this process may use; null where the kernel does not say.</summary>
    internal static List<int>? MemsAllowed(string root = "/") =>
        new HostSettings(root).Text("proc/self/status", text => Field(text, "Mems_allowed_list:")).Value is { } list ? SysText.ParseList(list) : null;

    /// <summary>CPUs this process may use, as the kernel lists them.</summary>
    internal static string? CpusAllowed(string root = "/") =>
        new HostSettings(root).Text("proc/self/status", text => Field(text, "Cpus_allowed_list:")).Value;

    /// <summary>The bracketed word of "always [madvise] never".</summary>
    internal static string Chosen(string text)
    {
        int open = text.IndexOf('[', StringComparison.Ordinal), close = text.IndexOf(']', StringComparison.Ordinal);
        return open >= 0 && close > open ? text[(open + 1)..close] : text;
    }

    private Setting Text(string path, Func<string, string?>? pick = null)
    {
        if (SysText.TryRead(Path.Combine(root, path), out string? reason) is not { } text) return new Setting(null, reason);
        string? value = pick is null ? text : pick(text);
        return value is null ? new Setting(null, $"/{path} has another form") : new Setting(value, null);
    }

    private Setting ReadGovernor()
    {
        string dir = Path.Combine(root, "sys/devices/system/cpu");
        if (!Directory.Exists(dir)) return new Setting(null, "no CPU directory in sysfs");
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string cpu in Directory.EnumerateDirectories(dir, "cpu*"))
            if (SysText.TryRead(Path.Combine(cpu, "cpufreq/scaling_governor")) is { } governor) found.Add(governor);
        return found.Count > 0 ? new Setting(string.Join(',', found), null) : new Setting(null, "no cpufreq driver: the host or the firmware sets the frequency");
    }

    private Setting ReadTurbo()
    {
        if (Text("sys/devices/system/cpu/intel_pstate/no_turbo").Value is { } off) return new Setting(off == "0" ? "on" : "off", null);
        if (Text("sys/devices/system/cpu/cpufreq/boost").Value is { } on) return new Setting(on == "0" ? "off" : "on", null);
        return new Setting(null, "neither intel_pstate/no_turbo nor cpufreq/boost exists");
    }

    private Setting ReadVirtualization()
    {
        if (SysText.TryRead(Path.Combine(root, "proc/cpuinfo"), out string? reason) is not { } cpu) return new Setting(null, reason);
        // Only x86 shows its hypervisor here; elsewhere DMI or the device tree may.
        string? vendor = Text("sys/class/dmi/id/sys_vendor").Value;
        if (cpu.Contains(" hypervisor", StringComparison.Ordinal)) return new Setting(vendor is null ? "virtual machine" : $"virtual machine ({vendor})", null);
        if (Directory.Exists(Path.Combine(root, "proc/device-tree/hypervisor"))) return new Setting("virtual machine", null);
        return cpu.Contains("flags", StringComparison.Ordinal) ? new Setting("none", null) : new Setting(null, "this architecture does not say");
    }

    private Setting ReadCgroup()
    {
        if (SysText.TryRead(Path.Combine(root, "proc/self/cgroup"), out string? reason) is not { } text) return new Setting(null, reason);
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        bool unified = Array.Exists(lines, l => l.StartsWith("0::", StringComparison.Ordinal));
        bool controllers = Array.Exists(lines, l => !l.StartsWith("0::", StringComparison.Ordinal) && !l.Contains(":name=", StringComparison.Ordinal));
        return unified && controllers ? new Setting("hybrid", null) : unified ? new Setting("v2", null) : controllers ? new Setting("v1", null)
            : new Setting(null, "no cgroup is mounted");
    }

    /// <summary>What follows key, up to the next blank that is not its first character.</summary>
    private static string? Field(string text, string key)
    {
        int at = text.IndexOf(key, StringComparison.Ordinal);
        if (at < 0) return null;
        string rest = text[(at + key.Length)..].TrimStart();
        int end = rest.AsSpan().IndexOfAny(" \t\n");
        return end < 0 ? rest : rest[..end];
    }

    /// <summary>The eighth number of the line of all CPUs (Documentation/filesystems/proc.rst 1.7).</summary>
    private static string? StealOf(string text)
    {
        string[] number = text.Split('\n')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return number.Length > 8 && number[0] == "cpu" && long.TryParse(number[8], NumberStyles.None, CultureInfo.InvariantCulture, out _) ? number[8] : null;
    }
}
