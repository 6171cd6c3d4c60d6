// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using System.Text;
using System.Text.RegularExpressions;

namespace MemcgNative.Native;

/// <summary>Which directory this is, whatever it is called: device and inode, with owner and mode.</summary>
/// <param name="Device">major:minor.</param>
/// <param name="Inode">st_ino.</param>
/// <param name="Owner">User id.</param>
/// <param name="Mode">Permission bits.</param>
public readonly record struct FileIdentity(string Device, ulong Inode, uint Owner, int Mode);

/// <summary>
/// A directory of the host, opened once. What is below it is reached by single names of a strict pattern through openat2 with
/// BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: no text from a file can lead out of it. Errors are <see cref="OsException"/>.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed unsafe partial class HostDirectory : IDisposable
{
    /// <summary>statfs types (include/uapi/linux/magic.h).</summary>
    public const long CgroupMagic = 0x27e0eb, Cgroup2Magic = 0x63677270, TracefsMagic = 0x74726163;

    private const ulong Beneath = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS | Libc.RESOLVE_NO_XDEV;
    private const int MostText = 1 << 16;

    private int fd;

    private HostDirectory(int fd, string path) => (this.fd, Path) = (fd, path);

    /// <summary>Where it was when it was opened; for messages.</summary>
    public string Path { get; }

    /// <summary>A directory that the program itself names: symbolic links are followed, as /sys/fs/cgroup needs.</summary>
    public static HostDirectory Open(string path)
    {
        int fd = OsCalls.Openat2(Libc.AT_FDCWD, path, Libc.O_RDONLY | Libc.O_DIRECTORY, 0);
        return fd >= 0 ? new HostDirectory(fd, path) : throw Refused("openat2", -fd, $"cannot open the directory {path}");
    }

    /// <summary>The directory of that name below this one.</summary>
    public HostDirectory OpenBelow(string name) => new(OpenFile(name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW), Below(name));

    /// <summary>True for names that stay below: letters, digits, '.', '_', '-', at most 64, beginning with a letter or digit.</summary>
    public static bool IsName(string name) => NamePattern().IsMatch(name);

    /// <summary>Device, inode, owner, mode.</summary>
    public FileIdentity Identity
    {
        get
        {
            Statx found;
            int r = OsCalls.Statx(fd, &found);
            if (r < 0) throw Refused("statx", -r, $"cannot look at {Path}");
            return new(string.Create(CultureInfo.InvariantCulture, $"{found.DeviceMajor}:{found.DeviceMinor}"), found.Inode, found.Uid, found.Mode & 0xfff);
        }
    }

    /// <summary>The file system's magic number.</summary>
    public long FileSystem
    {
        get
        {
            StatFs found;
            int r = OsCalls.Fstatfs(fd, &found);
            return r >= 0 ? found.Type : throw Refused("fstatfs", -r, $"cannot look at {Path}");
        }
    }

    /// <summary>Whether that name is there.</summary>
    public bool Has(string name)
    {
        int found = OsCalls.Openat2(fd, Checked(name), Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW, Beneath);
        if (found == -Errno.ENOENT) return false;
        if (found < 0) throw Refused("openat2", -found, $"cannot open {Below(name)}");
        _ = OsCalls.Close(found);
        return true;
    }

    /// <summary>mkdir.</summary>
    public void Make(string name)
    {
        int r = OsCalls.Mkdirat(fd, Checked(name), 0x1ed); // 0755
        if (r < 0) throw Refused("mkdirat", -r, $"cannot make {Below(name)}");
    }

    /// <summary>rmdir: an empty directory, or a group without processes and children. The errno, or 0.</summary>
    public int TryRemove(string name) => -OsCalls.Rmdirat(fd, Checked(name));

    /// <summary>The text of a file, at most 64 KiB, without the line end.</summary>
    public string Read(string name)
    {
        int file = OpenFile(name, Libc.O_RDONLY | Libc.O_NOFOLLOW);
        try
        {
            byte[] text = new byte[MostText];
            int length = 0;
            fixed (byte* at = text)
            {
                while (length < MostText)
                {
                    nint n = OsCalls.Read(file, at + length, (nuint)(MostText - length));
                    if (n == -Errno.EINTR) continue;
                    if (n < 0) throw Refused("read", (int)-n, $"cannot read {Below(name)}");
                    if (n == 0) break;
                    length += (int)n;
                }
            }
            return Encoding.UTF8.GetString(text, 0, length).TrimEnd('\n');
        }
        finally
        {
            _ = OsCalls.Close(file);
        }
    }

    /// <summary>Writes the text with one write(2), as control files want it.</summary>
    public void Write(string name, string text)
    {
        int file = OpenFile(name, Libc.O_WRONLY | Libc.O_NOFOLLOW);
        try
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            fixed (byte* at = bytes)
            {
                nint n;
                do n = OsCalls.Write(file, at, (nuint)bytes.Length);
                while (n == -Errno.EINTR);
                if (n != bytes.Length) throw Refused("write", n < 0 ? (int)-n : 0, $"cannot write '{text}' to {Below(name)}");
            }
        }
        finally
        {
            _ = OsCalls.Close(file);
        }
    }

    /// <summary>The extended attribute user.memcgnative; null where there is none or the file system has no such attributes (tracefs).</summary>
    public string? Tag
    {
        get
        {
            byte* text = stackalloc byte[64];
            int n = OsCalls.Fgetxattr(fd, TagName, text, 64);
            if (n >= 0) return Encoding.ASCII.GetString(text, n);
            return -n is Errno.ENODATA or Errno.EOPNOTSUPP ? null : throw Refused("fgetxattr", -n, $"cannot read {TagName} of {Path}");
        }
        set
        {
            byte[] bytes = Encoding.ASCII.GetBytes(value ?? "");
            fixed (byte* text = bytes)
            {
                int r = OsCalls.Fsetxattr(fd, TagName, text, (nuint)bytes.Length);
                if (r < 0 && r != -Errno.EOPNOTSUPP) throw Refused("fsetxattr", -r, $"cannot mark {Path} as ours");
            }
        }
    }

    private const string TagName = "user.memcgnative";

    /// <summary>fsync of the directory: a new name in it is on the disk.</summary>
    public void Sync()
    {
        int r = OsCalls.Fsync(fd);
        if (r < 0) throw Refused("fsync", -r, $"cannot write {Path} to the disk");
    }

    /// <summary>fsync of an open file.</summary>
    public static void Sync(Microsoft.Win32.SafeHandles.SafeFileHandle file, string path)
    {
        ArgumentNullException.ThrowIfNull(file);
        int r = OsCalls.Fsync((int)file.DangerousGetHandle());
        if (r < 0) throw Refused("fsync", -r, $"cannot write {path} to the disk");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (fd >= 0) _ = OsCalls.Close(fd);
        fd = -1;
    }

    private int OpenFile(string name, int flags)
    {
        int file = OsCalls.Openat2(fd, Checked(name), flags, Beneath);
        return file >= 0 ? file : throw Refused("openat2", -file, $"cannot open {Below(name)}");
    }

    private string Below(string name) => $"{Path.TrimEnd('/')}/{name}";

    private static string Checked(string name) => IsName(name) ? name
        : throw new UsageException($"'{name}' is not a name: letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit");

    private static OsException Refused(string call, int errno, string what) => new(call, errno,
        $"{what} ({call}: {Errno.Name(errno)})", errno switch
        {
            Errno.EPERM or Errno.EACCES => "Run as root, or as whom the directory was delegated to",
            Errno.EROFS => "The file system is mounted read-only here, as containers do",
            Errno.ENOSYS => "Linux 5.6 or newer is needed",
            _ => null,
        });

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();
}
