// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>A result that nobody measured, for a machine that is not here; marked synthetic, so that every view of it says so.</summary>
internal static class MadeUpResult
{
    public static Result On(string machine, params string[] models)
    {
        Topology t = CliBox.MachineOf(machine)();
        CpuId[] cpus = [.. CpuOrder.CoresFirst(t, t.AllowedCpus)];
        int[] threads = ThreadLadder.Default(t, cpus);
        var random = new SeededRandom(11);
        double Noise(double sigma) => 1 + sigma * (Enumerable.Range(0, 12).Sum(_ => random.Next(1 << 20) / (double)(1 << 20)) - 6);
        string[] mems = [.. t.Nodes.Where(n => n.HasMemory).Take(2).Select((n, i) => i == 0 ? "local" : $"bind:{n.Id}")];
        var points = new List<PointModel>();
        for (int m = 0; m < models.Length; m++)
            foreach (string mem in mems)
                foreach (int n in threads)
                    points.Add(Point(t, models[m], mem, n, cpus, Scalability.Law(14e6 * (1 + 0.2 * m), 0.03 / (1 + 9 * m), 0.0004 / (1 + 20 * m), n) * (mem == "local" ? 1
                        : 0.8), Noise));
        return new Result
        {
            Synthetic = true,
            Tool = new ToolModel("0.0.0+synthetic", "none", false, "none"),
            Started = "2000-01-01T00:00:00Z",
            Status = "complete",
            Seed = "0x1",
            Scenario = new ScenarioModel
            {
                Workloads = ["fault"], Models = [.. models.Select(m => new DesignsModel(m, "synthetic"))], Cpus = CpuList.Format(cpus), CpuOrder = [.. cpus.Select(c => c.Value)],
                Threads = threads, Mem = mems, Pages = "4K", Place = "local", FootprintBytes = 1 << 30, FakeNodes = 0, Rcu = "qsbr", Memcg = new MemcgModel(3, 1, false, null),
                Reps = 10, DurationNs = 100_000_000, WarmupNs = null, BatchNs = 2_000_000, Machines = 5,
            },
            Environment = new EnvironmentModel(TopologyModel.From(t), new Dictionary<string, SettingModel> { ["kernel"] = new("synthetic", null), ["governor"] = new(null,
                "synthetic") },
                [new WarningModel("synthetic", "nobody measured this", null)]),
            Points = points,
            Ratios = [.. points.Where(p => p.Model != models[0]).Select(p => new RatioModel(p.Workload, p.Model, p.Mem, p.Threads, models[0], 0.8 - 0.002 * p.Threads,
                [0.79 - 0.002 * p.Threads,
                0.81 - 0.002 * p.Threads], 0.8 - 0.002 * p.Threads, 1000, 0, null)).Take(12)],
            Runtime = new RuntimeModel(0, 0, 0, 0, "synthetic"),
            Fits = [.. points.GroupBy(p => (p.Model, p.Mem)).Select(g => Scalability.Fit("fault", g.Key.Model, g.Key.Mem, [.. g.Select(p => (p.Threads,
                p.ThroughputOpsPerS.Median!.Value))]))],
            Matrices = [Matrix("cpu", cpus, (a, b) => t.Cpu(a).Package != t.Cpu(b).Package ? 180 : t.Cpu(a).Node != t.Cpu(b).Node ? 105 : t.Cpu(a).L3 != t.Cpu(b).L3 ? 90 : 45,
                Noise), NodeMatrix(t, Noise)],
            LineProbe = FalseSharing.Judge(cpus[0], cpus[1], [.. FalseSharing.Distances.Select(d => Enumerable.Range(0, 40).Select(_ => (double?)(Noise(0.02) * (d < 64 ? 18
                : 5))).ToArray())], 1),
        };
    }

    private static PointModel Point(Topology t, string model, string mem, int n, CpuId[] cpus, double speed, Func<double, double> noise)
    {
        double[] samples = [.. Enumerable.Range(0, 10).Select(_ => speed * noise(0.01))];
        Estimate e = Estimate.Of(samples);
        ThreadModel[] threads = [.. cpus.Take(n).Select((c, i) => new ThreadModel(c.Value, t.Cpu(c).Node.Value, 1_000_000, 0, speed / n * noise(0.03) * (i > n / 2 ? 0.95
            : 1.05), 0, 0, null))];
        double ns = 1e9 / speed * n;
        long[][] buckets = [.. Enumerable.Range(0, 60).Select(i => (long[])[(long)(ns * (0.9 + 0.02 * i * i)), (long)(1e6 / Math.Pow(1.35, i)) + 1])];
        string trust = n > 200 ? "noisy" : "ok";
        var found = t.Nodes.Where(x => x.HasMemory).Take(mem == "local" ? 8 : 1).ToDictionary(x => x.Id.ToString(), _ => 32768L);
        return new PointModel
        {
            Workload = "fault", Operation = "synthetic", Model = model, Mem = mem, Threads = n,
            ThroughputOpsPerS = new ThroughputModel(samples, e.Median, [e.Low!.Value, e.High!.Value], e.SpreadPercent, null, trust, trust == "ok" ? [] : ["synthetic"]),
            LatencyNs = new LatencyModel(20, 1, false, 1_000_000, new Dictionary<string, double?> { ["50"] = ns, ["90"] = ns * 1.4, ["99"] = ns * 3, ["99.9"] = ns * 9,
                ["99.99"] = null, ["100"] = ns * 60 },
                new HistogramModel(7, buckets)),
            PerThread = threads,
            Fairness = Fairness.Of(threads),
            Counters = new Dictionary<string, CounterModel>(),
            Placement = new PlacementModel
            {
                Method = "synthetic", Asked = mem, Found = found, FoundAfter = found, FrameBytes = 4096, Pages = "4K", When = ["before", "after"], Verdict = "as_asked",
                    Reason = null, FakeNodes = false,
                MetadataBytes = new Dictionary<string, IReadOnlyDictionary<string, long>>(),
            },
            Books = new BooksModel(true, 1_000_000, 1_000_000, 0, 0, 0, new DyingModel(0, new Dictionary<string, long>()), []),
            Noise = new NoiseModel(0, null, 0, 1000, 0, e.SpreadPercent),
            Locks = [.. t.Nodes.Where(x => x.HasMemory).Select(x => new Bench.LockModel($"zone {x.Id}", 1_000_000, 20_000 * n, 5e6 * n * noise(0.05), null, 15_000_000, []))],
            DyingOverTime = model == "3.17" ? [.. Enumerable.Range(0, 50).Select(i => (long[])[i * 20, 3 * i])] : null,
        };
    }

    private static MatrixModel Matrix(string kind, CpuId[] cpus, Func<CpuId, CpuId, double> ns, Func<double, double> noise) =>
        new(kind, "page_counter", PageCounterLine.What, [.. cpus.Order().Select(c => c.Value)], [.. cpus.Order().Select(c => c.Value)],
            [.. from a in cpus from b in cpus where b < a select new CellModel(a.Value, b.Value, ns(a, b) * noise(0.02), null, 40, null)], null, null);

    private static MatrixModel NodeMatrix(Topology t, Func<double, double> noise)
    {
        NodeId[] nodes = [.. t.Nodes.Where(n => n.HasMemory && n.HasCpus).Select(n => n.Id)];
        CellModel[] Cells(double scale) => [.. from a in nodes from b in nodes select new CellModel(a.Value, b.Value, scale * t.Distance(a, b) * noise(0.02), null, 40, null)];
        return new MatrixModel("node", "page_counter", PageCounterLine.What, [.. nodes.Select(n => n.Value)], [.. nodes.Select(n => n.Value)], Cells(6), Cells(9), null);
    }
}
