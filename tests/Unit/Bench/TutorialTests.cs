// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Text.RegularExpressions;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>src/Accounting/README.md says what happens: its design is the one that explorer and torture are tested with, and its steps can be followed.</summary>
public sealed class TutorialTests(ITestOutputHelper output)
{
    private const string Design = "src/Accounting/Counter/CasCounter.cs";
    private static readonly string text = File.ReadAllText(Path.Combine(Repository.Root, "src", "Accounting", "README.md"));

    /// <summary>The fenced blocks of a kind, without their fences.</summary>
    private static IReadOnlyList<string> Blocks(string kind) =>
        [.. Regex.Matches(text, $"^```{kind}\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline).Select(m => m.Groups[1].Value)];

    [Fact]
    public void The_design_of_the_text_is_the_one_that_is_compiled_and_its_break_changes_one_line()
    {
        Assert.Equal(File.ReadAllText(Path.Combine(Repository.Root, "tests", "Tutorial", "CasCounter.cs")), Blocks("csharp")[0]);
        Match broken = Regex.Match(text, "^\\$ sed -i 's/([^/]*)/([^/]*)/' ", RegexOptions.Multiline);
        Assert.Single(Regex.Matches(Blocks("csharp")[0], Regex.Escape(broken.Groups[1].Value)));
        Assert.Contains($"sed -i 's/{broken.Groups[2].Value}/{broken.Groups[1].Value}/' ", text, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(File.ReadAllText(Path.Combine(Repository.Root, "bench", "Matrix.cs")), "^ *\"PageCounter192\" => .*$", RegexOptions.Multiline));
    }

    /// <summary>
    /// In a copy of the repository: the file, the line, then every `$` line of the text; each line of output that is shown must come, but for numbers of
    /// other places and times. Builds six times, so only when asked.
    /// </summary>
    [Fact]
    public void Every_step_of_the_text_does_what_the_text_shows()
    {
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_TUTORIAL") != "1") Assert.Skip("builds six times: MEMCGNATIVE_TUTORIAL=1");
        string copy = Directory.CreateTempSubdirectory("memcgnative-tutorial-").FullName;
        try
        {
            Shell(Repository.Root, $"git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t '{copy}'");
            File.WriteAllText(Path.Combine(copy, Design), Blocks("csharp")[0]);
            string matrix = Path.Combine(copy, "bench", "Matrix.cs");
            File.WriteAllText(matrix, Regex.Replace(File.ReadAllText(matrix), "^ *\"PageCounter192\" => .*\n", m => m.Value + Blocks("csharp")[1], RegexOptions.Multiline));
            foreach (string step in Blocks("").SelectMany(b => Regex.Matches(b, "^\\$ .*\n(?:(?!\\$ ).*\n)*", RegexOptions.Multiline)).Select(m => m.Value))
            {
                string[] lines = step.Split('\n', StringSplitOptions.RemoveEmptyEntries);
                string said = Shell(copy, lines[0][2..]);
                output.WriteLine(lines[0] + "\n" + said);
                foreach (string line in lines.Skip(1)) Assert.Contains(Shape(line), Shape(said), StringComparison.Ordinal);
            }
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>Runs of blanks are one; where ratios and lines of other files stand, any number may.</summary>
    private static string Shape(string said) => string.Join('\n', said.Split('\n').Select(l => Regex.Replace(l.StartsWith("ratio", StringComparison.Ordinal)
        ? Regex.Replace(l, @"\d+(\.\d+)?", "N") : Regex.Replace(l, @"\.cs:\d+", ".cs"), " +", " ")));

    private static string Shell(string folder, string command)
    {
        using Process shell = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", command]) { WorkingDirectory = folder, RedirectStandardOutput = true })!;
        string said = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        return said;
    }
}
