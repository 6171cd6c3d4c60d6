// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>fail-nth over the calls that change the host and put it back: whichever fails, the error is one line, and a clean-up afterwards leaves nothing.</summary>
[Collection(nameof(OsFaultAlone)), SupportedOSPlatform("linux")]
public sealed class HostFaultTests : IDisposable
{
    // No ENOENT for openat2: it is what says that a directory has gone already.
    private static readonly (OsCall Call, string[] Errnos)[] faults =
    [
        (OsCall.Openat2, ["EACCES", "EMFILE", "ENOSYS", "ELOOP", "EXDEV"]), (OsCall.Mkdirat, ["EACCES", "EROFS", "EEXIST", "ENOSPC", "ENOMEM"]),
        (OsCall.Rmdirat, ["EBUSY", "EPERM"]), (OsCall.Fsync, ["EIO", "ENOSPC"]), (OsCall.Fgetxattr, ["EOPNOTSUPP", "EACCES"]), (OsCall.Fsetxattr, ["EOPNOTSUPP", "EPERM"]),
        (OsCall.Fstatfs, ["ENOSYS"]), (OsCall.Statx, ["ENOSYS", "EACCES"]), (OsCall.Read, ["EINTR", "EIO"]), (OsCall.Write, ["EINTR", "EPERM", "EINVAL", "ENOMEM"]),
        (OsCall.Close, ["EIO"]),
    ];

    // In memory where that is to be had: a real disk's fsync, hundreds of times over, takes minutes.
    private readonly string state = Directory.Exists("/dev/shm") ? Directory.CreateDirectory($"/dev/shm/memcgnative{Environment.ProcessId}",
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName : Directory.CreateTempSubdirectory("memcgnative").FullName;
    private readonly string? before = Environment.GetEnvironmentVariable(UndoJournal.Variable);

    public HostFaultTests() => Environment.SetEnvironmentVariable(UndoJournal.Variable, state);

    public void Dispose()
    {
        OsFault.Disarm();
        Environment.SetEnvironmentVariable(UndoJournal.Variable, before);
        Directory.Delete(state, recursive: true);
    }

    [Fact]
    public void Every_call_that_fails_while_the_host_is_changed_or_put_back_is_one_line_and_leaves_nothing()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/sys/fs/cgroup/memory/cgroup.procs")) Assert.Skip("needs root and cgroup v1 memory");
        var seen = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        var wrong = new List<string>();
        string host = Host();
        bool everywhere = Environment.GetEnvironmentVariable("MEMCGNATIVE_WRITE_FAULTS") == "1";
        Assert.Equal("done", Change(out _));
        Assert.Equal(host, Host());
        foreach (var (call, errnos) in faults)
        {
            int from = OsFault.Count(call);
            Change(out _);
            int calls = OsFault.Count(call) - from;
            for (int nth = 1; nth <= calls; nth += everywhere ? 1 : Math.Max(1, calls / 2)) // MEMCGNATIVE_WRITE_FAULTS=1: every position
                foreach (string errno in errnos) One(call, nth, errno, host, seen, wrong);
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
        FaultTable.Compare("tests/Unit/Faults/FAULTS-HOST.md", "# What happens when the system refuses a change of the host\n\nWritten by HostFaultTests as root "
            + "(MEMCGNATIVE_WRITE_FAULTS=1 writes it anew): each call fails at each position while groups, a pool of huge pages and the undo journal are made and put back. "
            + "A refusal at the change is exit 3, one at putting back is a line and stays in the journal for `memcgnative cleanup`.\n", seen);
    }

    private static void One(OsCall call, int nth, string errno, string host, SortedDictionary<string, SortedSet<string>> seen, List<string> wrong)
    {
        string what = $"{call}:{nth}:{errno}";
        OsFault.Arm(what);
        string outcome;
        string lines = "";
        try
        {
            outcome = Change(out lines);
        }
        catch (Exception e)
        {
            outcome = "threw";
            wrong.Add($"{what}: {e}");
        }
        OsFault.Disarm();
        if (outcome.Contains('\n', StringComparison.Ordinal)) wrong.Add($"{what}: several lines: {outcome}");
        foreach (string path in UndoJournal.All())
            foreach (string refusal in UndoJournal.UndoFile(path, killDescendants: false)) wrong.Add($"{what}: cleanup: {refusal}");
        if (Host() is var after && after != host) wrong.Add($"{what}: the host is {after}, was {host}");
        string key = $"{call} | {errno}";
        if (!seen.TryGetValue(key, out SortedSet<string>? outcomes)) seen[key] = outcomes = new(StringComparer.Ordinal);
        outcomes.Add(FaultTable.Masked(outcome) + (lines.Length == 0 ? "" : "; at the end: " + FaultTable.Masked(lines)));
    }

    /// <summary>Two groups and a page more in a pool, then all back; what was refused, and the lines of the end.</summary>
    private static string Change(out string lines)
    {
        using var error = new StringWriter();
        var journal = new UndoJournal(Environment.ProcessId, UndoJournal.NewNonce());
        string outcome = "done";
        using (var host = new HostChanges(journal, error))
        {
            try
            {
                host.MakeGroup("/sys/fs/cgroup/memory").Make("leaf").Read("cgroup.procs");
                if (HugePages.Pools(PageKind.Parse("2M")) is [HugePagePool pool, ..]) host.RaisePool(pool, pool.FreePages + 1);
            }
            catch (OsException e)
            {
                outcome = "3: " + e.Message;
            }
        }
        lines = string.Join("; ", error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)).Replace("memcgnative: ", "", StringComparison.Ordinal);
        return outcome;
    }

    private static string Host() =>
        $"pools {string.Join(',', HugePages.Pools(PageKind.Parse("2M")).Select(p => p.TotalPages))}; "
        + string.Join(' ', Directory.GetDirectories("/sys/fs/cgroup/memory", $"memcgnative.{Environment.ProcessId}.*"));
}
