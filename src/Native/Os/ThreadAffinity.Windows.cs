// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public static unsafe partial class ThreadAffinity
{
    /// <summary>CPUs per processor group: CPU number = group * 64 + number in the group, on every Windows of ours.</summary>
    internal const int GroupSize = 64;

    [SupportedOSPlatform("windows")]
    private static CpuId CurrentWindows()
    {
        PROCESSOR_NUMBER n = OsCalls.GetCurrentProcessorNumberEx();
        return new CpuId(n.Group * GroupSize + n.Number);
    }

    [SupportedOSPlatform("windows")]
    private static CpuId[] AllowedWindows()
    {
        GROUP_AFFINITY affinity;
        if (!OsCalls.GetThreadGroupAffinity(&affinity, out int error))
            throw new OsException("GetThreadGroupAffinity", error, $"cannot ask which CPUs this thread may use (GetThreadGroupAffinity: error {error})");
        int first = affinity.Group * GroupSize;
        return Array.ConvertAll(FromMask([(ulong)affinity.Mask]), c => new CpuId(first + c.Value));
    }

    [SupportedOSPlatform("windows")]
    private static void AllowWindows(IReadOnlyList<CpuId> cpus)
    {
        GROUP_AFFINITY affinity = ToGroup(cpus);
        if (!OsCalls.SetThreadGroupAffinity(&affinity, out int error))
            throw new OsException("SetThreadGroupAffinity", error,
                $"--cpus: CPU {cpus[0]} does not exist here or is not allowed (SetThreadGroupAffinity: error {error})", "Topology: memcgnative topology");
    }

    /// <summary>One group and its mask; a thread's affinity cannot span groups.</summary>
    internal static GROUP_AFFINITY ToGroup(IReadOnlyList<CpuId> cpus)
    {
        GROUP_AFFINITY affinity = default;
        affinity.Group = (ushort)(cpus[0].Value / GroupSize);
        foreach (CpuId c in cpus)
        {
            if (c.Value / GroupSize != affinity.Group)
                throw new OsException("SetThreadGroupAffinity", 0, $"--cpus: CPUs {cpus[0]} and {c} lie in different processor groups; a Windows thread runs in one");
            affinity.Mask |= (nuint)1 << c.Value % GroupSize;
        }
        return affinity;
    }
}
