// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>bench/Micro as the guard that hot paths allocate nothing, and the guard itself. Its times mean nothing here.</summary>
public class MicroTests
{
    [Fact]
    public void No_hot_path_allocates()
    {
        (int status, string output) = Run("--quick");
        Assert.True(status == 0, output);
        Assert.Contains("none allocates", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("*Busted.Allocates*", 5)]
    [InlineData("*Busted.Throws*", 1)]
    [InlineData("*nothing is called that*", 1)]
    public void A_guard_that_measured_nothing_or_saw_an_allocation_fails(string filter, int expected)
    {
        (int status, string output) = Run("--quick", "--filter", filter);
        Assert.True(status == expected, $"exit {status}\n{output}");
    }

    [Fact]
    public void A_result_that_cannot_be_written_fails()
    {
        string file = Path.GetTempFileName(); // a file where the folder should be: stops root too
        try
        {
            Assert.NotEqual(0, Run("--quick", "--filter", "*GuardedGet*", "--artifacts", file).Status);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static (int Status, string Output) Run(params string[] arguments)
    {
        string program = Path.Combine(Repository.Root, "artifacts", "bin", "Micro", "release", OperatingSystem.IsWindows() ? "MemcgNative.Micro.exe" : "MemcgNative.Micro");
        if (!File.Exists(program)) Assert.Skip($"{program} is not built");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("micro");
        try
        {
            var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder.FullName, RedirectStandardOutput = true, RedirectStandardError = true };
            using Process child = Process.Start(start)!;
            Task<string> errors = child.StandardError.ReadToEndAsync();
            string output = child.StandardOutput.ReadToEnd();
            child.WaitForExit();
            return (child.ExitCode, output + errors.GetAwaiter().GetResult());
        }
        finally
        {
            folder.Delete(true);
        }
    }
}
