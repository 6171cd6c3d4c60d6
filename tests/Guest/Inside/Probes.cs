// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Guest;

/// <summary>What no command shows: a page's node, asked of the kernel page by page.</summary>
internal static unsafe class Probes
{
    private const nuint MiB = 1 << 20;

    /// <summary>Each CPU in turn touches memory without a policy. "CPU NODE:FRAMES ..." a line.</summary>
    public static int FirstTouch(TextWriter report)
    {
        foreach (CpuId cpu in Topology.Current().AllowedCpus)
        {
            string line = "";
            var thread = new Thread(() =>
            {
                ThreadAffinity.Pin(cpu);
                using VirtualRegion region = VirtualRegion.Map(MiB, [PageKind.Small], NumaPolicy.Parse("first-touch"), out _);
                line = $"{cpu} {Say(Placement.Of(region))}";
            });
            thread.Start();
            thread.Join();
            report.WriteLine(line);
        }
        return 0;
    }

    /// <summary>
    /// One CPU takes every frame of a machine of 4 MiB per memory node, and asks the kernel where each is. "CPU NODE:FRAMES ..." in the order in
    /// which the allocator went from node to node.
    /// </summary>
    public static int Fallback(TextWriter report)
    {
        Topology topology = Topology.Current();
        NodeSpec[] nodes = [.. topology.Nodes.Where(n => n.HasMemory).Select(n => new NodeSpec(n.Id, n.Id, 4 << 20))];
        foreach (CpuInfo cpu in topology.Cpus.DistinctBy(c => c.Node))
        {
            using var memory = new HardwareMemory(static _ => new MemoryWish([PageKind.Small], NumaPolicy.Parse("local")), nearest: topology.NearestWithMemory);
            using var areas = new PerCpu([(cpu.Id, cpu.Node)]);
            using var frames = new PhysicalMemory(new MemoryPlan(nodes) { Watermarks = Watermarks.None, Distance = topology.Distance }, memory);
            frames.Attach(areas.Table);
            Dictionary<nuint, int> where = Where(memory);
            ThisCpu me = areas.Witness(0);
            List<(int Node, int Frames)> taken = [];
            for (Page* page; (page = Face.Alloc(in me, Gfp.Kernel)) != null;)
            {
                int node = where[(nuint)MemMap.FrameOf(&frames.State->Map, page)];
                if (taken.Count > 0 && taken[^1].Node == node) taken[^1] = (node, taken[^1].Frames + 1);
                else taken.Add((node, 1));
            }
            report.WriteLine($"{cpu.Id} {string.Join(' ', taken.Select(t => $"{t.Node}:{t.Frames}"))}");
        }
        return 0;
    }

    /// <summary>The node of each frame, as the kernel says; a part that lies on several nodes ends the probe.</summary>
    private static Dictionary<nuint, int> Where(HardwareMemory memory)
    {
        var where = new Dictionary<nuint, int>();
        foreach (PartProof proof in memory.Prove(MemoryUse.Frames))
            for (nuint at = 0; at < proof.Part.Bytes; at += SystemFacts.PageBytes)
                where[(nuint)proof.Part.Region.Base + proof.Part.Offset + at] = proof.Found.Found.Single().Key.Value;
        return where;
    }

    private static string Say(Placement found) => string.Join(' ', found.Found.Select(f => $"{f.Key}:{f.Value}"));
}
