// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>The operating system's calls that this program makes, Linux and Windows together: what can be made to fail, and is counted.</summary>
public enum OsCall
{
    /// <summary>mmap(2).</summary>
    Mmap,
    /// <summary>mprotect(2).</summary>
    Mprotect,
    /// <summary>munmap(2).</summary>
    Munmap,
    /// <summary>madvise(2).</summary>
    Madvise,
    /// <summary>mbind(2).</summary>
    Mbind,
    /// <summary>get_mempolicy(2).</summary>
    GetMempolicy,
    /// <summary>move_pages(2).</summary>
    MovePages,
    /// <summary>sched_setaffinity(2).</summary>
    SchedSetaffinity,
    /// <summary>sched_getaffinity(2).</summary>
    SchedGetaffinity,
    /// <summary>getcpu(2).</summary>
    Getcpu,
    /// <summary>getrusage(2).</summary>
    Getrusage,
    /// <summary>prctl(2).</summary>
    Prctl,
    /// <summary>perf_event_open(2).</summary>
    PerfEventOpen,
    /// <summary>ioctl(2).</summary>
    Ioctl,
    /// <summary>read(2).</summary>
    Read,
    /// <summary>close(2).</summary>
    Close,
    /// <summary>openat2(2).</summary>
    Openat2,
    /// <summary>mkdirat(2).</summary>
    Mkdirat,
    /// <summary>unlinkat(2) with AT_REMOVEDIR.</summary>
    Rmdirat,
    /// <summary>fsync(2).</summary>
    Fsync,
    /// <summary>fgetxattr(2).</summary>
    Fgetxattr,
    /// <summary>fsetxattr(2).</summary>
    Fsetxattr,
    /// <summary>fstatfs(2).</summary>
    Fstatfs,
    /// <summary>statx(2).</summary>
    Statx,
    /// <summary>write(2).</summary>
    Write,
    /// <summary>kill(2).</summary>
    Kill,
    /// <summary>setpgid(2).</summary>
    Setpgid,
    /// <summary>VirtualAlloc, VirtualAlloc2, VirtualAllocExNuma.</summary>
    VirtualAlloc,
    /// <summary>VirtualFree.</summary>
    VirtualFree,
    /// <summary>QueryWorkingSetEx.</summary>
    QueryWorkingSetEx,
    /// <summary>SetThreadGroupAffinity.</summary>
    SetThreadGroupAffinity,
    /// <summary>GetThreadGroupAffinity.</summary>
    GetThreadGroupAffinity,
}

/// <summary>
/// Fault injection at the seam to the operating system: the N-th call of one kind fails with a chosen errno, as fail-nth does in
/// the kernel (Documentation/fault-injection). One fault is armed at a time, by whoever sets the process up, before other threads run.
/// </summary>
public static unsafe class OsFault
{
    private sealed record Armed(OsCall Call, int At, int Errno);

    private static readonly AtomicInt* counts =
        (AtomicInt*)NativeMemory.AllocZeroed((nuint)Enum.GetValues<OsCall>().Length, (nuint)sizeof(AtomicInt));

    private static readonly AtomicLong* mapped = (AtomicLong*)NativeMemory.AllocZeroed((nuint)sizeof(AtomicLong));

    /// <summary>The variable <see cref="ArmFromEnvironment"/> reads.</summary>
    public const string Variable = "MEMCGNATIVE_OSFAULT";

    private static Armed? armed;

    /// <summary>Calls of this kind so far, failed ones included.</summary>
    public static int Count(OsCall call) => AtomicInt.Load(counts + (int)call);

    /// <summary>Bytes this program has mapped by itself and not given back.</summary>
    public static long MappedBytes => AtomicLong.Load(mapped);

    /// <summary>Bytes were mapped, or less than 0: given back.</summary>
    internal static void Mapped(long bytes) => AtomicLong.Add(mapped, bytes);

    /// <summary>The nth call from now on (1 = the next) returns errno without reaching the kernel.</summary>
    public static void Arm(OsCall call, int nth, int errno)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(nth);
        armed = new Armed(call, Count(call) + nth, errno);
    }

    /// <summary>Arms from text: "mmap:1:ENOMEM", the kernel's name of the call, which one, errno by name or number.</summary>
    /// <exception cref="UsageException">The text names no call, no count or no errno.</exception>
    public static void Arm(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] part = text.Split(':');
        if (part.Length != 3) throw new UsageException($"fault '{text}' is not CALL:N:ERRNO; write for example mmap:1:ENOMEM");
        if (!Enum.TryParse(part[0].Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out OsCall call) || !Enum.IsDefined(call) || char.IsAsciiDigit(part[0][0]))
            throw new UsageException($"fault '{text}': '{part[0]}' is no call that this program makes");
        if (!int.TryParse(part[1], NumberStyles.None, CultureInfo.InvariantCulture, out int nth) || nth < 1)
            throw new UsageException($"fault '{text}': '{part[1]}' is not a count from 1");
        if (!Errno.TryParse(part[2], out int errno)) throw new UsageException($"fault '{text}': '{part[2]}' is no errno");
        Arm(call, nth, errno);
    }

    /// <summary>Arms what <see cref="Variable"/> says, if it is set: for tests of whole programs. Call it first of all.</summary>
    /// <exception cref="UsageException">Its text cannot be meant.</exception>
    public static void ArmFromEnvironment()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } text) Arm(text);
    }

    /// <summary>No call fails any more unless the system says so.</summary>
    public static void Disarm() => armed = null;

    /// <summary>Counts one call; the errno it must fail with, or 0.</summary>
    internal static int Enter(OsCall call)
    {
        int n = AtomicInt.AddReturn(counts + (int)call, 1);
        return armed is { } a && a.Call == call && a.At == n ? a.Errno : 0;
    }
}
