// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

/// <summary>Processes of Linux: which one a number means, and how a supervisor and its child hold on to each other.</summary>
[SupportedOSPlatform("linux")]
public static class ProcessControl
{
    /// <summary>Field 22 of /proc/PID/stat, ticks since boot: with the number it names a process for good. Null when there is none.</summary>
    public static long? StartTime(int pid) => Field(pid, 22);

    /// <summary>The parent's number.</summary>
    public static int? Parent(int pid) => (int?)Field(pid, 4);

    /// <summary>Changes with every start of the machine; empty where the kernel does not say.</summary>
    public static string BootId => SysText.TryRead("/proc/sys/kernel/random/boot_id") ?? "";

    /// <summary>Makes the caller a child that a terminal's Ctrl-C does not reach and that gets SIGTERM when its parent dies.</summary>
    public static void BecomeSupervised()
    {
        _ = OsCalls.SetpgidSelf(); // refused for a session leader, which has no terminal's group to leave
        int r = OsCalls.Prctl(Libc.PR_SET_PDEATHSIG, Libc.SIGTERM);
        if (r < 0) throw new OsException("prctl", -r, $"cannot tie this process to its supervisor (prctl PR_SET_PDEATHSIG: {Errno.Name(-r)})");
    }

    /// <summary>Orphans below the caller become its children.</summary>
    public static void BecomeSubreaper()
    {
        int r = OsCalls.Prctl(Libc.PR_SET_CHILD_SUBREAPER, 1);
        if (r < 0) throw new OsException("prctl", -r, $"cannot adopt the orphans of the measuring process (prctl PR_SET_CHILD_SUBREAPER: {Errno.Name(-r)})");
    }

    /// <summary>kill(2); false when there is no such process any more.</summary>
    public static bool Signal(int pid, int signal) => OsCalls.Kill(pid, signal) == 0;

    /// <summary>SIGKILL for a process that descends from the caller; false for any other, which is left alone.</summary>
    public static bool KillDescendant(int pid)
    {
        int at = pid;
        for (int depth = 0; depth < 64 && at > 1; depth++)
        {
            if (Parent(at) is not { } parent) return false;
            if (parent == Environment.ProcessId) return Signal(pid, Libc.SIGKILL);
            at = parent;
        }
        return false;
    }

    // The second field is the command in brackets and may hold blanks and brackets itself: count from the last one.
    private static long? Field(int pid, int number)
    {
        string? text = SysText.TryRead(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat"));
        int close = text?.LastIndexOf(')') ?? -1;
        if (close < 0) return null;
        string[] rest = text![(close + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return rest.Length > number - 3 && rest[0] is not ("Z" or "X")
            && long.TryParse(rest[number - 3], NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
    }
}
