// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// How one use of memory is mapped: kinds of page, best first, and a policy. "local" means each part on its own node, "remote" the node
/// farthest from it, "bind" its own node where that is named; any other policy is applied to the whole range.
/// </summary>
public sealed record MemoryWish(IReadOnlyList<PageKind> Pages, NumaPolicy Policy);

/// <summary>A part of a range as it was mapped: what for, whose, under which policy (resolved), and how that was done.</summary>
public sealed record MappedPart(MemoryUse Use, NodeId Node, VirtualRegion Region, nuint Offset, nuint Bytes, NumaPolicy Policy, string How);

/// <summary>Where the pages of a part really are.</summary>
public sealed record PartProof(MappedPart Part, Placement Found, PlacementVerdict Verdict, string? Reason);

/// <summary>Memory of the machine: one region per range, each part under its policy before its first touch, then faulted in.</summary>
public sealed unsafe class HardwareMemory : IMemorySource
{
    private readonly Func<MemoryUse, MemoryWish> wish;
    private readonly Func<NodeId, NodeId?> farthest;
    private readonly Func<NodeId, NodeId?> nearest;
    private readonly List<MappedPart> parts = [];

    /// <summary>Maps nothing yet.</summary>
    /// <param name="wish">What each use gets.</param>
    /// <param name="farthest">The node with memory farthest from one, or null when there is no other: what "remote" means.</param>
    /// <param name="nearest">The node with memory nearest to one: what "local" means on a node that has CPUs and no memory. Null: each node has some.</param>
    public HardwareMemory(Func<MemoryUse, MemoryWish> wish, Func<NodeId, NodeId?>? farthest = null, Func<NodeId, NodeId?>? nearest = null)
    {
        this.nearest = nearest ?? (static node => node);
        this.wish = wish;
        this.farthest = farthest ?? (static _ => null);
    }

    /// <summary>Everything mapped so far.</summary>
    public IReadOnlyList<MappedPart> Parts => parts;

    /// <inheritdoc/>
    /// <exception cref="OsException">No kind of page of the wish can be had, or the policy was refused; nothing of the range stays mapped.</exception>
    /// <exception cref="UsageException">A part is no multiple of the huge pages asked for.</exception>
    public byte* Map(ReadOnlySpan<MemoryPart> parts, MemoryUse use)
    {
        MemoryWish asked = wish(use);
        List<(NodeId Node, NumaPolicy Policy, nuint Offset, nuint Bytes)> runs = [];
        nuint all = 0;
        foreach (MemoryPart part in parts)
        {
            // Neighbours of one node are one run: fake nodes do not need a mapping each.
            NodeId home = nearest(part.Node) ?? part.Node;
            if (runs.Count > 0 && runs[^1].Node == home) runs[^1] = runs[^1] with { Bytes = runs[^1].Bytes + part.Bytes };
            else runs.Add((home, OfPart(asked.Policy, home), all, part.Bytes));
            all += part.Bytes;
        }
        if (asked.Policy.Mode is not (NumaMode.Local or NumaMode.Remote or NumaMode.Bind)) runs = [(runs[0].Node, asked.Policy, 0, all)];
        for (int i = 0; ; i++)
        {
            try
            {
                return Map(use, asked.Pages[i], all, runs);
            }
            catch (OsException) when (i + 1 < asked.Pages.Count) { }
        }
    }

    /// <summary>Asks the system where the parts of the given uses are (all uses when none is given), about 1 us per page.</summary>
    public IReadOnlyList<PartProof> Prove(params ReadOnlySpan<MemoryUse> uses)
    {
        List<PartProof> proofs = [];
        foreach (MappedPart part in parts)
        {
            if (uses.Length > 0 && !uses.Contains(part.Use)) continue;
            Placement found = Placement.Of(part.Region, part.Offset, part.Bytes);
            PlacementVerdict verdict = found.Judge(part.Policy, out string? reason);
            proofs.Add(new(part, found, verdict, reason));
        }
        return proofs;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MappedPart part in parts) part.Region.Dispose();
        parts.Clear();
    }

    /// <summary>A bind to several nodes would fill the first before the second gets a page: each part is bound to its own.</summary>
    private NumaPolicy OfPart(NumaPolicy asked, NodeId home) =>
        asked.Mode == NumaMode.Bind && asked.Nodes.Count > 1 && asked.Nodes.Contains(home) ? NumaPolicy.Parse($"bind:{home}") : asked.On(home, farthest(home));

    private byte* Map(MemoryUse use, PageKind pages, nuint bytes, List<(NodeId Node, NumaPolicy Policy, nuint Offset, nuint Bytes)> runs)
    {
        foreach ((NodeId node, _, _, nuint length) in runs)
            if (pages.IsHugeTlb && runs.Count > 1 && length % pages.Bytes != 0)
                throw new UsageException($"--pages {pages}: {use} of node {node} has {length} bytes, no multiple of the page size; "
                    + $"give each node a multiple of {pages}");
        VirtualRegion region = VirtualRegion.Reserve(bytes, pages, 0, [.. runs.SelectMany(r => r.Policy.Nodes).Distinct()]);
        try
        {
            List<MappedPart> mapped = [];
            foreach ((NodeId node, NumaPolicy policy, nuint offset, nuint length) in runs)
            {
                // Only the last run may end inside a huge page, and then with the region.
                nuint whole = offset + length == bytes ? region.Bytes - offset : length;
                mapped.Add(new(use, node, region, offset, whole, policy, policy.Apply(region, offset, whole)));
            }
            region.Commit();
            parts.AddRange(mapped);
            return region.Base;
        }
        catch
        {
            region.Dispose();
            throw;
        }
    }
}
