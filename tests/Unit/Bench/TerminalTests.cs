// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using System.Text.RegularExpressions;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Every command that prints a table, on every kind of output.</summary>
public sealed class TerminalTests
{
    /// <summary>Arguments with RESULT, OTHER and PROBE for files; and whether two calls print the same.</summary>
    private static readonly (string Line, bool Repeats)[] commands =
    [
        ("list", true), ("list eras", true), ("topology", false), ("matrix lines -M 3.19 -M 6.18", true), ("matrix lines --private -M 6.18", true),
        ("run fault -t 1 --dry-run", false), ("sweep --dry-run", false), ("compare RESULT OTHER --fail-on none", true), ("report RESULT --format md", true),
        ("kernel compare RESULT PROBE", true), ("conform charge --diff", true), ("doctor --dry-run", false), ("placement --footprint 1M", false),
        ("matrix cpu -q --line page_counter", false), ("run alloc-free -q -t 1 -d 2ms -r 1 -w 2ms --machines 1", false), ("dying -q --groups 4 --objects 1", false),
        ("offline -q --caches 1,2 --objects 1,2 --inherited 0,1 -M 5.9", false), ("slab -q --groups 2 --objects 2", false),
    ];

    public static TheoryData<string, bool> Commands
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach ((string line, bool repeats) in commands) data.Add(line, repeats);
            return data;
        }
    }

    [Theory, MemberData(nameof(Commands))]
    public void A_table_has_no_escapes_where_none_are_wanted_is_ASCII_in_the_C_locale_and_wraps_only_on_a_terminal(string line, bool repeats)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        string folder = Directory.CreateTempSubdirectory("memcgnative-").FullName;
        try
        {
            Write("result", JsonSerializer.Serialize(MadeUpResult.On("pack:1 core:2 pu:1", "3.17", "3.19"), ResultJson.Default.Result));
            Write("other", JsonSerializer.Serialize(MadeUpResult.On("pack:1 core:2 pu:1", "3.17", "3.19"), ResultJson.Default.Result));
            Write("probe", """{"series":[{"loop":"fault","place":"here","cpus":1,"median_ops_per_s":100,"spread_pct":1}]}""");
            string[] args = CliBox.Split(line.Replace("RESULT", Path.Combine(folder, "result.json")).Replace("OTHER", Path.Combine(folder, "other.json"))
                .Replace("PROBE", Path.Combine(folder, "probe.json")).Replace("conform charge", "conform " + ScenarioFiles.Names[0]));
            string redirected = Out(terminal: false, "200", ("TERM", "xterm")), dumb = Out(true, "80", ("TERM", "dumb"));
            string plain = Out(true, "80", ("TERM", "xterm"), ("NO_COLOR", "1")), wide = Out(true, "200", ("TERM", "xterm"), ("NO_COLOR", "1"));
            foreach (string text in (string[])[redirected, dumb, plain, wide])
            {
                Assert.DoesNotContain('\u001b', text);
                Assert.All(text, c => Assert.True(c < 128, $"'{c}' where the locale has only ASCII"));
                Assert.DoesNotContain("NaN", text, StringComparison.Ordinal);
            }
            if (!repeats) return;
            Assert.Equal(redirected, Out(terminal: false, "40", ("TERM", "xterm"))); // columns are a terminal's
            Assert.Equal(plain, dumb);
            Assert.Equal(Letters(redirected), Letters(plain)); // wrapped, not cut
            Assert.Equal(Letters(redirected), Letters(wide));

            void Write(string name, string text) => File.WriteAllText(Path.Combine(folder, name + ".json"), text);

            string Out(bool terminal, string columns, params (string Name, string Value)[] variables)
            {
                CliBox.Answer answer = CliBox.Run("", args, new CliEnvironment
                {
                    OutIsTerminal = terminal, Topology = CliBox.MachineOf(""),
                    Variable = name => name == "COLUMNS" ? columns : name == "XDG_STATE_HOME" ? folder : Array.Find(variables, v => v.Name == name).Value,
                });
                Assert.True(answer.Code == 0 && answer.Out.Length > 0, $"{answer.Code}: {answer.Error}");
                return answer.Out;
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What is left of a table however its cells are wrapped.</summary>
    private static string Letters(string text) => string.Concat(text.Where(c => !char.IsWhiteSpace(c)).Order());

    [Fact]
    public void Every_command_shows_examples_in_its_help_and_each_is_one_that_it_takes()
    {
        RootCommand root = CommandTree.Build(new OptionSet(), null!);
        foreach (Command command in root.Subcommands.Where(c => !c.Hidden && Sibling.All.All(s => s.Name != c.Name)))
        {
            string help = CliBox.Run(command.Name, "--help").Out;
            Assert.Contains($"memcgnative {command.Name}", help.Split("Usage:")[0], StringComparison.Ordinal);
            foreach (string example in CommandExamples.Of(command))
                Assert.True(root.Parse(CliBox.Split(example.Replace('"', '\''))[1..]).Errors.Count == 0, example);
        }
        string all = CliBox.Run("--help").Out;
        Assert.True(all.Split('\n').All(l => l.Length < 180), "the list of commands has one line for each");
        Assert.DoesNotContain("conform --language", all, StringComparison.Ordinal);
    }

    /// <summary>What the documents tell people to type is what the program takes; of bench/README's table the plan is made as well.</summary>
    [Fact]
    public void Every_command_line_of_the_documents_is_one_that_the_program_takes()
    {
        RootCommand root = CommandTree.Build(new OptionSet(), null!);
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md")), bench = File.ReadAllText(Path.Combine(Repository.Root, "bench", "README.md"));
        string[] typed = [.. Regex.Matches(readme, @"^(?:\$ )?\./memcgnative (.+?)(?: +#.*| *\| .*)?$", RegexOptions.Multiline).Select(m => m.Groups[1].Value)];
        Assert.True(typed.Length >= 10);
        foreach (string line in typed.Where(l => Sibling.All.All(s => s.Name != l.Split(' ')[0])))
            Assert.True(root.Parse(CliBox.Split(line.Replace('"', '\''))).Errors.Count == 0, line);
        foreach (string era in CliBox.Run("list", "eras").Out.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Contains(era.Split(' ')[0], readme, StringComparison.Ordinal);
        string[] verify = [.. Regex.Matches(bench, @"^\|.*\| `(run [^`]*)`", RegexOptions.Multiline).Select(m => m.Groups[1].Value)];
        Assert.True(verify.Length >= 12);
        foreach (string line in verify)
        {
            CliBox.Answer plan = CliBox.Run("pack:1 core:2 pu:1", CliBox.Split(line + " --dry-run"));
            Assert.True(plan.Code == 0, $"{line}: {plan.Error}");
        }
        foreach (string workload in WorkloadList.All.Select(w => w.Name).Where(n => !n.StartsWith("lru-", StringComparison.Ordinal)))
            Assert.Contains($"`{workload}`", bench, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mistyped_command_option_or_word_is_answered_with_the_one_that_was_meant()
    {
        foreach (Command command in CommandTree.Build(new OptionSet(), null!).Subcommands.Where(c => !c.Hidden && c.Name.Length > 3))
        {
            string typo = command.Name[..^2] + command.Name[^1] + command.Name[^2];
            if (typo == command.Name) continue;
            CliBox.Answer answer = CliBox.Run(typo);
            Assert.Equal((2, ""), (answer.Code, answer.Out));
            Assert.Contains($"did you mean '{command.Name}'?", answer.Error, StringComparison.Ordinal);
            Assert.Equal(1, answer.Error.Count(c => c == '\n'));
        }
    }

    [Fact]
    public void A_result_of_an_older_version_loads_and_a_truncated_or_damaged_one_gets_one_line()
    {
        string folder = Directory.CreateTempSubdirectory("memcgnative-").FullName;
        try
        {
            string text = JsonSerializer.Serialize(MadeUpResult.On("pack:1 core:2 pu:1", "3.19"), ResultJson.Default.Result), file = Path.Combine(folder, "r.json");
            string[] added = ["fits", "matrices", "dying_over_time", "machines", "modes", "canary_ns", "reps_for1_pct", "fairness", "until_pct", "locks"];
            System.Text.Json.Nodes.JsonNode old = System.Text.Json.Nodes.JsonNode.Parse(text)!;
            Forget(old, added);
            File.WriteAllText(file, old.ToJsonString());
            foreach (string command in (string[])["report", "compare"])
                Assert.Equal((0, ""), CliBox.Run([command, file, .. command == "compare" ? new[] { file } : []]) is var a ? (a.Code, a.Error) : default);
            string[] bad = [text[..(text.Length / 2)], text[..^2], "", "{}", text.Replace("\"points\": [", "\"points\": [7,"),
                text.Replace("\"threads\": ", "\"threads\": \"x\" + ")];
            foreach (string damaged in bad)
            {
                File.WriteAllText(file, damaged);
                CliBox.Answer answer = CliBox.Run("report", file, "-o", Path.Combine(folder, "out.html"));
                Assert.Equal((2, ""), (answer.Code, answer.Out));
                Assert.Equal(1, answer.Error.Count(c => c == '\n'));
                Assert.Contains(file, answer.Error, StringComparison.Ordinal);
                Assert.False(File.Exists(Path.Combine(folder, "out.html")));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Forget(System.Text.Json.Nodes.JsonNode? node, string[] names)
    {
        if (node is System.Text.Json.Nodes.JsonArray array)
            foreach (System.Text.Json.Nodes.JsonNode? n in array) Forget(n, names);
        if (node is not System.Text.Json.Nodes.JsonObject o) return;
        foreach (string name in names) o.Remove(name);
        foreach ((_, System.Text.Json.Nodes.JsonNode? n) in o.ToArray()) Forget(n, names);
    }
}
