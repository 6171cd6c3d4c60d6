// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using System.Text;

namespace MemcgNative.Native;

internal static unsafe partial class OsCalls
{
    /// <summary>openat2(2); a file descriptor.</summary>
    [SupportedOSPlatform("linux")]
    public static int Openat2(int directory, string path, int flags, ulong resolve)
    {
        var how = new OpenHow { Flags = (ulong)(uint)(flags | Libc.O_CLOEXEC), Resolve = resolve };
        fixed (byte* text = Encoding.UTF8.GetBytes(path + "\0"))
            return Syscall(OsCall.Openat2, Libc.SYS_openat2, (nuint)(nint)directory, (nuint)text, (nuint)(&how), (nuint)sizeof(OpenHow));
    }

    /// <summary>mkdirat(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Mkdirat(int directory, string name, uint mode)
    {
        int fault = OsFault.Enter(OsCall.Mkdirat);
        return fault != 0 ? -fault : Result(Libc.mkdirat(directory, name, mode));
    }

    /// <summary>unlinkat(2) as rmdir: an empty directory, nothing else.</summary>
    [SupportedOSPlatform("linux")]
    public static int Rmdirat(int directory, string name)
    {
        int fault = OsFault.Enter(OsCall.Rmdirat);
        return fault != 0 ? -fault : Result(Libc.unlinkat(directory, name, Libc.AT_REMOVEDIR));
    }

    /// <summary>fsync(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Fsync(int fd)
    {
        int fault = OsFault.Enter(OsCall.Fsync);
        return fault != 0 ? -fault : Result(Libc.fsync(fd));
    }

    /// <summary>fgetxattr(2); the bytes of the value.</summary>
    [SupportedOSPlatform("linux")]
    public static int Fgetxattr(int fd, string name, void* value, nuint bytes)
    {
        int fault = OsFault.Enter(OsCall.Fgetxattr);
        return fault != 0 ? -fault : (int)Result(Libc.fgetxattr(fd, name, value, bytes));
    }

    /// <summary>fsetxattr(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Fsetxattr(int fd, string name, void* value, nuint bytes)
    {
        int fault = OsFault.Enter(OsCall.Fsetxattr);
        return fault != 0 ? -fault : Result(Libc.fsetxattr(fd, name, value, bytes, 0));
    }

    /// <summary>fstatfs(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Fstatfs(int fd, StatFs* found)
    {
        int fault = OsFault.Enter(OsCall.Fstatfs);
        return fault != 0 ? -fault : Result(Libc.fstatfs(fd, found));
    }

    /// <summary>statx(2) of an open file: owner, mode, inode, device.</summary>
    [SupportedOSPlatform("linux")]
    public static int Statx(int fd, Statx* found)
    {
        byte empty = 0;
        return Syscall(OsCall.Statx, Libc.SYS_statx, (nuint)(nint)fd, (nuint)(&empty), Libc.AT_EMPTY_PATH, 0x7ff, (nuint)found);
    }

    /// <summary>write(2).</summary>
    [SupportedOSPlatform("linux")]
    public static nint Write(int fd, void* buffer, nuint bytes)
    {
        int fault = OsFault.Enter(OsCall.Write);
        return fault != 0 ? -fault : Result(Libc.write(fd, buffer, bytes));
    }

    /// <summary>kill(2).</summary>
    [SupportedOSPlatform("linux")]
    public static int Kill(int pid, int signal)
    {
        int fault = OsFault.Enter(OsCall.Kill);
        return fault != 0 ? -fault : Result(Libc.kill(pid, signal));
    }

    /// <summary>setpgid(2) of the caller: a process group of its own.</summary>
    [SupportedOSPlatform("linux")]
    public static int SetpgidSelf()
    {
        int fault = OsFault.Enter(OsCall.Setpgid);
        return fault != 0 ? -fault : Result(Libc.setpgid(0, 0));
    }
}
