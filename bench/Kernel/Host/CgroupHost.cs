// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Where this process's memory groups are: the hierarchy that has the memory controller, and the group below which own groups go.</summary>
/// <param name="V2">The unified hierarchy.</param>
/// <param name="Mount">Its mount point.</param>
/// <param name="Parent">The directory of the group this process is in.</param>
internal sealed record CgroupHost(bool V2, string Mount, string Parent)
{
    /// <summary>The mount shows the hierarchy's root, which is not charged, and not that of a namespace.</summary>
    public bool ShowsRoot => V2 ? !File.Exists(Path.Combine(Mount, "cgroup.type")) : File.Exists(Path.Combine(Mount, "release_agent"));

    /// <summary>The version in words.</summary>
    public string Version => V2 ? "v2" : "v1";

    /// <summary>Finds the hierarchy. root: "/", or a recorded tree.</summary>
    /// <exception cref="UsageException">No hierarchy has the controller, or it is not handed down to here: exit 3.</exception>
    public static CgroupHost Find(string root = "/")
    {
        string[] mounts = Lines(root, "proc/self/mounts"), own = Lines(root, "proc/self/cgroup");
        foreach (string line in mounts)
        {
            string[] f = line.Split(' ');
            if (f.Length < 4 || f[2] != "cgroup" || !f[3].Split(',').Contains("memory")) continue;
            string? path = own.Select(l => l.Split(':', 3)).FirstOrDefault(p => p.Length == 3 && p[1].Split(',').Contains("memory"))?[2];
            return new CgroupHost(false, f[1], Join(root, f[1], path ?? "/"));
        }
        foreach (string line in mounts)
        {
            string[] f = line.Split(' ');
            if (f.Length < 3 || f[2] != "cgroup2") continue;
            if (!Words(root, Path.Combine(f[1], "cgroup.controllers")).Contains("memory")) continue;
            string path = own.FirstOrDefault(l => l.StartsWith("0::", StringComparison.Ordinal))?[3..] ?? "/";
            string parent = Join(root, f[1], path);
            // A group with processes cannot hand the controller down, so own groups go beside it then.
            while (!Words(root, Path.Combine(parent, "cgroup.subtree_control")).Contains("memory"))
            {
                if (parent.TrimEnd('/').Length <= f[1].TrimEnd('/').Length)
                    throw new UsageException($"kernel: no group above {path} hands the memory controller down; as root: echo +memory > {f[1].TrimEnd('/')}/cgroup.subtree_control, "
                        + "or systemd-run --user --scope -p Delegate=yes memcgnative ...", ofThisMachine: true);
                parent = Path.GetDirectoryName(parent.TrimEnd('/'))!;
            }
            return new CgroupHost(true, f[1], parent);
        }
        throw new UsageException("kernel: no mounted cgroup hierarchy has the memory controller (/proc/self/mounts, cgroup.controllers); "
            + "boot without cgroup_disable=memory, or mount it", ofThisMachine: true);
    }

    private static string Join(string root, string mount, string path)
    {
        string joined = mount.TrimEnd('/') + (path == "/" ? "" : path);
        return Directory.Exists(Under(root, joined)) ? joined : mount; // another cgroup namespace names it differently
    }

    private static string[] Lines(string root, string file)
    {
        string path = Path.Combine(root, file);
        return File.Exists(path) ? File.ReadAllLines(path) : [];
    }

    private static string[] Words(string root, string file)
    {
        string path = Under(root, file);
        return File.Exists(path) ? File.ReadAllText(path).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) : [];
    }

    private static string Under(string root, string path) => root == "/" ? path : Path.Combine(root, path.TrimStart('/'));
}

/// <summary>One group of ours on the kernel, of either version; values in pages or counts.</summary>
[SupportedOSPlatform("linux")]
internal sealed class CgroupFiles(OwnDirectory directory, bool v2)
{
    private const long PageBytes = 4096;
    public OwnDirectory Directory { get; } = directory;

    /// <summary>Writes a limit; false when the kernel refuses it (EBUSY).</summary>
    public bool TrySetLimit(string name, long pages)
    {
        string value = pages == long.MaxValue ? v2 ? "max" : "-1" : (pages * PageBytes).ToString(CultureInfo.InvariantCulture);
        try
        {
            Directory.Write(v2 ? "memory." + name : "memory.limit_in_bytes", value);
            return true;
        }
        catch (OsException e) when (e.ErrorNumber == 16)
        {
            return false;
        }
    }

    /// <summary>A value of the group, or null and why not.</summary>
    public (long? Value, string Why) Value(string key)
    {
        try
        {
            return (v2 ? Unified(key) : Legacy(key), "");
        }
        catch (OsException e)
        {
            return (null, e.Message.ReplaceLineEndings(" "));
        }
    }

    private long? Unified(string key) => key switch
    {
        "usage" => Pages("memory.current"),
        "peak" => Pages("memory.peak"),
        "limit" => Directory.Read("memory.max") is "max" ? long.MaxValue : Pages("memory.max"),
        "kmem" => Item("memory.stat", "kernel") / PageBytes,
        "anon" or "file" or "shmem" => Item("memory.stat", key) / PageBytes,
        "failcnt" => Item("memory.events", "max"),
        "oom_kill" => Item("memory.events", "oom_kill"),
        "high_events" => Item("memory.events", "high"),
        "low_events" => Item("memory.events", "low"),
        _ => key.StartsWith("numa.", StringComparison.Ordinal) ? OnNode(key) / PageBytes : null,
    };

    private long? Legacy(string key) => key switch
    {
        "usage" => Pages("memory.usage_in_bytes"),
        "peak" => Pages("memory.max_usage_in_bytes"),
        "limit" => Pages("memory.limit_in_bytes"),
        "kmem" => Pages("memory.kmem.usage_in_bytes"),
        "anon" => Item("memory.stat", "rss") / PageBytes,
        "file" => Item("memory.stat", "cache") / PageBytes,
        "shmem" => Item("memory.stat", "shmem") / PageBytes,
        "failcnt" => long.Parse(Directory.Read("memory.failcnt"), CultureInfo.InvariantCulture),
        "oom_kill" => Item("memory.oom_control", "oom_kill"),
        "pgpgin" or "pgpgout" => Item("memory.stat", key),
        _ => key.StartsWith("numa.", StringComparison.Ordinal) ? OnNode(key) : null,
    };

    private long Pages(string file) => long.Parse(Directory.Read(file), CultureInfo.InvariantCulture) / PageBytes;

    private long? Item(string file, string name)
    {
        foreach (string line in Directory.Read(file).Split('\n'))
            if (line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] == ' ')
                return long.Parse(line.AsSpan(name.Length + 1), CultureInfo.InvariantCulture);
        return null;
    }

    /// <summary>"anon=5 N0=5" in pages on v1, "anon N0=20480" in bytes on v2.</summary>
    private long? OnNode(string key)
    {
        string[] part = key.Split('.');
        foreach (string line in Directory.Read("memory.numa_stat").Split('\n'))
        {
            if (!line.StartsWith(part[2], StringComparison.Ordinal) || line.Length <= part[2].Length || line[part[2].Length] is not (' ' or '=')) continue;
            foreach (string word in line.Split(' '))
                if (word.StartsWith($"N{part[1]}=", StringComparison.Ordinal)) return long.Parse(word.AsSpan(part[1].Length + 2), CultureInfo.InvariantCulture);
        }
        return null;
    }
}
