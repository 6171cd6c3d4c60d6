// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// A range of anonymous memory: reserved first, bound to nodes, then committed (faulted in), so that each page is born where the
/// policy says and never moves. Control plane: one thread at a time; the memory itself is for everybody.
/// </summary>
/// <remarks>No silent fallback: the pages are of the kind asked for, or of the one named first in the wish list that could be had, or there is an exception.</remarks>
public sealed unsafe partial class VirtualRegion : IDisposable
{
    private VirtualRegion(byte* start, nuint bytes, PageKind pages)
    {
        Base = start;
        Bytes = bytes;
        Pages = pages;
    }

    /// <summary>First byte; null after <see cref="Dispose"/>.</summary>
    public byte* Base { get; private set; }

    /// <summary>Length: what was asked, rounded up to whole pages of the kind.</summary>
    public nuint Bytes { get; }

    /// <summary>What the range is made of.</summary>
    public PageKind Pages { get; }

    /// <summary>Nodes of the policy, where it names some: they are to blame when hugetlb pages are short.</summary>
    internal IReadOnlyList<NodeId>? BoundNodes { get; set; }

    /// <summary>
    /// Address space without memory (MAP_NORESERVE); touching it, or <see cref="Commit()"/>, brings the memory. hugetlb pages are
    /// taken out of the pool at once, so that a touch cannot end in SIGBUS for want of one.
    /// </summary>
    /// <param name="bytes">Length wanted; more than 0.</param>
    /// <param name="pages">The kind of page.</param>
    /// <param name="alignment">Alignment of <see cref="Base"/>, a power of two; 0 = the page size of the kind.</param>
    /// <param name="nodes">Nodes the region will be bound to: their hugetlb pools are looked at first, since mmap only counts the machine's. Null = any.</param>
    /// <exception cref="OsException">The system refused; nothing stays mapped.</exception>
    public static VirtualRegion Reserve(nuint bytes, PageKind pages, nuint alignment = 0, IReadOnlyList<NodeId>? nodes = null)
    {
        ArgumentNullException.ThrowIfNull(pages);
        ArgumentOutOfRangeException.ThrowIfZero(bytes);
        if (!nuint.IsPow2(alignment) && alignment != 0) throw new ArgumentOutOfRangeException(nameof(alignment), alignment, "not a power of two");
        if (pages == PageKind.Small && SystemFacts.PageBytes != pages.Bytes)
            throw new OsException("sysconf", 0, $"--pages 4K: base pages of this machine have {SystemFacts.PageBytes / 1024} KiB", "Say --pages nothp");

        nuint page = nuint.Max(pages.Bytes, SystemFacts.PageBytes);
        nuint length = checked(bytes + page - 1) / page * page;
        alignment = nuint.Max(alignment, page);
        if (!OsCalls.OnWindows && pages.IsHugeTlb && nodes is { Count: > 0 } && HugePages.Shortage(pages, length, nodes) is { } refusal) throw refusal;
        byte* start = OsCalls.OnWindows ? ReserveWindows(length, pages, alignment)
            : OperatingSystem.IsLinux() ? ReserveLinux(length, pages, alignment)
            : throw NotHere("mapping memory");
        Machine.OnAlloc(start, length);
        return new VirtualRegion(start, length, pages) { BoundNodes = nodes is { Count: > 0 } ? nodes : null };
    }

    /// <summary>Bytes committed between two calls of <c>between</c>.</summary>
    private const nuint ChunkBytes = 256 << 20;

    /// <summary>Reserves, binds and commits in one go, with the first kind of the wish list that can be had; the last refusal when none can.</summary>
    /// <param name="bytes">Length wanted; more than 0.</param>
    /// <param name="wish">Kinds of page, best first.</param>
    /// <param name="policy">Where the pages are to be born.</param>
    /// <param name="how">How the policy was applied, in words for the result.</param>
    /// <param name="between">Called between chunks; what it throws ends the work.</param>
    /// <exception cref="OsException">No kind of the list can be had.</exception>
    public static VirtualRegion Map(nuint bytes, IReadOnlyList<PageKind> wish, NumaPolicy policy, out string how, Action? between = null)
    {
        ArgumentNullException.ThrowIfNull(wish);
        ArgumentNullException.ThrowIfNull(policy);
        for (int i = 0; ; i++)
        {
            VirtualRegion? region = null;
            try
            {
                region = Reserve(bytes, wish[i], 0, policy.Nodes);
                how = policy.Apply(region);
                nuint step = Math.Max(ChunkBytes, wish[i].Bytes);
                for (nuint at = 0; at < region.Bytes; at += step)
                {
                    between?.Invoke();
                    region.Commit(at, Math.Min(step, region.Bytes - at));
                }
                return region;
            }
            catch (Exception e)
            {
                region?.Dispose();
                if (i + 1 >= wish.Count || e is not OsException) throw;
            }
        }
    }

    /// <summary>Faults the whole range in.</summary>
    /// <exception cref="OsException">The memory is not there.</exception>
    public void Commit() => Commit(0, Bytes);

    /// <summary>Faults bytes in from offset on, both multiples of the page size; what is there keeps its content.</summary>
    /// <exception cref="OsException">The memory is not there.</exception>
    public void Commit(nuint offset, nuint bytes)
    {
        byte* start = Range(offset, bytes);
        if (OsCalls.OnWindows) CommitWindows(start, bytes);
        else if (OperatingSystem.IsLinux()) CommitLinux(start, bytes);
    }

    /// <summary>Unmaps; the second time does nothing.</summary>
    public void Dispose()
    {
        byte* start = Base;
        if (start == null) return;
        Base = null;
        Machine.OnFree(start, Bytes);
        if (OsCalls.OnWindows) FreeWindows(start);
        else if (OperatingSystem.IsLinux()) FreeLinux(start, Bytes, Pages);
    }

    /// <summary>The address of a part, checked against the region and the page size.</summary>
    internal byte* Range(nuint offset, nuint bytes)
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        if (offset > Bytes || bytes > Bytes - offset) throw new ArgumentOutOfRangeException(nameof(bytes), $"{offset}+{bytes} is outside of {Bytes} bytes");
        if ((offset | bytes) % (Pages.IsHugeTlb ? Pages.Bytes : SystemFacts.PageBytes) != 0)
            throw new ArgumentOutOfRangeException(nameof(offset), $"{offset}+{bytes} is not whole pages");
        return Base + offset;
    }

    /// <summary>What neither Linux nor Windows can be asked for.</summary>
    internal static OsException NotHere(string what) => new("", 0, $"{what}: only Linux and Windows are supported");

    private static void Touch(byte* start, nuint bytes)
    {
        for (nuint i = 0; i < bytes; i += SystemFacts.PageBytes)
        {
            byte content = start[i];
            start[i] = content;
        }
    }
}
