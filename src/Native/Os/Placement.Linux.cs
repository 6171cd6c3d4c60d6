// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class Placement
{
    /// <summary>Frames per move_pages: small enough that the kernel's copy loop yields between calls.</summary>
    private const int Chunk = 16384;

    [SupportedOSPlatform("linux")]
    private static Placement OfLinux(byte* start, nuint bytes, PageKind kind, Action? between)
    {
        nuint frame = kind.IsHugeTlb ? kind.Bytes : SystemFacts.PageBytes;
        long frames = (long)(bytes / frame), absent = 0;
        (long Frames, int Errno) untold = (0, 0);
        var found = new SortedDictionary<NodeId, long>();
        string method = "move_pages";
        void*[] pages = new void*[Chunk];
        int[] status = new int[Chunk];
        for (long first = 0; first < frames; first += Chunk)
        {
            between?.Invoke();
            int n = (int)Math.Min(Chunk, frames - first);
            for (int i = 0; i < n; i++) pages[i] = start + (nuint)(first + i) * frame;
            int r;
            fixed (void** p = pages) fixed (int* s = status) r = OsCalls.MovePages((nuint)n, p, s);
            if (r is -Errno.EPERM or -Errno.ENOSYS or -Errno.EACCES)
            {
                // Forbidden or not built in. With one node there is nothing to ask but presence, which mincore tells.
                List<NodeId> nodes = HugePages.MemoryNodes();
                long? present = nodes.Count == 1 ? PosixHelper.PresentPages(start, bytes) * (long)SystemFacts.PageBytes / (long)frame : null;
                if (present is null) untold = (frames, -r);
                else
                {
                    method = "one_node";
                    found = new SortedDictionary<NodeId, long> { [nodes[0]] = present.Value };
                    absent = frames - present.Value;
                }
                break;
            }
            if (r < 0) throw new OsException("move_pages", -r, $"cannot ask where the pages of a region are (move_pages: {Errno.Name(-r)})");
            for (int i = 0; i < n; i++)
            {
                if (status[i] >= 0) found[new NodeId(status[i])] = found.GetValueOrDefault(new NodeId(status[i])) + 1;
                // ENOENT: no page; EFAULT: the zero page, or none of ours.
                else if (status[i] is -Errno.ENOENT or -Errno.EFAULT) absent++;
                else untold = (untold.Frames + 1, untold.Errno == 0 ? -status[i] : untold.Errno);
            }
        }
        return new Placement
        {
            Method = method,
            Found = [.. found],
            AbsentFrames = absent,
            Untold = untold,
            FrameBytes = frame,
            BytesInKind = ReadKind(start, bytes, kind),
            RegionBytes = bytes,
            Pages = kind,
        };
    }

    private static long? ReadKind(byte* start, nuint bytes, PageKind kind)
    {
        try
        {
            return BytesOfKind(File.ReadLines("/proc/self/smaps"), (ulong)start, bytes, kind);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// Bytes of start..start+bytes that smaps shows in pages of the kind: AnonHugePages for THP (KernelPageSize stays 4 kB there), what
    /// is not AnonHugePages for base pages, KernelPageSize for hugetlb. Of a VMA that reaches beyond the range, what must lie inside it at least.
    /// </summary>
    internal static long BytesOfKind(IEnumerable<string> smaps, ulong start, ulong bytes, PageKind pages)
    {
        long result = 0, vma = 0, page = 0, inside = 0;
        foreach (string line in smaps)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal), dash = line.IndexOf('-', StringComparison.Ordinal), blank = line.IndexOf(' ', StringComparison.Ordinal);
            // "7f00-7f10 rw-p ..." opens a VMA; all other lines are "Name:   value".
            if (dash > 0 && blank > dash && ulong.TryParse(line.AsSpan(0, dash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong low)
                && ulong.TryParse(line.AsSpan(dash + 1, blank - dash - 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong high))
            {
                // Unsigned: the vsyscall page lies in the upper half.
                inside = high <= start || low >= start + bytes ? 0 : (long)(Math.Min(high, start + bytes) - Math.Max(low, start));
                vma = (long)(high - low);
                continue;
            }
            if (inside == 0 || colon < 0) continue;
            switch (line[..colon])
            {
                case "KernelPageSize":
                    page = Kilobytes(line);
                    if (pages.IsHugeTlb && page == (long)pages.Bytes) result += inside;
                    break;
                case "AnonHugePages" when pages == PageKind.Thp:
                    result += Math.Max(0, Kilobytes(line) - (vma - inside));
                    break;
                case "AnonHugePages" when !pages.IsHugeTlb && page == (long)SystemFacts.PageBytes:
                    result += Math.Max(0, inside - Kilobytes(line));
                    break;
                default:
                    break;
            }
        }
        return result;
    }

    /// <summary>Bytes of "Name:   123 kB".</summary>
    private static long Kilobytes(string line)
    {
        ReadOnlySpan<char> text = line.AsSpan(line.IndexOf(':', StringComparison.Ordinal) + 1).Trim();
        int blank = text.IndexOf(' ');
        return long.Parse(blank < 0 ? text : text[..blank], CultureInfo.InvariantCulture) << 10;
    }
}
