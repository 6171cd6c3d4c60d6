// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>What guest.sh makes of its options, without booting anything.</summary>
public sealed class ScriptTests
{
    [Theory]
    [InlineData("-n 2x512,x -N", "guest: -n: 'x' is not CPUSxMIB or -; write for example 2x512,2x0,-,1x256,0x512")]
    [InlineData("-n 65 -N", "guest: -n 65: 1 to 64 nodes")]
    [InlineData("-n 0x512,2x512 -N", "guest: -n 0x512,2x512: nodes without CPUs come last")]
    [InlineData("-n 1x128 -N", "guest: -n 1x128: the first node needs a CPU, and all together 256 MiB")]
    public void A_machine_that_cannot_be_is_refused_in_one_line(string options, string line)
    {
        (int status, _, string error) = Run(options);
        Assert.Equal((2, line), (status, error.Trim()));
    }

    [Fact]
    public void The_machine_asked_for_is_the_one_the_emulator_is_told()
    {
        (int status, string said, _) = Run("-n 4 -c 2 -m 256 -d 12,40 -d 0-3=50 -N");
        Assert.Equal(0, status);
        foreach (string part in new[]
        {
            "-m 1024 ", "-smp 8\\,maxcpus=8\\,sockets=4\\,cores=2\\,threads=1 ", "node\\,nodeid=3\\,cpus=6-7\\,memdev=m3 ",
            "dist\\,src=0\\,dst=1\\,val=12 ", "dist\\,src=0\\,dst=2\\,val=40 ", "dist\\,src=0\\,dst=3\\,val=50 ", "tcg\\,thread=multi ",
        })
        {
            Assert.Contains(part, said, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("-s -N", "tcg\\,thread=single ", "-smp 8\\,")]
    [InlineData("-i -N", "-icount shift=0\\,sleep=off ", "-smp 1\\,")]
    [InlineData("-1 -a quiet=1 -N", "cgroup=1", "quiet=1")]
    public void An_option_changes_what_the_emulator_is_told(string options, string one, string other)
    {
        (int status, string said, _) = Run(options);
        Assert.Equal(0, status);
        Assert.Contains(one, said, StringComparison.Ordinal);
        Assert.Contains(other, said, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_names_every_option()
    {
        (int status, string said, _) = Run("-h");
        Assert.Equal(0, status);
        foreach (char option in "k1ncmdatofjsiN") Assert.Contains($"\n  -{option} ", said, StringComparison.Ordinal);
    }

    private static (int Status, string Out, string Error) Run(string options, [CallerFilePath] string here = "")
    {
        if (!File.Exists("/bin/bash")) Assert.Skip("needs bash");
        var start = new ProcessStartInfo("/bin/bash", [Path.Combine(Path.GetDirectoryName(here)!, "guest.sh"), .. options.Split(' ')])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using Process child = Process.Start(start)!;
        string said = child.StandardOutput.ReadToEnd();
        string error = child.StandardError.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, said, error);
    }
}
