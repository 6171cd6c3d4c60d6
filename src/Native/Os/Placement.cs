// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>What a proof of placement says.</summary>
public enum PlacementVerdict
{
    /// <summary>Pages are where, and of the size, asked.</summary>
    AsAsked,
    /// <summary>They are not; the run must not be measured.</summary>
    Differs,
    /// <summary>The system does not tell; a result must say so.</summary>
    Unverified,
}

/// <summary>Where the pages of a region really are and how large, as the system tells at one moment. Ask before and after a run.</summary>
public sealed unsafe partial class Placement
{
    /// <summary>move_pages, query_working_set or one_node (nobody tells, but there is one node only).</summary>
    public required string Method { get; init; }

    /// <summary>Frames by node, ascending.</summary>
    public required IReadOnlyList<KeyValuePair<NodeId, long>> Found { get; init; }

    /// <summary>Frames that are not there (never touched, or swapped out).</summary>
    public required long AbsentFrames { get; init; }

    /// <summary>Frames the system would not tell of, with the errno of the first; 0 and 0 as a rule.</summary>
    public required (long Frames, int Errno) Untold { get; init; }

    /// <summary>Bytes of the frames counted above: a huge page of hugetlb, a base page otherwise.</summary>
    public required nuint FrameBytes { get; init; }

    /// <summary>Bytes of the region that smaps shows in pages of the kind's size; null where nobody tells.</summary>
    public required long? BytesInKind { get; init; }

    /// <summary>Length of what was asked about.</summary>
    public required nuint RegionBytes { get; init; }

    /// <summary>The kind asked for.</summary>
    public required PageKind Pages { get; init; }

    /// <summary>Frames in all, present or not.</summary>
    public long Frames => (long)(RegionBytes / FrameBytes);

    /// <summary>Asks the system. Takes about 1 us per frame; between is called between chunks, and what it throws ends the work.</summary>
    /// <exception cref="OsException">The question itself failed (not when it is merely forbidden: then the verdict is unverified).</exception>
    public static Placement Of(VirtualRegion region, Action? between = null)
    {
        ArgumentNullException.ThrowIfNull(region);
        return Of(region, 0, region.Bytes, between);
    }

    /// <summary>As above for a part that has a policy of its own; whole pages.</summary>
    /// <exception cref="OsException">As above.</exception>
    public static Placement Of(VirtualRegion region, nuint offset, nuint bytes, Action? between = null)
    {
        ArgumentNullException.ThrowIfNull(region);
        byte* start = region.Range(offset, bytes);
        return OsCalls.OnWindows ? OfWindows(start, bytes, region.Pages)
            : OperatingSystem.IsLinux() ? OfLinux(start, bytes, region.Pages, between)
            : throw VirtualRegion.NotHere("placement");
    }

    /// <summary>Frames on one node.</summary>
    public long On(NodeId node)
    {
        foreach ((NodeId n, long frames) in Found)
            if (n == node) return frames;
        return 0;
    }

    /// <summary>
    /// Judges against a policy. The reason is the one line for the user, null when as asked. Bind, local and preferred tolerate no frame
    /// elsewhere; shares of an interleave may be off by tolerance; of THP all but thpSlack must be in huge pages.
    /// </summary>
    /// <param name="policy">The policy that was applied; null judges presence and page size only.</param>
    /// <param name="reason">Why not, for the user.</param>
    /// <param name="tolerance">Of a share, absolute; 0.01 = one percent of all frames.</param>
    /// <param name="thpSlack">Share of a THP region that may stay in base pages.</param>
    public PlacementVerdict Judge(NumaPolicy? policy, out string? reason, double tolerance = 0.01, double thpSlack = 0.05)
    {
        reason = null;
        if (Untold.Frames > 0 && Found.Count == 0)
        {
            reason = $"placement unverified: the system does not tell where pages are ({Errno.Name(Untold.Errno)})";
            return PlacementVerdict.Unverified;
        }
        string asked = policy is null ? Pages.Name : policy.Text;
        if (AbsentFrames > 0 || Untold.Frames > 0)
            reason = $"placement differs: {AbsentFrames + Untold.Frames} of {Frames} frames are not in memory (asked: {asked}). Not measured.";
        else if (policy is not null && !NodesFit(policy, tolerance))
            reason = $"placement differs: {Spread()} (asked: {asked}). Not measured.";
        else if (BytesInKind is { } bytes && bytes < (long)RegionBytes * (Pages == PageKind.Thp ? 1 - thpSlack : 1))
            reason = $"page size differs: {Percent(bytes)} % of {VirtualRegion.Size(RegionBytes)} in {Say(Pages)} (asked: --pages {Pages}). Not measured.";
        if (reason is not null) return PlacementVerdict.Differs;
        if (BytesInKind is not null) return PlacementVerdict.AsAsked;
        reason = "page size unverified: the system does not tell";
        return PlacementVerdict.Unverified;
    }

    private string Percent(long bytes) => (100.0 * bytes / RegionBytes).ToString("F1", CultureInfo.InvariantCulture);

    private static string Say(PageKind pages) => pages == PageKind.Thp ? "2M pages" : pages == PageKind.NoThp ? "base pages" : $"{pages} pages";

    private bool NodesFit(NumaPolicy policy, double tolerance)
    {
        if (policy.ExpectedShares() is { } shares)
        {
            // One node: every frame. Several: each share within the tolerance, or within one page of the kind where there are few; a THP lands whole.
            double slack = shares.Count == 1 ? 0 : Math.Max(tolerance * Frames, Math.Max(1, Pages.Bytes / FrameBytes));
            foreach ((NodeId node, long frames) in Found)
                if (!shares.ContainsKey(node) && frames > 0) return false;
            return shares.All(s => Math.Abs(On(s.Key) - s.Value * Frames) <= slack + 1e-6);
        }
        return policy.Nodes.Count == 0 || Found.All(f => policy.Nodes.Contains(f.Key));
    }

    /// <summary>"1536 of 2048 frames on node 0, 512 on node 1".</summary>
    private string Spread()
    {
        var parts = new List<string>();
        foreach ((NodeId node, long frames) in Found)
            parts.Add(parts.Count == 0 ? $"{frames} of {Frames} frames on node {node}" : $"{frames} on node {node}");
        return string.Join(", ", parts);
    }
}
