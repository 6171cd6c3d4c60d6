// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>build.sh in a folder of its own, with a dotnet that says what the test wants.</summary>
public sealed class BuildScriptTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("build-sh").FullName;

    public BuildScriptTests()
    {
        if (OperatingSystem.IsWindows() || !File.Exists("/bin/bash")) Assert.Skip("there is no bash here");
        File.Copy(Path.Combine(Repository.Root, "build.sh"), Path.Combine(folder, "build.sh"));
        Directory.CreateDirectory(Path.Combine(folder, "bin"));
    }

    public void Dispose() => Directory.Delete(folder, true);

    [Theory]
    [InlineData("10", "0", "2", 0, 0, "10 passed, 0 failed, 2 skipped")]
    [InlineData("9", "1", "0", 2, 1, "9 passed, 1 failed, 0 skipped")]
    [InlineData("0", "0", "0", 8, 1, "0 passed, 0 failed, 0 skipped")]
    [InlineData("0", "0", "4", 0, 1, "0 passed, 0 failed, 4 skipped")]
    [InlineData("9", "0", "0", 134, 1, "9 passed, 0 failed, 0 skipped")]
    [InlineData("9", "1", "0", 0, 1, "9 passed, 1 failed, 0 skipped")]
    public void The_last_line_of_a_test_run_is_its_total_and_only_a_clean_run_ends_well(
        string passed, string failed, string skipped, int dotnet, int expected, string total)
    {
        string[] lines = ["a test printed", "  failed: 7", "Test run summary: x", "  total: 12", $"  failed: {failed}", $"  succeeded: {passed}", $"  skipped: {skipped}"];
        FakeDotnet($"printf '%s\\n' '{string.Join("' '", lines)}'; exit {dotnet}");
        (int status, string output, _) = Run("test");
        Assert.Equal(total, output.TrimEnd('\n').Split('\n')[^1]);
        Assert.Equal(expected, status);
    }

    [Fact]
    public void A_failure_stands_once_more_before_the_total_and_skipped_tests_are_counted_by_reason()
    {
        string[] lines =
        [
            "failed A.B (3ms)", "  Assert.Equal() Failure", "Expected: 1", "skipped C.D (0ms)", "  no perf here", "  from x.dll", "skipped C.E (0ms)", "  no perf here",
            "  from x.dll", "x passed", "Test run summary: Failed!", "  failed: 1", "  succeeded: 3", "  skipped: 2",
        ];
        FakeDotnet($"printf '%s\n' '{string.Join("' '", lines)}'; exit 2");
        (int status, string output, _) = Run("test");
        Assert.Equal(1, status);
        Assert.DoesNotContain("skipped C.D", output, StringComparison.Ordinal);
        const string End = "\nskipped 2:  no perf here\n\nfailed A.B (3ms)\n  Assert.Equal() Failure\nExpected: 1\n\n3 passed, 1 failed, 2 skipped\n";
        Assert.EndsWith(End, output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_test_run_without_a_summary_fails()
    {
        FakeDotnet("echo nothing to see; exit 0");
        (int status, string output, _) = Run("test");
        Assert.Equal(1, status);
        Assert.EndsWith("\n0 passed, 0 failed, 0 skipped\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "sweep")]
    [InlineData("--format json -o out.json", "sweep --format json -o out.json")]
    [InlineData("topology --format json", "topology --format json")]
    public void Options_go_to_the_main_job_and_a_command_name_to_that_command(string arguments, string passedOn)
    {
        FakeDotnet("exit 0");
        Script("artifacts/bin/Bench/release/memcgnative", "echo \"$*\"");
        Assert.Equal((0, passedOn + "\n", ""), Run(["run", .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)]));
    }

    [Fact]
    public void A_build_is_silent_unless_it_fails_and_then_speaks_on_stderr()
    {
        FakeDotnet("exit 0", build: "echo error CS1002; exit 1");
        (int status, string output, string errors) = Run("run");
        Assert.Equal((1, ""), (status, output));
        Assert.Equal("error CS1002\nbuild.sh: bench/Bench.csproj does not build\n", errors);
    }

    [Fact]
    public void Without_an_SDK_one_line_says_how_to_get_one()
    {
        (int status, _, string errors) = Run("run");
        Assert.Equal(3, status);
        Assert.Equal(1, errors.Count(c => c == '\n'));
        Assert.Contains("no dotnet in PATH", errors, StringComparison.Ordinal);
        Assert.Contains("apt-get install dotnet-sdk-10.0", errors, StringComparison.Ordinal);
        Assert.Contains("dotnet-install.sh", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_old_an_SDK_is_named()
    {
        Script("bin/dotnet", "[ \"$1\" = --list-sdks ] && echo '8.0.404 [/usr/share/dotnet/sdk]' && exit 0; exit 155");
        (int status, _, string errors) = Run("test");
        Assert.Equal(3, status);
        Assert.Contains("needed (found 8.0.404)", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("report) echo '</html>' >run.html ;;", 0, "")]
    [InlineData("report) echo 'no such file' ;;", 1, "no such file\nbuild.sh: the single file does not work alone\n")]
    [InlineData("run) echo 'cannot'; exit 3 ;; report) echo '</html>' >run.html ;;", 1, "cannot\nbuild.sh: the single file does not work alone\n")]
    public void What_is_packed_counts_only_when_it_measured_and_reported_in_an_empty_folder(string program, int expected, string said)
    {
        Script("bin/dotnet", $$"""
            for last; do :; done
            program() { mkdir -p "$1"; printf '%s\n' '#!/bin/sh' "case \$1 in {{program}} esac" >"$1/memcgnative"; chmod +x "$1/memcgnative"; }
            case $1 in
              pack) mkdir -p "$last"; : >"$last/memcgnative.0.1.0.nupkg" ;;
              publish) program "$last" ;;
              tool) program "$7" ;;
              *) echo 10.0.100 ;;
            esac
            """);
        (int status, string output, string errors) = Run("pack");
        Assert.Equal((expected, said), (status, errors));
        if (expected != 0) return;
        Assert.Contains("/linux-x64/memcgnative ", output, StringComparison.Ordinal);
        Assert.Contains("dotnet tool install memcgnative --version 0.1.0 ", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_real_packages_work_in_an_empty_folder()
    {
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_PACK") != "1") Assert.Skip("packs and publishes for minutes: MEMCGNATIVE_PACK=1");
        using Process pack = Process.Start(new ProcessStartInfo(Path.Combine(Repository.Root, "build.sh"), ["pack"]))!;
        pack.WaitForExit();
        Assert.Equal(0, pack.ExitCode);
    }

    [Fact]
    public void An_unknown_command_gets_the_usage_in_one_line()
    {
        (int status, string output, string errors) = Run("tests");
        Assert.Equal((2, ""), (status, output));
        Assert.StartsWith("build.sh: usage: ./build.sh [", errors, StringComparison.Ordinal);
        Assert.Equal(1, errors.Count(c => c == '\n'));
    }

    [Fact]
    public void Shellcheck_finds_nothing_in_our_scripts()
    {
        try
        {
            Assert.Equal((0, "", ""), Start("shellcheck", Repository.Root, "build.sh", ".ci/run", "tests/Guest/guest.sh", "tests/Guest/init", "tests/Guest/icount.sh",
                "tests/Windows/wine.sh", "tests/Unit/arm64.sh"));
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("shellcheck is not here");
        }
    }

    private void FakeDotnet(string test, string build = "exit 0") =>
        Script("bin/dotnet", $"case $1 in build) {build} ;; test) {test} ;; *) echo 10.0.100 ;; esac");

    private void Script(string name, string body)
    {
        string path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    // From another directory, and with a PATH on which no other dotnet is.
    private (int Status, string Output, string Errors) Run(params string[] arguments)
    {
        foreach (string tool in new[] { "bash", "sh", "env", "cat", "dirname", "readlink", "sed", "tail", "mktemp", "rm", "mv", "chmod", "awk", "tee",
            "mkdir", "cp", "basename", "grep" })
        {
            string? real = new[] { "/usr/bin/", "/bin/" }.Select(d => d + tool).FirstOrDefault(File.Exists);
            if (real is not null) File.CreateSymbolicLink(Path.Combine(folder, "bin", tool), real);
        }
        return Start("/bin/bash", "/", [Path.Combine(folder, "build.sh"), .. arguments]);
    }

    private (int Status, string Output, string Errors) Start(string program, string from, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = from, RedirectStandardOutput = true, RedirectStandardError = true };
        if (program == "/bin/bash") start.Environment["PATH"] = Path.Combine(folder, "bin");
        start.Environment["HOME"] = folder;
        start.Environment.Remove("DOTNET_ROOT");
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, output, errors.GetAwaiter().GetResult());
    }
}
