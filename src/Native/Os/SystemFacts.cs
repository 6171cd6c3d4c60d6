// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>What never changes while the system runs: page size, kernel release. By sysconf and uname of Mono.Posix where its helper loads.</summary>
public static class SystemFacts
{
    /// <summary>Bytes of a base page.</summary>
    public static readonly nuint PageBytes = (nuint)Environment.SystemPageSize;

    /// <summary>"6.18.0-generic" on Linux, the version elsewhere.</summary>
    public static readonly string KernelRelease = ReadRelease();

    /// <summary>Major and minor number of the running kernel; (0, 0) where it does not say.</summary>
    public static readonly (int Major, int Minor) KernelVersion = ParseVersion(KernelRelease);

    /// <summary>CPUs the kernel may ever bring up (_SC_NPROCESSORS_CONF), or those of the runtime where sysconf is not to be had.</summary>
    public static int ConfiguredCpus => (int)(PosixHelper.ConfiguredCpus() ?? Environment.ProcessorCount);

    /// <summary>True when the running kernel is at least this; what cannot be read counts as new.</summary>
    public static bool KernelAtLeast(int major, int minor) =>
        KernelVersion == (0, 0) || KernelVersion.CompareTo((major, minor)) >= 0;

    /// <summary>(6, 18) from "6.18.44-fc"; (0, 0) from anything else.</summary>
    public static (int Major, int Minor) ParseVersion(string release)
    {
        ArgumentNullException.ThrowIfNull(release);
        string[] part = release.Split('.', '-', '+');
        return part.Length >= 2 && int.TryParse(part[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major)
            && int.TryParse(part[1], NumberStyles.None, CultureInfo.InvariantCulture, out int minor) ? (major, minor) : (0, 0);
    }

    private static string ReadRelease() =>
        PosixHelper.Release() ?? SysText.TryRead("/proc/sys/kernel/osrelease") ?? RuntimeInformation.OSDescription;
}
