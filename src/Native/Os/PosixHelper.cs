// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using Mono.Unix.Native;

namespace MemcgNative.Native;

/// <summary>
/// What Mono.Posix does well: uname, sysconf, mincore, errno names. Every use is optional, null where the package or its native helper
/// does not load (no musl build, no Windows on arm64). Each call is a method of its own, because a missing assembly shows when it is compiled.
/// </summary>
internal static unsafe class PosixHelper
{
    /// <summary>uname's release.</summary>
    public static string? Release() => OrNull(ReadRelease);

    /// <summary>_SC_NPROCESSORS_CONF.</summary>
    public static long? ConfiguredCpus() => OrNull(ReadConfiguredCpus) is { } text ? long.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : null;

    /// <summary>The name of an errno value.</summary>
    public static string? ErrnoName(int errno) => OrNull(() => ReadErrnoName(errno));

    /// <summary>Base pages of the range that are in memory.</summary>
    public static long? PresentPages(byte* start, nuint bytes)
    {
        long pages = -1;
        _ = OrNull(() => (pages = ReadPresentPages(start, bytes)) < 0 ? null : "");
        return pages < 0 ? null : pages;
    }

    private static string? OrNull(Func<string?> read)
    {
        if (!OperatingSystem.IsLinux()) return null;
        try
        {
            return read();
        }
        catch (Exception e) when (IsMissing(e))
        {
            return null;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string? ReadRelease() => Syscall.uname(out Utsname name) == 0 ? name.release : null;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string? ReadConfiguredCpus()
    {
        long n = Syscall.sysconf(SysconfName._SC_NPROCESSORS_CONF);
        return n > 0 ? n.ToString(System.Globalization.CultureInfo.InvariantCulture) : null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string? ReadErrnoName(int errno) => NativeConvert.TryToErrno(errno, out Mono.Unix.Native.Errno e) ? e.ToString() : null;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long ReadPresentPages(byte* start, nuint bytes)
    {
        byte[] present = new byte[bytes / SystemFacts.PageBytes];
        return Syscall.mincore((nint)start, bytes, present) == 0 ? present.LongCount(b => (b & 1) != 0) : -1;
    }

    private static bool IsMissing(Exception e) =>
        e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException or FileNotFoundException or TypeLoadException
        || e is TypeInitializationException { InnerException: { } inner } && IsMissing(inner);
}
