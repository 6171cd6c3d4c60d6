// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>One range that was mapped, and for what.</summary>
internal sealed record PlacedRange(MemoryUse Use, VirtualRegion Region, NumaPolicy? Policy, IReadOnlyList<MemoryPart> Parts, string Applied);

/// <summary>
/// Memory of the machine, placed as the user asked: the frames by --mem, everything the accounting keeps by --place. Every page is
/// faulted in under its policy before anybody sees it.
/// </summary>
internal sealed unsafe class PlacedMemory(Topology topology, NumaPolicy frames, IReadOnlyList<PageKind> framePages, PlaceMap place) : IMemorySource
{
    private static readonly PageKind metadataPages = SystemFacts.PageBytes == PageKind.Small.Bytes ? PageKind.Small : PageKind.NoThp;
    private readonly List<PlacedRange> ranges = [];

    /// <summary>What was mapped, in order.</summary>
    public IReadOnlyList<PlacedRange> Ranges => ranges;

    /// <inheritdoc/>
    public byte* Map(ReadOnlySpan<MemoryPart> parts, MemoryUse use)
    {
        nuint bytes = 0;
        foreach (MemoryPart part in parts) bytes += part.Bytes;
        NumaPolicy? whole = use == MemoryUse.Frames ? (frames.Mode is NumaMode.Local or NumaMode.Remote or NumaMode.Bind ? null : frames) : place.PolicyFor(use);
        VirtualRegion region = use == MemoryUse.Frames ? VirtualRegion.Reserve(bytes, framePages) : VirtualRegion.Reserve(bytes, metadataPages);
        try
        {
            string applied = whole is null ? ApplyParts(region, parts) : whole.Apply(region);
            region.Commit();
            ranges.Add(new PlacedRange(use, region, whole, parts.ToArray(), applied));
            return region.Base;
        }
        catch
        {
            region.Dispose();
            throw;
        }
    }

    /// <summary>The frames against what was asked; reason is the line for the user when they differ.</summary>
    public Placement ProveFrames(out PlacementVerdict verdict, out string? reason)
    {
        PlacedRange range = ranges.Find(r => r.Use == MemoryUse.Frames) ?? throw new InvalidOperationException("no frames were mapped");
        Placement found = Placement.Of(range.Region);
        verdict = found.Judge(range.Policy, out reason);
        if (range.Policy is not null || verdict == PlacementVerdict.Differs || found.Found.Count == 0) return found;
        foreach (IGrouping<NodeId, MemoryPart> node in range.Parts.GroupBy(p => p.Node))
        {
            long asked = node.Sum(p => (long)p.Bytes) / (long)found.FrameBytes;
            if (found.On(node.Key) == asked) continue;
            verdict = PlacementVerdict.Differs;
            reason = $"placement differs: {found.On(node.Key)} of {asked} frames on node {node.Key} (asked: {frames.Text}). Not measured.";
        }
        return found;
    }

    /// <summary>Bytes per node of everything but the frames, by use.</summary>
    public IReadOnlyDictionary<MemoryUse, IReadOnlyDictionary<int, long>> WhereMetadataIs()
    {
        var found = new SortedDictionary<MemoryUse, IReadOnlyDictionary<int, long>>();
        foreach (IGrouping<MemoryUse, PlacedRange> use in ranges.Where(r => r.Use != MemoryUse.Frames).GroupBy(r => r.Use))
        {
            var bytes = new SortedDictionary<int, long>();
            foreach (PlacedRange range in use)
            {
                Placement at = Placement.Of(range.Region);
                foreach ((NodeId node, long n) in at.Found) bytes[node.Value] = bytes.GetValueOrDefault(node.Value) + n * (long)at.FrameBytes;
            }
            found[use.Key] = bytes;
        }
        return found;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PlacedRange range in ranges) range.Region.Dispose();
        ranges.Clear();
    }

    private string ApplyParts(VirtualRegion region, ReadOnlySpan<MemoryPart> parts)
    {
        nuint at = 0;
        string applied = "";
        foreach (MemoryPart part in parts)
        {
            NodeId node = topology.NearestWithMemory(part.Node) ?? part.Node;
            applied = NumaPolicy.Parse("local").On(node, null).Apply(region, at, part.Bytes);
            at += part.Bytes;
        }
        return applied;
    }
}
