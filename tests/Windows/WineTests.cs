// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Xunit;

namespace MemcgNative.Tests.Windows;

/// <summary>The programs as they were published for win-x64, under Wine; skips where that was not set up.</summary>
public sealed class WineTests
{
    private const string Short = "-d 20ms -r 1 -w 20ms --format json";

    [Fact]
    public void Its_own_tests_pass_there()
    {
        (int status, string said, string error) = Run("MemcgNative.Windows.exe");
        Assert.True(status == 0, $"exit {status}: {string.Join('\n', (said + error).Split('\n').TakeLast(40))}");
        Assert.Contains("  failed: 0", said, StringComparison.Ordinal);
        Assert.Matches(@"  succeeded: [3-9]\d", said); // the others are these here, which skip there
    }

    [Fact]
    public void The_machine_is_shown()
    {
        JsonElement machine = Json("memcgnative.exe topology --format json");
        Assert.Equal(Environment.ProcessorCount, machine.GetProperty("cpus").GetArrayLength());
        Assert.Equal(1, machine.GetProperty("nodes").GetArrayLength());
    }

    [Theory]
    [InlineData("run fault")]
    [InlineData("run charge-uncharge")]
    [InlineData("run charge-uncharge -M 2.6.27")]
    [InlineData("sweep")]
    public void Measured_runs_are_placed_and_their_books_balance(string command)
    {
        JsonElement[] points = [.. Json($"memcgnative.exe {command} {Short}").GetProperty("points").EnumerateArray()];
        Assert.NotEmpty(points);
        foreach (JsonElement point in points)
        {
            Assert.Equal(("query_working_set", "as_asked"),
                (point.GetProperty("placement").GetProperty("method").GetString(), point.GetProperty("placement").GetProperty("verdict").GetString()));
            Assert.True(point.GetProperty("books").GetProperty("balanced").GetBoolean());
            Assert.True(point.GetProperty("books").GetProperty("charged").GetInt64() > 0);
        }
    }

    [Fact]
    public void A_barrier_that_is_none_is_refused_and_qsbr_takes_over()
    {
        (int status, string said, string error) = Run($"memcgnative.exe run fault --rcu membarrier {Short}");
        Assert.True(status == 0, error);
        Assert.Contains("memcgnative: --rcu membarrier refused: under Wine the process-wide barrier does nothing; qsbr takes over", error, StringComparison.Ordinal);
        Assert.Equal("qsbr", JsonDocument.Parse(said).RootElement.GetProperty("scenario").GetProperty("rcu").GetString());
    }

    [Theory]
    [InlineData("run fault -m bind:1", 3, "memcgnative: --mem bind:1: node 1 does not exist here (nodes: 0). Topology: memcgnative topology")]
    [InlineData("placement -p 2M", 3, "memcgnative: --pages 2M: this user does not hold SeLockMemoryPrivilege (error 1300). "
        + "As administrator: secpol.msc, Local Policies, User Rights Assignment, Lock pages in memory; then log on again")]
    [InlineData("placement -p thp", 3, "memcgnative: --pages thp: Windows has no transparent huge pages. Say --pages 2M or 4K")]
    [InlineData("run fault -C 60", 3, "memcgnative: --cpus: CPU 60 does not exist here")]
    [InlineData("run fault -C x", 2, "memcgnative: --cpus: 'x' at column 1 is not a CPU number or range")]
    public void Refusals_are_one_line_and_the_exit_says_which(string command, int exit, string line)
    {
        (int status, string said, string error) = Run($"memcgnative.exe {command}");
        Assert.Equal((exit, ""), (status, said));
        Assert.StartsWith(line, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        string[] before = Wines();
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("memcgnative-wine");
        try
        {
            Assert.Equal(0, Run("memcgnative.exe list eras", scratch.FullName).Status);
            Assert.Empty(scratch.GetFileSystemInfos());
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
        Assert.DoesNotContain("memcgnative/wine", File.ReadAllText("/proc/mounts"), StringComparison.Ordinal);
        Assert.Empty(Wines().Except(before));
    }

    /// <summary>Numbers of the processes of Wine on this machine.</summary>
    private static string[] Wines() => [.. Directory.GetDirectories("/proc").Where(p => Name(p).StartsWith("wine", StringComparison.Ordinal))];

    private static string Name(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "comm"));
        }
        catch (IOException)
        {
            return ""; // no process, or it ended
        }
    }

    private static JsonElement Json(string command)
    {
        (int status, string said, string error) = Run(command);
        Assert.True(status == 0, $"exit {status}: {error}");
        return JsonDocument.Parse(said).RootElement;
    }

    private static (int Status, string Out, string Error) Run(string command, string? scratch = null, [CallerFilePath] string here = "")
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("this is not Linux");
        string folder = Path.GetDirectoryName(here)!, tree = Path.Combine(folder, "../../artifacts/publish/Windows/release_win-x64");
        (int ready, _, string why) = Start(folder, ["-q"]);
        if (ready != 0) Assert.Skip(why.Trim());
        if (!File.Exists(Path.Combine(tree, "memcgnative.exe"))) Assert.Skip("not published for Windows: ./build.sh windows");
        return Start(folder, ["-t", "900", "-f", tree, "--", .. command.Split(' ')], scratch);
    }

    private static (int Status, string Out, string Error) Start(string folder, string[] arguments, string? scratch = null)
    {
        var start = new ProcessStartInfo("/bin/bash", [Path.Combine(folder, "wine.sh"), .. arguments]) { RedirectStandardError = true, RedirectStandardOutput = true };
        if (scratch is not null) start.Environment["TMPDIR"] = scratch;
        using Process child = Process.Start(start)!;
        Task<string> error = child.StandardError.ReadToEndAsync();
        string said = child.StandardOutput.ReadToEnd().Replace("\r\n", "\n", StringComparison.Ordinal);
        child.WaitForExit();
        return (child.ExitCode, said, error.GetAwaiter().GetResult().Replace("\r\n", "\n", StringComparison.Ordinal));
    }
}
