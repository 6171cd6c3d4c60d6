// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>Names of errno values: Mono.Posix where its helper library loads (it has no musl build), a table of our own calls' errors elsewhere.</summary>
public static class Errno
{
    /// <summary>Operation not permitted.</summary>
    public const int EPERM = 1;
    /// <summary>No such file, node or event.</summary>
    public const int ENOENT = 2;
    /// <summary>No such process or thread.</summary>
    public const int ESRCH = 3;
    /// <summary>Interrupted by a signal.</summary>
    public const int EINTR = 4;
    /// <summary>Input or output error; for mbind: a page could not be moved.</summary>
    public const int EIO = 5;
    /// <summary>Try again.</summary>
    public const int EAGAIN = 11;
    /// <summary>Out of memory, of hugetlb pages or of mappings.</summary>
    public const int ENOMEM = 12;
    /// <summary>Access denied.</summary>
    public const int EACCES = 13;
    /// <summary>Address not mapped, or a fault that would have been SIGBUS.</summary>
    public const int EFAULT = 14;
    /// <summary>Busy.</summary>
    public const int EBUSY = 16;
    /// <summary>Exists already.</summary>
    public const int EEXIST = 17;
    /// <summary>Would cross a mount, or leave the directory.</summary>
    public const int EXDEV = 18;
    /// <summary>No such device.</summary>
    public const int ENODEV = 19;
    /// <summary>Invalid argument.</summary>
    public const int EINVAL = 22;
    /// <summary>Too many open files.</summary>
    public const int EMFILE = 24;
    /// <summary>No space left; for perf: no room for one more counter.</summary>
    public const int ENOSPC = 28;
    /// <summary>The file system is read-only.</summary>
    public const int EROFS = 30;
    /// <summary>No such system call.</summary>
    public const int ENOSYS = 38;
    /// <summary>No such attribute.</summary>
    public const int ENODATA = 61;
    /// <summary>Operation not supported.</summary>
    public const int EOPNOTSUPP = 95;
    /// <summary>A page that was asked for is poisoned.</summary>
    public const int EHWPOISON = 133;

    private static readonly (int Value, string Name)[] known =
    [
        (EPERM, "EPERM"), (ENOENT, "ENOENT"), (ESRCH, "ESRCH"), (EINTR, "EINTR"), (EIO, "EIO"), (7, "E2BIG"), (9, "EBADF"), (EAGAIN, "EAGAIN"),
        (ENOMEM, "ENOMEM"), (EACCES, "EACCES"), (EFAULT, "EFAULT"), (EBUSY, "EBUSY"), (EEXIST, "EEXIST"), (EXDEV, "EXDEV"), (ENODEV, "ENODEV"), (EINVAL, "EINVAL"),
        (23, "ENFILE"), (EMFILE, "EMFILE"), (ENOSPC, "ENOSPC"), (EROFS, "EROFS"), (34, "ERANGE"), (39, "ENOTEMPTY"), (40, "ELOOP"), (ENODATA, "ENODATA"),
        (ENOSYS, "ENOSYS"), (EOPNOTSUPP, "EOPNOTSUPP"),
        (EHWPOISON, "EHWPOISON"),
    ];

    /// <summary>"ENOMEM" for 12; the number where nobody knows a name.</summary>
    public static string Name(int errno)
    {
        foreach ((int value, string name) in known)
            if (value == errno) return name;
        return PosixHelper.ErrnoName(errno) ?? $"error {errno.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>12 for "ENOMEM" or "12".</summary>
    public static bool TryParse(string text, out int errno)
    {
        foreach ((int value, string name) in known)
        {
            if (name != text) continue;
            errno = value;
            return true;
        }
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out errno) && errno > 0;
    }
}
