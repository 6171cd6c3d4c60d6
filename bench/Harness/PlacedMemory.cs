// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Memory of the machine, placed as the user asked: the frames by --mem, everything the accounting keeps by --place. Every page is
/// faulted in under its policy before anybody sees it.
/// </summary>
internal sealed unsafe class PlacedMemory : IMemorySource
{
    private static readonly NumaPolicy local = NumaPolicy.Parse("local");
    private readonly HardwareMemory memory;

    /// <summary>Maps nothing yet.</summary>
    public PlacedMemory(Topology topology, NumaPolicy frames, IReadOnlyList<PageKind> framePages, PlaceMap place)
    {
        PageKind metadata = SystemFacts.PageBytes == PageKind.Small.Bytes ? PageKind.Small : PageKind.NoThp;
        memory = new HardwareMemory(use => use == MemoryUse.Frames ? new(framePages, frames) : new([metadata], place.PolicyFor(use) ?? local),
            static node => node, // the plan has put the frames of "remote" on the far node
            topology.NearestWithMemory);
    }

    private IEnumerable<MappedPart> Frames => memory.Parts.Where(p => p.Use == MemoryUse.Frames);

    /// <inheritdoc/>
    public byte* Map(ReadOnlySpan<MemoryPart> parts, MemoryUse use) => memory.Map(parts, use);

    /// <summary>The frames against what was asked; reason is the line for the user when they differ.</summary>
    public Placement ProveFrames(out PlacementVerdict verdict, out string? reason)
    {
        MappedPart[] parts = [.. Frames];
        Placement found = Placement.Of(parts[0].Region);
        verdict = found.Judge(parts is [var one] ? one.Policy : null, out reason);
        if (parts.Length == 1 || verdict == PlacementVerdict.Differs) return found;
        foreach (PartProof proof in memory.Prove(MemoryUse.Frames))
            if (proof.Verdict == PlacementVerdict.Differs) (verdict, reason) = (proof.Verdict, proof.Reason);
        return found;
    }

    /// <summary>Bytes per node of everything but the frames, by use.</summary>
    public IReadOnlyDictionary<MemoryUse, IReadOnlyDictionary<int, long>> WhereMetadataIs()
    {
        var found = new SortedDictionary<MemoryUse, IReadOnlyDictionary<int, long>>();
        foreach (IGrouping<MemoryUse, MappedPart> use in memory.Parts.Where(p => p.Use != MemoryUse.Frames).GroupBy(p => p.Use))
        {
            var bytes = new SortedDictionary<int, long>();
            foreach (MappedPart part in use)
            {
                Placement at = Placement.Of(part.Region, part.Offset, part.Bytes);
                foreach ((NodeId node, long n) in at.Found) bytes[node.Value] = bytes.GetValueOrDefault(node.Value) + n * (long)at.FrameBytes;
            }
            found[use.Key] = bytes;
        }
        return found;
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
