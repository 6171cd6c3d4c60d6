// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Text.Json;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class LaboratoryTests
{
    [Fact]
    public void Completion_knows_commands_and_options_and_bash_can_read_it()
    {
        Assert.Contains("compare", CliBox.Run("[suggest:14]", "memcgnative co").Out.Split(Environment.NewLine));
        foreach (string shell in (string[])["bash", "zsh", "fish", "pwsh"])
        {
            CliBox.Answer answer = CliBox.Run("completion", shell);
            Assert.Equal((0, ""), (answer.Code, answer.Error));
            Assert.Contains("[suggest:", answer.Out, StringComparison.Ordinal);
        }
        Assert.Equal("memcgnative: completion: 'bsh' is not one of bash, zsh, fish, pwsh; did you mean 'bash'?" + Environment.NewLine, CliBox.Run("completion", "bsh").Error);
        if (!File.Exists("/bin/bash")) Assert.Skip("no bash here");
        using Process bash = Process.Start(new ProcessStartInfo("/bin/bash", "-n") { RedirectStandardInput = true, RedirectStandardError = true })!;
        bash.StandardInput.Write(CliBox.Run("completion").Out);
        bash.StandardInput.Close();
        Assert.Equal("", bash.StandardError.ReadToEnd());
    }

    [Fact]
    public void The_manual_page_names_every_command_and_the_schema_is_the_committed_one()
    {
        string man = CliBox.Run("man").Out;
        foreach (string command in (string[])["run", "sweep", "compare", "report", "matrix", "doctor", "topology", "placement", "completion"])
            Assert.Contains($"\n.SS {command}", man, StringComparison.Ordinal);
        Assert.Contains("\n.SH EXIT STATUS\n", man, StringComparison.Ordinal);
        Assert.Equal(ResultSchema.Text(), CliBox.Run("schema").Out);
    }

    [Fact]
    public void Doctor_finds_what_bends_figures_and_measures_nothing_when_told()
    {
        CliBox.Answer answer = CliBox.Run("offline-and-isolated", ["doctor", "--dry-run"]);
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        Assert.All(answer.Out.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries), l => Assert.StartsWith("finding", l, StringComparison.Ordinal));
        Assert.Contains("one memory node", CliBox.Run("vm-one-node", ["doctor", "--dry-run"]).Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_sweep_leaves_its_report_where_it_says_and_a_scenario_runs_again_from_it()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        string folder = Directory.CreateTempSubdirectory("memcgnative-").FullName;
        try
        {
            var environment = new CliEnvironment { Variable = n => n == "XDG_STATE_HOME" ? folder : null };
            CliBox.Answer answer = CliBox.Run("", CliBox.Split("sweep alloc-free -d 2ms -r 2 -w 5ms"), environment);
            string html = Path.Combine(folder, "memcgnative", "last.html");
            Assert.Equal(0, answer.Code);
            Assert.Contains($"report   {html}", answer.Error, StringComparison.Ordinal);
            CliBox.Answer again = CliBox.Run("", ["run", "--from", html, "-q", "--format", "json"], environment);
            Assert.Equal((0, ""), (again.Code, again.Error));
            using JsonDocument first = JsonDocument.Parse(ResultReader.Json(html)), second = JsonDocument.Parse(again.Out);
            Assert.Equal(first.RootElement.GetProperty("scenario").ToString(), second.RootElement.GetProperty("scenario").ToString());
            Assert.Equal(first.RootElement.GetProperty("seed").GetString(), second.RootElement.GetProperty("seed").GetString());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Repetitions_are_spread_over_fresh_machines_and_until_ends_early()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        using var spread = JsonDocument.Parse(CliBox.Run(CliBox.Split("run alloc-free -q -t 1 -d 4ms -r 4 --machines 2 -w 5ms --format json")).Out);
        JsonElement throughput = spread.RootElement.GetProperty("points")[0].GetProperty("throughput_ops_per_s");
        int[] machines = [.. throughput.GetProperty("machines").EnumerateArray().Select(m => m.GetInt32())];
        Assert.Equal(throughput.GetProperty("samples").GetArrayLength(), machines.Length); // a repetition without an undisturbed round gives none
        Assert.All(machines, m => Assert.InRange(m, 0, 1));
        Assert.Equal([0, 0, 1, 1], Enumerable.Range(0, 4).Select(new Schedule(TimeSpan.FromMilliseconds(4), 4, null, 1, Machines: 2).MachineOf));
        using var until = JsonDocument.Parse(CliBox.Run(CliBox.Split("run alloc-free -q -t 1 -d 4ms --until 100% -w 5ms --format json")).Out);
        Assert.InRange(until.RootElement.GetProperty("points")[0].GetProperty("throughput_ops_per_s").GetProperty("samples").GetArrayLength(), 1, 3 * Schedule.LeastReps);
    }
}
