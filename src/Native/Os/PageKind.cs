// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>What pages a region is made of. A closed set of five; compare by reference.</summary>
public sealed class PageKind
{
    /// <summary>4 KiB base pages, THP refused; not to be had where the machine's base page is larger.</summary>
    public static readonly PageKind Small = new("4K", 4096, hugeTlb: false);

    /// <summary>2 MiB pages from the hugetlb pool.</summary>
    public static readonly PageKind Huge2M = new("2M", 2u << 20, hugeTlb: true);

    /// <summary>1 GiB pages from the hugetlb pool.</summary>
    public static readonly PageKind Huge1G = new("1G", 1u << 30, hugeTlb: true);

    /// <summary>Base pages that the kernel is asked to make transparent 2 MiB pages of (MADV_HUGEPAGE).</summary>
    public static readonly PageKind Thp = new("thp", 2u << 20, hugeTlb: false);

    /// <summary>Base pages of whatever size the machine has, THP refused (MADV_NOHUGEPAGE).</summary>
    public static readonly PageKind NoThp = new("nothp", 0, hugeTlb: false);

    private static readonly PageKind[] all = [Small, Huge2M, Huge1G, Thp, NoThp];

    private readonly nuint bytes;

    private PageKind(string name, nuint bytes, bool hugeTlb)
    {
        Name = name;
        this.bytes = bytes;
        IsHugeTlb = hugeTlb;
    }

    /// <summary>As typed after --pages.</summary>
    public string Name { get; }

    /// <summary>Bytes of one page; for <see cref="Thp"/> of the page that is hoped for.</summary>
    public nuint Bytes => bytes != 0 ? bytes : SystemFacts.PageBytes;

    /// <summary>True for pages from the preallocated pool.</summary>
    public bool IsHugeTlb { get; }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>One kind: 4K, 2M, 1G, thp or nothp.</summary>
    /// <exception cref="UsageException">Any other text.</exception>
    public static PageKind Parse(string text) => TryFind(text) ?? throw Unknown(text, text);

    /// <summary>A wish list such as 2M,4K: the first kind that can be had is taken, and the result says which.</summary>
    /// <exception cref="UsageException">An empty, unknown or repeated element.</exception>
    public static IReadOnlyList<PageKind> ParseList(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var wish = new List<PageKind>();
        foreach (string item in text.Split(','))
        {
            PageKind kind = TryFind(item) ?? throw Unknown(text, item);
            if (wish.Contains(kind)) throw new UsageException($"--pages {text}: '{kind}' is there twice");
            wish.Add(kind);
        }
        return wish;
    }

    private static PageKind? TryFind(string item) =>
        Array.Find(all, k => k.Name.Equals(item.Trim(), StringComparison.OrdinalIgnoreCase));

    private static UsageException Unknown(string text, string item) =>
        new($"--pages {text}: '{item}' is not a page size; write 4K, 2M, 1G, thp, nothp or a wish list such as 2M,4K");
}
