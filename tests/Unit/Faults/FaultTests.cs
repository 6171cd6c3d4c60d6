// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// fail-nth over every call to the operating system that a command makes: each call in turn, each position, each errno it can give. Every one
/// ends in a documented exit code, with at most one line, and with nothing mapped that was not mapped before. The table is FAULTS.md.
/// </summary>
[Collection(nameof(OsFaultAlone))]
public sealed class FaultTests : IDisposable
{
    /// <summary>The calls of Linux that can be made to fail, and how.</summary>
    private static readonly (OsCall Call, string[] Errnos)[] faults =
    [
        (OsCall.Mmap, ["ENOMEM", "EPERM", "EAGAIN"]),
        (OsCall.Mprotect, ["ENOMEM", "EACCES"]),
        (OsCall.Madvise, ["ENOMEM", "EINVAL", "EAGAIN", "EINTR", "EHWPOISON"]),
        (OsCall.Mbind, ["EPERM", "EINVAL", "EIO", "ENOMEM", "ENOSYS"]),
        (OsCall.GetMempolicy, ["EPERM", "EINVAL", "ENOSYS"]),
        (OsCall.MovePages, ["EPERM", "EINVAL", "ENOSYS", "ENOMEM"]),
        (OsCall.SchedSetaffinity, ["EPERM", "EINVAL"]),
        (OsCall.SchedGetaffinity, ["EPERM", "ENOSYS"]),
        (OsCall.Getcpu, ["ENOSYS"]),
        (OsCall.Getrusage, ["EINVAL"]),
        (OsCall.Prctl, ["EINVAL", "EPERM"]),
        (OsCall.PerfEventOpen, ["EACCES", "ENOENT", "EMFILE", "ENOSYS", "EBUSY"]),
        (OsCall.Ioctl, ["EINVAL"]),
        (OsCall.Read, ["EINTR", "EIO"]),
        (OsCall.Close, ["EIO"]),
    ];

    private static readonly (string Name, string Line)[] commands =
    [
        ("topology", "topology --format json"),
        ("placement", "placement --footprint 4M"),
        ("placement, bound", "placement --footprint 4M -m bind:0"),
        ("run", "run fault -q -d 1ms -r 1 -t 1 --footprint 16M"),
        ("sweep", "sweep charge-uncharge -q -d 1ms -r 1 -t 1-2 --footprint 16M"),
    ];

    public void Dispose() => OsFault.Disarm();

    [Fact]
    public void Every_call_that_fails_ends_in_a_documented_code_with_one_line_and_nothing_left_mapped()
    {
        if (!OperatingSystem.IsLinux() || HugePages.MemoryNodes() is not [{ Value: 0 }]) Assert.Skip("written for Linux with one memory node, 0");
        var seen = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        var wrong = new List<string>();
        foreach (var (name, line) in commands)
        {
            string[] args = CliBox.Split(line);
            CliBox.Run(args); // first-time mappings of the runtime are its own
            foreach (var (call, errnos) in faults)
            {
                int before = OsFault.Count(call);
                CliBox.Run(args);
                int calls = OsFault.Count(call) - before;
                foreach (int nth in Positions(calls))
                    foreach (string errno in errnos) One(name, args, call, nth, errno, seen, wrong);
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
        FaultTable.Compare("tests/Unit/Faults/FAULTS.md", "# What happens when the system refuses\n\nWritten by FaultTests (MEMCGNATIVE_WRITE_FAULTS=1 writes it anew): "
            + "each call fails at each position of topology, placement, run and sweep. Numbers are N. Changes of the host: FAULTS-HOST.md.\n", seen);
    }

    /// <summary>The first calls one by one, then the middle and the last: what is between repeats.</summary>
    private static IEnumerable<int> Positions(int calls) =>
        Enumerable.Range(1, Math.Min(calls, 3)).Concat(calls > 3 ? [calls / 2 + 1, calls] : []).Distinct();

    private static void One(string name, string[] args, OsCall call, int nth, string errno, SortedDictionary<string, SortedSet<string>> seen, List<string> wrong)
    {
        long regions = OsFault.MappedBytes;
        OsFault.Arm($"{call}:{nth}:{errno}");
        CliBox.Answer answer = CliBox.Run(args);
        OsFault.Disarm();
        string[] lines = answer.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string what = $"{name}, {call}:{nth}:{errno}";
        if (answer.Code is not (0 or 3 or 6)) wrong.Add($"{what}: exit {answer.Code}: {answer.Error}");
        if (answer.Code != 0 && (lines.Length != 1 || !lines[0].StartsWith("memcgnative: ", StringComparison.Ordinal)))
            wrong.Add($"{what}: exit {answer.Code} with {lines.Length} lines: {answer.Error}");
        if (answer.Code != 0 && answer.Out.Length != 0) wrong.Add($"{what}: exit {answer.Code}, yet a result was printed");
        if (OsFault.MappedBytes is var after && after > regions) wrong.Add($"{what}: {after - regions} bytes stay mapped");
        string outcome = answer.Code == 0 ? "0: goes on without"
            : $"{answer.Code}: {FaultTable.Masked((lines.FirstOrDefault() ?? "").Replace("memcgnative: ", "", StringComparison.Ordinal))}";
        string key = $"{call} | {errno}";
        if (!seen.TryGetValue(key, out SortedSet<string>? outcomes)) seen[key] = outcomes = new(StringComparer.Ordinal);
        outcomes.Add(outcome);
    }
}
