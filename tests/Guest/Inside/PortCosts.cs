// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// Instructions of one operation, where the clock counts them (guest.sh -i): 1 ns is one instruction. A block of 2 N operations less a block of N,
/// so that what the block itself costs falls out. Of each the least that was seen <see cref="Witnesses"/> times: a tick of the kernel that fell into
/// a block is not the port's, and a block that only once was cheap did less. The first ones do: a ring that is not full yet gives nothing back.
/// </summary>
internal static unsafe class PortCosts
{
    private const int Ops = 1024; // a multiple of every stock, ring and gather, and over before the next tick
    private const int WarmUp = 4 * Ops, Turns = 32, Witnesses = 3;
    private const string Base = "3.19"; // the youngest era that most answers go with

    /// <summary>"MODEL WORKLOAD INSTRUCTIONS" a line: of the eras named; of none, every era and every answer that goes with the base.</summary>
    public static int Run(TextWriter report, string[] eras)
    {
        report.WriteLine($"# .NET {Environment.Version}, x64 without AVX");
        foreach ((Model model, string[] workloads) in eras.Length > 0 ? eras.Select(EraRow) : Eras.All.Select(e => EraRow(e.Name)).Concat(AnswerRows()))
        {
            using Instance instance = Matrix.Bind(model, new InstanceMaker(Plan(model)));
            instance.Start();
            foreach (string workload in workloads)
                report.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{model,-32} {workload,-16} {Cost(instance.Open(workload)),10:0.00}"));
            if (!instance.Close().Balanced) throw new InvalidOperationException($"{model}: the books do not balance");
        }
        return 0;
    }

    /// <summary>Where page_cgroups are freed in batches after a grace period, file-read's batches end with the clock: two boots differed by 3 in 1883.</summary>
    private static (Model Model, string[] Workloads) EraRow(string era)
    {
        var model = Model.Parse(era);
        return (model, model[Axis.PageCgroup].StartsWith("LocklessRcu", StringComparison.Ordinal) ? ["charge-uncharge", "fault"] : ["charge-uncharge", "fault", "file-read"]);
    }

    private static IEnumerable<(Model Model, string[] Workloads)> AnswerRows()
    {
        foreach (Answer answer in Eras.Answers.Where(a => a.Refused is null && a.Axis < Axis.LruSwitch))
        {
            Model model = Model.Parse($"{Base},{Eras.NameOf(answer.Axis)}={answer.Name}");
            if (model.ToString() == Base || Eras.WhyNot(model) is not null) continue;
            yield return (model, answer.Axis switch
            {
                Axis.Counter or Axis.Stock => ["charge-uncharge"],
                Axis.Kmem => ["dentries", "pipes"],
                _ => ["fault"],
            });
        }
    }

    private static double Cost(Lane lane)
    {
        Block(lane, WarmUp);
        return (double)(Least(lane, 2 * Ops) - Least(lane, Ops)) / Ops;
    }

    private static long Least(Lane lane, long ops)
    {
        long[] took = new long[Turns];
        for (int turn = 0; turn < Turns; turn++) took[turn] = Block(lane, ops);
        IGrouping<long, long>[] alike = [.. took.GroupBy(t => t).Where(g => g.Count() >= Witnesses)];
        if (alike.Length == 0) throw new InvalidOperationException($"{lane.Workload}: no count came up {Witnesses} times: {string.Join(' ', took.Order())}");
        return alike.Min(g => g.Key);
    }

    private static long Block(Lane lane, long ops)
    {
        lane.Batch(1, 1, ops, null);
        return lane.States->Elapsed;
    }

    private static InstancePlan Plan(Model model)
    {
        Topology here = Topology.Current();
        return new InstancePlan
        {
            Topology = here,
            Cpus = [here.AllowedCpus[0]],
            Mem = NumaPolicy.Parse("local"),
            Pages = [PageKind.Small],
            FootprintBytes = 16 << 20,
            Place = PlaceMap.Parse(null, here),
            Shape = new MemcgShape(1, 1, null),
            Model = model,
            Rcu = RcuFlavour.Qsbr,
            FakeNodes = 0,
        };
    }
}
