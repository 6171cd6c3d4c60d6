// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class Placement
{
    /// <summary>QueryWorkingSetEx: valid, node and large-page bits of each page (psapi.h, PSAPI_WORKING_SET_EX_BLOCK).</summary>
    [SupportedOSPlatform("windows")]
    private static Placement OfWindows(byte* start, nuint bytes, PageKind kind)
    {
        nuint frame = kind.IsHugeTlb ? kind.Bytes : SystemFacts.PageBytes;
        long frames = (long)(bytes / frame), absent = 0, inKind = 0;
        var found = new SortedDictionary<NodeId, long>();
        var pages = new PSAPI_WORKING_SET_EX_INFORMATION[4096];
        for (long first = 0; first < frames; first += pages.Length)
        {
            int n = (int)Math.Min(pages.Length, frames - first);
            for (int i = 0; i < n; i++)
            {
                pages[i] = default;
                pages[i].VirtualAddress = start + (nuint)(first + i) * frame;
            }
            bool done;
            int error;
            fixed (PSAPI_WORKING_SET_EX_INFORMATION* p = pages) done = OsCalls.QueryWorkingSetEx(p, n, out error);
            if (!done) throw new OsException("QueryWorkingSetEx", error, $"cannot ask where the pages of a region are (QueryWorkingSetEx: error {error})");
            for (int i = 0; i < n; i++)
            {
                (bool valid, NodeId node, bool large) = Decode(pages[i].VirtualAttributes.Flags);
                if (!valid)
                {
                    absent++;
                    continue;
                }
                found[node] = found.GetValueOrDefault(node) + 1;
                if (large == kind.IsHugeTlb) inKind += (long)frame;
            }
        }
        return new Placement
        {
            Method = "query_working_set",
            Found = [.. found],
            AbsentFrames = absent,
            Untold = (0, 0),
            FrameBytes = frame,
            BytesInKind = inKind,
            RegionBytes = bytes,
            Pages = kind,
        };
    }

    /// <summary>Bit 0 valid, bits 16-21 node, bit 23 large page.</summary>
    internal static (bool Valid, NodeId Node, bool Large) Decode(nuint flags) =>
        ((flags & 1) != 0, new NodeId((int)(flags >> 16 & 0x3f)), (flags >> 23 & 1) != 0);
}
