// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public static unsafe partial class ThreadAffinity
{
    /// <summary>Longest mask tried: 1 MiB CPUs, far beyond CONFIG_NR_CPUS.</summary>
    private const int MaxWords = 1 << 14;

    /// <summary>CPU and node from one getcpu call.</summary>
    /// <exception cref="OsException">The call is not there.</exception>
    [SupportedOSPlatform("linux")]
    public static (CpuId Cpu, NodeId Node) CurrentLinux()
    {
        uint cpu, node;
        int r = OsCalls.Getcpu(&cpu, &node);
        return r >= 0 ? (new CpuId((int)cpu), new NodeId((int)node)) : throw new OsException("getcpu", -r, $"cannot ask which CPU this is (getcpu: {Errno.Name(-r)})");
    }

    [SupportedOSPlatform("linux")]
    private static CpuId[] AllowedLinux()
    {
        // EINVAL: the kernel's mask (nr_cpu_ids) is longer than ours. Start with 1024 CPUs, glibc's fixed cpu_set_t.
        for (int words = 16; ; words *= 2)
        {
            var mask = new ulong[words];
            int r;
            fixed (ulong* p = mask) r = OsCalls.SchedGetaffinity(p, (nuint)words * 8);
            if (r >= 0) return FromMask(mask);
            if (r != -Errno.EINVAL || words >= MaxWords)
                throw new OsException("sched_getaffinity", -r, $"cannot ask which CPUs this thread may use (sched_getaffinity: {Errno.Name(-r)})");
        }
    }

    [SupportedOSPlatform("linux")]
    private static void AllowLinux(IReadOnlyList<CpuId> cpus)
    {
        ulong[] mask = ToMask(cpus);
        int r;
        fixed (ulong* p = mask) r = OsCalls.SchedSetaffinity(p, (nuint)mask.Length * 8);
        if (r < 0) throw Refused(cpus, -r);
    }

    /// <summary>sched_setaffinity's errno in words. EINVAL means that no CPU of the set is both online and in the cpuset: say which of the two.</summary>
    internal static OsException Refused(IReadOnlyList<CpuId> cpus, int errno, string root = "/")
    {
        string which = cpus.Count == 1 ? $"CPU {cpus[0]}" : $"CPUs {cpus[0]}..{cpus[^1]}";
        if (errno != Errno.EINVAL)
            return new OsException("sched_setaffinity", errno, $"--cpus: cannot pin to {which} (sched_setaffinity: {Errno.Name(errno)})",
                errno == Errno.EPERM ? "A container's seccomp filter forbids it" : null);
        string? online = SysText.TryRead(Path.Combine(root, "sys/devices/system/cpu/online"));
        if (online is not null && !cpus.Any(c => SysText.ParseList(online).Contains(c.Value)))
            return new OsException("sched_setaffinity", errno, $"--cpus: {which} does not exist here (online: {online})", "Topology: memcgnative topology");
        string allowed = HostSettings.CpusAllowed(root) ?? "unknown";
        return new OsException("sched_setaffinity", errno, $"--cpus: {which} is online but outside this process's cpuset (allowed: {allowed}); a container or Slurm set that");
    }

    /// <summary>The bit mask of a CPU set, whole 64-bit words, as long as the highest number needs.</summary>
    internal static ulong[] ToMask(IReadOnlyList<CpuId> cpus)
    {
        var mask = new ulong[cpus.Max().Value / 64 + 1];
        foreach (CpuId c in cpus) mask[c.Value / 64] |= 1ul << c.Value % 64;
        return mask;
    }

    /// <summary>The set of a bit mask, ascending.</summary>
    internal static CpuId[] FromMask(ReadOnlySpan<ulong> mask)
    {
        var cpus = new List<CpuId>();
        for (int w = 0; w < mask.Length; w++)
            for (ulong rest = mask[w]; rest != 0; rest &= rest - 1)
                cpus.Add(new CpuId(w * 64 + BitOperations.TrailingZeroCount(rest)));
        return [.. cpus];
    }
}
