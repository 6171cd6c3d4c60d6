// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace MemcgNative.Bench.Micro;

/// <summary>
/// Single-thread costs and the zero-allocation guard: artifacts/bin/Micro/release/MemcgNative.Micro [--quick] [--artifacts DIR] [BenchmarkDotNet options].
/// Exit: 0 all measured and nothing allocated; 1 something did not run or left no result; 5 a hot path allocated.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        bool quick = args.Contains("--quick");
        int at = Array.IndexOf(args, "--artifacts");
        if (at == args.Length - 1 && at >= 0) return Fail(2, "--artifacts: a directory must follow");
        string artifacts = Path.GetFullPath(at >= 0 ? args[at + 1] : Path.Combine("artifacts", "micro"));
        string[] rest = [.. args.Where((a, i) => a != "--quick" && (at < 0 || (i != at && i != at + 1)))];
        if (!rest.Any(a => a is "-f" or "--filter")) rest = [.. rest, "--filter", "*Costs*"];

        DateTime started = DateTime.UtcNow;
        Summary[] summaries;
        try
        {
            summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(rest, Config(quick, artifacts))];
        }
        catch (NullReferenceException)
        {
            return Fail(1, "a benchmark threw; see above"); // how BenchmarkDotNet 0.14.0 ends then, in process
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(1, $"no result could be written: {e.Message}");
        }
        if (rest.Any(a => a is "--list" or "--help" or "--info")) return 0;
        return Judge(summaries, artifacts, started);
    }

    // In process: the code measured is the code built here, steady (no tiering), without a second restore and build.
    private static ManualConfig Config(bool quick, string artifacts)
    {
        Job job = (quick ? Job.Default.WithWarmupCount(1).WithIterationCount(3).WithInvocationCount(65536) : Job.ShortRun).WithToolchain(InProcessNoEmitToolchain.Instance);
        return ManualConfig.CreateEmpty()
            .AddJob(job).AddDiagnoser(MemoryDiagnoser.Default).AddColumnProvider(DefaultColumnProviders.Instance)
            .AddLogger(ConsoleLogger.Default).AddExporter(JsonExporter.Full).WithArtifactsPath(artifacts)
            .WithOptions(ConfigOptions.DisableLogFile);
    }

    // BenchmarkDotNet can measure nothing and still end well, so what came out is looked at.
    private static int Judge(Summary[] summaries, string artifacts, DateTime started)
    {
        BenchmarkReport[] reports = [.. summaries.SelectMany(s => s.Reports)];
        if (reports.Length == 0) return Fail(1, "no benchmark ran; names: --list flat");
        foreach (BenchmarkReport r in reports)
            if (!r.Success || r.ResultStatistics is null) return Fail(1, $"{r.BenchmarkCase.Descriptor.WorkloadMethod.Name} was not measured; see above");

        string results = Path.Combine(artifacts, "results");
        int files = !Directory.Exists(results) ? 0
            : Directory.EnumerateFiles(results, "*.json").Count(f => new FileInfo(f) is { Length: > 0 } i && i.LastWriteTimeUtc >= started.AddSeconds(-1));
        if (files < summaries.Length) return Fail(1, $"{files} result files of {summaries.Length} in {results}; is it writable?");

        foreach (BenchmarkReport r in reports)
        {
            long? bytes = r.GcStats.GetBytesAllocatedPerOperation(r.BenchmarkCase); // null: not measured, which proves nothing
            string count = bytes?.ToString(CultureInfo.InvariantCulture) ?? "an unknown number of";
            if (bytes != 0) return Fail(5, $"{r.BenchmarkCase.Descriptor.WorkloadMethod.Name} allocates {count} bytes per operation; a hot path allocates none");
        }
        Console.WriteLine($"{reports.Length} operations measured, none allocates; {results}");
        return 0;
    }

    private static int Fail(int status, string why)
    {
        Console.Error.WriteLine("micro: " + why);
        return status;
    }
}
