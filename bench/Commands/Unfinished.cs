// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>--resume: what may be continued, and what is refused in one line. Figures of two programs or two machines are never mixed.</summary>
internal static class Unfinished
{
    /// <summary>An interrupted result of this program, as it was written.</summary>
    /// <exception cref="UsageException">It is not one, or an option beside it would change the experiment.</exception>
    public static Result Load(string path, ParseResult parsed, OptionSet options)
    {
        Option[] beside = [options.Out, options.Format, options.Html, options.NoHtml, options.Strict, options.DryRun, options.GrowPool, options.Resume];
        if (options.Experiment.Append(options.Twin).Append(options.Preset).Except(beside).FirstOrDefault(o => parsed.GetResult(o) is { Implicit: false }) is { } other)
            throw new UsageException($"--resume: {other.Name} is part of the experiment, which {path} tells; leave it out, or measure anew with --from {path}");
        Result r = ResultReader.Load(path);
        string version = ResultBuilder.Version, runtime = ResultBuilder.Tool().Runtime;
        string? why = r.Status == "complete" ? "is complete: there is nothing to continue"
            : r.Resume is null ? "was interrupted, and holds nothing to continue from"
            : r.Tool.Version != version ? $"was begun by version {r.Tool.Version}, and this is {version}"
            : r.Tool.Runtime != runtime ? $"was begun on {r.Tool.Runtime}, and this is {runtime}"
            : !r.IsWhole() ? "was edited or damaged since it was written" : null;
        return why is null ? r : throw new UsageException($"{path}: {why}; --from {path} measures it anew");
    }

    /// <summary>The scenario with what its own model does not tell, on the machine it was begun on.</summary>
    /// <exception cref="UsageException">This is another machine.</exception>
    public static Scenario Of(Result result, Scenario scenario, string? workload)
    {
        if (workload is not null) throw new UsageException($"--resume: the file names the workloads; leave '{workload}' out");
        if (OtherMachine(result.Environment, scenario) is { } how)
            throw new UsageException($"--resume: the run was begun on another machine ({how}); --from measures it anew here");
        ResumeCommand c = result.Resume!.Command;
        scenario = scenario with
        {
            Twin = c.Twin,
            Preset = c.Preset is null ? null : Preset.Find(c.Preset),
            ProbesLines = c.ProbesLines,
            ProbesPrefetch = c.ProbesPrefetch,
            Unfinished = result,
        };
        return Text(scenario.ToModel()) == Text(result.Scenario) ? scenario
            : throw new UsageException("--resume: the file's scenario is another one on this machine; --from measures it anew");
    }

    private static string? OtherMachine(EnvironmentModel then, Scenario scenario)
    {
        string? kernel = then.Settings.GetValueOrDefault("kernel")?.Value, here = HostSettings.Read().KernelRelease.Value;
        if (kernel != here) return $"kernel {kernel}, here {here}";
        foreach (CpuId id in scenario.Cpus)
        {
            CpuInfo c = scenario.Topology.Cpu(id);
            if (then.Host.Cpus.FirstOrDefault(x => x.Number == id.Value) != new CpuModel(id.Value, c.Node.Value, c.Package, c.L3, c.Core, c.Smt)) return $"CPU {id} lies elsewhere";
        }
        return null;
    }

    private static string Text(ScenarioModel model) => JsonSerializer.Serialize(model, ResultJson.Default.ScenarioModel);
}
