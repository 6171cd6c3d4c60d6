// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What about the machine bends figures, each with the command that mends it. We never run it: the machine is not ours.</summary>
internal static class MachineWarnings
{
    public static IReadOnlyList<WarningModel> Of(HostSettings s)
    {
        var all = new List<WarningModel>();
        if (s.NumaBalancing.Value is { } balancing and not "0") all.Add(new("numa_balancing", $"numa_balancing={balancing} moves pages during runs",
            "sysctl -w kernel.numa_balancing=0"));
        if (s.Governor.Value is { } governor and not "performance") all.Add(new("governor", $"frequency governor is {governor}", "cpupower frequency-set -g performance"));
        if (s.Turbo.Value == "on") all.Add(new("turbo", "turbo is on: the clock depends on how many CPUs work", null));
        if (s.Virtualization.Value is { } v and not "none") all.Add(new("virtual", $"this is a {v}: CPUs may be shared with others; rounds in which they were are dropped", null));
        if (s.Clocksource.Value is { } clock and not ("tsc" or "arch_sys_counter" or "kvm-clock")) all.Add(new("clocksource", $"clock source {clock} is slow to read",
            "boot with clocksource=tsc"));
        if (double.TryParse(s.CpuPressureSomeAvg10.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double psi) && psi > 10)
            all.Add(new("cpu_pressure", string.Create(CultureInfo.InvariantCulture, $"CPU pressure {psi:0.#} % in the ten seconds before: other processes run on this machine"),
                "stop them, or isolate CPUs and name them with --cpus"));
        return all;
    }
}
