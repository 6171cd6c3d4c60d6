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
        NumaPolicy? whole = use != MemoryUse.Frames ? place.PolicyFor(use) : frames.Mode is NumaMode.Local or NumaMode.Remote or NumaMode.Bind ? null : frames;
        IReadOnlyList<PageKind> wish = use == MemoryUse.Frames ? framePages : [metadataPages];
        MemoryPart[] pieces = parts.ToArray();
        for (int i = 0; ; i++)
        {
            try
            {
                PlacedRange range = MapOne(bytes, wish[i], whole, pieces, use);
                ranges.Add(range);
                return range.Region.Base;
            }
            catch (OsException) when (i + 1 < wish.Count) { } // the next kind of the wish list
        }
    }

    private PlacedRange MapOne(nuint bytes, PageKind pages, NumaPolicy? whole, MemoryPart[] parts, MemoryUse use)
    {
        NodeId[] nodes = whole is not null ? [.. whole.Nodes] : [.. parts.Select(p => MemoryNode(p.Node)).Distinct()];
        VirtualRegion region = VirtualRegion.Reserve(bytes, pages, 0, nodes);
        try
        {
            string applied = whole is not null ? whole.Apply(region) : ApplyParts(region, parts, use);
            region.Commit();
            return new PlacedRange(use, region, whole, parts, applied);
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
        if (range.Policy is not null || verdict == PlacementVerdict.Differs) return found;
        nuint at = 0;
        foreach (MemoryPart part in range.Parts)
        {
            PlacementVerdict of = Placement.Of(range.Region, at, part.Bytes).Judge(PartPolicy(MemoryUse.Frames, part), out string? why);
            at += part.Bytes;
            if (of == PlacementVerdict.Differs) (verdict, reason) = (of, why);
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

    /// <summary>Of one part: bind where nodes were named, local to the part's node otherwise.</summary>
    private NumaPolicy PartPolicy(MemoryUse use, MemoryPart part)
    {
        NodeId node = MemoryNode(part.Node);
        return use == MemoryUse.Frames && frames.Mode is (NumaMode.Bind or NumaMode.Remote) ? NumaPolicy.Parse($"bind:{node}") : NumaPolicy.Parse("local").On(node, null);
    }

    private NodeId MemoryNode(NodeId node) => topology.NearestWithMemory(node) ?? node;

    private string ApplyParts(VirtualRegion region, MemoryPart[] parts, MemoryUse use)
    {
        nuint at = 0;
        string applied = "";
        foreach (MemoryPart part in parts)
        {
            applied = PartPolicy(use, part).Apply(region, at, part.Bytes);
            at += part.Bytes;
        }
        return applied;
    }
}
