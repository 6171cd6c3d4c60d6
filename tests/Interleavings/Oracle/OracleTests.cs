// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The race of 2012 in Promela, written from the mail and not from the code: Spin and the explorer must say the same.</summary>
public class OracleTests(ITestOutputHelper output)
{
    /// <summary>What the model is told, and the case that explores the same.</summary>
    public static TheoryData<string, string, string> Variants => new()
    {
        { "", "B1", "W0" },
        { "-DHOLD", "B1", "W1" },
        { "-DWAIT", "B1", "W2" },
        { "-DWAIT -DNOFENCE", "B2", "W2-nofence" },
    };

    [Theory, MemberData(nameof(Variants))]
    public void Spin_and_the_explorer_agree_on_a_switch_protocol(string defines, string id, string design)
    {
        Assert.SkipUnless(Has("spin", "-V") && Has("gcc", "--version"), "spin and gcc are not here: apt-get install spin gcc");
        Case c = Cases.All.Single(x => x.Id == id && x.Design == design && x.Shape == "1s1c");
        foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = m });
            bool broken = Fails(defines + (m == MemoryModel.TSO ? " -DTSO" : ""));
            output.WriteLine($"{design} {m}: spin {(broken ? "broken" : "right")}, explorer {r.Verdict} after {r.Executions}");
            Assert.Equal(broken, r.Failed);
        }
    }

    [Theory, InlineData(""), InlineData("-DHOLD"), InlineData("-DWAIT")]
    public void The_catcher_as_the_mail_quotes_it_is_wrong_with_every_switch(string defines)
    {
        Assert.SkipUnless(Has("spin", "-V") && Has("gcc", "--version"), "spin and gcc are not here: apt-get install spin gcc");
        Assert.True(Fails(defines + " -DNAIVE"));
    }

    private static bool Has(string program, string argument)
    {
        try
        {
            return Run(program, argument, Path.GetTempPath()).Code == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    /// <summary>Generates, compiles and runs the verifier.</summary>
    private static bool Fails(string defines)
    {
        string folder = Directory.CreateTempSubdirectory("memcgnative-spin").FullName;
        try
        {
            string model = Path.Combine(Source.Root, "tests", "Interleavings", "Oracle", "books.pml");
            Assert.Equal(0, Run("spin", $"{defines} -a \"{model}\"", folder).Code);
            Assert.Equal(0, Run("gcc", "-O1 -DSAFETY -w -o pan pan.c", folder).Code);
            string text = Run(Path.Combine(folder, "pan"), "", folder).Text;
            Assert.Contains("errors: ", text, StringComparison.Ordinal);
            return !text.Contains("errors: 0", StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (int Code, string Text) Run(string program, string arguments, string folder)
    {
        using Process p = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = p.StandardError.ReadToEndAsync();
        string text = p.StandardOutput.ReadToEnd();
        p.WaitForExit();
        return (p.ExitCode, text + error.Result);
    }
}
