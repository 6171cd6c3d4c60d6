// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>A line that both CPUs touch and at least one writes; per page of one CPU.</summary>
/// <param name="Line">What lies in it.</param>
/// <param name="Reads">Loads, by CPU.</param>
/// <param name="Writes">Stores, by CPU.</param>
/// <param name="Locks">Locked instructions, by CPU.</param>
/// <param name="Moves">From one CPU to the other, per page of either.</param>
internal sealed record LedgerLine(string Line, double[] Reads, double[] Writes, double[] Locks, double Moves);

/// <summary>
/// The lines that CPUs share from fault to final put, counted: the workload `fault` on two CPUs of one node, which take turns page by page, in one
/// group and in a group each. `torture ledger` prints it; bench/Report/ledger.tsv holds it for reports, and a test compares the two.
/// </summary>
internal static unsafe class LineLedgerCount
{
    private const int Ring = 256, Warm = 8, Turns = 16; // rings of pages; the first ones bring lists, stocks and free pages to their steady state

    /// <summary>`torture ledger [MODEL]`.</summary>
    public static int Show(string[] models, TextWriter writer, TextWriter error)
    {
        try
        {
            writer.Write(Print(models.Length == 0 ? Models : [.. models.Select(Model.Parse)]));
            return ExitCode.Success;
        }
        catch (UsageException e)
        {
            error.WriteLine("memcg-torture: ledger: " + e.Message);
            return ExitCode.Usage;
        }
    }

    /// <summary>What the file holds: every era, and the newest ones of each list lock with other counters and stocks.</summary>
    public static IReadOnlyList<Model> Models { get; } =
        [.. EveryEra, .. Varied("3.19", Axis.Counter, Axis.Stock, Axis.Lru, Axis.PageCgroup), .. Varied("6.18", Axis.Counter, Axis.Stock)];

    /// <summary>Enough to notice a change of the code.</summary>
    public static IEnumerable<Model> EveryEra => Eras.All.Select(e => new Model(e.Name, e.Answers));

    private static IEnumerable<Model> Varied(string era, params Axis[] axes)
    {
        IReadOnlyList<string> of = Eras.Find(era)!.Answers;
        return axes.SelectMany(axis => Eras.Answers.Where(a => a.Axis == axis && a.Refused is null && a.Name != of[(int)axis]).Select(a =>
            new Model(era, [.. of.Select((was, i) => i == (int)axis ? a.Name : was)]))).Where(Torture.Models.IsBuilt);
    }

    /// <summary>Tab-separated: model, groups, line, then for each CPU reads, writes, locked; moves. All but the names per page.</summary>
    public static string Print(IEnumerable<Model> models)
    {
        var text = new StringBuilder("model\tgroups\tline\treads 0\treads 1\twrites 0\twrites 1\tlocked 0\tlocked 1\tmoves\n");
        foreach (Model model in models)
            foreach (bool shared in (bool[])[true, false])
            {
                foreach (LedgerLine r in Matrix.Bind(model, new Count(model, shared)))
                    text.Append(string.Join('\t', [model.ToString(), shared ? "one" : "own", r.Line,
                        .. r.Reads.Concat(r.Writes).Concat(r.Locks).Append(r.Moves).Select(Number)])).Append('\n');
            }
        return text.ToString();
    }

    private static string Number(double perPage) => perPage.ToString("0.####", CultureInfo.InvariantCulture);

    private sealed class Count(Model model, bool shared) : IControllerUser<IReadOnlyList<LedgerLine>>
    {
        public IReadOnlyList<LedgerLine> Use<TC>() where TC : struct, IMemoryController
        {
            using var cpus = new PerCpu([(new CpuId(0), new NodeId(0)), (new CpuId(1), new NodeId(0))]);
            using var memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), 4 * NodeSpec.Granule)]) { Watermarks = Watermarks.None }, new PlainMemory());
            memory.Attach(cpus.Table);
            using var source = new PlainMemory();
            var accounting = AccountingMemory.Build<TC>(memory, cpus, source, new AccountingPlan(MaxGroups: 4) { Slices = SlicePlan.Parse(model[Axis.LruSlice]) });
            var spaces = (MmStruct*)NativeMemory.AlignedAlloc((nuint)(2 * sizeof(MmStruct)), 4096);
            for (int c = 0; c < 2; c++)
            {
                ThisCpu cpu = cpus.Witness(c);
                Rcu.CpuOnline(cpu);
                MmStruct.Init(spaces + c, Ring, source.Map([new MemoryPart((nuint)((MmStruct.TableBytes(Ring) + 4095) & -4096), new NodeId(0))], MemoryUse.Process));
            }
            ThisCpu first = cpus.Witness(0);
            Memcg* one = MemcgLife.Create<TC>(first, accounting.Root), other = shared ? one : MemcgLife.Create<TC>(first, accounting.Root);
            MemcgLife.Attach(first, spaces, one);
            MemcgLife.Attach(first, spaces + 1, other);

            LineTally.Clear();
            LineTally.On = true;
            for (int i = 0; i < (Warm + Turns) * Ring; i++)
            {
                if (i == Warm * Ring) LineTally.Reset();
                for (int c = 0; c < 2; c++) Page<TC>(cpus, c, spaces + c, i & (Ring - 1));
            }
            LineTally.On = false;

            List<LedgerLine> rows = Rows(new LineNames(model, accounting, memory, spaces, TC.PageMetadataBytes));
            for (int c = 0; c < 2; c++) Mm.Unmap<TC>(cpus.Witness(c), spaces + c, 0, Ring);
            NativeMemory.AlignedFree(spaces); // nobody looks at the rest again: memory goes with its source
            return rows;
        }

        private static void Page<TC>(PerCpu cpus, int c, MmStruct* mm, long at) where TC : struct, IMemoryController
        {
            ThisCpu cpu = cpus.Witness(LineTally.Cpu = c);
            if ((at & (Mm.Batch - 1)) == 0)
            {
                Mm.Unmap<TC>(cpu, mm, at, Mm.Batch);
                Poll.Run(cpu);
            }
            if (Mm.Fault<TC>(cpu, mm, at, write: false) != FaultResult.Mapped) Bug.Fail("ledger: a page was refused");
        }

        private static List<LedgerLine> Rows(LineNames names)
        {
            const double Pages = Turns * Ring;
            double[] Sum(IEnumerable<LineTouches> lines, Func<LineTouches, long[]> of) => [lines.Sum(l => of(l)[0]) / Pages, lines.Sum(l => of(l)[1]) / Pages];
            return
            [
                .. from line in LineTally.Lines
                   let t = line.Value
                   where t.Reads[0] + t.Writes[0] + t.Locks[0] > 0 && t.Reads[1] + t.Writes[1] + t.Locks[1] > 0 && t.Moves > 0
                   group t by names.Of(line.Key, t.File) into same
                   let row = new LedgerLine(same.Key, Sum(same, t => t.Reads), Sum(same, t => t.Writes), Sum(same, t => t.Locks), same.Sum(t => t.Moves) / (2 * Pages))
                   orderby row.Moves descending, row.Line
                   select row,
            ];
        }
    }
}

/// <summary>From the address of a line to what lies in it, in the field's words.</summary>
internal sealed unsafe class LineNames(Model model, AccountingMemory accounting, PhysicalMemory memory, MmStruct* spaces, int metadataBytes)
{
    private readonly int counterBytes = int.TryParse(string.Concat(model[Axis.Counter].Where(char.IsAsciiDigit)), CultureInfo.InvariantCulture, out int bytes) ? bytes : 40;

    public string Of(nint line, string file)
    {
        MemcgTree* tree = accounting.Tree;
        nint groups = (nint)accounting.Root, nodes = MemcgTree.NodeBase(tree, 0), node = (nint)MemcgTree.Node(tree, 0), zone = (nint)memory.Node(new NodeId(0));
        nint pages = (nint)MemMap.PageOf(&memory.State->Map, new Pfn(0)), meta = (nint)GuardedPtr<byte>.Get(&MemcgTree.Node(tree, 0)->PageMetadata);
        if (In(line, groups, accounting.Plan.MaxGroups * Memcg.Bytes)) return OfGroup((line - groups) / Memcg.Bytes, (int)((line - groups) % Memcg.Bytes));
        if (In(line, nodes, accounting.Plan.MaxGroups * MemcgNode.Bytes))
        {
            int at = (int)((line - nodes) % MemcgNode.Bytes);
            string what = at >= MemcgNode.ResidentsSlot ? "residents" : at >= MemcgNode.KmemSlot ? "kernel objects"
                : $"lists and their lock{Nth(at - MemcgNode.LruSlot, MemcgNode.LruSlotBytes)}";
            return $"{Whose((line - nodes) / MemcgNode.Bytes)} {what}";
        }
        if (In(line, node, AccountingNode.Bytes))
            return (int)(line - node) is var at && at >= AccountingNode.PageCgroupSlot ? "node's page_cgroup table"
                : $"zone's lists and their lock{Nth(at - AccountingNode.LruSlot, 1024)}";
        if (In(line, zone, Zone.Bytes)) return $"zone->lock and free pages{Nth(line - zone - 128, 384)}";
        if (In(line, pages, memory.TotalPages * Page.Bytes)) return "struct page of list neighbours";
        if (meta != 0 && In(line, meta, memory.TotalPages * metadataBytes)) return "page_cgroup of list neighbours";
        if (In(line, (nint)tree, MemcgTree.Bytes)) return (line - (nint)tree) switch { 128 => "tree: groups and their ends", 192 => "tree: soft limits", _ => "tree" };
        if (In(line, (nint)spaces, 2 * sizeof(MmStruct))) return "mm_struct";
        return file is "RcuCallbacks.cs" or "GracePeriod.cs" or "RcuWait.cs" or "Rcu.cs" ? "RCU: the grace period"
            : file is "LocklessRcu.cs" or "LocklessRcu.Sink.cs" or "PageCgroupObject.cs" or "BitSpinlock.cs" or "IntrusiveList.cs" ? "page_cgroup objects of list neighbours"
            : file is "KmemCache.cs" or "KmemObject.cs" ? "slab of page_cgroup objects" : file;
    }

    private static bool In(nint line, nint first, long bytes) => line >= (first & -64) && line < first + (nint)bytes;

    private static string Nth(nint offset, int bytes) => bytes <= 64 || offset < 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", line {offset / 64 + 1}");

    private static string Whose(nint id) => id == 0 ? "root's" : "group's";

    private string OfGroup(nint id, int at)
    {
        if (at >= Memcg.CounterSlot && at < Memcg.CounterSlot + 3 * counterBytes)
        {
            int from = at - Memcg.CounterSlot, first = from / counterBytes, last = Math.Min(2, (from + 63) / counterBytes);
            string kinds = string.Join(", ", Enumerable.Range(first, last - first + 1).Select(k => ((CounterKind)k).ToString().ToLowerInvariant()));
            return $"{Whose(id)} counter ({kinds}){(counterBytes > 64 ? Nth(from % counterBytes, counterBytes) : "")}";
        }
        string what = at switch
        {
            < 320 => "css",
            < Memcg.CounterSlot => "head (parent, moving)",
            < Memcg.LruSlot => "page_cgroup state",
            < Memcg.ResidentsSlot => "list state",
            < Memcg.KmemSlot => "css references of pages",
            _ => "kernel objects",
        };
        return $"{Whose(id)} {what}";
    }
}
