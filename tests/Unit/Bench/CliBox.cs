// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The program without a process: arguments in, exit code and both streams out.</summary>
internal static class CliBox
{
    /// <summary>What one call gave.</summary>
    internal readonly record struct Answer(int Code, string Out, string Error);

    /// <summary>Runs arguments on a machine: "" this one, a recorded one by name, or a synthetic line.</summary>
    public static Answer Run(string machine, string[] args, CliEnvironment? environment = null)
    {
        using var stdout = new StringWriter();
        using var stderr = new StringWriter();
        environment ??= new CliEnvironment { Topology = MachineOf(machine) };
        int code = Cli.Run(args, stdout, stderr, environment);
        return new Answer(code, stdout.ToString(), stderr.ToString());
    }

    public static Answer Run(params string[] args) => Run("", args);

    /// <summary>The result of a run whose one ratio is above a bound: on a busy machine all rounds may be dropped, or bent, and then it is measured for longer.</summary>
    public static JsonDocument Measured(string line, int milliseconds, double atLeast)
    {
        for (int length = milliseconds; ; length *= 4)
        {
            Answer answer = Run(Split($"{line} -d {length}ms"));
            Assert.Equal((0, ""), (answer.Code, answer.Error));
            var json = JsonDocument.Parse(answer.Out);
            JsonElement ratio = json.RootElement.GetProperty("ratios")[0].GetProperty("ratio");
            bool kept = ratio.ValueKind == JsonValueKind.Number && ratio.GetDouble() > atLeast;
            if (kept || length > milliseconds * 64) return json;
            json.Dispose();
        }
    }

    /// <summary>"run fault --seed 7", with 'quoted parts'.</summary>
    public static string[] Split(string line)
    {
        var args = new List<string>();
        string[] parts = line.Split('\'');
        for (int i = 0; i < parts.Length; i++)
        {
            if (i % 2 == 1) args.Add(parts[i]);
            else args.AddRange(parts[i].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        }
        return [.. args];
    }

    public static Func<Topology> MachineOf(string machine) => () => machine == "" ? Topology.Current()
        : machine.Contains(':', StringComparison.Ordinal) ? SyntheticTopology.Parse(machine) : Machines.Load(machine);
}
