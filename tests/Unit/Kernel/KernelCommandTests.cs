// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.RegularExpressions;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class KernelCommandTests
{
    [Theory]
    [InlineData("conform no-such-file", "no-such-file: no such file, and no scenario of this program")]
    [InlineData("conform move-tusk", "move-tusk: no such file, and no scenario of this program; did you mean 'move-task.memcg'?")]
    [InlineData("conform --random many", "--random: 'many' is not a number of scenarios from 1 to 1000000")]
    [InlineData("conform --random 3 pipes", "--random: makes its own scenarios; leave the files out")]
    [InlineData("conform --on moon", "--on: 'moon' is not one of port, kernel")]
    [InlineData("conform --show nothing", "--show: no scenario 'nothing'")]
    [InlineData("replay", "replay: which file? See: memcgnative replay --help")]
    [InlineData("replay /nowhere.mtrace", "/nowhere.mtrace: cannot be read")]
    [InlineData("record", "record: which command? See: memcgnative record --help")]
    [InlineData("record -o /no/such/folder/x -- true", "--out: the folder /no/such/folder is not there")]
    [InlineData("kernel", "which command? probe, compare. See: memcgnative kernel --help")]
    [InlineData("kernel prob", "unknown command 'prob'; did you mean 'probe'?")]
    [InlineData("kernel compare /nowhere.json", "/nowhere.json: cannot be read")]
    [InlineData("conform @/etc/hostname", "@/etc/hostname: no such file, and no scenario of this program")] // not the library's file of arguments
    [InlineData("kernel probe --reps 0", "--reps: '0' is not a number from 1 to 1000")]
    public void What_is_wrong_is_one_line_and_exit_2(string line, string begin)
    {
        CliBox.Answer answer = CliBox.Run(CliBox.Split(line));
        Assert.Equal(ExitCode.Usage, answer.Code);
        Assert.StartsWith("memcgnative: " + begin, answer.Error, StringComparison.Ordinal);
        Assert.Equal("", answer.Out);
        Assert.Single(answer.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void The_language_is_printed_with_every_verb_and_key()
    {
        string text = CliBox.Run("conform", "--language").Out;
        Assert.All(ScriptGrammar.Verbs, v => Assert.Contains(v.Form, text, StringComparison.Ordinal));
        Assert.All(ScriptGrammar.Keys, k => Assert.Contains(k.What, text, StringComparison.Ordinal));
        Assert.Equal(ScenarioFiles.Text("pipes.memcg"), CliBox.Run("conform", "--show", "pipes").Out);
    }

    [Fact]
    public void What_is_not_modelled_is_listed_with_its_reason_in_the_program_and_in_its_page()
    {
        string list = CliBox.Run("conform", "--list").Out, page = File.ReadAllText(Path.Combine(Repository.Root, "bench/Kernel/SCENARIOS.md"));
        Assert.All(ScenarioFiles.Names, n => Assert.Contains(n, list, StringComparison.Ordinal));
        Assert.All(NotModelled.All, n => Assert.Contains($"# {n.Test}: {n.Why}", list, StringComparison.Ordinal));
        Assert.All(NotModelled.All, n => Assert.Contains($"| {n.Test} | {n.Why} |", page, StringComparison.Ordinal));
    }

    /// <summary>The tests of the kernel's main line as of 7.1, in the order of their files.</summary>
    [Theory]
    [InlineData("test_memcontrol", "subtree_control current_peak min low high high_sync max reclaim oom_events swap_max_peak sock oom_group_ oom_group_ oom_group_ "
        + "inotify inotify")]
    [InlineData("test_kmem", "kmem_basic kmem_memcg_deletion kpagecgroup kernel_stacks kmem_dead_cgroups percpu_basic")]
    public void Each_test_of_the_kernel_is_a_scenario_or_has_a_reason(string file, string tests)
    {
        string[] said = [.. ScenarioFiles.Names.Select(n => ScenarioFiles.Text(n).Split('\n')[0]).Concat(NotModelled.All.Select(n => n.Test))
            .Where(s => s.Contains(file, StringComparison.Ordinal))];
        string[] names = tests.Split(' ');
        for (int i = 0; i < names.Length; i++)
            Assert.True(said.Any(s => s.Contains(names[i], StringComparison.Ordinal) && Numbers(s).Contains(i + 1)),
                $"{file} {i + 1} {names[i]}: neither a scenario nor in NotModelled");
    }

    /// <summary>"3", "15, 16" and "12-14" in a line.</summary>
    private static IEnumerable<int> Numbers(string line) => Regex.Matches(line, @"\b(\d+)(?:-(\d+))?\b").SelectMany(m =>
    {
        int first = int.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        return Enumerable.Range(first, m.Groups[2].Success ? int.Parse(m.Groups[2].ValueSpan, CultureInfo.InvariantCulture) - first + 1 : 1);
    });

    [Fact]
    public void The_table_sets_two_eras_side_by_side()
    {
        CliBox.Answer answer = CliBox.Run("conform", "oracle-o2-two-groups", "-M", "3.19", "-M", "6.18", "--diff", "-q");
        Assert.Equal(0, answer.Code);
        Assert.Contains("port 3.19", answer.Out, StringComparison.Ordinal);
        Assert.Contains("stock 64 x 1 CPU(s) x 1 group(s)", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Curves_come_from_probe_sweep_will_it_scale_and_lkp_and_are_set_against_themselves()
    {
        string folder = Directory.CreateTempSubdirectory("memcgnative-curves-").FullName;
        try
        {
            string Write(string name, string text)
            {
                string path = Path.Combine(folder, name);
                File.WriteAllText(path, text);
                return path;
            }
            string probe = Write("probe.json", """{"series":[{"loop":"fault","place":"here","cpus":1,"median_ops_per_s":100,"spread_pct":1},"""
                + """{"loop":"fault","place":"here","cpus":2,"median_ops_per_s":190,"spread_pct":1},"""
                + """{"loop":"fault","place":"depth 1","cpus":1,"median_ops_per_s":90,"spread_pct":1},"""
                + """{"loop":"fault","place":"depth 1","cpus":2,"median_ops_per_s":189,"spread_pct":1}]}""");
            string sweep = Write("sweep.json",
                """{"points":[{"workload":"fault","model":"3.19","threads":1,"throughput_ops_per_s":{"median":7}},"""
                + """{"workload":"fault","model":"3.19","threads":2,"throughput_ops_per_s":{"median":14}}]}""");
            string csv = Write("page_fault2.csv", "tasks,processes,processes_idle,threads,threads_idle,linear\n0,0,100,0,100,0\n1,50,1,40,1,50\n2,90,1,60,1,100\n");
            string lkp = Write("stats.json", """{"will-it-scale.1.processes":[10,12,11],"will-it-scale.2.processes":[20],"other":3}""");
            CliBox.Answer answer = CliBox.Run("kernel", "compare", sweep, probe, "--import", csv, "--import", lkp);
            Assert.Equal(0, answer.Code);
            Assert.Contains("Shapes, not speeds", answer.Out, StringComparison.Ordinal);
            Assert.Matches(@"port 3\.19 +fault +1\.00 +2\.00", answer.Out);
            Assert.Matches(@"kernel here +fault +1\.00 +1\.90", answer.Out);
            Assert.Matches(@"will-it-scale processes +page_fault2\.csv +1\.00 +1\.80", answer.Out);
            Assert.Matches(@"lkp processes +stats\.json +1\.00 +1\.82", answer.Out);
            Assert.Contains("order of kernel, fault, 1 CPU(s): here (1.00) > depth 1 (0.90)", answer.Out, StringComparison.Ordinal);
            Assert.Contains("order of kernel, fault, 2 CPU(s): here (1.00) ~ depth 1 (0.99)", answer.Out, StringComparison.Ordinal);
            Assert.Contains("not fitted: 2 thread count(s), needs 5", answer.Out, StringComparison.Ordinal);
            Assert.Contains("fit: none;", answer.Out, StringComparison.Ordinal);
            string many = Write("many.csv", "tasks,processes\n" + string.Concat(Enumerable.Range(1, 8).Select(n => string.Create(
                System.Globalization.CultureInfo.InvariantCulture, $"{n},{Scalability.Law(1000, 0.1, 0.01, n):0.00}\n"))));
            CliBox.Answer fitted = CliBox.Run("kernel", "compare", probe, "--import", many);
            Assert.Contains("sigma 0.1000, kappa 0.0100", fitted.Out, StringComparison.Ordinal);
            Assert.DoesNotContain("fit: none;", fitted.Out, StringComparison.Ordinal);
            string deep = Write("deep.json", """{"scenario":{"memcg":{"depth":5}},"points":[{"workload":"fault","model":"3.19","threads":1,"throughput_ops_per_s":"""
                + """{"median":6}}]}""");
            Assert.Contains("order of port, fault, 1 CPU(s): 3.19 (1.00) > 3.19 depth 5 (0.86)", CliBox.Run("kernel", "compare", sweep, deep).Out, StringComparison.Ordinal);
            Assert.DoesNotMatch(@"\d+(\.\d+)? ?(x|times) the kernel", answer.Out);
            foreach (string bad in (string[])["{", "[]", "", "{\"series\":3}", "tasks,processes\n1,x\n", "{\"points\":[{}]}"])
                Assert.Equal(ExitCode.Usage, CliBox.Run("kernel", "compare", Write("bad", bad)).Code);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_command_is_recorded_in_a_group_of_its_own_and_replays()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root, tracefs and a writable cgroup hierarchy");
        string file = Path.Combine(Path.GetTempPath(), $"record-{Guid.NewGuid():N}.mtrace");
        try
        {
            (int code, string _, string error) = KernelScenarioTests.Program("record", "-o", file, "--", "/bin/sh", "-c",
                "i=0; while [ $i -lt 5 ]; do /bin/ls / >/dev/null; i=$((i+1)); done");
            Assert.SkipWhen(code == ExitCode.NotHere, error.Trim());
            Assert.True(code == 0, error);
            TraceFile trace = TraceFormat.Read(file);
            Assert.SkipWhen(trace.Header.Lost > 0, "events were lost: this machine is too busy");
            Assert.True(trace.Events.Count(e => e.Kind == TraceKind.Anon) > 100, "a shell faults more than a hundred pages");
            ReplayResult result = ReplayCommand.Replay(trace, Accounting.Model.Parse("6.18"), trace.Header.Cpus, TestContext.Current.CancellationToken);
            Assert.Empty(result.Wrong);
            Assert.DoesNotContain(ReplayReport.Rows(trace, result), r => !r.Ok);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
