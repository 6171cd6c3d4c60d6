// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>A journal is data from a file: whatever stands there, only what is ours is undone. Names never lead out of a directory.</summary>
[SupportedOSPlatform("linux")]
public sealed class UndoTests
{
    private const string Nonce = "0123456789abcdef";

    private static UndoLine Line(UndoKind kind, string path, string old = "", string ours = "", string nonce = Nonce) =>
        new(kind, path, old, ours, 1, 1, ProcessControl.BootId, nonce);

    private static string Refusal(params UndoLine[] lines)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("journals are of Linux");
        return string.Join('\n', Undo.Apply([.. lines], killDescendants: false));
    }

    [Theory]
    [InlineData("/etc")]
    [InlineData("/sys/fs/cgroup/memory/somebody")]
    [InlineData("/sys/fs/cgroup/memory/memcgnative.1.0123456789abcdef/../../somebody")]
    [InlineData("/sys/fs/cgroup/memory/memcgnative.1.0123456789abcdef/.hidden")]
    [InlineData("/sys/fs/cgroup/memory/memcgnative.1.fedcba9876543210")]
    [InlineData("/sys/fs/cgroup/../../tmp/memcgnative.1.0123456789abcdef/..")]
    [InlineData("memcgnative.1.0123456789abcdef")]
    public void A_directory_that_is_not_below_our_own_name_stays(string path) =>
        Assert.Contains("left as it is", Refusal(Line(UndoKind.Group, path)), StringComparison.Ordinal);

    [Fact]
    public void A_directory_on_another_file_system_stays()
    {
        string directory = Directory.CreateTempSubdirectory("memcgnative").FullName, own = $"{directory}/memcgnative.1.{Nonce}";
        Directory.CreateDirectory(own);
        Assert.Contains("is not the file system it was", Refusal(Line(UndoKind.Group, own)), StringComparison.Ordinal);
        Assert.True(Directory.Exists(own));
        Directory.Delete(directory, recursive: true);
    }

    [Theory]
    [InlineData("/proc/sys/vm/nr_hugepages")]
    [InlineData("/etc/passwd")]
    [InlineData("/sys/devices/system/node/node0/../../../power/state")]
    public void A_path_that_is_no_pool_is_not_written(string path) =>
        Assert.Contains("is no pool of huge pages", Refusal(Line(UndoKind.Pool, path, "0", "1")), StringComparison.Ordinal);

    [Fact]
    public void A_pool_that_somebody_else_has_set_is_left_alone()
    {
        if (!OperatingSystem.IsLinux() || HugePages.Pools(PageKind.Parse("2M")) is not [HugePagePool pool, ..]) { Assert.Skip("no pool of huge pages"); return; }
        string path = HugePages.PoolPath(pool.Node, pool.Kind), now = pool.TotalPages.ToString(System.Globalization.CultureInfo.InvariantCulture);
        Assert.Contains("neither", Refusal(Line(UndoKind.Pool, path, (pool.TotalPages + 2).ToString(System.Globalization.CultureInfo.InvariantCulture),
            (pool.TotalPages + 5).ToString(System.Globalization.CultureInfo.InvariantCulture))), StringComparison.Ordinal);
        Assert.Equal("", Refusal(Line(UndoKind.Pool, path, now, (pool.TotalPages + 3).ToString(System.Globalization.CultureInfo.InvariantCulture)))); // it is the old value
    }

    [Fact]
    public void A_group_with_our_name_but_another_inode_or_mark_stays()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/sys/fs/cgroup/memory/cgroup.procs")) Assert.Skip("needs root and cgroup v1 memory");
        string nonce = UndoJournal.NewNonce(), path = $"/sys/fs/cgroup/memory/memcgnative.{Environment.ProcessId}.{nonce}";
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (IOException)
        {
            Assert.Skip("cgroupfs is read-only");
        }
        try
        {
            Assert.Contains("somebody else made it", Refusal(Line(UndoKind.Group, path, ours: "0:0:1", nonce: nonce)), StringComparison.Ordinal);
            using (HostDirectory group = HostDirectory.Open(path)) group.Tag = "fedcba9876543210";
            Assert.Contains("somebody else made it", Refusal(Line(UndoKind.Group, path, nonce: nonce)), StringComparison.Ordinal);
            Assert.True(Directory.Exists(path));
            using (HostDirectory group = HostDirectory.Open(path)) group.Tag = nonce;
            Assert.Equal("", Refusal(Line(UndoKind.Group, path, nonce: nonce)));
            Assert.False(Directory.Exists(path));
        }
        finally
        {
            if (Directory.Exists(path)) Directory.Delete(path);
        }
    }

    [Theory, InlineData(".."), InlineData("."), InlineData("a/b"), InlineData(""), InlineData("a\n"), InlineData("-x"), InlineData("a\0b"), InlineData("é")]
    public void A_name_that_could_lead_elsewhere_is_refused(string name)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("openat2");
        using HostDirectory directory = HostDirectory.Open("/tmp");
        Assert.Throws<UsageException>(() => directory.Read(name));
        Assert.Throws<UsageException>(() => directory.Make(name));
        Assert.Throws<UsageException>(() => directory.TryRemove(name));
    }

    [Fact]
    public void A_link_is_not_followed_out_of_a_directory()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("openat2");
        string made = Directory.CreateTempSubdirectory("memcgnative").FullName;
        File.CreateSymbolicLink($"{made}/link", "/etc/passwd");
        Directory.CreateSymbolicLink($"{made}/dir", "/etc");
        using (HostDirectory directory = HostDirectory.Open(made))
        {
            Assert.Equal(40, Assert.Throws<OsException>(() => directory.Read("link")).ErrorNumber); // ELOOP
            Assert.NotEqual(0, Assert.Throws<OsException>(() => directory.OpenBelow("dir")).ErrorNumber);
        }
        Directory.Delete(made, recursive: true);
    }

    [Fact]
    public void A_journal_with_a_torn_last_line_is_read_and_any_other_broken_line_is_refused()
    {
        string good = JsonSerializer.Serialize(Line(UndoKind.Pool, "/p", "0", "1"), UndoJson.Default.UndoLine);
        Assert.Single(UndoJournal.Parse($"{good}\n{good[..20]}", "j"));
        Assert.Contains("j:1:", Assert.Throws<UsageException>(() => UndoJournal.Parse($"{good[..20]}\n{good}\n", "j")).Message, StringComparison.Ordinal);
        Assert.Throws<UsageException>(() => UndoJournal.Parse("{\"Kind\":\"Pool\"}\n", "j"));
        Assert.Throws<UsageException>(() => UndoJournal.Parse("null\n", "j"));
    }
}
