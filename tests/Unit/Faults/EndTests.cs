// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The program as a process that is stopped or killed at a moment nobody chose: SIGINT ends in 130 with what was measured, SIGKILL leaves nothing.</summary>
public sealed partial class EndTests
{
    private const int Interrupt = 2, Kill = 9;

    private static readonly string program = Path.Combine(AppContext.BaseDirectory, "memcgnative");

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int pid, int signal);

    private static Process Start(string line)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("signals");
        if (!File.Exists(program)) Assert.Skip($"the program is not beside the tests: {program}");
        var info = new ProcessStartInfo(program, CliBox.Split(line)) { RedirectStandardOutput = true, RedirectStandardError = true };
        info.Environment["MEMCGNATIVE_OSFAULT"] = "";
        return Process.Start(info)!;
    }

    [Theory, InlineData(0), InlineData(150), InlineData(400), InlineData(700), InlineData(1100)]
    public async Task Interrupted_at_any_moment_it_ends_soon_with_130_or_had_not_begun(int milliseconds)
    {
        using Process p = Start("run fault -d 100ms -r 50 -t 1 --footprint 16M --format json");
        Task<string> output = p.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), error = p.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        Thread.Sleep(milliseconds);
        Assert.Equal(0, SendSignal(p.Id, Interrupt));
        if (!p.WaitForExit(20_000))
        {
            p.Kill();
            Assert.Fail($"still running 20 s after SIGINT at {milliseconds} ms");
        }
        // Before the runtime has set its handlers a signal ends the process the system's way; .NET reports that as 128 + 2 as well.
        Assert.Equal(130, p.ExitCode);
        string text = await output;
        if (text.Length != 0) Assert.Contains("\"interrupted\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", await error, StringComparison.Ordinal);
    }

    [Fact]
    public void Killed_at_any_moment_it_leaves_no_file_and_the_host_as_it_was()
    {
        string[] Host() => [.. new[] { "/proc/sys/vm/nr_hugepages", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/sys/kernel/numa_balancing", "/proc/sys/kernel/perf_event_paranoid" }
            .Select(f => File.Exists(f) ? File.ReadAllText(f) : "")];
        string directory = Directory.CreateTempSubdirectory("memcgnative").FullName;
        string[] before = Host();
        var random = new Random(0x5eed);
        for (int i = 0; i < 6; i++)
        {
            using Process p = Start($"run fault -q -d 50ms -r 20 -t 1 --footprint 16M -o {directory}/r.json");
            Thread.Sleep(random.Next(900));
            Assert.Equal(0, SendSignal(p.Id, Kill));
            Assert.True(p.WaitForExit(10_000));
        }
        Assert.Equal(before, Host());
        Assert.False(File.Exists(directory + "/r.json"), "a result of a run that never ended");
        Directory.Delete(directory, recursive: true);
    }
}
