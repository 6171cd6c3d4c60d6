// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Undoes the changes of a journal. A journal is data: only directories below our own nonce are removed, by rmdir alone, and only pools of huge
/// pages are written, whatever path stands there.
/// </summary>
[SupportedOSPlatform("linux")]
internal static partial class Undo
{
    /// <summary>A group whose processes were just killed is busy until they are gone.</summary>
    private static readonly TimeSpan busy = TimeSpan.FromSeconds(5);

    /// <summary>Last change first; the refusals, each one line.</summary>
    public static List<string> Apply(List<UndoLine> lines, bool killDescendants)
    {
        var refusals = new List<string>();
        for (int i = lines.Count - 1; i >= 0; i--)
        {
            UndoLine line = lines[i];
            if (line.Boot != ProcessControl.BootId) continue; // the machine was started anew: none of these survives that
            if (line.Kind != UndoKind.Pool && line.Ours.Length == 0 && lines.Exists(l => l.Path == line.Path && l.Ours.Length != 0)) continue; // its second line did it
            try
            {
                if ((line.Kind == UndoKind.Pool ? Lower(line) : Remove(line, killDescendants)) is { } refusal) refusals.Add(refusal);
            }
            catch (Exception e) when (e is OsException or UsageException)
            {
                refusals.Add(e.Message);
            }
        }
        return refusals;
    }

    /// <summary>"254:0:1234": device and inode.</summary>
    public static string NameOf(FileIdentity identity) => string.Create(CultureInfo.InvariantCulture, $"{identity.Device}:{identity.Inode}");

    /// <summary>The file systems a kind may be on.</summary>
    public static bool Belongs(UndoKind kind, long fileSystem) => kind switch
    {
        UndoKind.Group => fileSystem is HostDirectory.CgroupMagic or HostDirectory.Cgroup2Magic,
        UndoKind.TraceInstance => fileSystem == HostDirectory.TracefsMagic,
        _ => false,
    };

    /// <summary>The kernel raises a pool page by page and may have been stopped half way: anything above the old value up to ours is ours.</summary>
    private static string? Lower(UndoLine line)
    {
        if (!PoolPath().IsMatch(line.Path)) return $"{line.Path} is no pool of huge pages; left as it is";
        if (!long.TryParse(line.Old, NumberStyles.None, CultureInfo.InvariantCulture, out long old)
            || !long.TryParse(line.Ours, NumberStyles.None, CultureInfo.InvariantCulture, out long ours))
            return $"{line.Path}: '{line.Old}' and '{line.Ours}' are no numbers of pages";
        using HostDirectory directory = HostDirectory.Open(Path.GetDirectoryName(line.Path)!);
        string name = Path.GetFileName(line.Path), text = directory.Read(name);
        if (text == line.Old) return null;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long now) || now < old || now > ours)
            return $"{line.Path} is {text}, neither {line.Ours} (ours) nor {line.Old} (before): somebody else changed it; left as it is";
        directory.Write(name, line.Old);
        string after = directory.Read(name);
        return after == line.Old ? null : $"{line.Path} is {after}, not {line.Old} as before: pages are still in use; then: memcgnative cleanup";
    }

    private static string? Remove(UndoLine line, bool killDescendants)
    {
        if (!OwnPath().IsMatch(line.Path) || !line.Path.Contains($".{line.Nonce}", StringComparison.Ordinal))
            return $"{line.Path} is not below a directory of ours; left as it is";
        int top = line.Path.IndexOf("/memcgnative.", StringComparison.Ordinal);
        string[] names = line.Path[(top + 1)..].Split('/');
        HostDirectory? at = Directory.Exists(line.Path[..top]) ? HostDirectory.Open(line.Path[..top]) : null;
        try
        {
            if (at is null) return null;
            if (!Belongs(line.Kind, at.FileSystem)) return $"{at.Path} is not the file system it was; {line.Path} is left as it is";
            foreach (string name in names[..^1])
            {
                if (!at.Has(name)) return null;
                HostDirectory next = at.OpenBelow(name);
                at.Dispose();
                at = next;
            }
            if (!at.Has(names[^1])) return null;
            using (HostDirectory found = at.OpenBelow(names[^1]))
            {
                string? tag = found.Tag;
                bool ours = line.Ours.Length == 0 ? tag is null || tag == line.Nonce : line.Ours == NameOf(found.Identity) && (tag is null || tag == line.Nonce);
                if (!ours) return $"{line.Path} has our name but another inode or mark: somebody else made it; left as it is";
            }
            return RemoveSoon(at, names[^1], killDescendants && line.Kind == UndoKind.Group);
        }
        finally
        {
            at?.Dispose();
        }
    }

    private static string? RemoveSoon(HostDirectory parent, string name, bool killDescendants)
    {
        long until = Environment.TickCount64 + (long)busy.TotalMilliseconds;
        for (int turn = 0; ; turn++)
        {
            int errno = parent.TryRemove(name);
            if (errno is 0 or Errno.ENOENT) return null;
            if (errno != Errno.EBUSY || (!killDescendants && turn > 20) || Environment.TickCount64 > until)
                return $"{parent.Path}/{name} cannot be removed (rmdir: {Errno.Name(errno)}){Inside(parent, name)}";
            if (killDescendants) KillInside(parent, name);
            Thread.Sleep(10);
        }
    }

    private static void KillInside(HostDirectory parent, string name)
    {
        using HostDirectory inside = parent.OpenBelow(name);
        foreach (int pid in Pids(inside)) ProcessControl.KillDescendant(pid);
    }

    private static string Inside(HostDirectory parent, string name)
    {
        using HostDirectory inside = parent.OpenBelow(name);
        int[] pids = [.. Pids(inside)];
        return pids.Length == 0 ? "; then: memcgnative cleanup" : $": process {string.Join(", ", pids.Take(5))} is in it; stop it, then: memcgnative cleanup";
    }

    private static IEnumerable<int> Pids(HostDirectory directory) =>
        from row in directory.Read("cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries)
        where int.TryParse(row, NumberStyles.None, CultureInfo.InvariantCulture, out _)
        select int.Parse(row, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^/sys/devices/system/node/node[0-9]{1,4}/hugepages/hugepages-[0-9]{1,9}kB/nr_hugepages\z", RegexOptions.CultureInvariant)]
    private static partial Regex PoolPath();

    [GeneratedRegex(@"^(/[A-Za-z0-9@:,_.-]+)*/memcgnative\.[0-9]{1,10}\.[0-9a-f]{16}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,63})*\z", RegexOptions.CultureInvariant)]
    private static partial Regex OwnPath();
}
